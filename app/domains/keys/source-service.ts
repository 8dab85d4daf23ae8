import { AppError, isAppError } from '@auditrax/base';
import type { Clock, Json } from '@auditrax/base';
import type { SystemDoor, TenantContext } from '@auditrax/tenancy';
import { auditFromCall, type RecordAudit } from '../../platform/audit/index.ts';
import type { Caller, StepUp } from '../../platform/http/handler.ts';
import { CHANGED_SINCE, stepUpAction } from '../access/index.ts';
import { diagnose } from './diagnosis.ts';
import { keysError, type KeysErrorCode } from './errors.ts';
import { underFormerStore } from './installation.ts';
import { selectTier, selectWrapped } from './queries.ts';
import { rewrapKeys } from './rewrap.ts';
import type { RewrapReason } from './rewrap.ts';
import type { KeyDeps } from './service.ts';
import type { KeySourcesClient, MaterialInput } from './source-client.ts';
import { sourceApproval } from './source-approval.ts';
import type { CheckedSource, KeySourceView, Moving, OwnKeySource, TenantTier } from './source-contract.ts';

export interface SourceDeps extends Pick<KeyDeps, 'service' | 'tenantDoor' | 'keysClient'> {
  readonly sourcesClient: KeySourcesClient;
  readonly system: SystemDoor;
  readonly recordAudit: RecordAudit;
  readonly clock: Clock;
}

/** The lead who asks, and the way to have an action confirmed. */
export interface SourceAsker {
  readonly caller: Caller;
  readonly requestId: string;
  stepUp(action: Json): Promise<StepUp>;
}

/** A new source, and the one that it takes the place of, as the lead saw it; null: the installation's own. */
export interface SourceChange {
  readonly source: OwnKeySource;
  readonly from: string | null;
}

export interface Switched {
  readonly active: KeySourceView;
  readonly moving: Moving;
}

type Sources = Awaited<ReturnType<KeySourcesClient['read']>>;

/** What protects the tenant's keys, who used it, and how far a switch has come. */
export async function readSources(
  deps: SourceDeps,
  asker: SourceAsker,
): Promise<Sources & { tier: TenantTier; mayChange: boolean; moving: Moving }> {
  const context = contextOf(asker);
  const [sources, tier] = await Promise.all([deps.sourcesClient.read(context), tierOf(deps, context)]);
  const mayChange = tier === 'enterprise' && asker.caller.role === 'lead';
  return { ...sources, tier, mayChange, moving: await movingOf(deps, context, sources) };
}

/** Tries a source without keeping it. Throws `source_tier`, `keys_unavailable`. */
export async function checkSource(deps: SourceDeps, asker: SourceAsker, source: OwnKeySource): Promise<CheckedSource> {
  const context = contextOf(asker);
  await requireEnterprise(deps, context);
  const checked = await deps.sourcesClient.check(context, source);
  await record(deps, asker, {
    type: 'key-source.checked',
    facts: {
      kind: source.kind,
      ok: checked.ok,
      ...(checked.health.code === null ? {} : { code: checked.health.code }),
    },
  });
  return checked;
}

/**
 * Registers a source, makes it active and moves every data key to it. From the moment it is active nothing new is wrapped
 * by the former one; a data key that cannot be moved yet stays readable under the former source, and `finish` goes on.
 * Throws `source_tier`, `step_up_refused`, `key_setting_changed`, and what the store answers to the trial: then nothing has
 * changed.
 */
export async function changeSource(deps: SourceDeps, asker: SourceAsker, order: SourceChange): Promise<Switched> {
  const context = contextOf(asker);
  const { source, from } = order;
  await requireEnterprise(deps, context);
  const approval = { ...(await sourceApproval(source)), from };
  const { assertionHash } = await asker.stepUp(stepUpAction(asker.caller, 'keys.change-source', approval));
  await requireActive(deps, context, from);
  const registered = await deps.sourcesClient.register(context, source);
  await record(deps, asker, {
    type: 'key-source.registered',
    sourceId: registered.sourceId,
    stepUpHash: assertionHash,
    facts: factsOf(registered),
  });
  return activate(deps, asker, { sourceId: registered.sourceId, from, stepUpHash: assertionHash });
}

/** Before anything is tried or registered in its place; the keys process looks again when it switches. */
async function requireActive(deps: SourceDeps, context: TenantContext, from: string | null): Promise<void> {
  const { active } = await deps.sourcesClient.read(context);
  if (active.sourceId !== from)
    throw new AppError<KeysErrorCode>('key_setting_changed', 'not the source that was approved to be replaced', {
      publicDetail: CHANGED_SINCE,
    });
}

/** Back to the installation's own key store, in the same way. Throws `key_setting_changed`. */
export async function returnSource(
  deps: SourceDeps,
  asker: SourceAsker,
  { from }: Pick<SourceChange, 'from'>,
): Promise<Switched> {
  const { assertionHash } = await asker.stepUp(stepUpAction(asker.caller, 'keys.return-source', { from }));
  await requireActive(deps, contextOf(asker), from);
  return activate(deps, asker, { sourceId: null, from, stepUpHash: assertionHash });
}

/** Moves what a switch has left behind. */
export async function finishSource(deps: SourceDeps, asker: SourceAsker): Promise<Switched> {
  const context = contextOf(asker);
  const { active } = await deps.sourcesClient.read(context);
  await record(deps, asker, { type: 'key-source.resumed', sourceId: active.sourceId, facts: factsOf(active) });
  return moveKeys(deps, context, 'source-resumed');
}

