// Debian's sigsum-witness, a witness that nobody here wrote, on a log that has the name it asks for: it knows only
// origins of the form sigsum.org/v1/tree/<SHA-256 of the log's key>. Everything else about the log is as in this house.
// Debian's build answers 404 to everything without GODEBUG=httpmuxgo121=0.
import { createPrivateKey, generateKeyPairSync, hash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCosigner, parseVerifierKey, readWitnessAnswer, type VerifierKey } from '@auditrax/tlog';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, makeLog, startProgram, type Program, type TestLog } from './testing/rig.ts';

const PROGRAM = '/usr/bin/sigsum-witness';
const has = existsSync(PROGRAM);
if (!has && process.env['CI'] === 'true') throw new Error('sigsum-go is missing: Debian has it in its backports');

/** The SSH wire form of an Ed25519 public key. */
function sshPublicKey(raw: Buffer): string {
  const field = (bytes: Buffer): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  return `ssh-ed25519 ${Buffer.concat([field(Buffer.from('ssh-ed25519')), field(raw)]).toString('base64')} test\n`;
}

describe.skipIf(!has)('a foreign witness on a log shaped for it (needs sigsum-go from Debian’s backports)', () => {
  let folder: string;
  let program: Program;
  let log: TestLog;
  let key: VerifierKey;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ax-sigsum-'));
    let logKey = Buffer.alloc(0);
    log = await makeLog((raw) => {
      logKey = Buffer.from(raw);
      return `sigsum.org/v1/tree/${hash('sha256', raw, 'hex')}`;
    });
    const { privateKey } = generateKeyPairSync('ed25519');
    const jwk = privateKey.export({ format: 'jwk' });
    const [seed, raw] = [Buffer.from(jwk.d!, 'base64url'), Buffer.from(jwk.x!, 'base64url')];
    writeFileSync(join(folder, 'log.pub'), sshPublicKey(logKey));
    writeFileSync(join(folder, 'witness.key'), `${seed.toString('hex')}\n`, { mode: 0o600 });
    const name = `sigsum.org/v1/witness/${hash('sha256', raw, 'hex')}`;
    const cosigner = await createCosigner(name, createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })));
    key = (await parseVerifierKey(cosigner.verifierKey))!;
    const port = await freePort();
    const command = [PROGRAM, '-k', 'witness.key', '--log-key', 'log.pub', '--state-file', 'state'];
    const at = (word: string): string => (/^(witness\.key|log\.pub|state)$/.test(word) ? join(folder, word) : word);
    program = startProgram([...command.map(at), `127.0.0.1:${port}`], { port, env: { GODEBUG: 'httpmuxgo121=0' } });
  });
  afterAll(async () => {
    await program?.end('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  it('T15: co-signs growth, names its size when asked from elsewhere, refuses rollback and fork', async () => {
    const send = async (from: number, to: number, past?: 'other') => {
      const reply = await program.post('/add-checkpoint', await log.body(from, to, past));
      return { status: reply.status, answer: await readWitnessAnswer(reply, { text: log.textAt(to), key }) };
    };
    expect(await send(0, 7)).toMatchObject({ status: 200, answer: { kind: 'cosigned' } });
    expect(await send(7, 20)).toMatchObject({ status: 200, answer: { kind: 'cosigned' } });
    expect(await send(20, 20)).toMatchObject({ status: 200, answer: { kind: 'cosigned' } });
    expect(await send(7, 30)).toMatchObject({ answer: { kind: 'resume', size: 20 } });
    expect(await send(0, 7)).toMatchObject({ answer: { kind: 'resume', size: 20 } });
    expect((await send(20, 30, 'other')).answer.kind).toBe('refused');
    expect((await send(20, 20, 'other')).status).not.toBe(200);
    expect(await send(20, 30)).toMatchObject({ status: 200, answer: { kind: 'cosigned' } });
  });
});
