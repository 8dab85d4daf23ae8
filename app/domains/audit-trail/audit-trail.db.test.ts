import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { AppError, canonicalJson, systemClock, systemRandom, uuidV4, type Json, type Uuid } from '@auditrax/base';
import { formatId, idKeys, openDatabase, parseId, type Database, type TenantContext } from '@auditrax/tenancy';
import {
  createCosigner,
  formatApproval,
  PERSON_ERASED_TYPE,
  verifyConsistency,
  fromBase64,
  openCheckpoint,
  parseVerifierKey,
  verifierKeyOf,
} from '@auditrax/tlog';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRecorder, type AuditInput } from '../../platform/audit/index.ts';
import { createLedger, type Ledger } from '../../platform/audit/ledger.ts';
import { LEDGER_FUNCTIONS } from '../../platform/audit/ledger-queries.ts';
import { createSigner, type Signer } from '../../platform/audit/signer.ts';
import { asSuperuser, LEDGER_TABLES, ledgerInProcess } from '../../platform/audit/testing.ts';
import { memoryKeys } from '../../platform/audit/testing/log-keys.ts';
import { startTestDatabase, type TestDatabase } from '../../platform/db/testing.ts';
import { noteApproval } from '../../platform/http/approvals.ts';
import type { Caller } from '../../platform/http/handler.ts';
import { verifyEntryInBrowser } from './browser-verify.ts';
import { placeToUuid } from '../../platform/http/list-place.ts';
import { verifyRangeInBrowser } from './browser-range.ts';
import { packBundle, unpackBundle } from './bundle-file.ts';
import { linesExporter, linesPreview } from './exporting-lines.ts';
import { trailExporter } from './exporting.ts';
import type { AuditTrailDeps, SteppingAsker } from './ports.ts';
import { trailReader } from './reading.ts';
import { runVerify, verifyBundle } from './verify-bundle.ts';

const PREFIX = 'test.example/log/';
const TENANT = uuidV4(systemRandom);
const PERSON = uuidV4(systemRandom);
const SOMEBODY = uuidV4(systemRandom);
const SESSION = uuidV4(systemRandom);
const context: TenantContext = { tenantId: TENANT, tenantPart: 7, requestId: 'r-1' };
const { privateKey } = generateKeyPairSync('ed25519');
const ANY = {};

let database: TestDatabase;
let workspace: Database;
let ledgerDb: Database;
let ledger: Ledger;
let signer: Signer;
let folder: string;
let deps: AuditTrailDeps;
let reader: ReturnType<typeof trailReader>;
/** Engagements that the organisation's rules leave the asker; undefined: there are no rules. */
let left: ReadonlySet<Uuid> | undefined;
const keys = idKeys({ version: 1, key: systemRandom.bytes(32) });

function asker(role: Caller['role'] = 'lead', personId: Uuid = PERSON): SteppingAsker & { asked: Json[] } {
  const asked: Json[] = [];
  const caller = {
    tenant: context,
    tenantKind: 'sample',
    personId,
    role,
    sessionId: SOMEBODY,
    method: 'passkey',
    door: 'edge',
    routeClass: 'privileged',
    tokenHash: 'token',
  } as const;
  return {
    caller,
    requestId: 'r-1',
    asked,
    stepUp: async (action) => {
      asked.push(action);
      return { assertionHash: 'assertion', credentialId: 'c' };
    },
  };
}

/** The form that a sealed column demands, around the value turned round. */
const FORM = { head: Buffer.concat([Buffer.of(0xa7, 1, 0, 0, 0, 1), Buffer.alloc(24)]), tag: Buffer.alloc(16) };
const turned = (value: string): Buffer => Buffer.concat([FORM.head, Buffer.from(value).reverse(), FORM.tag]);
const record = createRecorder({ sealer: { seal: async ({ value }) => turned(value) } });

const sha256Url = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('base64url');

