import { manualClock, systemRandom, uuidV4, type Json, type Uuid } from '@auditrax/base';
import type { Database, TenantContext } from '@auditrax/tenancy';
import { formatApproval } from '@auditrax/tlog';
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  createLateApprovals,
  createSubjectKeys,
  moveLateApprovals,
  openDisclosures,
  type RecordAudit,
} from '../../platform/audit/index.ts';
import { openLate } from '../../platform/audit/late-approvals.ts';
import { createRecorder } from '../../platform/audit/record.ts';
import { noteApproval } from '../../platform/http/approvals.ts';
import { isKeyStoreFault } from './diagnosis.ts';
import { HEALTH_FRESH_MS } from './key-stores.ts';
import { createSealer, type Sealer } from './sealer.ts';
import type { OwnKeySource } from './source-contract.ts';
import { changeSource, returnSource, type SourceDeps } from './source-service.ts';
import { ownKeyStore, type OwnKeyStore } from './testing/own-key-store.ts';
import { vaultInProcess, type VaultInProcess } from './testing/vault-in-process.ts';
import { startWorkspaceDatabase, type WorkspaceDatabase } from './testing/workspace-database.ts';

// A tenant's own key store, a simulator, is really away: nothing can be sealed, and what was approved waits.

const FIELDS = { 'audit.disclosure.sealed': 3001, 'audit.subject_key.sealed': 3002, 'audit.late_key.sealed': 3003 };
const KMS: OwnKeySource = {
  kind: 'aws-kms',
  keyArn: 'arn:aws:kms:eu-central-1:111122223333:key/0000aaaa-0000-4000-8000-000000000001',
  region: 'eu-central-1',
  accessKeyId: 'AKIDEXAMPLEEXAMPLE',
  secretAccessKey: 'a-secret-of-the-tenant',
};
const uuid = (): Uuid => uuidV4(systemRandom);
const withCode = (code: string) => expect.objectContaining({ code });

let opened: WorkspaceDatabase;
let database: Database;
let admin: Client;
let clock: ReturnType<typeof manualClock>;
let store: OwnKeyStore;
let vault: VaultInProcess;
let context: TenantContext;
let part = 0;

beforeAll(async () => {
  opened = await startWorkspaceDatabase(['platform.tenant']);
  ({ admin, database } = opened);
});
afterAll(async () => {
  await opened?.stop();
});
beforeEach(async () => {
  clock = manualClock(Date.now());
  store = await ownKeyStore(clock);
  vault = await vaultInProcess(clock, store.openStore);
  part += 1;
  context = { tenantId: uuid(), tenantPart: part, requestId: 'request' };
  await admin.query(
    `insert into platform.tenant (id, part, kind, slug, display_name, tier) values ($1, $2, 'sample', $3, $3, 'enterprise')`,
    [context.tenantId, part, `sample-${part}`],
  );
  await database.tenant.transaction(context, (tx) => sealer().provision(context, tx));
  return async () => {
    await vault.close();
    await store.close();
  };
});

/** That of a process which holds no key yet. */
function sealer(): Sealer {
  const { keysClient } = vault;
  const parts = { tenantDoor: database.tenant, keysClient, fields: FIELDS, clock, random: systemRandom };
  return createSealer({ service: 'workspace', ...parts });
}

function recorder(): RecordAudit {
  const ring = sealer();
  return createRecorder({
    clock,
    random: systemRandom,
    sealer: { seal: (input) => ring.seal({ ...input, field: 'audit.disclosure.sealed' }) },
    subjects: createSubjectKeys({ ring, random: systemRandom }),
    late: createLateApprovals({ ring, clock, random: systemRandom }),
    needsApprovals: true,
    isSealFault: isKeyStoreFault,
  });
}

const ACTION = '{"input":{"from":"the source"},"operation":"keys.return-source"}';
/** As the verifier keeps one; what the check makes of it is tested where it is verified. */
const approvalText = (action: string | null) =>
  formatApproval({
    action,
    actionHash: 'hash',
    nonce: 'n',
    answer: 'a',
    credential: 'c',
    publicKey: 'p',
    origin: 'o',
    rpId: 'r',
  });

let given = 0;
function asker(about: Uuid | null = null) {
  given += 1;
  const assertionHash = `assertion-${given}`;
  noteApproval(assertionHash, { text: approvalText(ACTION), about }, Date.now());
  const who = { personId: uuid(), sessionId: uuid(), method: 'passkey', door: 'edge', tokenHash: 'token' } as const;
  const caller = { ...who, tenant: context, tenantKind: 'sample', role: 'lead', routeClass: 'privileged' } as const;
  const stepUp = async (_action: Json) => ({ assertionHash, credentialId: 'c' });
  return { caller, requestId: 'request', stepUp };
}

function sourceDeps(): SourceDeps {
  const { keysClient, sourcesClient } = vault;
  const doors = { tenantDoor: database.tenant, system: database.system };
  return { service: 'workspace', ...doors, keysClient, sourcesClient, recordAudit: recorder(), clock };
}

const move = () => moveLateApprovals({ door: database.tenant, ring: sealer(), isSealFault: isKeyStoreFault }, context);
const late = async () =>
  (
    await admin.query<{ entry_id: Uuid; digest: string; sealed: Buffer }>(
      'select entry_id, digest, sealed from audit.late_disclosure where tenant_id = $1',
      [context.tenantId],
    )
  ).rows;
