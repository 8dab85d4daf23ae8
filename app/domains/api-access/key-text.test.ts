import { systemRandom, uuidV4 } from '@auditrax/base';
import { describe, expect, it } from 'vitest';
import { isSecretOf, newApiKey, readApiKey } from './key-text.ts';

const [tenantId, keyId] = [uuidV4(systemRandom), uuidV4(systemRandom)];

describe('the text of an API key', () => {
  it('A5 says what it is, holds whose it is, and is read back', () => {
    const { text, secretHash } = newApiKey(systemRandom, tenantId, keyId);
    expect(text).toMatch(/^axk_[A-Za-z0-9_-]{91}$/);
    const read = readApiKey(text)!;
    expect(read).toMatchObject({ tenantId, keyId });
    expect(isSecretOf(read.secret, secretHash)).toBe(true);
    expect(isSecretOf(Buffer.alloc(32), secretHash)).toBe(false);
    expect(text).not.toContain(secretHash.toString('base64url'));
  });

  it('A5 is none with any one character changed, left out or added', () => {
    const { text } = newApiKey(systemRandom, tenantId, keyId);
    for (let at = 4; at < text.length; at += 1) {
      const other = text[at] === 'A' ? 'B' : 'A';
      expect(readApiKey(text.slice(0, at) + other + text.slice(at + 1)), String(at)).toBeUndefined();
    }
    for (const wrong of [text.slice(0, -1), `${text}A`, text.replace('axk_', 'axq_'), ` ${text}`, ''])
      expect(readApiKey(wrong)).toBeUndefined();
  });

  it('A5 is another one each time', () => {
    expect(newApiKey(systemRandom, tenantId, keyId).text).not.toBe(newApiKey(systemRandom, tenantId, keyId).text);
  });
});
