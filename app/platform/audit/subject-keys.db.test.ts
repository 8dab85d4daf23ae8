// Values about a person, and their erasure. A stand-in seals for the tenant's ring; the keys of persons are the product's.
import { createHash, generateKeyPairSync } from 'node:crypto';
import { systemClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { sealField, openField, XaesKey } from '@auditrax/seal';
import { openDatabase, type Database, type TenantContext } from '@auditrax/tenancy';
import { consistencyProof, inclusionProof, leafHash, verifyInclusion } from '@auditrax/tlog';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestDatabase, type TestDatabase } from '../db/testing.ts';
import {
  createRecorder,
  createSubjectKeys,
  erasePerson,
  openDisclosures,
  readLeafBody,
  type RecordAudit,
} from './index.ts';
import { createTileStore, findLog } from './log-store.ts';
import { createSequencer } from './sequencer.ts';
import { createSigner, type Signer } from './signer.ts';
import { memoryKeys } from './testing/log-keys.ts';
import { asSuperuser, setBeat } from './testing.ts';

const TENANT = uuidV4(systemRandom);
const context: TenantContext = { tenantId: TENANT, tenantPart: 7, requestId: 'r-1' };
const ENTRIES = 100;
const NAMES = Array.from({ length: 200 }, (_, at) => `person${at}@example.org`);

let database: TestDatabase;
let workspace: Database;
let issuer: Database;
let ledger: Database;
let signer: Signer;
let folder: string;

/** Stands in for the tenant's ring: one key in memory. */
const ringKey = { version: 1, key: new XaesKey(systemRandom.bytes(32)) };
const bind = (rowId: Uuid) => ({ tenantId: TENANT, fieldId: 3001, rowId, schemaRevision: 1 });
const ring = {
  seal: async ({ rowId, value }: { rowId: Uuid; value: string | Uint8Array }) =>
    sealField({ key: ringKey, binding: bind(rowId), random: systemRandom }, Buffer.from(value)),
  openBytes: async ({ rowId, sealed }: { rowId: Uuid; sealed: Uint8Array }) =>
    openField({ key: ringKey, binding: bind(rowId) }, sealed),
  openTexts: async ({ values }: { values: readonly { rowId: Uuid; sealed: Uint8Array }[] }) =>
    values.map(({ rowId, sealed }) => openField({ key: ringKey, binding: bind(rowId) }, sealed).toString()),
};
const record: RecordAudit = createRecorder({
  sealer: ring,
  subjects: createSubjectKeys({ ring, random: systemRandom }),
});

