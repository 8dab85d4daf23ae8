import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { AppError, systemClock, systemRandom, uuidV4, type Json, type Uuid } from '@auditrax/base';
import { formatId, idKeys, openDatabase, type Database, type TenantContext } from '@auditrax/tenancy';
import { verifyConsistency, fromBase64, openCheckpoint, parseVerifierKey } from '@auditrax/tlog';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRecorder, remoteLedger, type LedgerClient } from '../../platform/audit/index.ts';
import { createLedger, type Ledger } from '../../platform/audit/ledger.ts';
import { createSigner, type Signer } from '../../platform/audit/signer.ts';
import { asSuperuser } from '../../platform/audit/testing.ts';
import { startTestDatabase, type TestDatabase } from '../../platform/db/testing.ts';
import type { Caller } from '../../platform/http/handler.ts';
import { verifyEntryInBrowser } from './browser-verify.ts';
import { packBundle, unpackBundle } from './bundle-file.ts';
import { trailExporter } from './exporting.ts';
import type { AuditTrailDeps, SteppingAsker } from './ports.ts';
import { trailReader } from './reading.ts';
import { runVerify, verifyBundle } from './verify-bundle.ts';

const PREFIX = 'test.example/log/';
const TENANT = uuidV4(systemRandom);
const PERSON = uuidV4(systemRandom);
const SOMEBODY = uuidV4(systemRandom);
const context: TenantContext = { tenantId: TENANT, tenantPart: 7, requestId: 'r-1' };
const { privateKey } = generateKeyPairSync('ed25519');
const SYSTEM_TABLES = ['log', 'log_index', 'log_tile', 'log_head', 'checkpoint', 'beat', 'pending'].map(
  (name) => `audit.${name}`,
);
const ANY = { type: undefined, person: undefined, outcome: undefined };

let database: TestDatabase;
let workspace: Database;
let ledgerDb: Database;
let ledger: Ledger;
let signer: Signer;
let folder: string;
let deps: AuditTrailDeps;
let reader: ReturnType<typeof trailReader>;
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

/** The ledger's own routes, called without the network. */
function client(): LedgerClient {
  return remoteLedger(async (path, body) => {
    const name = path.split('/').at(-1)!;
    const handler = ledger.routes.handlers[name] as unknown as (call: {
      body: unknown;
    }) => Promise<{ status: number; body: unknown }>;
    try {
      return await handler({ body });
    } catch (error) {
      if (error instanceof AppError) return { status: error.code === 'audit_entry_unknown' ? 404 : 503, body: {} };
      throw error;
    }
  });
}

/** The form that a sealed column demands, around the value turned round. */
const FORM = { head: Buffer.concat([Buffer.of(0xa7, 1, 0, 0, 0, 1), Buffer.alloc(24)]), tag: Buffer.alloc(16) };
const turned = (value: string): Buffer => Buffer.concat([FORM.head, Buffer.from(value).reverse(), FORM.tag]);
const record = createRecorder({ sealer: { seal: async ({ value }) => turned(value) } });

async function write(
  type: string,
  more: { personId?: Uuid; outcome?: 'allowed' | 'denied'; disclosures?: Record<string, string> } = {},
): Promise<Uuid> {
  const { personId = PERSON, outcome = 'allowed', disclosures = {} } = more;
  const { entryId } = await workspace.tenant.transaction(context, (tx) =>
    record(tx, {
      type,
      actor: { personId },
      resource: ['thing', SOMEBODY],
      outcome,
      requestId: 'r-1',
      tokenHash: 'token',
      disclosures,
    }),
  );
  await deps.ledger.receipt({ tenantId: TENANT, entryId });
  return entryId;
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
      systemTables: role === 'ax_ledger' ? [...SYSTEM_TABLES, 'platform.placement'] : [],
    });
  workspace = open('ax_workspace');
  ledgerDb = open('ax_ledger');
  folder = mkdtempSync(join(tmpdir(), 'ax-trail-'));
  signer = createSigner({ journalDirectory: folder, privateKey, originPrefix: PREFIX });
  ledger = createLedger({ home: ledgerDb.system, signer, originPrefix: PREFIX, onTrouble: () => undefined });
  await ledger.start();
  deps = {
    door: workspace.tenant,
    sealer: {
      openTexts: async ({ values }) =>
        values.map(({ sealed }) =>
          Buffer.from(sealed).subarray(FORM.head.length, -FORM.tag.length).reverse().toString(),
        ),
    },
    ledger: client(),
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
    let cursor: string | undefined;
    do {
      const page = await reader.list(asker(), { cursor, limit: 5, filter: ANY });
      seen.push(...page.entries.map((entry) => entry.position));
      cursor = page.nextCursor ?? undefined;
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
    };
    expect(await verifyEntryInBrowser(input)).toMatchObject({ ok: true });
    for (const bad of [
      { ...input, leaf: entry.leaf.replace('finalised', 'finalized') },
      { ...input, index: input.index - 1 },
      { ...input, proof: input.proof.slice(1) },
      { ...input, proof: ['x', ...input.proof.slice(1)] },
      { ...input, checkpoint: input.checkpoint.replace(String(proof.treeSize), String(proof.treeSize + 1)) },
      { ...input, vkey: 'x' },
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
    expect(await runVerify(['--help'], io)).toBe(0);
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
