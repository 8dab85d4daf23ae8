// Mutual TLS, seen by curl and openssl.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { systemClock } from '@auditrax/base';
import { hasSoftToken } from '@auditrax/seal/providers/pkcs11/soft-token';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { throwAwayAuthority, type Pair } from '../../app/rehearsal/certificates.ts';
import * as rig from './testing/rig.ts';

const NAME = 'cks.kms.eu-west-1.amazonaws.com';
const health = { requestMetadata: { kmsOperation: 'KmsHealthCheck', kmsRequestId: 'one' } };

if (process.env['CI'] === 'true' && !hasSoftToken()) throw new Error('softhsm2 is missing: apt-get install softhsm2');

describe.skipIf(!hasSoftToken())('auditrax-xks-proxy with client certificates (needs softhsm2)', () => {
  let bench: rig.Bench;
  let program: rig.Program;
  let credential: rig.Credential;

  beforeAll(async () => {
    bench = await rig.makeBench(['foo']);
    credential = await bench.putCredential('one.json', '');
    const { tls, ...settings } = rig.settingsOf(bench, {
      stores: [{ uriPathPrefix: '', credentialFiles: ['one.json'], keys: [{ id: 'foo' }] }],
    });
    const clients = { caFile: 'ca.pem', commonNames: [NAME] };
    program = await rig.startProgram(await bench.putConfig({ ...settings, tls: { ...(tls as object), clients } }));
  });
  afterAll(async () => {
    await program?.stop();
    await bench?.remove();
  });

  const askAs = async (pair: Pair | undefined) => {
    const curl: string[] = [];
    if (pair) {
      const { certificateFile, keyFile } = await bench.putPair('client', pair);
      curl.push('--cert', join(bench.folder, certificateFile), '--key', join(bench.folder, keyFile));
    }
    const asked = rig.ask(bench, program.port, { credential, path: 'health', body: health, curl });
    return asked.then(
      ({ status }) => status,
      (error: { code: number }) => `curl ${error.code}`,
    );
  };

  it('serves the named client', async () => {
    expect(await askAs(await bench.authority.client(NAME))).toBe(200);
  });

  it('refuses everybody else before a request is read', async () => {
    const requests = () => program.lines().filter(({ event }) => event === 'request').length;
    await expect.poll(requests).toBe(1);
    const stranger = await throwAwayAuthority(systemClock);
    const refused: Record<string, Pair | undefined> = {
      'no certificate': undefined,
      'an expired one': await bench.authority.client(NAME, { expired: true }),
      'one of another authority': await stranger.client(NAME),
      'another name of the same authority': await bench.authority.client('cks.kms.us-east-1.amazonaws.com'),
      'a name with more in front': await bench.authority.client(`x${NAME}`),
      'one for servers': await bench.authority.server(),
    };
    for (const [name, pair] of Object.entries(refused)) {
      // 35, 52, 56: reset in or right after the handshake, as TLS 1.3 does, before a byte of an answer.
      expect([name, await askAs(pair)]).toEqual([name, expect.stringMatching(/^curl (35|52|56)$/)]);
    }
    await expect
      .poll(() => program.lines().filter(({ event }) => event === 'tls-refused').length)
      .toBe(Object.keys(refused).length);
    expect(requests()).toBe(1);
  });

  it('speaks TLS 1.3 only', async () => {
    const dial = (...more: string[]) =>
      promisify(execFile)('openssl', ['s_client', '-connect', `127.0.0.1:${program.port}`, ...more], { timeout: 5_000 })
        .then(({ stdout }) => stdout)
        .catch((error: { stdout: string; stderr: string }) => error.stdout + error.stderr);
    expect(await dial('-tls1_2', '-brief')).toMatch(/alert protocol version|alert number 70/);
    expect(await dial('-tls1_3')).toContain('TLSv1.3');
  });
});
