import { AppError, uuidV4, type Json } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { endKeysOfTenant } from '../api-access/index.ts';
import { endGrantsOfTenant } from '../authorisation-server/index.ts';
import { deleteConnectionIndexOf } from '../connections/index.ts';
import { announceEndOfTenant, endStreamsOfTenant, type SignalSender } from '../signal-transmitter/index.ts';
import { deleteReceivedIndexOf } from '../signal-receiver/index.ts';
import { closeSessionsOf, deleteCredentialIndexOf, deleteLinksOf, type IdentityDeps } from '../identity/index.ts';
import {
  kekRefsOf,
  overwriteKeys,
  sealCanaries,
  tryCanaries,
  tryWrappedKeys,
  type Canaries,
  type CanaryAnswers,
  type KeysClient,
  type ShreddedKey,
  type Shredder,
} from '../keys/index.ts';
import { certificateDigest } from './certificate.ts';
import { contextOf, nextState, REMAINS, type DeletionDeps } from './deletion.ts';
import * as queries from './deletion-queries.ts';
import type { DeletionRow, SubjectRow } from './deletion-queries.ts';

/** A destruction that failed is tried again after this; somebody has been told meanwhile. */
export const FAILED_RETRY_MS = 10 * 60 * 1000;
/** Commitments in the log entry itself; the certificate, whose digest stands there too, holds them all. */
const COMMITMENTS_IN_ENTRY_MAX = 8;
const REFS_IN_ENTRY_CHARS_MAX = 400;
const ISSUER = { service: 'issuer' } as const;

export interface DestructionDeps extends DeletionDeps, Pick<IdentityDeps, 'sealer'> {
  readonly keysClient: Pick<KeysClient, 'unwrap'>;
  readonly shredder: Shredder;
  /** Sends what receivers of shared signals have to hear before everything ends. */
  readonly sender: Pick<SignalSender, 'wake' | 'settled'>;
}

/** What is known so far; kept in the row, so that a destruction goes on where it was cut off. */
interface Evidence {
  /** Purposes whose key could not be used even before. */
  readonly refusedBefore: CanaryAnswers;
  /** Key-encryption keys, as `provider:id`. */
  readonly destroyed?: readonly string[];
  readonly sources?: number;
  readonly keys?: readonly ShreddedKey[];
  readonly answers?: Readonly<Record<string, CanaryAnswers>>;
  readonly stillOpen?: readonly string[];
}

/** One deletion under way. */
interface Run {
  readonly operator: TenantContext;
  readonly subject: SubjectRow;
  readonly context: TenantContext;
  readonly row: DeletionRow;
}

/**
 * Carries out what is due, and what a crash or a failure left behind: safe to run at any time, in one process. Each step
 * is durable before the next and may be repeated. Returns how many were finished; a failure of one is thrown after the
 * others had their turn.
 */