async function entryOf(type: string): Promise<{ id: Uuid; leaf: { public: object; _sd?: string[] } }> {
  const { rows } = await admin.query<{ id: Uuid; leaf: string }>(
    `select id, convert_from(leaf, 'UTF8') as leaf from audit.entry where tenant_id = $1 and type = $2`,
    [context.tenantId, type],
  );
  return { id: rows[0]!.id, leaf: JSON.parse(rows[0]!.leaf) as { public: object } };
}
const withheld = async (entryId: Uuid) =>
  (await openDisclosures({ door: database.tenant, ring: sealer() }, context, entryId)).map(({ text }) =>
    (JSON.parse(Buffer.from(text!, 'base64url').toString()) as string[]).slice(1),
  );

describe('an approval that is given while the tenant’s key store is away', () => {
  it('waits where nobody can open it, and is among what the entry withholds once the store is back', async () => {
    await changeSource(sourceDeps(), asker(), { source: KMS, from: null });
    const from = (await vault.sourcesClient.read(context)).active.sourceId;
    store.refusal.code = 'kek_disabled';
    clock.advance(HEALTH_FRESH_MS);
    await returnSource(sourceDeps(), asker(), { from });

    const { id, leaf } = await entryOf('key-source.returned');
    expect(leaf.public).toMatchObject({ approvalLate: true });
    const [waiting, ...more] = await late();
    expect([waiting!.entry_id, more]).toEqual([id, []]);
    // The leaf commits to it already.
    expect(leaf._sd).toContain(waiting!.digest);
    expect(waiting!.sealed.includes('keys.return-source')).toBe(false);
    // Withdrawn is withdrawn: the private half lies under the customer's key.
    const key = await admin.query<{ id: Uuid; sealed: Buffer }>(
      'select id, sealed from audit.late_key where tenant_id = $1',
      [context.tenantId],
    );
    const { id: rowId, sealed } = key.rows[0]!;
    await expect(sealer().openBytes({ context, field: 'audit.late_key.sealed', rowId, sealed })).rejects.toThrow(
      withCode('kek_disabled'),
    );
    expect([await move(), (await late()).length]).toEqual([0, 1]);

    store.refusal.code = undefined;
    clock.advance(HEALTH_FRESH_MS);
    expect([await move(), await late(), await move()]).toEqual([1, [], 0]);
    expect(await withheld(id)).toEqual([['approval', approvalText(ACTION)]]);
  });

  it('about a person keeps the hash of the action alone, which an erasure need not find', async () => {
    await changeSource(sourceDeps(), asker(), { source: KMS, from: null });
    const from = (await vault.sourcesClient.read(context)).active.sourceId;
    store.refusal.code = 'kek_unavailable';
    clock.advance(HEALTH_FRESH_MS);
    await returnSource(sourceDeps(), asker(uuid()), { from });
    store.refusal.code = undefined;
    clock.advance(HEALTH_FRESH_MS);
    await move();
    const [[name, text]] = (await withheld((await entryOf('key-source.returned')).id)) as [[string, string]];
    expect([name, JSON.parse(text)]).toMatchObject(['approval', { action: null, actionHash: 'hash' }]);
  });

  it('is not taken for another entry’s or tenant’s, nor opened once it was changed', async () => {
    await changeSource(sourceDeps(), asker(), { source: KMS, from: null });
    const from = (await vault.sourcesClient.read(context)).active.sourceId;
    store.refusal.code = 'kek_unavailable';
    clock.advance(HEALTH_FRESH_MS);
    await returnSource(sourceDeps(), asker(), { from });
    store.refusal.code = undefined;
    clock.advance(HEALTH_FRESH_MS);
    const { rows } = await admin.query<{ id: Uuid; sealed: Buffer }>(
      'select id, sealed from audit.late_key where tenant_id = $1',
      [context.tenantId],
    );
    const half = await sealer().openBytes({
      context,
      field: 'audit.late_key.sealed',
      rowId: rows[0]!.id,
      sealed: rows[0]!.sealed,
    });
    const { entry_id: entryId, sealed } = (await late())[0]!;
    const { tenantId } = context;
    expect(openLate(half, { tenantId, entryId }, sealed)).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(() => openLate(half, { tenantId, entryId: uuid() }, sealed)).toThrow();
    expect(() => openLate(half, { tenantId: uuid(), entryId }, sealed)).toThrow();
    for (const at of [0, 31, 32, sealed.length - 1]) {
      const changed = Buffer.from(sealed);
      changed[at]! ^= 1;
      expect(() => openLate(half, { tenantId, entryId }, changed), String(at)).toThrow();
    }
  });

  it('is said to be lost where the tenant has no key pair yet', async () => {
    // As a source that was registered before there were key pairs.
    const before = { ...asker(), stepUp: async () => ({ assertionHash: 'before', credentialId: 'c' }) };
    await changeSource({ ...sourceDeps(), recordAudit: createRecorder({}) }, before, { source: KMS, from: null });
    const from = (await vault.sourcesClient.read(context)).active.sourceId;
    store.refusal.code = 'kek_unavailable';
    clock.advance(HEALTH_FRESH_MS);
    await returnSource(sourceDeps(), asker(), { from });
    expect((await entryOf('key-source.returned')).leaf.public).toMatchObject({ approvalKept: false });
    expect(await late()).toEqual([]);
  });
});
