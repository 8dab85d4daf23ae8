import { fromBase64Url, isAppError, toBase64Url, type Uuid } from '@auditrax/base';
import type { KeyRing } from '@auditrax/seal';
import type { TenantContext } from '@auditrax/tenancy';
import { recordAudit } from '../../platform/audit/index.ts';
import type { InternalClient } from '../../platform/http/client.ts';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import type { KeysClient } from './client.ts';
import type { KeyPurpose } from './contract.ts';
import { keysError } from './errors.ts';
import type { Sealer } from './sealer.ts';
import type { KeyDeps } from './service.ts';
import { holderContract, shreddingContract } from './shredding-contract.ts';
import { destroyDek, everyDek } from './shredding-queries.ts';

/** The least that the column takes; the rotation's own destruction writes the same. */
const OVERWRITTEN = Buffer.alloc(48);
const CANARY_TEXT = 'auditrax deletion canary';
/**
 * A canary is a value like any other of the tenant, under a name that every process knows. It is bound to the id of the
 * deletion, so it can be taken for no member's label.
 */
const CANARY_FIELD = 'identity.member.label';
/** A key of a stored object, for the other purpose. */
const CANARY_KEY = Buffer.alloc(32, 0x5a);
/** These say that nobody answered. They prove nothing about a key. */
const OUTAGES: readonly string[] = [
  'database_conflict',
  'database_full',
  'database_timeout',
  'database_unavailable',
  'keys_unavailable',
  'service_unavailable',
];

/** Sealed values, one per purpose; null where the tenant's keys could not be used even before their destruction. */
export interface Canaries {
  readonly rowId: Uuid;
  readonly fields: Buffer | null;
  readonly objects: Buffer | null;
}

/** What trying came to: `opened`, or the code of the error; null without a canary. */
export type CanaryAnswers = Readonly<Record<KeyPurpose, string | null>>;

/** One data key, and what the keys process answered when it was asked for it after the destruction. */
export interface ShreddedKey {
  readonly id: Uuid;
  readonly purpose: KeyPurpose;
  readonly version: number;
  readonly commitment: string;
  readonly kekRef: string;
  readonly unwrapAfterwards: string;
}

/** Code of a refusal that a key's absence explains; throws an outage on, which proves nothing. */
function refusalCode(error: unknown): string {
  if (!isAppError(error) || OUTAGES.includes(error.code)) throw error;
  return error.code;
}

/**
 * Seals one value per purpose under the tenant's own keys and opens it again. A purpose whose key cannot be used now is
 * null, with the code in `refused`. Throws when a part of this house does not answer.
 */
export async function sealCanaries(
  sealer: Sealer,
  context: TenantContext,
  rowId: Uuid,
): Promise<{ readonly canaries: Canaries; readonly refused: CanaryAnswers }> {
  const place = { context, field: CANARY_FIELD, rowId } as const;
  const make = async (seal: () => Promise<Buffer>, open: (sealed: Buffer) => Promise<unknown>) => {
    try {
      const sealed = await seal();
      await open(sealed); // a canary that never opened would prove nothing afterwards
      return { sealed, code: null };
    } catch (error) {
      return { sealed: null, code: refusalCode(error) };
    }
  };
  const fields = await make(
    () => sealer.seal({ ...place, value: CANARY_TEXT }),
    (sealed) => sealer.openText({ ...place, sealed }),
  );
  const objects = await make(
    () => sealer.sealObjectKey({ context, objectId: rowId, key: CANARY_KEY }),
    (sealed) => sealer.openObjectKey({ context, objectId: rowId, sealed }),
  );
  return {
    canaries: { rowId, fields: fields.sealed, objects: objects.sealed },
    refused: { fields: fields.code, objects: objects.code },
  };
}

/** Wipes what this process holds of the tenant's keys, then tries the canaries for real. Throws on an outage. */
export async function tryCanaries(sealer: Sealer, context: TenantContext, canaries: Canaries): Promise<CanaryAnswers> {
  sealer.purge(context.tenantId);
  const attempt = async (sealed: Buffer | null, open: (sealed: Buffer) => Promise<unknown>) => {
    if (sealed === null) return null;
    try {
      await open(sealed);
      return 'opened';
    } catch (error) {
      return refusalCode(error);
    }
  };
  const { rowId } = canaries;
  return {
    fields: await attempt(canaries.fields, (sealed) =>
      sealer.openText({ context, field: CANARY_FIELD, rowId, sealed }),
    ),
    objects: await attempt(canaries.objects, (sealed) => sealer.openObjectKey({ context, objectId: rowId, sealed })),
  };
}

/** Under which key-encryption keys the tenant's data keys are, or were, stored. */
export async function kekRefsOf(deps: Pick<KeyDeps, 'tenantDoor'>, context: TenantContext): Promise<readonly string[]> {
  const rows = await deps.tenantDoor.transaction(context, (tx) => tx.query(everyDek(context.tenantId)));
  return [...new Set(rows.map((row) => row.kek_ref))];
}