export async function runDueDeletions(deps: DestructionDeps): Promise<number> {
  const requestId = uuidV4(deps.random);
  const [tenant] = await deps.system.system(queries.operatorTenant());
  if (tenant === undefined) return 0;
  const operator = contextOf(tenant, requestId);
  const nowMs = deps.clock.nowMs();
  const due = queries.dueDeletions(operator.tenantId, new Date(nowMs), new Date(nowMs - FAILED_RETRY_MS));
  const failures: unknown[] = [];
  let finished = 0;
  for (const row of await deps.tenant.scoped(operator, due)) {
    try {
      const [subject] = await deps.system.system(queries.subjectById(row.subject_id));
      if (subject === undefined) throw new AppError<'not_found'>('not_found', `no tenant ${row.subject_id}`);
      const run = { operator, subject, context: contextOf(subject, requestId), row };
      if (await destroyTenant(deps, run)) finished += 1;
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return finished;
}

/** True when the canaries agree that the tenant is gone. */
async function destroyTenant(deps: DestructionDeps, due: Run): Promise<boolean> {
  const run = await begin(deps, due);
  await announceEndOfTenant(deps, run.context);
  await endAccess(deps, run);
  const evidence = await destroyKeys(deps, run);
  const openKeys = evidence.keys!.filter(({ unwrapAfterwards }) => unwrapAfterwards === 'opened');
  if (openKeys.length > 0) return fail(deps, run, { ...evidence, stillOpen: openKeys.map(({ purpose }) => purpose) });
  await overwriteKeys({ tenantDoor: deps.tenant, service: 'issuer' }, run.context);
  const canaries = canariesOf(run.row);
  const answers = {
    issuer: await tryCanaries(deps.sealer, run.context, canaries),
    workspace: await deps.shredder.forgetElsewhere(run.context, canaries),
  };
  const tried: Evidence = { ...evidence, answers };
  const stillOpen = (['fields', 'objects'] as const).filter((purpose) =>
    Object.values(answers).some((answer) => answer[purpose] === 'opened'),
  );
  return stillOpen.length > 0 ? fail(deps, run, { ...tried, stillOpen }) : finish(deps, run, tried);
}

/** Seals the canaries while the keys still work, closes the tenant, and marks the point of no return. */
async function begin(deps: DestructionDeps, run: Run): Promise<Run> {
  const { operator, subject, row } = run;
  const place = { tenantId: operator.tenantId, id: row.id };
  nextState(row.state, 'begin');
  if (row.state === 'destroying') return run;
  const isFirst = row.state === 'confirmed';
  const made = isFirst ? await sealCanaries(deps.sealer, run.context, row.id) : undefined;
  const changed = await deps.tenant.transaction(operator, async (tx) => {
    const [current] = await tx.query(queries.deletionForUpdate(operator.tenantId, row.id));
    // Cancelled meanwhile: the machine refuses, and nothing has happened yet.
    nextState(current!.state, 'begin');
    if (made === undefined) await tx.query(queries.resumeDestruction(place));
    else {
      const now = new Date(deps.clock.nowMs());
      await tx.query(queries.beginDestruction(place, { ...made.canaries, now }));
      await tx.query(queries.keepEvidence(place, JSON.stringify({ refusedBefore: made.refused })));
    }
    await deps.recordAudit(tx, {
      type: isFirst ? 'tenant.destruction-begun' : 'tenant.destruction-resumed',
      actor: ISSUER,
      resource: ['deletion', row.id],
      outcome: 'allowed',
      requestId: operator.requestId,
      public: { tenant: subject.id, slug: subject.slug },
    });
    return (await tx.query(queries.deletionById(operator.tenantId, row.id)))[0]!;
  });
  return { ...run, row: changed };
}

/** Nobody signs in any more: the tenant is closed; sessions, links, keys, streams and what programs hold end, passkeys lead nowhere. */
async function endAccess(deps: DestructionDeps, { subject, context }: Run): Promise<void> {
  // Home is asked who there is; the cell's own row is what its keys and guards look at.
  const close = queries.closeTenant(subject.id, new Date(deps.clock.nowMs()));
  await deps.system.system(close);
  await deps.system.at(subject.id).system(close);
  await deps.tenant.transaction(context, async (tx) => {
    for (const { id } of await tx.query(queries.allMembers(subject.id))) {
      await tx.query(deleteLinksOf(subject.id, id));
      await closeSessionsOf(deps, tx, { memberId: id, reason: 'tenant-deleted', actor: ISSUER });
    }
    await endKeysOfTenant(deps, tx);
    await endGrantsOfTenant(deps, tx);
    await tx.query(deleteCredentialIndexOf(subject.id));
    await tx.query(deleteConnectionIndexOf(subject.id));
    await endStreamsOfTenant(deps, tx);
    await tx.query(deleteReceivedIndexOf(subject.id));
  });
}

/**
 * Destroys the key-encryption key, then asks for every stored data key with its wrapped bytes as a thief or a restored
 * table would have them. The answers are durable before the bytes are overwritten.
 */
async function destroyKeys(deps: DestructionDeps, run: Run): Promise<Evidence> {
  const before = evidenceOf(run.row);
  const isProven = before.keys !== undefined && !before.keys.some((key) => key.unwrapAfterwards === 'opened');
  if (isProven) return before;
  const kekRefs = await kekRefsOf({ tenantDoor: deps.tenant }, run.context);
  const { destroyed, sources } = await deps.shredder.destroy(run.context, kekRefs);
  const keys = await tryWrappedKeys({ tenantDoor: deps.tenant, keysClient: deps.keysClient }, run.context);
  const { stillOpen: _former, ...kept } = before;
  const evidence: Evidence = {
    ...kept,
    destroyed: [...new Set([...(before.destroyed ?? []), ...destroyed])],
    sources: Math.max(sources, before.sources ?? 0),
    keys,
  };
  const { operator, row, subject } = run;
  await deps.tenant.transaction(operator, async (tx) => {
    await tx.query(queries.keepEvidence({ tenantId: operator.tenantId, id: row.id }, JSON.stringify(evidence)));
    await deps.recordAudit(tx, {
      type: 'tenant.keys-destroyed',
      actor: ISSUER,
      resource: ['deletion', row.id],
      outcome: 'allowed',
      requestId: operator.requestId,
      public: { tenant: subject.id, slug: subject.slug, dataKeys: keys.length },
    });
  });
  return evidence;
}

/** Something still opened: said loudly, tried again later, never certified. */
async function fail(deps: DestructionDeps, run: Run, evidence: Evidence): Promise<false> {
  const { operator, row, subject } = run;
  await deps.tenant.transaction(operator, async (tx) => {
    nextState('destroying', 'fail');
    const now = new Date(deps.clock.nowMs());
    const place = { tenantId: operator.tenantId, id: row.id };
    await tx.query(queries.failDestruction(place, { now, evidence: JSON.stringify(evidence) }));
    await deps.recordAudit(tx, {
      type: 'tenant.destruction-failed',
      actor: ISSUER,
      resource: ['deletion', row.id],
      outcome: 'failed',
      requestId: operator.requestId,
      public: { tenant: subject.id, slug: subject.slug, stillOpen: (evidence.stillOpen ?? []).join(' ') },
    });
  });
  return false;
}

/** Writes the destruction certificate, into the row whole and into the operator's log by its digest and main facts. */
async function finish(deps: DestructionDeps, run: Run, evidence: Evidence): Promise<true> {
  const { operator, row, subject } = run;
  const now = new Date(deps.clock.nowMs());
  const certificate = certificateOf(run, evidence, now);
  const keys = evidence.keys ?? [];
  await deps.tenant.transaction(operator, async (tx) => {
    nextState('destroying', 'finish');
    const place = { tenantId: operator.tenantId, id: row.id };
    await tx.query(queries.finishDestruction(place, { now, certificate: JSON.stringify(certificate) }));
    await deps.recordAudit(tx, {
      type: 'tenant.destroyed',
      actor: ISSUER,
      resource: ['deletion', row.id],
      outcome: 'allowed',
      requestId: operator.requestId,
      public: {
        tenant: subject.id,
        slug: subject.slug,
        certificate: certificateDigest(certificate),
        dataKeys: keys.length,
        keyRefs: [...new Set(keys.map(({ kekRef }) => kekRef))].join(' ').slice(0, REFS_IN_ENTRY_CHARS_MAX),
        errors: [...new Set(keys.map((key) => key.unwrapAfterwards))].join(' '),
        canaryFields: saying(evidence, 'fields'),
        canaryObjects: saying(evidence, 'objects'),
        ...Object.fromEntries(
          keys
            .slice(-COMMITMENTS_IN_ENTRY_MAX)
            .map(({ purpose, version, commitment }) => [`commitment_${purpose}_${version}`, commitment]),
        ),
      },
    });
  });
  return true;
}

function saying(evidence: Evidence, purpose: 'fields' | 'objects'): string {
  const refused = evidence.refusedBefore[purpose];
  if (refused !== null) return `not usable before: ${refused}`;
  return Object.entries(evidence.answers ?? {})
    .map(([process, answer]) => `${process}: ${answer[purpose] ?? 'none'}`)
    .join(', ');
}

function certificateOf({ row, subject }: Run, evidence: Evidence, now: Date): Record<string, Json> {
  const keys = evidence.keys ?? [];
  const canary = (purpose: 'fields' | 'objects') => ({
    purpose,
    openedBefore: evidence.refusedBefore[purpose] === null,
    refusedBefore: evidence.refusedBefore[purpose],
    afterwards: Object.fromEntries(
      Object.entries(evidence.answers ?? {}).map(([process, answer]) => [process, answer[purpose]]),
    ),
  });
  return {
    format: 'auditrax-destruction-certificate/v1',
    deletion: row.id,
    tenant: { id: subject.id, slug: subject.slug, name: subject.display_name },
    proposed: { person: row.proposed_by, at: row.proposed_at.toISOString() },
    confirmed: { person: row.confirmed_by, at: row.confirmed_at?.toISOString() ?? null },
    dueAt: row.due_at?.toISOString() ?? null,
    begunAt: row.begun_at?.toISOString() ?? null,
    endedAt: now.toISOString(),
    inventory: row.inventory,
    keyEncryptionKeys: [...new Set(keys.map(({ kekRef }) => kekRef))],
    // What the installation itself held; a key in a store of the tenant's own is not ours to destroy.
    keysDestroyed: [...(evidence.destroyed ?? [])],
    sourcesForgotten: evidence.sources ?? 0,
    dataKeys: keys.map((key) => ({ ...key })),
    canaries: [canary('fields'), canary('objects')],
    remains: [...REMAINS],
  };
}

function canariesOf(row: DeletionRow): Canaries {
  return { rowId: row.id, fields: row.canary_fields, objects: row.canary_objects };
}

function evidenceOf(row: DeletionRow): Evidence {
  return (row.evidence ?? { refusedBefore: { fields: null, objects: null } }) as unknown as Evidence;
}
