import { AppError, uuidV4, type Uuid } from '@auditrax/base';
import type { TenantContext, TenantDoor } from '@auditrax/tenancy';
import { createSealer, watchLeases, type KeySourcesClient, type OwnKeySource, type Sealer } from '../keys/index.ts';
import type { DrillsCode } from './errors.ts';
import { canaryBySlug } from './queries.ts';
import type { DrillDeps, DrillResult } from './service.ts';

const DAY_MS = 86_400_000;
/** The value that is sealed is the drill's own: nobody's content is ever under a stand-in. */
const VALUE = 'rehearsed';
const FIELD = 'app.result.note';

type Deps = Pick<DrillDeps, 'system' | 'keysClient' | 'clock' | 'random' | 'fields'> & {
  readonly sourcesClient: KeySourcesClient;
};

interface Rehearsed {
  readonly context: TenantContext;
  readonly sealer: Sealer;
  readonly rowId: Uuid;
  readonly sealed: Buffer;
  stop(): void;
}

/**
 * A canary whose key source is a stand-in, for one rehearsal. The source, its verification, the data key, its cache and
 * its lease are the real ones; only the data key's row is held here and not in the database, so that an interrupted
 * rehearsal leaves nothing behind that could never be read again.
 */
export interface KeySourceDrill {
  begin(slug: string, source: OwnKeySource, requestId: string): Promise<DrillResult>;
  /** Reads as the workspace reads: from what it holds, else by asking the keys process. */
  read(): Promise<DrillResult>;
  end(slug: string, requestId: string): Promise<DrillResult>;
}

export function keySourceDrill(deps: Deps): KeySourceDrill {
  let current: Rehearsed | undefined;
  const stop = (): void => {
    current?.stop();
    current = undefined;
  };
  return {
    begin: (slug, source, requestId) =>
      told(async () => {
        stop();
        const context = await canaryContext(deps, slug, requestId);
        // Whatever an interrupted rehearsal has left: its stand-in is gone.
        await leave(deps, context);
        const registered = await deps.sourcesClient.register(context, source);
        const active = await deps.sourcesClient.activate(context, registered.sourceId);
        current = await sealOnce(deps, context);
        return { provider: active.provider, assurance: active.assurance, kekRef: active.kekRef ?? '' };
      }),
    read: () =>
      told(async () => {
        if (current === undefined) throw new AppError<DrillsCode>('drill_row_required', 'no rehearsal has begun');
        const { sealer, context, rowId, sealed } = current;
        const value = await sealer.openText({ context, field: FIELD, rowId, sealed });
        return { opened: value === VALUE };
      }),
    end: (slug, requestId) =>
      told(async () => {
        stop();
        await leave(deps, await canaryContext(deps, slug, requestId));
        return { ended: true };
      }),
  };
}

async function canaryContext(deps: Deps, slug: string, requestId: string): Promise<TenantContext> {
  const [row] = await deps.system.system(canaryBySlug(slug));
  if (row === undefined) throw new AppError<DrillsCode>('drill_canary_required', `${slug} is no canary tenant`);
  return { tenantId: row.id, tenantPart: Number(row.part), requestId };
}

async function leave(deps: Deps, context: TenantContext): Promise<void> {
  await deps.sourcesClient.activate(context, null);
  await deps.sourcesClient.drop(context, { now: true });
}

/** A data key of the active source that stands in no table, a sealer that uses it, and a value sealed by it. */
async function sealOnce(deps: Deps, context: TenantContext): Promise<Rehearsed> {
  const { clock, random, fields } = deps;
  const name = { purpose: 'fields', dekId: uuidV4(random), version: 1 } as const;
  const { kekRef, wrapped, commitment } = await deps.keysClient.generate(context, name);
  const row = {
    id: name.dekId,
    purpose: name.purpose,
    version: name.version,
    kek_ref: kekRef,
    wrapped,
    commitment,
    state: 'ACTIVE',
    created_at: new Date(clock.nowMs()),
    not_after: new Date(clock.nowMs() + DAY_MS),
  };
  const onlyRow = { scoped: () => Promise.resolve([row]) } as unknown as TenantDoor;
  const sealer = createSealer({
    service: 'workspace',
    tenantDoor: onlyRow,
    keysClient: deps.keysClient,
    clock,
    random,
    fields,
  });
  const rowId = uuidV4(random);
  const sealed = await sealer.seal({ context, field: FIELD, rowId, value: VALUE });
  const leases = watchLeases({ sealer, client: deps.sourcesClient, onFailure: () => undefined });
  const stop = (): void => {
    leases.stop();
    sealer.purge();
  };
  return { context, sealer, rowId, sealed, stop };
}

/** What a wall or a store answers is an outcome; a drill that cannot be made is an error. */
async function told(work: () => Promise<Readonly<Record<string, string | number | boolean>>>): Promise<DrillResult> {
  try {
    return { kind: 'happened', facts: await work() };
  } catch (error) {
    if (!(error instanceof AppError) || error.code.startsWith('drill_')) throw error;
    return { kind: 'refused', code: error.code };
  }
}
