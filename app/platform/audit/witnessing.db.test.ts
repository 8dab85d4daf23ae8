import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, manualClock, systemClock, systemRandom } from '@auditrax/base';
import { openDatabase, type Database } from '@auditrax/tenancy';
import { createCosigner, openCheckpoint, parseVerifierKey, readAuthorities, type VerifierKey } from '@auditrax/tlog';
import { startWitness, type RunningWitness } from '@auditrax/witness';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createErrands, witnessNote } from '../../probes/errands.ts';
import { startTestDatabase, type TestDatabase } from '../db/testing.ts';
import type { Observation } from './index.ts';
import { EVERY_TENANT } from './ledger-queries.ts';
import { createSigner, type Signer } from './signer.ts';
import { memoryKeys } from './testing/log-keys.ts';
import { createSuperLog, type SuperLog } from './super-log.ts';
import { publishedAt, SUPER_TABLES } from './super-queries.ts';
import { asSuperuser } from './testing.ts';
import { readWitnessPolicy } from './witness-setting.ts';
import { createWitnessing, type Errand, type Witnessing } from './witnessing.ts';

const PREFIX = 'test.example/log/';
const ORIGIN = `${PREFIX}super/1`;
const MINUTE_MS = 60_000;
const NAMES = ['north.witness.example/1', 'south.witness.example/1', 'test.example/witness/1'] as const;

let server: TestDatabase;
let ledgerDb: Database;
let folder: string;
let signer: Signer;
let clock: ReturnType<typeof manualClock>;
let superLog: SuperLog;
let logKey: VerifierKey;
let running: RunningWitness[] = [];
const keys: KeyObject[] = NAMES.map(() => generateKeyPairSync('ed25519').privateKey);

beforeAll(async () => {
  server = await startTestDatabase();
  ledgerDb = openDatabase({
    connection: server.connectionFor('ax_ledger'),
    poolSize: 3,
    clock: systemClock,
    onRefusal: async () => undefined,
    systemTables: [...SUPER_TABLES, 'audit.log', 'audit.checkpoint'],
  });
});
afterAll(async () => {
  await ledgerDb?.close();
  await server?.stop();
});
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ax-witnessing-'));
  mkdirSync(join(folder, 'signer'));
  clock = manualClock(Date.now());
  const { privateKey } = generateKeyPairSync('ed25519');
  signer = createSigner({
    journalDirectory: join(folder, 'signer'),
    keys: memoryKeys(privateKey),
    originPrefix: PREFIX,
  });
  logKey = (await parseVerifierKey((await signer.state(ORIGIN)).verifierKey))!;
  await asSuperuser(server, `truncate ${SUPER_TABLES.join(', ')}`);
  superLog = createSuperLog({
    home: ledgerDb.system,
    cells: () => [{ cell: 'home', door: ledgerDb.system }],
    scopeOf: async () => EVERY_TENANT,
    signer,
    originPrefix: PREFIX,
    clock,
    random: systemRandom,
  });
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()));
  await signer.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Our own witness program as a second and a third site. */
async function witnessAt(n: number, port = 0): Promise<RunningWitness> {
  const journalFolder = join(folder, `journal-${n}`);
  mkdirSync(journalFolder, { recursive: true });
  const config = {
    name: NAMES[n]!,
    privateKey: keys[n]!,
    journalFolder,
    listen: { host: '127.0.0.1', port },
    tls: undefined,
    uriPathPrefix: '',
    requestsPerSecondMax: 100,
    connectionsMax: 20,
    logs: new Map([[ORIGIN, [logKey]]]),
  };
  const witness = await startWitness({ config, clock, log: () => undefined });
  running.push(witness);
  return witness;
}

async function policyText(ports: readonly number[], quorum: string): Promise<string> {
  const lines = await Promise.all(
    ports.map(async (port, n) => {
      const { verifierKey } = await createCosigner(NAMES[n]!, keys[n]!);
      return `witness w${n} ${verifierKey} http://127.0.0.1:${port}\n`;
    }),
  );
  return `${lines.join('')}${quorum}`;
}

async function witnessingWith(policy: string, more: object = {}): Promise<Witnessing> {
  return createWitnessing({
    home: ledgerDb.system,
    superLog,
    clock,
    random: systemRandom,
    policy: await readWitnessPolicy(policy, ORIGIN),
    authority: undefined,
    ...more,
  });
}

/** The sentinel's part, with what it says to the log. */
function carrier(witnessing: Witnessing) {
  const told: Observation[] = [];
  const errands = createErrands({
    ledger: {
      errands: () => witnessing.errands(),
      answered: ({ body, ...rest }) => witnessing.answered({ ...rest, body: Buffer.from(body, 'base64') }),
      status: () => witnessing.status(),
    },
    record: (observation) => Promise.resolve(told.push(observation)),
    onFailure: (error) => {
      throw error;
    },
  });
  return { run: errands.run, told };
}

