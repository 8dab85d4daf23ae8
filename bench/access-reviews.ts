import { globSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { manualClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { EDGE_ROUTES } from '../app/bin/rooms.ts';
import type { BenchResult } from '../app/bin/commands/bench.ts';
import { accessReviewRoutes, sessionOperations, tendAccessReviews } from '../app/domains/access-reviews/index.ts';
import { DECISIONS_AT_ONCE_MAX } from '../app/domains/access-reviews/contract.ts';
import { insertMember, loadRoutePolicy } from '../app/domains/access/index.ts';
import { apiKeysHeld } from '../app/domains/api-access/index.ts';
import { programGrants } from '../app/domains/authorisation-server/index.ts';
import { startSeededIssuer, type SeededIssuer } from '../app/domains/tenants/testing/seeded-issuer.ts';
import type { Caller, Handler } from '../app/platform/http/handler.ts';

/** The largest organisation that one list is meant for. */
const PEOPLE = 500;
/** Later than the room looks at what it has removed. */
const PROOF_MS = 6_000;
const DAYS = 14;

async function addPeople({ deps }: SeededIssuer, { tenant: context }: Caller): Promise<void> {
  for (let index = 0; index < PEOPLE; index += 1) {
    const id = uuidV4(systemRandom);
    const value = `Person ${index}`;
    const label = await deps.sealer.seal({ context, field: 'identity.member.label', rowId: id, value });
    await deps.tenant.transaction(context, async (tx) => {
      const row = { id, role: 'auditor', state: 'active', label, created_at: new Date(deps.clock.nowMs()) } as const;
      await tx.query(insertMember(context.tenantId, row));
      const entry = { type: 'member.created', actor: { service: 'issuer' }, outcome: 'allowed' } as const;
      await deps.recordAudit(tx, {
        ...entry,
        resource: ['member', id],
        requestId: 'bench',
        public: { role: row.role },
      });
    });
  }
}

interface Shown {
  readonly review: { readonly snapshotHash: string; readonly state: string };
  readonly items: readonly { n: number; grown: string; isOwn: boolean; decision: string | null; role: string | null }[];
}

const failed = (error: unknown): never => {
  throw error;
};

/** The routes of the room, called as the issuer's floor calls them, by one lead. */
function callsOf(deps: Parameters<typeof accessReviewRoutes>[0], caller: Caller) {
  const handlers: Readonly<Record<string, Handler<never>>> = accessReviewRoutes(deps).handlers;
  return async <Body>(name: string, asked: object = {}): Promise<{ body: Body; took_ms: number }> => {
    const stepUp = async () => ({ assertionHash: 'assertion', credentialId: 'credential' });
    const call = { requestId: uuidV4(systemRandom), caller, params: {}, ids: {}, stepUp, ...asked };
    const began = performance.now();
    const { body } = (await handlers[name]!(call as never)) as { body: Body };
    return { body, took_ms: performance.now() - began };
  };
}

/**
 * A whole review of {@link PEOPLE} people on a real database: opened, read as the page reads it, decided fifty at a time, half of
 * them removed, and closed after every removal was looked at again. The rooms' own time, without gateway, browser and passkey.
 */
export async function measureAccessReviews(progress: (line: string) => void): Promise<BenchResult> {
  const clock = manualClock(Date.now());
  const house = await startSeededIssuer(clock);
  try {
    const policy = loadRoutePolicy(globSync(join(import.meta.dirname, '../app/domains/*/policy.cedar')).sort());
    const deps = {
      ...house.deps,
      revocations: [apiKeysHeld(house.deps), programGrants(house.deps)],
      judge: { policy, operations: sessionOperations(EDGE_ROUTES) },
      policyHash: policy.hash,
      onFailure: failed,
    };
    const lead = await house.callerOf((await house.enrol('harbour', 'lead')).cookie);
    progress(`${PEOPLE} people are reviewed`);
    await addPeople(house, lead);
    const call = callsOf(deps, lead);
    const opening = await call('open', { body: { days: DAYS } });
    const [row] = await house.rows<{ id: Uuid }>('select id from identity.access_review');
    const place = {
      ids: { 'params.reviewId': row!.id },
      params: { reviewId: house.deps.formatId('arv', lead.tenant, row!.id) },
    };
    const reading = await call<Shown>('read', place);
    const open = reading.body.items.filter(({ isOwn, role }) => !isOwn && role === 'auditor');
    const took_ms = { keep: [] as number[], remove: [] as number[] };
    for (let at = 0; at < open.length; at += DECISIONS_AT_ONCE_MAX) {
      const decision = at < open.length / 2 ? 'keep' : 'remove';
      const decisions = open.slice(at, at + DECISIONS_AT_ONCE_MAX).map(({ n, grown }) => ({
        item: n,
        grown,
        decision,
        ...(decision === 'remove' && { reason: 'Works elsewhere now.' }),
      }));
      const body = { snapshot: reading.body.review.snapshotHash, decisions };
      took_ms[decision].push((await call('decide', { ...place, body })).took_ms);
    }
    clock.advance(PROOF_MS);
    const began = performance.now();
    await tendAccessReviews(deps, { ...lead.tenant, requestId: 'bench' });
    const proving_ms = performance.now() - began;
    const after = await call<{ items: { proof: string | null }[] }>('read', place);
    const proven = after.body.items.filter(({ proof }) => proof === 'gone').length;
    const worst = (values: readonly number[]) => Math.round(Math.max(...values));
    return {
      figures: {
        review_open_ms: Math.round(opening.took_ms),
        review_read_ms: Math.round(reading.took_ms),
        review_keep_fifty_worst_ms: worst(took_ms.keep),
        review_remove_fifty_worst_ms: worst(took_ms.remove),
        review_prove_all_ms: Math.round(proving_ms),
      },
      conditions: {
        review_people: PEOPLE,
        review_removals_proven: proven,
        review_answer_kB: Math.round(JSON.stringify(reading.body).length / 1000),
      },
    };
  } finally {
    await house.stop();
  }
}
