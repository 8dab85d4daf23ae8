import { describe, expect, it } from 'vitest';
import { securityTxt } from './security-txt.ts';

const input = {
  origin: 'https://127.0.0.1:8443',
  securityMailbox: 'security@auditrax.io',
  now_ms: Date.UTC(2026, 10, 22, 19, 31),
};

describe('security.txt after RFC 9116', () => {
  it('has a contact, exactly one expiry under a year ahead, and the policy', () => {
    const lines = securityTxt(input).split('\n');
    expect(lines.filter((line) => line.startsWith('Expires: '))).toEqual(['Expires: 2027-05-21T00:00:00Z']);
    expect(lines).toContain('Contact: mailto:security@auditrax.io');
    expect(lines).toContain('Policy: https://127.0.0.1:8443/disclosure');
    for (const line of lines.slice(0, -1)) expect(line).toMatch(/^[A-Z][A-Za-z-]+: \S/);
  });

  it('names a key only when there is one, and only a well-formed one', () => {
    expect(securityTxt(input)).not.toContain('Encryption');
    expect(securityTxt({ ...input, openPgpFingerprint: 'A'.repeat(40) })).toContain(
      `Encryption: openpgp4fpr:${'a'.repeat(40)}`,
    );
    expect(() => securityTxt({ ...input, openPgpFingerprint: 'A'.repeat(39) })).toThrow();
  });

  it('lets no data add a field', () => {
    expect(() => securityTxt({ ...input, securityMailbox: 'a@b.example\nExpires: 2099-01-01T00:00:00Z' })).toThrow();
  });
});