async function epoch(): Promise<void> {
  clock.advance(MINUTE_MS);
  await superLog.runEpoch();
}

describe('A23: cosignatures are asked for after each epoch, verified, kept, and missed', () => {
  it('two witnesses of others and one of ours sign; the note opens with every key; ours is not independent', async () => {
    const ports = (await Promise.all([witnessAt(0), witnessAt(1), witnessAt(2)])).map(({ port }) => port);
    const witnessing = await witnessingWith(await policyText(ports, 'group both 2 w0 w1\nquorum both\n'));
    const { run, told } = carrier(witnessing);
    for (let n = 0; n < 3; n += 1) {
      await epoch();
      await run();
    }
    const [row] = await ledgerDb.system.system(publishedAt({ generation: 1, size: 3 }));
    const cosigners = await Promise.all(
      keys.map(async (key, n) => (await parseVerifierKey((await createCosigner(NAMES[n]!, key)).verifierKey))!),
    );
    const opened = await openCheckpoint(`${row!.note}${row!.lines}`, [logKey, ...cosigners]);
    expect(opened.ok && opened.cosignatures).toHaveLength(3);
    const status = await witnessing.status();
    expect(status).toMatchObject({ independent: 2, cosigning: 2, isOverdue: false, unwitnessedSince_ms: null });
    expect(status.witnesses.map(({ isOwn, size }) => [isOwn, size])).toEqual([
      [false, 3],
      [false, 3],
      [true, 3],
    ]);
    expect(status.policy).toMatch(/^witness w0 \S+\n(?:.+\n)*quorum \S+\n$/);
    expect(status.policy).not.toContain('http');
    expect(witnessNote(status)).toMatch(/^The audit log is co-signed by 2 of 2 independent witnesses, since 20/);
    expect(told).toEqual([]);
  });

  it('goes on from where a witness stands, and is told apart from one that knows more than we do', async () => {
    const { port } = await witnessAt(0);
    const text = await policyText([port], 'quorum w0\n');
    const first = carrier(await witnessingWith(text));
    for (let n = 0; n < 2; n += 1) {
      await epoch();
      await first.run();
    }
    await epoch();
    await asSuperuser(server, 'truncate audit.super_cosignature'); // we have forgotten; the witness has not
    const forgetful = await witnessingWith(text);
    await carrier(forgetful).run();
    await carrier(forgetful).run();
    expect((await forgetful.status()).witnesses).toMatchObject([{ size: 3, failure: null }]);
    await epoch();
    const errands = await forgetful.errands();
    await forgetful.answered({ id: errands[0]!.id, status: 409, body: Buffer.from('99\n') });
    expect((await forgetful.status()).witnesses[0]!.failure).toContain('this house was put back');
  });

  it('a witness that is away holds nobody up, is asked less and less often, and is missed after ten minutes', async () => {
    const witness = await witnessAt(0);
    const text = await policyText([witness.port], 'quorum w0\n');
    const witnessing = await witnessingWith(text);
    const { run, told } = carrier(witnessing);
    await epoch();
    await run();
    await witness.stop();
    running = [];
    const away_ms = clock.nowMs();
    let asked = 0;
    for (let n = 0; n < 12; n += 1) {
      await epoch();
      asked += (await witnessing.errands()).length;
      await run();
    }
    expect(asked).toBeLessThan(12);
    const status = await witnessing.status();
    expect(status).toMatchObject({ isOverdue: true, cosigning: 0, independent: 1 });
    expect(Math.abs(status.unwitnessedSince_ms! - away_ms)).toBeLessThan(2_000);
    expect(witnessNote(status)).toContain('The witnesses are missing since');
    expect(told.map(({ type }) => type)).toEqual(['audit.witness.missing']);
    await witnessAt(0, witness.port);
    clock.advance(15 * MINUTE_MS);
    await epoch();
    await run();
    expect(told.map(({ type }) => type)).toEqual(['audit.witness.missing', 'audit.witness.back']);
  });

  it('believes nothing but a signature that holds', async () => {
    const { port } = await witnessAt(0);
    const witnessing = await witnessingWith(await policyText([port], 'quorum w0\n'));
    await epoch();
    const [errand] = (await witnessing.errands()) as [Errand];
    const impostor = await createCosigner(NAMES[0]!, keys[1]!);
    const line = impostor.cosignLine(`${ORIGIN}\n1\n`, 1);
    for (const [status, body] of [
      [200, line],
      [200, ''],
      [500, ''],
      [0, ''],
    ] as const)
      await witnessing.answered({ id: errand.id, status, body: Buffer.from(body) });
    expect((await witnessing.status()).witnesses).toMatchObject([{ size: 0, cosigned_ms: null }]);
    expect(await asSuperuser(server, 'select from audit.super_cosignature')).toEqual([]);
  });

  it('says plainly that there is none, and takes no policy that it cannot use', async () => {
    const none = createWitnessing({
      home: ledgerDb.system,
      superLog,
      clock,
      random: systemRandom,
      policy: undefined,
      authority: undefined,
    });
    await epoch();
    expect(await none.errands()).toEqual([]);
    const status = await none.status();
    expect(status).toMatchObject({ independent: 0, isOverdue: false, unwitnessedSince_ms: null });
    expect(witnessNote(status)).toContain('No outside witness is configured');
    const good = await policyText([1], 'quorum w0\n');
    for (const [bad, words] of [
      [good.replace('http://127.0.0.1:1', 'http://witness.example'), 'needs an https address'],
      [good.replace(/ http:\S+/, ''), 'needs an https address'],
      [good.replace('quorum w0', 'quorum w1'), 'line 2'],
      ['quorum', 'the witness policy'],
    ] as const) {
      const refusal = await readWitnessPolicy(bad, ORIGIN).catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(AppError);
      expect((refusal as Error).message).toContain(words);
    }
  });
});