/** An authenticator's answer by hand, as WebAuthn describes it. */
function approvedBy(person: Uuid, credential: Uuid) {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const action = canonicalJson({ operation: 'engagements.finalise', person, tenant: TENANT, input: {} });
  const actionHash = createHash('sha256').update(action).digest();
  const nonce = systemRandom.bytes(32);
  const challenge = sha256Url(Buffer.concat([Buffer.from('auditrax-stepup-v1\0'), nonce, actionHash]));
  const client = JSON.stringify({ type: 'webauthn.get', challenge, origin: 'https://audit.example' });
  const rp = createHash('sha256').update('audit.example').digest();
  const data = Buffer.concat([rp, Buffer.of(5, 0, 0, 0, 1)]);
  const signature = sign(
    'sha256',
    Buffer.concat([data, createHash('sha256').update(client).digest()]),
    pair.privateKey,
  );
  const text = (bytes: Uint8Array | string) => Buffer.from(bytes).toString('base64url');
  const response = { clientDataJSON: text(client), authenticatorData: text(data), signature: text(signature) };
  const answer = text(JSON.stringify({ challengeId: 'c', assertion: { response } }));
  const spki = pair.publicKey.export({ format: 'der', type: 'spki' });
  const kept = {
    action,
    actionHash: actionHash.toString('base64url'),
    nonce: text(nonce),
    answer,
    credential,
    publicKey: text(spki),
    origin: 'https://audit.example',
    rpId: 'audit.example',
  };
  return { approval: { kept, spki }, stepUpHash: sha256Url(answer) };
}

async function write(
  type: string,
  more: {
    personId?: Uuid;
    outcome?: 'allowed' | 'denied';
    disclosures?: Record<string, string>;
    object?: Uuid;
    facts?: Record<string, string>;
    about?: Partial<Pick<AuditInput, 'resource' | 'public' | 'stepUpHash'>>;
  } = {},
): Promise<Uuid> {
  const { personId = PERSON, outcome = 'allowed', disclosures = {}, object = SOMEBODY, facts = {}, about = {} } = more;
  const { entryId } = await workspace.tenant.transaction(context, (tx) =>
    record(tx, {
      type,
      actor: { personId, sessionId: SESSION },
      resource: ['thing', object],
      outcome,
      requestId: 'r-1',
      tokenHash: 'token',
      public: facts,
      disclosures,
      ...about,
    }),
  );
  await deps.ledger.receipt({ tenantId: TENANT, entryId });
  return entryId;
}

/** The id inside a tagged one, as the gate gives it to a handler. */
function uuidOf(cursor: string | null): Uuid | undefined {
  if (cursor === null) return undefined;
  const parsed = parseId('tcu', cursor, context, keys);
  if (!parsed.ok) throw new Error(`the cursor ${cursor} is ${parsed.reason}`);
  return parsed.uuid;
}

beforeAll(async () => {
  database = await startTestDatabase();
  await asSuperuser(
    database,
    `insert into platform.tenant (id, part, kind, slug, display_name) values ('${TENANT}', 7, 'sample', 'one', 'One')`,
  );
  const open = (role: 'ax_workspace' | 'ax_ledger'): Database =>
    openDatabase({
      connection: database.connectionFor(role),
      poolSize: 4,
      clock: systemClock,
      onRefusal: async () => undefined,
      systemTables: role === 'ax_ledger' ? LEDGER_TABLES : [],
      functions: role === 'ax_ledger' ? LEDGER_FUNCTIONS : [],
    });
  workspace = open('ax_workspace');
  ledgerDb = open('ax_ledger');
  folder = mkdtempSync(join(tmpdir(), 'ax-trail-'));
  signer = createSigner({ journalDirectory: folder, keys: memoryKeys(privateKey), originPrefix: PREFIX });
  ledger = createLedger({ home: ledgerDb.system, signer, originPrefix: PREFIX, onTrouble: () => undefined });
  await ledger.start();
  deps = {
    door: workspace.tenant,
    sealer: {
      openTexts: async ({ values }) =>
        values.map(({ sealed }) =>
          Buffer.from(sealed).subarray(FORM.head.length, -FORM.tag.length).reverse().toString(),
        ),
      // No value of these entries is about a person.
      openBytes: async () => Promise.reject(new Error('no key of a person here')),
    },
    ledger: ledgerInProcess(ledger),
    engagementsLeft: () => Promise.resolve(left),
    clock: systemClock,
    random: systemRandom,
    recordAudit: record,
    formatId: (kind, tenant, id) => formatId(kind, tenant, id, keys),
  };
  reader = trailReader(deps);
  for (let n = 0; n < 12; n += 1)
    await write(n % 2 === 0 ? 'engagement.created' : 'evidence.uploaded', {
      personId: n % 3 === 0 ? SOMEBODY : PERSON,
    });
});