/** Asks for every data key that is still stored; each answer is kept. Throws on an outage. */
export async function tryWrappedKeys(
  deps: Pick<KeyDeps, 'tenantDoor'> & { readonly keysClient: Pick<KeysClient, 'unwrap'> },
  context: TenantContext,
): Promise<ShreddedKey[]> {
  const rows = await deps.tenantDoor.transaction(context, (tx) => tx.query(everyDek(context.tenantId)));
  const tried: ShreddedKey[] = [];
  for (const row of rows) {
    const { id, purpose, version } = row;
    const facts = { id, purpose, version, commitment: row.commitment.toString('hex'), kekRef: row.kek_ref };
    if (row.state === 'DESTROYED') {
      tried.push({ ...facts, unwrapAfterwards: 'destroyed_before' });
      continue;
    }
    const wrapped = { kekRef: row.kek_ref, wrapped: row.wrapped };
    const answer = await deps.keysClient.unwrap(context, { purpose, dekId: id, version }, wrapped).then(
      (dek) => (dek.fill(0), 'opened'),
      (error: unknown) => refusalCode(error),
    );
    tried.push({ ...facts, unwrapAfterwards: answer });
  }
  return tried;
}

/** Overwrites every wrapped data key of the tenant and records each; repeating it finds nothing left. */
export async function overwriteKeys(
  deps: Pick<KeyDeps, 'tenantDoor' | 'service'>,
  context: TenantContext,
): Promise<number> {
  return deps.tenantDoor.transaction(context, async (tx) => {
    let destroyed = 0;
    for (const row of await tx.query(everyDek(context.tenantId))) {
      const changed = await tx.query(destroyDek(context.tenantId, row.id, OVERWRITTEN));
      if (changed.length === 0) continue;
      destroyed += 1;
      await recordAudit(tx, {
        type: 'key.destroyed',
        actor: { service: deps.service },
        resource: ['dek', row.id],
        outcome: 'allowed',
        requestId: context.requestId,
        public: { purpose: row.purpose, version: row.version, commitment: row.commitment.toString('hex') },
      });
    }
    return destroyed;
  });
}

/** What the keys process has to do for a deleted tenant; both are safe to repeat. */
export interface KeyDestroyer {
  /** In every store of the installation, also in what is kept of former states. Those destroyed now, as `provider:id`. */
  destroyKeks(tenantId: Uuid, kekRefs: readonly string[]): Promise<readonly string[]>;
  /** How many sources of its own were forgotten. */
  forgetSources(tenantId: Uuid): Promise<number>;
}

/** Destroys the tenant's key in the local ring. */
export function ringDestroyer(ring: Pick<KeyRing, 'destroyKekOf'>): (tenantId: Uuid) => Promise<readonly string[]> {
  return async (tenantId) => {
    const kekId = await ring.destroyKekOf(tenantId);
    return kekId === undefined ? [] : [`local:${kekId}`];
  };
}

/** Route of the `keys` service. */
export function shreddingRoutes(destroyer: KeyDestroyer): RoomRoutes {
  return bindRoutes(shreddingContract, {
    async destroy(call) {
      const tenantId = call.body.tenantId as Uuid; // the contract has checked its form
      const sources = await destroyer.forgetSources(tenantId);
      const destroyed = await destroyer.destroyKeks(tenantId, call.body.kekRefs);
      return { status: 200 as const, body: { destroyed: [...destroyed], sources } };
    },
  });
}

/** Route of every other holder of data keys: the `workspace`. */
export function holderRoutes({ sealer }: { readonly sealer: Sealer }): RoomRoutes {
  return bindRoutes(holderContract, {
    async forget(call) {
      const { tenantId, tenantPart, rowId, fields, objects } = call.body;
      const context = { tenantId: tenantId as Uuid, tenantPart, requestId: call.requestId };
      const canaries = { rowId: rowId as Uuid, fields: bytesOrNull(fields), objects: bytesOrNull(objects) };
      return { status: 200 as const, body: await tryCanaries(sealer, context, canaries) };
    },
  });
}

/** The issuer's way to the two. Throws what they answer, `service_unavailable` without an answer. */
export interface Shredder {
  destroy(
    context: TenantContext,
    kekRefs: readonly string[],
  ): Promise<{ readonly destroyed: readonly string[]; readonly sources: number }>;
  forgetElsewhere(context: TenantContext, canaries: Canaries): Promise<CanaryAnswers>;
}

export function createShredder(client: InternalClient): Shredder {
  return {
    async destroy({ tenantId, requestId }, kekRefs) {
      const body = { tenantId, kekRefs: [...kekRefs] };
      return (await client.call(shreddingContract.destroy, { body, requestId })).body;
    },
    async forgetElsewhere({ tenantId, tenantPart, requestId }, canaries) {
      const text = (bytes: Buffer | null) => (bytes === null ? null : toBase64Url(bytes));
      const body = {
        tenantId,
        tenantPart,
        rowId: canaries.rowId,
        fields: text(canaries.fields),
        objects: text(canaries.objects),
      };
      return (await client.call(holderContract.forget, { body, requestId })).body;
    },
  };
}

function bytesOrNull(text: string | null): Buffer | null {
  if (text === null) return null;
  const bytes = fromBase64Url(text);
  if (bytes === undefined) throw keysError('unwrap_refused', 'the canary is not canonical base64url');
  return bytes;
}
