// The authority is `openssl ts`, a program that nobody here wrote.
import { execFileSync } from 'node:child_process';
import { hash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAuthorities, readTimestampReply, timestampQuery, verifyTimestamp } from './timestamp.ts';

const has = existsSync('/usr/bin/openssl');
if (!has && process.env['CI'] === 'true') throw new Error('openssl is missing: apt-get install openssl');

const CONFIG = `
[ tsa ]
default_tsa = one
[ one ]
dir = .
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
certs = ca.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = yes
ess_cert_id_chain = no
`;

describe.skipIf(!has)(
  'T31: a timestamp counts for its digest, its authority and the request that asked for it (needs openssl)',
  () => {
    let folder: string;
    const openssl = (...args: string[]): Buffer =>
      execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] });
    const DIGEST = hash('sha256', 'a checkpoint\n', 'buffer');

    const makeAuthority = (name: string): void => {
      const subject = ['-subj', `/CN=${name}`];
      const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
      openssl(
        'req',
        '-x509',
        ...ec,
        ...subject,
        '-keyout',
        `${name}-ca.key`,
        '-out',
        `${name}-ca.pem`,
        '-addext',
        'basicConstraints=critical,CA:TRUE',
      );
      openssl('req', ...ec.slice(0, 5), ...subject, '-keyout', `${name}.key`, '-out', `${name}.csr`);
      writeFileSync(join(folder, `${name}.ext`), 'extendedKeyUsage=critical,timeStamping\nbasicConstraints=CA:FALSE\n');
      openssl(
        'x509',
        '-req',
        '-in',
        `${name}.csr`,
        '-CA',
        `${name}-ca.pem`,
        '-CAkey',
        `${name}-ca.key`,
        '-CAcreateserial',
        '-days',
        '2',
        '-extfile',
        `${name}.ext`,
        '-out',
        `${name}.pem`,
      );
      writeFileSync(
        join(folder, `${name}.cnf`),
        CONFIG.replaceAll('tsa.', `${name}.`).replace('ca.pem', `${name}-ca.pem`),
      );
    };
    const stamp = (query: Uint8Array, name = 'tsa'): Buffer => {
      writeFileSync(join(folder, 'query.tsq'), query);
      openssl('ts', '-reply', '-config', `${name}.cnf`, '-queryfile', 'query.tsq', '-out', 'reply.tsr');
      return readFileSync(join(folder, 'reply.tsr'));
    };
    const authorities = (name = 'tsa') => readAuthorities(readFileSync(join(folder, `${name}-ca.pem`), 'utf8'));
    const readTrusted = (): Buffer => authorities()[0]!.raw;
    const nonceOf = (): Buffer => Buffer.concat([Buffer.of(1), randomBytes(15)]);

    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'ax-tsa-'));
      writeFileSync(join(folder, 'serial'), '01\n');
      makeAuthority('tsa');
      makeAuthority('other');
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    it('is asked for in words that openssl reads, and its answer holds', () => {
      const nonce = nonceOf();
      const reply = stamp(timestampQuery(DIGEST, nonce));
      const verdict = readTimestampReply(reply, { digest: DIGEST, nonce, authorities: authorities() });
      expect(verdict).toMatchObject({ ok: true });
      const { time_ms, token } = verdict as Extract<typeof verdict, { ok: true }>;
      expect(Math.abs(Date.now() - time_ms)).toBeLessThan(30_000);
      expect(verifyTimestamp(token, { digest: DIGEST, authorities: authorities() })).toMatchObject({ ok: true });
      writeFileSync(join(folder, 'token.der'), token);
      openssl(
        'ts',
        '-verify',
        '-digest',
        DIGEST.toString('hex'),
        '-in',
        'token.der',
        '-token_in',
        '-CAfile',
        'tsa-ca.pem',
      );
    });

    it('is refused when any byte of it was altered', () => {
      const nonce = nonceOf();
      const reply = stamp(timestampQuery(DIGEST, nonce));
      const expected = { digest: DIGEST, nonce, authorities: authorities() };
      const held: number[] = [];
      for (let at = 0; at < reply.length; at += 3) {
        const altered = Buffer.from(reply);
        altered[at]! ^= 1;
        if (readTimestampReply(altered, expected).ok) held.push(at);
      }
      // Only what no signature covers and nobody reads may change: words of the status, names of algorithms, and the copy
      // of the authority's own certificate, of which we have one that we trust.
      const beside = reply.indexOf(readTrusted());
      expect(held.filter((at) => at < beside || at > beside + readTrusted().length).length).toBeLessThan(40);
      const { token } = readTimestampReply(reply, expected) as { token: Uint8Array };
      const info = Buffer.from(token).indexOf(DIGEST);
      for (let at = info; at < info + 80; at += 1) {
        const altered = Buffer.from(token);
        altered[at]! ^= 1;
        expect(verifyTimestamp(altered, expected).ok, String(at)).toBe(false);
      }
    });

    it('is refused for another digest, nonce or authority, when cut off, and when the authority says no', () => {
      const nonce = nonceOf();
      const query = timestampQuery(DIGEST, nonce);
      const reply = stamp(query);
      const expected = { digest: DIGEST, nonce, authorities: authorities() };
      expect(readTimestampReply(reply, { ...expected, digest: hash('sha256', 'x', 'buffer') })).toMatchObject({
        why: 'it is over something else',
      });
      expect(readTimestampReply(reply, { ...expected, nonce: nonceOf() })).toMatchObject({
        why: 'it answers another request',
      });
      expect(readTimestampReply(stamp(query, 'other'), expected)).toMatchObject({
        why: 'the authority is not one of ours',
      });
      for (const end of [0, 1, 40, reply.length - 1])
        expect(readTimestampReply(reply.subarray(0, end), expected).ok).toBe(false);
      const refused = Buffer.from('30053003020102', 'hex');
      expect(readTimestampReply(refused, expected)).toMatchObject({
        ok: false,
        why: expect.stringContaining('refused'),
      });
    });
  },
);
