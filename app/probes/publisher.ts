import type { KeyObject } from 'node:crypto';
import { createHash, randomUUID } from 'node:crypto';
import { isAppError, uuidV4, type Clock, type Random, type Uuid } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import type { Observation } from '../claims/grade.ts';
import type { ClaimId } from '../claims/ids.ts';
import type { FigureTable, Probe, ProbeHouse } from '../claims/probe.ts';
import { insertRevision, latestRevision } from '../claims/queries.ts';
import { allClaims, probedClaims } from '../claims/register.ts';
import { disclosureFiles, type DisclosurePolicy } from '../domains/disclosure/index.ts';
import {
  buildPage,
  MANIFEST_PATH,
  renderRevision,
  signPublication,
  type Conditions,
  type Organisation,
  type PageModel,
} from '../domains/trust/index.ts';
import { inForce, vendorFiles, type VendorRegistry } from '../domains/vendors/index.ts';
import { publishedRoutes } from '../platform/edge/published-contract.ts';
import type { Observation as LogObservation } from '../platform/audit/index.ts';
import type { InternalClient } from '../platform/http/client.ts';
import type { LogReader } from './log-key.ts';
import { observationsOf } from './runner.ts';

export interface PublisherDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly door: SystemDoor;
  readonly client: InternalClient;
  readonly log: LogReader;
  readonly operatorId: () => Promise<Uuid>;
  readonly record: (observation: LogObservation) => Promise<{ entryId: Uuid }>;
  readonly pageKey: KeyObject;
  readonly organisation: Organisation;
  readonly registry: VendorRegistry;
  readonly policy: DisclosurePolicy;
  readonly origin: string;
  /** What is smaller here than in production, and who co-signs the log; asked for each revision. */
  readonly notes: () => Promise<readonly string[]>;
  /** Witnesses of the log that are not our own. */
  readonly witnessesIndependent: () => Promise<number>;
  /** Asked for each revision what they have measured so far. */
  readonly probes: readonly Probe[];
  readonly house: ProbeHouse;
  /** Since when the probes have been due. */
  readonly dueSince_ms: number;
  /** Between two revisions; a revision is valid for fifteen minutes. */
  readonly interval_ms: number;
  readonly onFailure: (error: unknown) => void;
}

export interface Publisher {
  /** The page as it is to be said now; not published. */
  model(): Promise<PageModel>;
  /** Makes and hands over a new revision; resolves with its model. */
  publish(): Promise<PageModel>;
  start(): void;
  stop(): Promise<void>;
}

/** Revisions given up when the gateway has seen a newer one (a restored database); enough to get past it. */
const TRIES_MAX = 3;
const REVISIONS_SKIPPED = 1_000_000;

async function storedRuns(deps: PublisherDeps): Promise<Observation[]> {
  const probeIds = [...new Set(probedClaims.map((claim) => claim.probe!))];
  const runs = await Promise.all(probeIds.map((probeId) => observationsOf(deps.door, probeId)));
  return runs.flat();
}

/** Adds the proofs of the newest run of each probe; without them the page still stands, and says less. */
async function withProofs(deps: PublisherDeps, runs: readonly Observation[]): Promise<Observation[]> {
  const newest = new Map<string, Observation>();
  for (const run of runs) {
    const known = newest.get(run.probeId);
    if (run.entry !== undefined && (known === undefined || known.observedAt_ms < run.observedAt_ms))
      newest.set(run.probeId, run);
  }
  const entryIds = [...newest.values()].map((run) => run.entry!.entryId as Uuid);
  try {
    const proofs = await deps.log.proofsOf(await deps.operatorId(), entryIds);
    return runs.map((run) => {
      const found = run.entry === undefined ? undefined : proofs.get(run.entry.entryId);
      return found === undefined ? run : { ...run, entry: { ...run.entry!, ...found } };
    });
  } catch (error) {
    deps.onFailure(error);
    return [...runs];
  }
}

/** A probe that cannot tell says nothing; the page still stands. */
export function tablesOf({
  probes,
  house,
  onFailure,
}: Pick<PublisherDeps, 'probes' | 'house' | 'onFailure'>): Conditions['tables'] {
  const tables: Partial<Record<ClaimId, FigureTable>> = {};
  for (const probe of probes) {
    try {
      const table = probe.soFar?.(house);
      if (table !== undefined) for (const id of probe.claims) tables[id] = table;
    } catch (error) {
      onFailure(error);
    }
  }
  return tables;
}

async function conditionsOf(deps: PublisherDeps): Promise<Conditions> {
  const current = inForce(deps.registry, deps.clock.nowMs()).length;
  const figures: Partial<Record<ClaimId, string>> = { 'vendor.registry': `${current} today` };
  return {
    organisation: deps.organisation,
    origin: deps.origin,
    witnessesIndependent: await deps.witnessesIndependent(),
    notes: await deps.notes(),
    figures,
    tables: tablesOf(deps),
    probesDueSince_ms: deps.dueSince_ms,
  };
}

export function createPublisher(deps: PublisherDeps): Publisher {
  const { door, clock } = deps;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<unknown> = Promise.resolve();

  const modelAt = async (revision: number): Promise<PageModel> =>
    buildPage({
      claims: allClaims,
      observations: await withProofs(deps, await storedRuns(deps)),
      conditions: await conditionsOf(deps),
      now_ms: clock.nowMs(),
      revision,
    });

  const lastNumber = async (): Promise<number> => Number((await door.system(latestRevision()))[0]?.number ?? 0);

  const handOver = async (number: number): Promise<PageModel> => {
    const model = await modelAt(number);
    const rooms = [vendorFiles(deps.registry), disclosureFiles(deps.policy)];
    const revision = renderRevision({ model, rooms, pageKey: deps.pageKey });
    const manifest = revision.files.find((file) => file.path === MANIFEST_PATH)?.content ?? '';
    const manifestSha256 = createHash('sha256').update(manifest).digest('hex');
    const id = uuidV4(deps.random);
    const entry = await deps
      .record({
        type: 'page.published',
        resource: ['revision', id],
        outcome: 'allowed',
        requestId: id,
        public: { revision: number, digest: revision.digest, manifest: manifestSha256 },
      })
      .catch((error: unknown) => {
        deps.onFailure(error);
        return undefined;
      });
    const { digest, validUntil_ms } = revision;
    const { counts, generatedAt_ms } = model;
    await door.system(
      insertRevision({ number, digest, manifestSha256, generatedAt_ms, validUntil_ms, counts, ...entry }),
    );
    await deps.client.call(publishedRoutes.replace, {
      requestId: randomUUID(),
      body: signPublication(revision, deps.pageKey),
    });
    return model;
  };

  const publish = async (): Promise<PageModel> => {
    for (let tries = 1; ; tries += 1) {
      const number = (await lastNumber()) + (tries === 1 ? 1 : REVISIONS_SKIPPED);
      try {
        return await handOver(number);
      } catch (error) {
        if (tries >= TRIES_MAX || !isAppError(error, 'publication_refused')) throw error;
      }
    }
  };
  /** One at a time: two revisions must not want one number. */
  const inTurn = (): Promise<PageModel> => {
    const done = running.then(publish);
    running = done.catch(() => undefined);
    return done;
  };

  return {
    model: async () => modelAt((await lastNumber()) + 1),
    publish: inTurn,
    start: () => {
      timer = setInterval(() => void inTurn().catch(deps.onFailure), deps.interval_ms);
    },
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
}