const hasOpenssl = existsSync('/usr/bin/openssl');
if (!hasOpenssl && process.env['CI'] === 'true') throw new Error('openssl is missing: apt-get install openssl');

describe.skipIf(!hasOpenssl)('a timestamp a day (authority: openssl ts)', () => {
  it('is asked for once a day, kept when it holds, and a refused or altered one is told', async () => {
    const openssl = (...args: string[]): Buffer =>
      execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] });
    const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '3', '-subj', '/CN=tsa'];
    openssl(
      'req',
      '-x509',
      ...ec,
      '-keyout',
      'tsa.key',
      '-out',
      'tsa.pem',
      '-addext',
      'extendedKeyUsage=critical,timeStamping',
    );
    const settings = ['dir=.', 'serial=serial', 'signer_cert=tsa.pem', 'signer_key=tsa.key', 'signer_digest=sha256'];
    const more = ['default_policy=1.2.3.4.1', 'digests=sha256', 'certs=tsa.pem'];
    writeFileSync(join(folder, 'tsa.cnf'), `[tsa]\ndefault_tsa=one\n[one]\n${[...settings, ...more].join('\n')}\n`);
    writeFileSync(join(folder, 'serial'), '01\n');
    const answer = (errand: Errand): Buffer => {
      writeFileSync(join(folder, 'q.tsq'), Buffer.from(errand.body, 'base64'));
      openssl('ts', '-reply', '-config', 'tsa.cnf', '-queryfile', 'q.tsq', '-out', 'r.tsr');
      return readFileSync(join(folder, 'r.tsr'));
    };
    const certificates = readAuthorities(readFileSync(join(folder, 'tsa.pem'), 'utf8'));
    const authority = { url: 'http://127.0.0.1:1/tsa', certificates };
    const witnessing = await witnessingWith('quorum none\n', { authority });
    const ask = async (): Promise<Errand | undefined> => (await witnessing.errands())[0];
    await epoch();
    const refused = (await ask())!;
    await witnessing.answered({ id: refused.id, status: 403, body: Buffer.alloc(0) });
    expect((await witnessing.status()).timestamp).toEqual({ stamped_ms: null, failure: 'status 403' });
    expect(await ask()).toBeUndefined(); // not at once
    clock.advance(MINUTE_MS);
    const second = (await ask())!;
    const altered = answer(second);
    altered[altered.length - 5]! ^= 1;
    await witnessing.answered({ id: second.id, status: 200, body: altered });
    expect((await witnessing.status()).timestamp).toMatchObject({ stamped_ms: null });
    clock.advance(MINUTE_MS);
    const third = (await ask())!;
    await witnessing.answered({ id: third.id, status: 200, body: answer(third) });
    const { timestamp } = await witnessing.status();
    expect(timestamp!.failure).toBeNull();
    expect(Math.abs(timestamp!.stamped_ms! - Date.now())).toBeLessThan(30_000);
    const [row] = await ledgerDb.system.system(publishedAt({ generation: 1, size: 1 }));
    expect(row!.token!.length).toBeGreaterThan(300);
    await epoch();
    expect(await ask()).toBeUndefined();
    clock.advance(24 * 60 * MINUTE_MS);
    expect(await ask()).toBeDefined();
  });
});