afterAll(async () => {
  await ledger?.stop();
  await signer?.close();
  await Promise.all([workspace, ledgerDb].map((db) => db?.close()));
  await database?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('the list', () => {
  it('is newest first, pages without doubles or gaps while entries arrive, and filters', async () => {
    const seen: (number | null)[] = [];
    let cursor: Uuid | undefined;
    do {
      const page = await reader.list(asker(), { cursor, limit: 5, filter: ANY });
      seen.push(...page.entries.map((entry) => entry.position));
      cursor = uuidOf(page.nextCursor);
      await write('engagement.created');
    } while (cursor !== undefined);
    expect(seen).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    const types = await reader.list(asker(), { cursor: undefined, limit: 50, filter: { ...ANY, type: 'evidence.' } });
    expect(types.entries).toHaveLength(6);
    const person = await reader.list(asker(), { cursor: undefined, limit: 50, filter: { ...ANY, person: SOMEBODY } });
    expect(person.entries).toHaveLength(4);
    expect(person.entries[0]!.actor.label).toBe(formatId('mem', context, SOMEBODY, keys));
    expect(
      (await reader.list(asker(), { cursor: undefined, limit: 50, filter: { ...ANY, outcome: 'denied' } })).entries,
    ).toEqual([]);
  });

  it('finds by kind, object, session, words, time and AI, and says how far it has looked', async () => {
    const thing = uuidV4(systemRandom);
    const since = Date.now();
    await write('ai.prompt.submitted', { object: thing, facts: { model: 'Über-Modell "9"' } });
    await write('thing.changed', { object: thing });
    const find = async (filter: Parameters<typeof reader.list>[1]['filter']) =>
      (await reader.list(asker(), { cursor: undefined, limit: 50, filter })).entries.map((entry) => entry.type);
    expect(await find({ object: thing })).toEqual(['thing.changed', 'ai.prompt.submitted']);
    expect(await find({ object: thing, ai: 'only' })).toEqual(['ai.prompt.submitted']);
    expect(await find({ ai: 'only' })).toEqual(['ai.prompt.submitted']);
    expect(await find({ kind: 'no-such-kind' })).toEqual([]);
    expect(await find({ text: 'MODELL "9"' })).toEqual(['ai.prompt.submitted']);
    expect(await find({ text: 'modell 9' })).toEqual([]);
    expect(await find({ session: thing })).toEqual([]);
    expect((await find({ session: SESSION, object: thing })).length).toBe(2);
    expect(await find({ fromMs: since, object: thing })).toHaveLength(2);
    expect(await find({ toMs: since, object: thing })).toEqual([]);
    expect(await find({ fromMs: since - 1, toMs: since })).toEqual([]);
    const one = await reader.list(asker(), { cursor: undefined, limit: 1, filter: { object: thing } });
    const rest = await reader.list(asker(), { cursor: uuidOf(one.nextCursor), limit: 1, filter: { object: thing } });
    expect(rest.entries[0]).toMatchObject({ type: 'ai.prompt.submitted', session: SESSION, generation: 1 });
    expect(rest.nextCursor).toBeNull();
    expect(one.log).toMatchObject({ generation: 1, cosigned: null });
  });

  it('begins nowhere for a cursor that was made for something else', async () => {
    const other = placeToUuid('criteria', { major: 1, minor: 3 });
    await expect(reader.list(asker(), { cursor: other, limit: 2, filter: ANY })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('shows an entry that is not sealed yet, without a position', async () => {
    await ledger.stop();
    const { entryId } = await workspace.tenant.transaction(context, (tx) =>
      record(tx, {
        type: 'a.denied',
        actor: { personId: PERSON },
        resource: ['thing', SOMEBODY],
        outcome: 'denied',
        requestId: 'r',
      }),
    );
    const page = await reader.list(asker(), { cursor: undefined, limit: 3, filter: ANY });
    expect(page.entries[0]).toMatchObject({ id: formatId('ent', context, entryId, keys), position: null });
    await ledger.start();
    await deps.ledger.receipt({ tenantId: TENANT, entryId });
  });
});

describe('one entry', () => {
  it('proves itself in the browser, and a changed word, place or path does not', async () => {
    const entryId = await write('engagement.finalised');
    const entry = await reader.entry(asker(), entryId);
    const proof = await reader.proof(asker(), entryId);
    const input = {
      leaf: entry.leaf,
      index: proof.index,
      proof: proof.path,
      checkpoint: proof.checkpoint,
      vkey: proof.vkey,
      changes: proof.changes,
      outside: proof.outside,
    };
    expect(proof.outside).toBeNull();
    expect(await verifyEntryInBrowser(input)).toMatchObject({ ok: true });
    await ledger.superLog.runEpoch();
    const { outside } = await reader.proof(asker(), entryId);
    const seen = await verifyEntryInBrowser({ ...input, outside });
    expect(seen).toMatchObject({ ok: true });
    expect(seen.steps.slice(-2)).toMatchObject([
      { name: 'The super-log holds it', ok: true },
      { ok: null, detail: expect.stringContaining('no outside witness is') },
    ]);
    for (const bad of [
      { ...input, leaf: entry.leaf.replace('finalised', 'finalized') },
      { ...input, index: input.index - 1 },
      { ...input, proof: input.proof.slice(1) },
      { ...input, proof: ['x', ...input.proof.slice(1)] },
      { ...input, checkpoint: input.checkpoint.replace(String(proof.treeSize), String(proof.treeSize + 1)) },
      { ...input, vkey: 'x' },
      { ...input, outside: { ...outside!, path: outside!.path.slice(1) } },
      { ...input, outside: { ...outside!, evidence: { ...outside!.evidence, slot: outside!.evidence.slot + 1 } } },
    ])
      expect((await verifyEntryInBrowser(bad)).ok).toBe(false);
  });

  it('opens withheld values for a lead only, and records that first', async () => {
    const entryId = await write('member.invited', { disclosures: { email: 'somebody@example.org' } });
    const seen = await reader.entry(asker('auditor'), entryId);
    expect(seen.disclosures).toMatchObject([{ value: null, state: 'withheld' }]);
    expect((await reader.entry(asker('lead'), entryId)).disclosures).toMatchObject([
      { name: 'email', value: 'somebody@example.org', state: 'open' },
    ]);
    const [first] = (await reader.list(asker(), { cursor: undefined, limit: 1, filter: ANY })).entries;
    expect(first).toMatchObject({ type: 'audit-trail.disclosures.opened', resource: ['entry', entryId] });
    await asSuperuser(database, 'delete from audit.disclosure');
    expect((await reader.entry(asker('lead'), entryId)).disclosures).toMatchObject([{ value: null, state: 'erased' }]);
  });

  it('is not there for another tenant', async () => {
    await expect(reader.entry(asker(), uuidV4(systemRandom))).rejects.toMatchObject({ code: 'not_found' });
  });

  it('consistency leads from an old checkpoint to the new one', async () => {
    const old = await reader.checkpoint(asker());
    await write('a.b');
    const now = await reader.consistency(asker(), old.treeSize);
    const key = (await parseVerifierKey(now.vkey))!;
    const opened = [await openCheckpoint(old.checkpoint, [key]), await openCheckpoint(now.checkpoint, [key])].map(
      (verdict) => (verdict.ok ? verdict.checkpoint : undefined)!,
    );
    expect(
      await verifyConsistency({
        size1: old.treeSize,
        size2: now.treeSize,
        root1: opened[0]!.root,
        root2: opened[1]!.root,
        proof: now.path.map((hash) => fromBase64(hash)!),
      }),
    ).toBe(true);
  });
});

describe('a range', () => {
  it('is verified in the browser against one root, and what the server cannot give is refused', async () => {
    const { treeSize } = await reader.checkpoint(asker());
    const range = { from: 3, to: treeSize - 1 };
    const proof = await reader.rangeProof(asker(), range);
    const input = {
      ...range,
      ...proof,
      leaves: async (part: { from: number; to: number }) => (await reader.leaves(asker(), part)).leaves,
      onProgress: () => undefined,
      signal: new AbortController().signal,
    };
    expect(await verifyRangeInBrowser(input)).toMatchObject({ ok: true });
    expect((await verifyRangeInBrowser({ ...input, from: 4 })).ok).toBe(false);
    for (const bad of [
      { from: 3, to: 3 },
      { from: 0, to: 100_000 },
      { from: treeSize, to: treeSize + 1 },
    ])
      await expect(reader.leaves(asker(), bad)).rejects.toMatchObject({ code: 'range_invalid' });
    await expect(reader.rangeProof(asker(), { from: 5, to: 5 })).rejects.toMatchObject({ code: 'range_invalid' });
  });
});

describe('lines', () => {
  const preview = (filter = {}) => linesPreview(deps)(asker(), { filter, person: undefined });
  const make = async (format: 'csv' | 'ocsf', upTo: number, filter = {}) => {
    const asked = { format, upTo, ...filter };
    const file = await linesExporter(deps)(asker(), { format, filter, person: undefined, upTo, asked });
    return (await file.content.toArray()).join('');
  };

  it('are as many as was told, the same again later, and recorded before the first leaves', async () => {
    const told = await preview({ type: 'engagement.' });
    expect(told).toMatchObject({ complete: true, first: 0 });
    const csv = await make('csv', told.upTo, { type: 'engagement.' });
    expect(csv.trimEnd().split('\r\n')).toHaveLength(told.entries + 1);
    const [own] = (await reader.list(asker(), { cursor: undefined, limit: 1, filter: ANY })).entries;
    expect(own).toMatchObject({
      type: 'audit-trail.lines-exported',
      public: { format: 'csv', entries: told.entries, upTo: told.upTo },
    });
    expect(await make('csv', told.upTo, { type: 'engagement.' })).toBe(csv);
    const events = (await make('ocsf', told.upTo, { type: 'engagement.' })).trimEnd().split('\n');
    expect(events.map((line) => (JSON.parse(line) as { metadata: object }).metadata)).toHaveLength(told.entries);
    expect(JSON.parse(events[0]!)).toMatchObject({ metadata: { sequence: 0, tenant_uid: TENANT } });
  });

  it('do not leave without the passkey, without a match, beyond the log, or without a receipt', async () => {
    const { upTo } = await preview();
    await expect(make('csv', upTo, { type: 'nothing.' })).rejects.toMatchObject({ code: 'export_empty' });
    await expect(make('csv', upTo + 100_000)).rejects.toMatchObject({ code: 'range_invalid' });
    const days = { from: '2026-01-02', to: '2026-01-01' };
    await expect(make('csv', upTo, days)).rejects.toMatchObject({ code: 'export_period_invalid' });
    const asked = { format: 'csv' as const, upTo };
    const input = { ...asked, filter: {}, person: undefined, asked };
    const stepUp = () => Promise.reject(new AppError('step_up_refused', 'no'));
    await expect(linesExporter(deps)({ ...asker(), stepUp }, input)).rejects.toMatchObject({ code: 'step_up_refused' });
    const receipt = () => Promise.reject(new AppError('audit_receipt_timeout', 'no receipt'));
    const silent = { ...deps, ledger: { ...deps.ledger, receipt } };
    await expect(linesExporter(silent)(asker(), input)).rejects.toMatchObject({ code: 'audit_receipt_timeout' });
  });
});

describe('the export', () => {
  const today = new Date().toISOString().slice(0, 10);
  const exportIt = (who = asker()) => trailExporter(deps)(who, { from: today, to: today });

  it('verifies with the key from outside, is logged with the digest of the bundle, and refuses every change', async () => {
    const who = asker();
    const { zip } = await exportIt(who);
    expect(who.asked).toMatchObject([{ operation: 'audit-trail.export', input: { from: today, to: today } }]);
    const { vkey } = await reader.checkpoint(asker());
    const report = await verifyBundle(zip, { keys: [vkey] });
    expect(report).toMatchObject({ exitCode: 0, witnesses: 0, entries: { missing: 0 } });
    expect(report.entries.verified).toBe(report.range!.to - report.range!.from);
    expect((await verifyBundle(zip, { keys: [] })).exitCode).toBe(2);
    const [own] = (await reader.list(asker(), { cursor: undefined, limit: 1, filter: ANY })).entries;
    expect(own).toMatchObject({ type: 'audit-trail.exported', public: { from: 0, periodFrom: today } });
    const step = Math.floor(zip.length / 150);
    for (let at = 0; at < zip.length; at += step) {
      const bent = Buffer.from(zip);
      bent[at]! ^= 1;
      expect((await verifyBundle(bent, { keys: [vkey] })).exitCode, `byte ${at}`).toBe(1);
    }
    expect((await verifyBundle(Buffer.concat([zip, Buffer.of(0)]), { keys: [vkey] })).exitCode).toBe(1);
    expect((await verifyBundle(zip.subarray(0, zip.length - 1), { keys: [vkey] })).exitCode).toBe(1);
    expect((await verifyBundle(Buffer.from('no zip'), { keys: [vkey] })).exitCode).toBe(1);
    expect(packBundle(unpackBundle(zip))).toEqual(zip);
  });

  it('carries what was approved, for whoever may open it, and the command checks it; the entry shows it', async () => {
    const credential = uuidV4(systemRandom);
    const { approval, stepUpHash } = approvedBy(PERSON, credential);
    await write('passkey.registered', {
      about: { resource: ['credential', credential], public: { publicKey: sha256Url(approval.spki) } },
    });
    noteApproval(stepUpHash, { text: formatApproval(approval.kept), about: null }, Date.now());
    const entryId = await write('engagement.finalised', { about: { stepUpHash } });
    const { zip } = await exportIt();
    const { vkey } = await reader.checkpoint(asker());
    const report = await verifyBundle(zip, { keys: [vkey], approvedAt: ['https://audit.example'] });
    expect(report).toMatchObject({ exitCode: 0, approvals: { verified: 1, registered: 1, hashOnly: 0 } });
    const elsewhere = await verifyBundle(zip, { keys: [vkey], approvedAt: ['https://other.example'] });
    expect(elsewhere.exitCode).toBe(1);
    const { kept } = approval;
    expect((await reader.entry(asker(), entryId)).approval).toEqual({
      action: kept.action,
      actionHash: kept.actionHash,
      passkey: credential,
      publicKeyHash: sha256Url(approval.spki),
      origin: 'https://audit.example',
      failed: null,
    });
    expect((await reader.entry(asker('auditor'), entryId)).approval).toBeNull();
    const withoutApprovals = await trailExporter(deps)(asker('auditor'), { from: today, to: today });
    expect(await verifyBundle(withoutApprovals.zip, { keys: [vkey] })).toMatchObject({
      exitCode: 0,
      approvals: { verified: 0 },
    });
  });

  it('brings along what the super-log says of the range, tied to this log, and later erasures', async () => {
    const entryId = await write('member.invited', { disclosures: { email: 'somebody@example.org' } });
    const { digest } = (
      await asSuperuser<{ digest: string }>(database, 'select digest from audit.disclosure where entry_id = $1', [
        entryId,
      ])
    )[0]!;
    await ledger.superLog.runEpoch();
    const { vkey } = await reader.checkpoint(asker());
    const before = await verifyBundle((await exportIt()).zip, { keys: [vkey] });
    expect(before).toMatchObject({
      exitCode: 0,
      problems: [],
      witnesses: 0,
      witnessing: { epochs: expect.any(Number), independent: 0 },
      disclosures: { erased: 0, withheld: expect.any(Number) },
    });
    expect(before.witnessing!.epochs).toBeGreaterThan(0);
    const erasure = { type: PERSON_ERASED_TYPE, public: { digests: digest } };
    await workspace.tenant
      .transaction(context, (tx) =>
        record(tx, {
          ...erasure,
          actor: { personId: PERSON },
          resource: ['thing', SOMEBODY],
          outcome: 'allowed',
          requestId: 'r',
        }),
      )
      .then(({ entryId: erasedBy }) => deps.ledger.receipt({ tenantId: TENANT, entryId: erasedBy }));
    const after = await verifyBundle((await exportIt()).zip, { keys: [vkey] });
    expect(after).toMatchObject({ exitCode: 0, problems: [], disclosures: { erased: 1, erasures: [{ values: 1 }] } });
    await asSuperuser(database, 'truncate audit.super_slot_state');
    expect(await verifyBundle((await exportIt()).zip, { keys: [vkey] })).toMatchObject({
      exitCode: 0,
      witnessing: { epochs: 0 },
    });
  });

  it('the command has the exit codes 0, 1 and 2, for the zip and for its folder', async () => {
    const { zip } = await exportIt();
    const { vkey } = await reader.checkpoint(asker());
    const path = join(folder, 'bundle.zip');
    writeFileSync(path, zip);
    for (const [name, bytes] of unpackBundle(zip)) {
      mkdirSync(dirname(join(folder, 'bundle', name)), { recursive: true });
      writeFileSync(join(folder, 'bundle', name), bytes);
    }
    const said: string[] = [];
    const io = { out: (text: string) => said.push(text), err: (text: string) => said.push(text) };
    for (const bundle of [path, join(folder, 'bundle')]) {
      expect(await runVerify([bundle, '--key', vkey], io)).toBe(0);
      expect(await runVerify([bundle], io)).toBe(2);
      expect(await runVerify([bundle, '--key', `${vkey}x`], io)).toBe(1);
    }
    expect(said.join('')).toContain('0 independent witnesses');
    // A policy of its own: its log key decides, and a witness that was never asked has not seen it.
    const witness = await createCosigner('witness.example/w', generateKeyPairSync('ed25519').privateKey);
    const policyFile = join(folder, 'policy');
    writeFileSync(policyFile, `log ${vkey}\nwitness w ${witness.verifierKey}\nquorum none\n`);
    expect(await runVerify([path, '--policy', policyFile], io)).toBe(0);
    writeFileSync(policyFile, `log ${vkey}\nwitness w ${witness.verifierKey}\nquorum w\n`);
    expect(await runVerify([path, '--policy', policyFile], io)).toBe(3);
    expect(await runVerify([path, '--key', vkey, '--witness-key', witness.verifierKey, '--json'], io)).toBe(3);
    expect(JSON.parse(said.at(-1)!)).toMatchObject({ exitCode: 3, verdict: 'verified-but-not-witnessed' });
    expect(await runVerify([path, '--key', vkey, '--witness-key', vkey], io)).toBe(1);
    writeFileSync(policyFile, 'quorum w\n');
    expect(await runVerify([path, '--policy', policyFile], io)).toBe(1);
    expect(said.at(-1)).toContain('line 1: names w before it is defined');
    expect(await runVerify(['--help'], io)).toBe(0);
    expect(said.at(-1)).toMatch(/Exit: 0 [^]* 1 refused[^]* 2 [^]* 3 /);
    expect(await runVerify([], io)).toBe(1);
    expect(await runVerify([join(folder, 'nothing.zip')], io)).toBe(1);
  });

  it('does nothing without the step-up, without entries, or without a running log', async () => {
    const count = async () =>
      (await asSuperuser<{ n: string }>(database, 'select count(*) as n from audit.entry'))[0]!.n;
    const before = await count();
    const refusing = {
      ...asker(),
      stepUp: async () => {
        throw new AppError('step_up_refused', 'no');
      },
    };
    await expect(exportIt(refusing as never)).rejects.toMatchObject({ code: 'step_up_refused' });
    await expect(trailExporter(deps)(asker(), { from: '2001-01-01', to: '2001-01-02' })).rejects.toMatchObject({
      code: 'export_empty',
    });
    await expect(trailExporter(deps)(asker(), { from: '2001-01-02', to: '2001-01-01' })).rejects.toMatchObject({
      code: 'export_period_invalid',
    });
    expect(await count()).toBe(before);
    const silent = {
      ...deps,
      ledger: {
        ...deps.ledger,
        receipt: async () => {
          throw new AppError('audit_receipt_timeout', 'no receipt');
        },
      },
    };
    await expect(trailExporter(silent as AuditTrailDeps)(asker(), { from: today, to: today })).rejects.toMatchObject({
      code: 'audit_receipt_timeout',
    });
  });
});

describe('what the rules of the organisation keep from somebody', () => {
  const [own, kept] = [uuidV4(systemRandom), uuidV4(systemRandom)];
  const list = (limit: number, cursor?: Uuid) => reader.list(asker(), { cursor, limit, filter: NARROW });
  const NARROW = { ...ANY, type: 'narrow.' };
  const written: Record<string, Uuid> = {};
  const types = (page: { entries: readonly { type: string }[] }) => page.entries.map(({ type }) => type);

  beforeAll(async () => {
    const about = {
      'narrow.own': { resource: ['engagement', own] as const },
      'narrow.kept': { resource: ['engagement', kept] as const },
      'narrow.own-file': { resource: ['evidence', SOMEBODY] as const, public: { engagement: own } },
      'narrow.kept-file': { resource: ['evidence', SOMEBODY] as const, public: { engagement: kept } },
      'narrow.neither': { resource: ['thing', SOMEBODY] as const },
    };
    for (const [type, input] of Object.entries(about)) written[type] = await write(type, { about: input });
    left = new Set([own]);
  });
  afterAll(() => void (left = undefined));

  it('is in no list and no search, page by page, and not to be had by its id', async () => {
    expect(types(await list(50))).toEqual(['narrow.neither', 'narrow.own-file', 'narrow.own']);
    const seen: string[] = [];
    let cursor: Uuid | undefined;
    do {
      const page = await list(1, cursor);
      seen.push(...types(page));
      const next = page.nextCursor === null ? undefined : parseId('tcu', page.nextCursor, context, keys);
      cursor = next?.ok ? next.uuid : undefined;
    } while (cursor !== undefined);
    expect(seen).toEqual(['narrow.neither', 'narrow.own-file', 'narrow.own']);
    for (const type of ['narrow.kept', 'narrow.kept-file']) {
      await expect(reader.entry(asker(), written[type]!)).rejects.toMatchObject({ code: 'not_found' });
      await expect(reader.proof(asker(), written[type]!)).rejects.toMatchObject({ code: 'not_found' });
    }
    expect((await reader.entry(asker(), written['narrow.own-file']!)).type).toBe('narrow.own-file');
  });

  it('is not carried away in an export either: a bundle is whole or refused', async () => {
    const today = new Date().toISOString().slice(0, 10);
    const exportIt = () => trailExporter(deps)(asker(), { from: today, to: today });
    await expect(exportIt()).rejects.toMatchObject({ code: 'export_narrowed' });
    const { treeSize: size } = await reader.checkpoint(asker());
    const range = { from: size - 5, to: size };
    await expect(reader.leaves(asker(), range)).rejects.toMatchObject({ code: 'export_narrowed' });
    const filter = { type: 'narrow.' };
    const lines = { format: 'csv', filter, person: undefined, upTo: size, asked: filter } as const;
    const file = await linesExporter(deps)(asker(), lines);
    const text = (await file.content.toArray()).join('');
    expect([text.includes('narrow.own'), text.includes('narrow.kept'), text.includes(kept)]).toEqual([
      true,
      false,
      false,
    ]);
    left = undefined;
    expect(types(await list(50))).toHaveLength(5);
  });
});

describe('an export after the key of the log has changed', () => {
  const today = new Date().toISOString().slice(0, 10);
  const exportIt = () => trailExporter(deps)(asker(), { from: today, to: today });

  it('is read with the key of before, and with the new one alone', async () => {
    const early = await write('engagement.created', { personId: PERSON });
    await ledger.superLog.runEpoch();
    const { vkey: before } = await reader.checkpoint(asker());
    await ledger.changeKey({ reason: 'the yearly change' });
    await write('engagement.created', { personId: PERSON });
    await ledger.superLog.runEpoch();
    const { vkey: after } = await reader.checkpoint(asker());
    expect(after).not.toBe(before);
    const { zip } = await exportIt();
    for (const key of [before, after])
      expect(await verifyBundle(zip, { keys: [key] }), key).toMatchObject({ exitCode: 0, problems: [] });
    const stranger = await verifierKeyOf(before.split('+')[0]!, generateKeyPairSync('ed25519').privateKey);
    expect(await verifyBundle(zip, { keys: [stranger] })).toMatchObject({ exitCode: 1 });
    await ledger.superLog.runEpoch();
    await inBrowser(early, { own: [before, after], stranger });
  });

  /** An entry of before the change, whose epoch the old key signed, and a range over the change. */
  async function inBrowser(
    early: Uuid,
    { own, stranger }: { own: readonly string[]; stranger: string },
  ): Promise<void> {
    const { leaf } = await reader.entry(asker(), early);
    const proof = await reader.proof(asker(), early);
    const range = { from: proof.index, to: proof.treeSize };
    const ends = await reader.rangeProof(asker(), range);
    const leaves = async (part: typeof range) => (await reader.leaves(asker(), part)).leaves;
    const more = { leaves, onProgress: () => undefined, signal: new AbortController().signal };
    const looks = (vkey: string) => [
      verifyEntryInBrowser({ ...proof, leaf, vkey, proof: proof.path }),
      verifyRangeInBrowser({ ...range, ...ends, ...more, vkey }),
    ];
    for (const key of own)
      for (const { ok, steps } of await Promise.all(looks(key))) {
        expect(ok, JSON.stringify(steps)).toBe(true);
        expect(steps).toContainEqual(expect.objectContaining({ name: 'The super-log holds it', ok: true }));
      }
    for (const { ok } of await Promise.all(looks(stranger))) expect(ok).toBe(false);
  }

  it('and in a new generation under a key that nobody handed over to, with that key alone', async () => {
    const { vkey: before } = await reader.checkpoint(asker());
    await ledger.newGeneration({ reason: 'the key was seen elsewhere', isNewKey: true });
    await write('engagement.created', { personId: PERSON });
    await ledger.superLog.runEpoch();
    const { vkey } = await reader.checkpoint(asker());
    expect(vkey.split('+')[0]).toMatch(/\/2$/);
    const { zip } = await exportIt();
    expect(await verifyBundle(zip, { keys: [vkey] })).toMatchObject({ exitCode: 0, problems: [], range: { from: 0 } });
    expect(await verifyBundle(zip, { keys: [before] })).toMatchObject({ exitCode: 1 });
  });
});