beforeAll(async () => {
  database = await startTestDatabase();
  const open = (role: 'ax_workspace' | 'ax_issuer' | 'ax_ledger') =>
    openDatabase({
      connection: database.connectionFor(role),
      poolSize: 4,
      clock: systemClock,
      onRefusal: async () => undefined,
      systemTables: ['entry', 'log', 'log_index', 'log_tile', 'log_head', 'checkpoint', 'beat', 'pending']
        .map((name) => `audit.${name}`)
        .concat('platform.placement'),
    });
  [workspace, issuer, ledger] = [open('ax_workspace'), open('ax_issuer'), open('ax_ledger')];
  await setBeat(database, 'running');
  await asSuperuser(
    database,
    `insert into platform.tenant (id, part, kind, slug, display_name) values ('${TENANT}', 7, 'sample', 'one', 'One')`,
  );
  folder = mkdtempSync(join(tmpdir(), 'ax-subjects-'));
  const { privateKey } = generateKeyPairSync('ed25519');
  signer = createSigner({ journalDirectory: folder, keys: memoryKeys(privateKey), originPrefix: 'test.example/log/' });
});
afterAll(async () => {
  await Promise.all([workspace, issuer, ledger].map((db) => db?.close()));
  await signer?.close();
  await database?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const actor = { personId: TENANT };

function write(subject: Uuid, value: string, using = workspace): Promise<Uuid> {
  return using.tenant.transaction(context, async (tx) => {
    const written = await record(tx, {
      type: 'thing.changed',
      actor,
      resource: ['thing', subject],
      outcome: 'allowed',
      requestId: 'r-1',
      disclosures: { title: 'about nobody' },
      personal: { subject, values: { 'new.email': value } },
    });
    return written.entryId;
  });
}

const erase = (subject: Uuid) =>
  issuer.tenant.transaction(context, (tx) =>
    erasePerson(tx, record, { subject, actor, requestId: 'r-2', ground: 'request' }),
  );

const open = (entryId: Uuid) => openDisclosures({ door: workspace.tenant, ring }, context, entryId);
const valueOf = (text: string | null) =>
  text === null ? null : (JSON.parse(Buffer.from(text, 'base64url').toString()) as string[])[2];

async function drain(): Promise<void> {
  const sequencer = createSequencer({ door: ledger.system, signer, originPrefix: 'test.example/log/' });
  while (await sequencer.waiting()) await sequencer.sequenceBatch();
  await setBeat(database, 'running'); // the sequencer's own heartbeat grows old with it
}

/** Everything that is proved and published of the log, as bytes. */
async function everyProof(upTo: number): Promise<string> {
  const log = (await findLog(ledger.system, TENANT))!;
  const reader = createTileStore(ledger.system).readerFor(log);
  const rows = await asSuperuser<{ idx: string; leaf: Buffer }>(
    database,
    `select i.idx, e.leaf from audit.log_index i join audit.entry e on e.id = i.entry_id where i.idx < ${upTo} order by i.idx`,
  );
  const proofs = [];
  for (const { idx, leaf } of rows) {
    const proof = await inclusionProof({ index: Number(idx), size: upTo }, reader);
    proofs.push([leaf.toString('hex'), proof.map((hash) => Buffer.from(hash).toString('hex'))]);
  }
  const notes = await asSuperuser(
    database,
    `select size, note from audit.checkpoint where size <= ${upTo} order by size`,
  );
  const growth = await consistencyProof({ from: Math.floor(upTo / 2), to: upTo }, reader);
  return JSON.stringify([proofs, notes, growth.map((hash) => Buffer.from(hash).toString('hex'))]);
}

describe('A18: values about a person', () => {
  it('open under their key, and lie in the table under nobody else’s', async () => {
    const subject = uuidV4(systemRandom);
    const entryId = await write(subject, 'somebody@example.org');
    expect((await open(entryId)).map(({ text }) => valueOf(text)).sort()).toEqual([
      'about nobody',
      'somebody@example.org',
    ]);
    const rows = await asSuperuser<{ subject: string | null; sealed: Buffer }>(
      database,
      `select subject, sealed from audit.disclosure where entry_id = '${entryId}'`,
    );
    expect(rows.map((row) => row.subject).sort()).toEqual([subject, null].sort());
    for (const row of rows) {
      const outer = openField({ key: ringKey, binding: bind(entryId) }, row.sealed).toString();
      const isText = Buffer.from(outer, 'base64url').toString().includes('example.org');
      expect(isText, 'the ring alone does not open what is about a person').toBe(false);
    }
  });

  it('first values about one person, written at once, come under one key', async () => {
    const subject = uuidV4(systemRandom);
    const entries = await Promise.all(Array.from({ length: 6 }, (_, at) => write(subject, `value ${at}`)));
    const values = [];
    for (const entryId of entries) values.push(...(await open(entryId)).map(({ text }) => valueOf(text)));
    expect(values.filter((value) => value?.startsWith('value'))).toHaveLength(6);
    expect(await asSuperuser(database, `select 1 from audit.subject_key where subject = '${subject}'`)).toHaveLength(1);
  });

  it('erased: none of many opens, every proof and checkpoint keeps each byte, and the entry names every digest', async () => {
    const [subject, other] = [uuidV4(systemRandom), uuidV4(systemRandom)];
    const kept = await write(other, 'kept@example.org');
    const entries: Uuid[] = [];
    for (let at = 0; at < ENTRIES; at += 1) entries.push(await write(subject, NAMES[at % NAMES.length]!));
    await drain();
    const { size } = (await findLog(ledger.system, TENANT))!;
    const before = await everyProof(size);
    expect(await erase(subject)).toEqual({ values: ENTRIES, entries: Math.ceil(ENTRIES / 64) });
    await drain();
    expect(await everyProof(size)).toBe(before);

    const erasures = await asSuperuser<{ leaf: Buffer; idx: string; id: Uuid }>(
      database,
      `select e.id, e.leaf, i.idx from audit.entry e join audit.log_index i on i.entry_id = e.id
       where e.type = 'person.erased' and e.resource_id = '${subject}' order by i.idx`,
    );
    const named = new Map(
      erasures.flatMap(({ leaf, idx }) => readLeafBody(leaf).digests!.map((one) => [one, Number(idx)])),
    );
    expect(named.size).toBe(ENTRIES);
    let opened = 0;
    for (const entryId of entries) {
      for (const found of await open(entryId)) {
        if (found.subject === null) expect(valueOf(found.text)).toBe('about nobody');
        else {
          opened += found.text === null ? 0 : 1;
          expect(found.erasedBy!.index).toBe(named.get(found.digest));
        }
      }
    }
    expect(opened).toBe(0);
    expect((await open(kept)).some(({ text }) => valueOf(text) === 'kept@example.org')).toBe(true);
    const log = (await findLog(ledger.system, TENANT))!;
    const reader = createTileStore(ledger.system).readerFor(log);
    const last = erasures.at(-1)!;
    const at = { index: Number(last.idx), size: log.size };
    const proof = await inclusionProof(at, reader);
    expect(await verifyInclusion({ ...at, leafHash: leafHash(last.leaf), proof, root: log.root })).toBe(true);
  });

  it('a dictionary of names finds none of the digests, and all of them where the salt is left out', async () => {
    const subject = uuidV4(systemRandom);
    for (let at = 0; at < 15; at += 1) await write(subject, NAMES[at]!);
    await erase(subject);
    const rows = await asSuperuser<{ digest: string }>(
      database,
      `select digest from audit.disclosure where subject = '${subject}'`,
    );
    const guess = (parts: (name: string) => unknown[]) =>
      new Set(
        NAMES.map((name) =>
          createHash('sha256')
            .update(Buffer.from(JSON.stringify(parts(name))).toString('base64url'))
            .digest('base64url'),
        ),
      );
    const unsalted = (name: string) => ['new.email', name];
    for (const parts of [unsalted, (name: string) => ['', 'new.email', name]])
      expect(rows.filter(({ digest }) => guess(parts).has(digest))).toEqual([]);
    const control = NAMES.slice(0, 15).map((name) =>
      createHash('sha256')
        .update(Buffer.from(JSON.stringify(unsalted(name))).toString('base64url'))
        .digest('base64url'),
    );
    expect(control.filter((digest) => guess(unsalted).has(digest))).toHaveLength(15);
  });

  it('erased is for good: no second key, no second erasure, and a writer who began before is listed or refused', async () => {
    const subject = uuidV4(systemRandom);
    await write(subject, 'x');
    const slow = workspace.tenant.transaction(context, async (tx) => {
      await record(tx, {
        type: 'thing.changed',
        actor,
        resource: ['thing', subject],
        outcome: 'allowed',
        requestId: 'r-3',
        personal: { subject, values: { name: 'late' } },
      });
      await new Promise((resolve) => setTimeout(resolve, 300));
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    const erased = await erase(subject);
    await slow;
    expect(erased.values).toBe(2);
    await expect(write(subject, 'y')).rejects.toMatchObject({ code: 'audit_subject_erased' });
    await expect(erase(subject)).rejects.toMatchObject({ code: 'audit_subject_erased' });
    const raw = (text: string) => asSuperuser(database, text);
    const seal = await ring.seal({ rowId: subject, value: 'k'.repeat(32) });
    const again = `begin; select set_config('app.tenant', '${TENANT}', true); insert into audit.subject_key (tenant_id, subject, sealed) values ('${TENANT}', '${subject}', '\\x${seal.toString('hex')}')`;
    await expect(raw(again)).rejects.toMatchObject({ code: 'AX107' });
  });

  it('a key goes only with its erasure: not by itself, not without the entry, and not by the workspace', async () => {
    const subject = uuidV4(systemRandom);
    await write(subject, 'x');
    const remove = `delete from audit.subject_key where subject = '${subject}'`;
    await expect(asSuperuser(database, remove)).rejects.toMatchObject({ code: 'AX107' });
    const unlogged = `begin; select set_config('app.tenant', '${TENANT}', true); insert into audit.erased_subject (tenant_id, subject) values ('${TENANT}', '${subject}'); ${remove}; commit`;
    await expect(asSuperuser(database, unlogged)).rejects.toMatchObject({ code: 'AX101' });
    await expect(
      workspace.tenant.transaction(context, (tx) =>
        erasePerson(tx, record, { subject, actor, requestId: 'r-2', ground: 'request' }),
      ),
    ).rejects.toMatchObject({ code: 'tenant_grant_refused' });
    const still = await open(await write(subject, 'still'));
    expect(still.map(({ text }) => valueOf(text))).toContain('still');
  });

  it('the issuer lists digests, and reads no sealed value', async () => {
    await expect(
      issuer.tenant.scoped(context, {
        sql: 'select sealed from audit.disclosure where tenant_id = $1',
        parameters: [TENANT],
      }),
    ).rejects.toMatchObject({ code: 'tenant_grant_refused' });
  });
});