/** What a tenant's own key material has to be packed with. Throws what the store answers. */
export async function importParameters(deps: SourceDeps, asker: SourceAsker, source: MaterialInput['source']) {
  const context = contextOf(asker);
  await requireEnterprise(deps, context);
  const parameters = await deps.sourcesClient.importParameters(context, source);
  await record(deps, asker, { type: 'key-source.import-prepared', facts: { keyArn: source.keyArn } });
  return parameters;
}

/** Hands packed key material on to the key store; it cannot be opened here. */
export async function importMaterial(deps: SourceDeps, asker: SourceAsker, input: MaterialInput) {
  const context = contextOf(asker);
  await requireEnterprise(deps, context);
  const { source, encryptedKeyMaterial, validTo } = input;
  const action = { keyArn: source.keyArn, encryptedKeyMaterial, validTo };
  const { assertionHash } = await asker.stepUp(stepUpAction(asker.caller, 'keys.import-material', action));
  const imported = await deps.sourcesClient.importMaterial(context, input);
  await record(deps, asker, {
    type: 'key-source.material-imported',
    stepUpHash: assertionHash,
    facts: { keyArn: source.keyArn, ...(validTo === null ? {} : { validTo }) },
  });
  return imported;
}

async function activate(
  deps: SourceDeps,
  asker: SourceAsker,
  order: { readonly sourceId: string | null; readonly from: string | null; readonly stepUpHash: string },
): Promise<Switched> {
  const context = contextOf(asker);
  const { active: before } = await deps.sourcesClient.read(context);
  const active = await deps.sourcesClient.activate(context, order.sourceId, order.from);
  await record(deps, asker, {
    type: order.sourceId === null ? 'key-source.returned' : 'key-source.activated',
    sourceId: order.sourceId,
    stepUpHash: order.stepUpHash,
    // Public, since a switch away from a store that is out of reach must be writable: nothing can be sealed then.
    facts: { ...factsOf(active), from: shownRef(before), to: shownRef(active) },
  });
  return moveKeys(deps, context, 'source-switched');
}

/**
 * Moves every data key to the active source, and forgets sources that hold none any more. A store that fails on the way
 * does not undo the switch: what is left, and why, is told.
 */
export async function moveKeys(deps: SourceDeps, context: TenantContext, reason: RewrapReason): Promise<Switched> {
  let stopped: Moving['stopped'] = null;
  try {
    await rewrapKeys(deps, context, { reason });
  } catch (error) {
    if (!isAppError(error)) throw error;
    stopped = { code: error.code, advice: diagnose(error.code).advice };
  }
  const sources = await deps.sourcesClient.read(context);
  const moving = { ...(await movingOf(deps, context, sources)), stopped };
  if (moving.left === 0 && stopped === null) await deps.sourcesClient.drop(context);
  return { active: sources.active, moving };
}

async function movingOf(deps: SourceDeps, context: TenantContext, sources: Sources): Promise<Moving> {
  const rows = await deps.tenantDoor.scoped(context, selectWrapped(context.tenantId));
  const { active } = sources;
  const former = new Set([sources.pending, ...sources.former].flatMap((one) => one?.kekRef ?? []));
  const isLeft = (kekRef: string) =>
    active.kekRef === null ? former.has(kekRef) || underFormerStore(kekRef, active.provider) : kekRef !== active.kekRef;
  return { total: rows.length, left: rows.filter((row) => isLeft(row.kek_ref)).length, stopped: null };
}

async function tierOf(deps: SourceDeps, { tenantId }: TenantContext): Promise<TenantTier> {
  const [row] = await deps.system.system(selectTier(tenantId));
  return row?.tier ?? 'standard';
}

async function requireEnterprise(deps: SourceDeps, context: TenantContext): Promise<void> {
  if ((await tierOf(deps, context)) !== 'enterprise')
    throw keysError('source_tier', `tenant ${context.tenantId} is not on the enterprise tier`);
}

type SourceEvent =
  | 'key-source.checked'
  | 'key-source.registered'
  | 'key-source.activated'
  | 'key-source.returned'
  | 'key-source.resumed'
  | 'key-source.import-prepared'
  | 'key-source.material-imported';

async function record(
  deps: SourceDeps,
  asker: SourceAsker,
  event: {
    readonly type: SourceEvent;
    readonly sourceId?: string | null;
    readonly stepUpHash?: string;
    readonly facts: Readonly<Record<string, string | number | boolean>>;
  },
): Promise<void> {
  const { caller, requestId } = asker;
  const context = contextOf(asker);
  await deps.tenantDoor.transaction(context, (tx) =>
    deps.recordAudit(tx, {
      type: event.type,
      ...auditFromCall({ caller, requestId }),
      resource: ['key-source', (event.sourceId ?? context.tenantId) as typeof context.tenantId],
      outcome: 'allowed',
      ...(event.stepUpHash === undefined ? {} : { stepUpHash: event.stepUpHash }),
      public: event.facts,
    }),
  );
}

/** A fact of an audit entry has at most 400 characters. */
const FACT_CHARACTERS_MAX = 400;

function shownRef({ kekRef }: KeySourceView): string {
  return (kekRef ?? 'installation').slice(0, FACT_CHARACTERS_MAX);
}

function factsOf(view: KeySourceView): Record<string, string> {
  const { provider, assurance, fingerprint } = view;
  return { provider, assurance, fingerprint, kekRef: shownRef(view) };
}

function contextOf(asker: SourceAsker): TenantContext {
  return { ...asker.caller.tenant, requestId: asker.requestId };
}
