import 'reflect-metadata';
import { X509Certificate as NodeCertificate } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manualClock, systemClock } from '@auditrax/base';
import { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from '@peculiar/x509';
import { describe, expect, it } from 'vitest';
import { createAuthority, openAuthority } from './authority.ts';
import { issueEdgeCertificate } from './edge-ca.ts';
import { startIdentity } from './identity.ts';
import { SIGNING_ALGORITHM, generateKeys } from './keys.ts';
import { serviceFromAltName, spiffeId } from './spiffe.ts';

async function request(names: string[] = []): Promise<string> {
  const keys = await generateKeys(true);
  const extensions =
    names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names.map((value) => ({ type: 'url', value })))];
  return (
    await Pkcs10CertificateRequestGenerator.create({ name: '', keys, signingAlgorithm: SIGNING_ALGORITHM, extensions })
  ).toString('pem');
}

function openssl(...args: string[]): string {
  return execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

describe('the workload authority', () => {
  it('W8 signs for the identity that is vouched for, whatever the request asks', async () => {
    const authority = await createAuthority({ trustDomain: 'example', clock: systemClock });
    const csrPem = await request(['spiffe://example/keys']);
    const { certificatePem } = await authority.sign({ csrPem, service: 'gateway' });
    expect(new NodeCertificate(certificatePem).subjectAltName).toBe('URI:spiffe://example/gateway');
  });

  it('W8 refuses a request whose signature does not prove its key', async () => {
    const authority = await createAuthority({ trustDomain: 'example', clock: systemClock });
    const der = Buffer.from((await request()).replace(/-----[^-]+-----|\s/g, ''), 'base64');
    der[der.length - 1] = der.at(-1)! ^ 1;
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----`;
    for (const csrPem of [forged, 'nonsense', 'x'.repeat(10_000)]) {
      await expect(authority.sign({ csrPem, service: 'gateway' })).rejects.toMatchObject({ code: 'csr_refused' });
    }
  });

  it('W8 its certificates pass a foreign verifier, with a critical name under an empty subject', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'authority-'));
    const authority = await createAuthority({ trustDomain: 'example', clock: systemClock });
    const { certificatePem, bundlePem } = await authority.sign({ csrPem: await request(), service: 'gateway' });
    writeFileSync(join(folder, 'ca.pem'), bundlePem);
    writeFileSync(join(folder, 'leaf.pem'), certificatePem);
    for (const purpose of ['sslserver', 'sslclient']) {
      expect(
        openssl(
          'verify',
          '-x509_strict',
          '-CAfile',
          join(folder, 'ca.pem'),
          '-purpose',
          purpose,
          join(folder, 'leaf.pem'),
        ),
      ).toMatch(/OK/);
    }
    expect(openssl('x509', '-in', join(folder, 'leaf.pem'), '-noout', '-text')).toMatch(
      /Alternative Name: critical\s+URI:spiffe:\/\/example\/gateway/,
    );
  });

  it('W9 is the same after a restart, replaced at half life with an overlap, and never silently made anew', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'authority-'));
    const clock = manualClock(Date.now());
    const first = await openAuthority({ folder, trustDomain: 'example', clock });
    expect((await openAuthority({ folder, trustDomain: 'example', clock })).bundlePem).toBe(first.bundlePem);
    const file = join(folder, 'workload-authority.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    clock.advance(200 * 86_400_000);
    const second = await openAuthority({ folder, trustDomain: 'example', clock });
    expect(second.bundlePem.endsWith(first.bundlePem)).toBe(true);
    expect(second.bundlePem).not.toBe(first.bundlePem);
    writeFileSync(file, readFileSync(file, 'utf8').slice(0, 100));
    await expect(openAuthority({ folder, trustDomain: 'example', clock })).rejects.toMatchObject({
      code: 'authority_unreadable',
    });
  });
});

describe('the process identity', () => {
  it('W10 refuses a certificate that is for another service or another key', async () => {
    const authority = await createAuthority({ trustDomain: 'example', clock: systemClock });
    const base = { service: 'gateway', trustDomain: 'example', clock: systemClock, onFailure: () => undefined };
    await expect(
      startIdentity({ ...base, obtain: (csrPem) => authority.sign({ csrPem, service: 'keys' }) }),
    ).rejects.toMatchObject({ code: 'certificate_refused' });
    await expect(
      startIdentity({ ...base, obtain: async () => authority.sign({ csrPem: await request(), service: 'gateway' }) }),
    ).rejects.toMatchObject({ code: 'certificate_refused' });
  });

  it('W10 renews by itself at half life', async () => {
    const authority = await createAuthority({ trustDomain: 'example', clock: systemClock, leafLife_seconds: 2 });
    const identity = await startIdentity({
      service: 'gateway',
      trustDomain: 'example',
      clock: systemClock,
      onFailure: () => undefined,
      obtain: (csrPem) => authority.sign({ csrPem, service: 'gateway' }),
    });
    const first = identity.current();
    const second = await new Promise((resolve) => identity.onRotate(resolve));
    expect(second).not.toBe(first);
    identity.close();
  });
});

describe('names in a certificate', () => {
  it.each([
    ['two names', 'URI:spiffe://example/gateway, URI:spiffe://example/keys'],
    ['a quoted value', 'URI:"spiffe://example/gateway"'],
    ['another trust domain', 'URI:spiffe://example.evil/gateway'],
    ['a longer trust domain', 'URI:spiffe://example/gateway/x'],
    ['a DNS name', 'DNS:gateway'],
    ['an upper-case service', 'URI:spiffe://example/Gateway'],
    ['nothing', undefined],
  ])('W11 takes no identity from %s', (_what, text) => {
    expect(serviceFromAltName(text, 'example')).toBeUndefined();
  });

  it('W11 has one spelling for an identity', () => {
    expect(serviceFromAltName(`URI:${spiffeId('example', 'gateway')}`, 'example')).toBe('gateway');
    expect(() => spiffeId('example', 'a/b')).toThrow(RangeError);
    expect(() => spiffeId('Exam ple', 'a')).toThrow(RangeError);
  });
});

describe('the local edge authority', () => {
  it('W12 vouches for this machine and nothing else', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'edge-'));
    const edge = await issueEdgeCertificate({ clock: systemClock, name: 'Example local edge' });
    writeFileSync(join(folder, 'ca.pem'), edge.authorityPem);
    writeFileSync(join(folder, 'leaf.pem'), edge.certificatePem);
    const verify = (...args: string[]) =>
      openssl(
        'verify',
        '-x509_strict',
        '-CAfile',
        join(folder, 'ca.pem'),
        '-purpose',
        'sslserver',
        ...args,
        join(folder, 'leaf.pem'),
      );
    expect(verify('-verify_hostname', 'localhost')).toMatch(/OK/);
    expect(verify('-verify_ip', '127.0.0.1')).toMatch(/OK/);
    expect(verify('-verify_ip', '::1')).toMatch(/OK/);
    expect(() => verify('-verify_hostname', 'example.org')).toThrow();
    const text = openssl('x509', '-in', join(folder, 'ca.pem'), '-noout', '-text');
    expect(text).toMatch(
      /Name Constraints: critical\s+Permitted:\s+DNS:localhost\s+IP:127\.0\.0\.1\/255\.255\.255\.255\s+IP:0:0:0:0:0:0:0:1\/FFFF/,
    );
    expect(text).toMatch(/CA:TRUE, pathlen:0/);
    expect(Object.keys(edge)).toEqual(['keyPem', 'certificatePem', 'authorityPem', 'notAfterMs']);
  });
});
