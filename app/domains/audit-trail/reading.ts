import { AppError, uuidFromBytes, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { leafHash, toBase64 } from '@auditrax/tlog';
import { disclosureDigest } from '../../platform/audit/index.ts';
import type { Caller } from '../../platform/http/handler.ts';
import type { Entry } from './contract.ts';
import type { Asker, AuditTrailDeps } from './ports.ts';
import * as queries from './queries.ts';

/** An entry that is not sealed after this long is a fault that the operator is paged for, not a line in a list. */
const UNSEALED_AGE_MS_MAX = 15 * 60 * 1000;
/** How long a reader waits for the seal of an entry that was just written. */
const SEAL_WAIT_MS = 2000;
/** Above every place in a log. */
const NEWEST = { generation: 999_999_999, index: Number.MAX_SAFE_INTEGER };
/** Roles that may see what others only see the digest of. */
const OPENING_ROLES: ReadonlySet<Caller['role']> = new Set(['lead', 'operator']);

interface Leaf {
  readonly time: number;
  readonly type: string;
  readonly actor: readonly ['person' | 'service', string];
  readonly resource: readonly [string, string];
  readonly outcome: 'allowed' | 'denied' | 'failed';
  readonly request: string;
  readonly token?: string;
  readonly stepUp?: string;
  readonly public?: Readonly<Record<string, string | number | boolean>>;
  readonly _sd?: readonly string[];
}

/** Smallest id of version 7 at an instant. */
function idAt(milliseconds: number): Uuid {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(Math.max(0, milliseconds), 0, 6);
  return uuidFromBytes(bytes);
}

export interface ListInput {
  readonly cursor: string | undefined;
  readonly limit: number;
  readonly filter: queries.Filter;
}

function presenter({ formatId }: AuditTrailDeps) {
  return (context: TenantContext, { id, leaf }: queries.EntryRow, position: number | null): Entry => {
    const body = JSON.parse(leaf.toString('utf8')) as Leaf;
    const [kind, who] = body.actor;
    return {
      id: formatId('ent', context, id),
      type: body.type,
      at: new Date(body.time).toISOString(),
      actor: { kind, label: kind === 'person' ? formatId('mem', context, who as Uuid) : who },
      resource: [body.resource[0], body.resource[1]],
      outcome: body.outcome,
      requestId: body.request,
      position,
      public: { ...body.public },
    };
  };
}

async function listEntries(
  deps: AuditTrailDeps,
  { caller }: Asker,
  { cursor, limit, filter }: ListInput,
): Promise<{ entries: Entry[]; nextCursor: string | null }> {
  const { door } = deps;
  const present = presenter(deps);
  const context = caller.tenant;
  const [generation, index] = (cursor ?? '').split('-').map(Number);
  const before = cursor === undefined ? NEWEST : { generation: generation!, index: index! };
  // Sealed first: what gets sealed between the two statements is then shown once or not yet, never twice.
  const sealed = await door.scoped(context, queries.sealedEntries(context, { before, limit: limit + 1, filter }));
  const since = idAt(deps.clock.nowMs() - UNSEALED_AGE_MS_MAX);
  const fresh =
    cursor === undefined ? await door.scoped(context, queries.unsealedEntries(context, { since, limit, filter })) : [];
  const shown = sealed.slice(0, limit);
  const last = shown.at(-1);
  return {
    entries: [
      ...fresh.map((row) => present(context, row, null)),
      ...shown.map((row) => present(context, row, Number(row.idx))),
    ],
    nextCursor: sealed.length > limit && last !== undefined ? `${last.generation}-${last.idx}` : null,
  };
}

/** Everything that reads the trail. */
export function trailReader(deps: AuditTrailDeps) {
  const { door, ledger } = deps;
  const present = presenter(deps);
  const list = (asker: Asker, input: ListInput) => listEntries(deps, asker, input);

  const find = async (context: TenantContext, entryId: Uuid): Promise<queries.EntryRow> => {
    const [row] = await door.scoped(context, queries.entryById(context, entryId));
    if (row === undefined) throw new AppError('not_found', 'no such entry');
    return row;
  };

  const open = disclosureOpener(deps);

  const entry = async (asker: Asker, entryId: Uuid) => {
    const context = asker.caller.tenant;
    const row = await find(context, entryId);
    const [place] = await door.scoped(context, queries.placeOfEntry(context, entryId));
    const body = JSON.parse(row.leaf.toString('utf8')) as Leaf;
    return {
      ...present(context, row, place === undefined ? null : Number(place.idx)),
      leaf: row.leaf.toString('utf8'),
      tokenHash: body.token ?? null,
      stepUpHash: body.stepUp ?? null,
      disclosures: await open(asker, entryId, body._sd ?? []),
    };
  };

  const checkpoint = async ({ caller }: Asker) => {
    const { origin, size, note, verifierKey } = await ledger.checkpoint(caller.tenant.tenantId);
    return { origin, treeSize: size, checkpoint: note, vkey: verifierKey, witnesses: 0 };
  };

  const proof = async (asker: Asker, entryId: Uuid) => {
    const { tenantId } = asker.caller.tenant;
    const row = await find(asker.caller.tenant, entryId);
    const { index } = await ledger.receipt({ tenantId, entryId, waitMs: SEAL_WAIT_MS });
    const now = await checkpoint(asker);
    const [path] = await ledger.proofs({ tenantId, size: now.treeSize, indexes: [index] });
    return { ...now, index, leafHash: toBase64(leafHash(row.leaf)), path: path ?? [] };
  };

  const consistency = async (asker: Asker, from: number) => {
    const now = await checkpoint(asker);
    const { tenantId } = asker.caller.tenant;
    return { ...now, from, path: await ledger.consistency({ tenantId, from, to: now.treeSize }) };
  };

  return { list, entry, proof, checkpoint, consistency };
}

interface OpenedValue {
  readonly name: string;
  readonly value: string | null;
  readonly digest: string;
  readonly state: 'open' | 'withheld' | 'erased';
}

/**
 * Looking at withheld values is itself recorded, with a receipt, before any is opened. A value whose digest the leaf
 * does not name is never shown.
 */
function disclosureOpener(deps: AuditTrailDeps) {
  return async (asker: Asker, entryId: Uuid, digests: readonly string[]): Promise<OpenedValue[]> => {
    const context = asker.caller.tenant;
    if (digests.length === 0) return [];
    if (!OPENING_ROLES.has(asker.caller.role)) {
      return digests.map((digest) => ({ name: 'withheld', value: null, digest, state: 'withheld' as const }));
    }
    const looked = await deps.door.transaction(context, (tx) =>
      deps.recordAudit(tx, {
        type: 'audit-trail.disclosures.opened',
        actor: { personId: asker.caller.personId, sessionId: asker.caller.sessionId },
        resource: ['entry', entryId],
        outcome: 'allowed',
        tokenHash: asker.caller.tokenHash,
        requestId: asker.requestId,
        public: { values: digests.length },
      }),
    );
    await deps.ledger.receipt({ tenantId: context.tenantId, entryId: looked.entryId });
    const rows = await deps.door.scoped(context, queries.disclosuresOf(context, entryId));
    const asked = rows.filter((row) => digests.includes(row.digest));
    const texts = await deps.sealer.openTexts({
      context,
      values: asked.map(({ sealed }) => ({ field: 'audit.disclosure.sealed', rowId: entryId, sealed })),
    });
    const byDigest = new Map(asked.map((row, index) => [row.digest, texts[index]!]));
    return digests.map((digest) => {
      const text = byDigest.get(digest);
      if (text === undefined || disclosureDigest(text) !== digest)
        return { name: 'erased', value: null, digest, state: 'erased' as const };
      const [, name, value] = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as [string, string, string];
      return { name, value, digest, state: 'open' as const };
    });
  };
}
