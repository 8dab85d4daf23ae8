import { AppError, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import {
  APPROVAL_NAME,
  checkApproval,
  leafHash,
  nodePrimitives,
  parseApproval,
  parseCheckpointText,
  parseNote,
  publicKeyHashOf,
  toBase64,
} from '@auditrax/tlog';
import { auditFromCall, openDisclosures } from '../../platform/audit/index.ts';
import type { Caller } from '../../platform/http/handler.ts';
import { KEY_CHANGES_SHOWN_MAX, LEAVES_PER_PAGE_MAX, type Entry, type ShownApproval } from './contract.ts';
import { refuse } from './errors.ts';
import { cosignedBy, cursorAt, knownLog, readLeaf, spanOf } from './searching.ts';
import { entriesLeft, requireWhole } from './narrowed.ts';
import type { Asker, AuditTrailDeps } from './ports.ts';
import * as queries from './queries.ts';

/** An entry that is not sealed after this long is a fault that the operator is paged for, not a line in a list. */
const UNSEALED_AGE_MS_MAX = 15 * 60 * 1000;
/** How long a reader waits for the seal of an entry that was just written. */
const SEAL_WAIT_MS = 2000;
/** Places looked at for one page: a tenth of a second of the database's time at most. */
const SCANNED_MAX = 20_000;
/** Roles that may see what others only see the digest of. */
export const OPENING_ROLES: ReadonlySet<Caller['role']> = new Set(['lead', 'operator']);

export interface ListInput {
  /** Place that the last page was looked through to. */
  readonly cursor: Uuid | undefined;
  readonly limit: number;
  readonly filter: queries.Filter;
}

function presenter({ formatId }: AuditTrailDeps) {
  return (context: TenantContext, { id, leaf }: queries.EntryRow, place: queries.PlaceRow | null): Entry => {
    const body = readLeaf(leaf);
    const [kind, who] = body.actor;
    return {
      id: formatId('ent', context, id),
      type: body.type,
      at: new Date(body.time).toISOString(),
      actor: { kind, label: kind === 'person' ? formatId('mem', context, who as Uuid) : who },
      resource: [body.resource[0], body.resource[1]],
      outcome: body.outcome,
      requestId: body.request,
      session: body.session ?? null,
      grant: body.grant ?? null,
      agents: (body.agents ?? []).map((agent) => formatId('cli', context, agent)),
      steppedUp: body.stepUp !== undefined,
      decision:
        body.decision === undefined
          ? null
          : { policies: [...body.decision.policies], revision: body.decision.revision },
      position: place === null ? null : Number(place.idx),
      generation: place === null ? null : place.generation,
      public: { ...body.public },
    };
  };
}

/** Sealed matches below the cursor, and the place that was looked at last when there may be more beyond it. */
async function searchSealed(
  deps: AuditTrailDeps,
  context: TenantContext,
  { cursor, limit, filter }: ListInput,
): Promise<{ rows: readonly queries.SealedRow[]; next: queries.PlaceRow | null; searched: number }> {
  const { door } = deps;
  const span = await spanOf(deps, context, { cursor, filter });
  const { object } = filter;
  if (object !== undefined) {
    const found = await door.scoped(
      context,
      queries.sealedEntriesOf(context, { ...span, limit: limit + 1, filter: { ...filter, object } }),
    );
    const rows = found.slice(0, limit);
    return { rows, next: found.length > limit ? rows.at(-1)! : null, searched: found.length };
  }
  const scan = SCANNED_MAX;
  const found = await door.scoped(context, queries.sealedEntries(context, { ...span, scan, limit: limit + 1, filter }));
  const rows = found.slice(0, limit);
  if (found.length > limit) return { rows, next: rows.at(-1)!, searched: rows.length };
  const [end] = await door.scoped(context, queries.scannedTo(context, { ...span, scan }));
  return { rows, next: end ?? null, searched: end === undefined ? rows.length : scan };
}

/** Where rules withhold much a page may hold fewer entries than asked for, or none, and still be followed by others. */
async function listEntries(deps: AuditTrailDeps, asker: Asker, input: ListInput) {
  const { caller } = asker;
  const { door, formatId } = deps;
  const { cursor, limit, filter } = input;
  const present = presenter(deps);
  const context = caller.tenant;
  // Sealed first: what gets sealed between the two statements is then shown once or not yet, never twice.
  const { rows, next, searched } = await searchSealed(deps, context, input);
  const since = queries.idAt(deps.clock.nowMs() - UNSEALED_AGE_MS_MAX);
  const fresh =
    cursor === undefined ? await door.scoped(context, queries.unsealedEntries(context, { since, limit, filter })) : [];
  const log = await knownLog(deps, context);
  return {
    entries: [
      ...(await entriesLeft(deps, asker, fresh)).map((row) => present(context, row, null)),
      ...(await entriesLeft(deps, asker, rows)).map((row) => present(context, row, row)),
    ],
    nextCursor: next === null ? null : formatId('tcu', context, cursorAt(next)),
    searched,
    log: log === null ? null : { generation: log.generation, size: log.size, cosigned: log.cosigned },
  };
}

interface Range {
  readonly from: number;
  /** Index after the last. */
  readonly to: number;
}

async function leavesOf(deps: AuditTrailDeps, asker: Asker, range: Range) {
  const context = asker.caller.tenant;
  if (range.to - range.from < 1 || range.to - range.from > LEAVES_PER_PAGE_MAX)
    throw refuse('range_invalid', `a range of 1 to ${LEAVES_PER_PAGE_MAX} entries`);
  const log = await knownLog(deps, context);
  if (log === null || range.to > log.size) throw refuse('range_invalid', 'the log is shorter');
  const rows = await deps.door.scoped(
    context,
    queries.leavesOfRange(context, { ...range, generation: log.generation }),
  );
  if (rows.length !== range.to - range.from)
    throw new AppError('internal', `the log has a gap between ${range.from} and ${range.to}`);
  await requireWhole(deps, asker, rows);
  return { from: range.from, leaves: rows.map((row) => row.leaf.toString('utf8')) };
}

/** Everything that reads the trail. */
export function trailReader(deps: AuditTrailDeps) {
  const { door, ledger } = deps;
  const present = presenter(deps);
  const list = (asker: Asker, input: ListInput) => listEntries(deps, asker, input);

  const find = async (asker: Asker, entryId: Uuid): Promise<queries.EntryRow> => {
    const context = asker.caller.tenant;
    const [row] = await entriesLeft(deps, asker, await door.scoped(context, queries.entryById(context, entryId)));
    if (row === undefined) throw new AppError('not_found', 'no such entry');
    return row;
  };

  const open = disclosureOpener(deps);

  const entry = async (asker: Asker, entryId: Uuid) => {
    const context = asker.caller.tenant;
    const row = await find(asker, entryId);
    const [place] = await door.scoped(context, queries.placeOfEntry(context, entryId));
    const body = readLeaf(row.leaf);
    const disclosures = await open(asker, entryId, body._sd ?? []);
    return {
      ...present(context, row, place ?? null),
      leaf: row.leaf.toString('utf8'),
      tokenHash: body.token ?? null,
      stepUpHash: body.stepUp ?? null,
      approval: await shownApproval(disclosures, { stepUp: body.stepUp, person: body.actor[1] }),
      disclosures,
    };
  };

  const checkpoint = async ({ caller }: Asker) => {
    const [{ origin, size, note, verifierKey }, cosigned] = await Promise.all([
      ledger.checkpoint(caller.tenant.tenantId),
      cosignedBy(deps),
    ]);
    return { origin, treeSize: size, checkpoint: note, vkey: verifierKey, witnesses: cosigned?.by ?? 0, cosigned };
  };

  const proof = async (asker: Asker, entryId: Uuid) => {
    const { tenantId } = asker.caller.tenant;
    const row = await find(asker, entryId);
    const { index } = await ledger.receipt({ tenantId, entryId, waitMs: SEAL_WAIT_MS });
    const now = await checkpoint(asker);
    const [path] = await ledger.proofs({ tenantId, size: now.treeSize, indexes: [index] });
    const changes = await changesOf(deps, { tenantId, treeSize: now.treeSize });
    const epoch = await epochOf(deps, { tenantId, index, origin: now.origin });
    const held = epoch && (await ledger.proofs({ tenantId, size: epoch.size, indexes: [index] }));
    const outside = epoch && { ...epoch.shown, path: held?.[0] ?? [] };
    return { ...now, index, leafHash: toBase64(leafHash(row.leaf)), path: path ?? [], changes, outside };
  };

  const consistency = async (asker: Asker, from: number) => {
    const now = await checkpoint(asker);
    const { tenantId } = asker.caller.tenant;
    return { ...now, from, path: await ledger.consistency({ tenantId, from, to: now.treeSize }) };
  };

  const leaves = (asker: Asker, range: Range) => leavesOf(deps, asker, range);

  const rangeProof = async (asker: Asker, { from, to }: Range) => {
    const now = await checkpoint(asker);
    if (!(from < to && to <= now.treeSize)) throw refuse('range_invalid', `the log has ${now.treeSize} entries`);
    const { tenantId } = asker.caller.tenant;
    const [first, last] = await ledger.proofs({ tenantId, size: now.treeSize, indexes: [from, to - 1] });
    const changes = await changesOf(deps, { tenantId, treeSize: now.treeSize });
    const epoch = await epochOf(deps, { tenantId, index: to - 1, origin: now.origin });
    const path = epoch && (await consistencyOf(deps, { tenantId, sizes: [epoch.size, now.treeSize] }));
    const outside = epoch && { ...epoch.shown, path: path ?? [] };
    return { ...now, from, to, first: first ?? [], last: last ?? [], changes, outside };
  };

  return { list, entry, proof, checkpoint, consistency, leaves, rangeProof };
}

/** Of two sizes of one log, in either order; empty where there is nothing to prove. */
async function consistencyOf(
  { ledger }: AuditTrailDeps,
  { tenantId, sizes: [a, b] }: { tenantId: Uuid; sizes: readonly [number, number] },
): Promise<string[]> {
  const [from, to] = a <= b ? [a, b] : [b, a];
  return from === to || from === 0 ? [] : [...(await ledger.consistency({ tenantId, from, to }))];
}

/** The last changes of the log's key, each with its way to the log as it is now. */
async function changesOf(deps: AuditTrailDeps, { tenantId, treeSize }: { tenantId: Uuid; treeSize: number }) {
  const changes = await deps.ledger.keyChanges(tenantId);
  return Promise.all(
    changes.slice(-KEY_CHANGES_SHOWN_MAX).map(async ({ note, leaf, index, proof }) => {
      const size = parseCheckpointText(parseNote(note)?.text ?? '')?.size ?? 0;
      return {
        note,
        leaf,
        index,
        proof: [...proof],
        consistency: await consistencyOf(deps, { tenantId, sizes: [size, treeSize] }),
      };
    }),
  );
}

/** The first epoch of the super-log in which the log was long enough to hold the entry. */
async function epochOf(
  { ledger }: AuditTrailDeps,
  { tenantId, index, origin }: { tenantId: Uuid; index: number; origin: string },
) {
  const epochs = await ledger.epochs({ tenantId, from: index + 1, to: index + 1 });
  const holding = epochs
    .map((evidence) => ({ evidence, at: parseCheckpointText(parseNote(evidence.checkpoint)?.text ?? '') }))
    .filter(({ at }) => at !== undefined && at.origin === origin && at.size > index)
    .sort((a, b) => a.evidence.index - b.evidence.index);
  const [first] = holding;
  if (first === undefined) return null;
  const { policy } = await ledger.witnessing();
  const { timestamp: _timestamp, proof, slotProof, ...evidence } = first.evidence;
  const shown = { evidence: { ...evidence, proof: [...proof], slotProof: [...slotProof] }, policy };
  return { size: first.at!.size, shown };
}

interface OpenedValue {
  readonly name: string;
  readonly value: string | null;
  readonly digest: string;
  readonly state: 'open' | 'withheld' | 'erased';
  readonly erasedBy: { readonly id: string; readonly position: number | null } | null;
}

/** The approval among what was opened, checked again as an auditor would. */
async function shownApproval(
  opened: readonly OpenedValue[],
  entry: { readonly stepUp: string | undefined; readonly person: string },
): Promise<ShownApproval | null> {
  const text = opened.find(({ name, state }) => name === APPROVAL_NAME && state === 'open')?.value;
  if (text == null || entry.stepUp === undefined) return null;
  const approval = parseApproval(text);
  if (approval === undefined) return null;
  const verdict = await checkApproval(nodePrimitives, approval, { stepUp: entry.stepUp, person: entry.person });
  return {
    action: approval.action,
    actionHash: approval.actionHash,
    passkey: approval.credential,
    publicKeyHash: await publicKeyHashOf(nodePrimitives, approval),
    origin: approval.origin,
    failed: verdict.ok ? null : verdict.check,
  };
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
      return digests.map((digest) => ({
        name: 'withheld',
        value: null,
        digest,
        state: 'withheld' as const,
        erasedBy: null,
      }));
    }
    const looked = await deps.door.transaction(context, (tx) =>
      deps.recordAudit(tx, {
        type: 'audit-trail.disclosures.opened',
        ...auditFromCall(asker),
        resource: ['entry', entryId],
        outcome: 'allowed',
        public: { values: digests.length },
      }),
    );
    await deps.ledger.receipt({ tenantId: context.tenantId, entryId: looked.entryId });
    const found = await openDisclosures({ door: deps.door, ring: deps.sealer }, context, entryId);
    const byDigest = new Map(found.map((one) => [one.digest, one]));
    return digests.map((digest) => {
      const { text = null, erasedBy = null } = byDigest.get(digest) ?? {};
      if (text === null) {
        const by = erasedBy && { id: deps.formatId('ent', context, erasedBy.entryId), position: erasedBy.index };
        return { name: 'erased', value: null, digest, state: 'erased' as const, erasedBy: by };
      }
      const [, name, value] = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as [string, string, string];
      return { name, value, digest, state: 'open' as const, erasedBy: null };
    });
  };
}
