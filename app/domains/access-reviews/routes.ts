import { AppError } from '@auditrax/base';
import { auditFromCall } from '../../platform/audit/index.ts';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { confirmer, requireManager, type Asker } from '../access/index.ts';
import { REVIEW_DAYS, REVIEW_DAYS_MAX, REVIEW_DAYS_MIN, routes } from './contract.ts';
import { accessReviewSubjects, decide, tenantOf } from './deciding.ts';
import type { AccessReviewDeps } from './deps.ts';
import { refuse } from './errors.ts';
import { DAY_MS, openReview, setEachQuarter } from './opening.ts';
import * as queries from './queries.ts';
import { listReviews, readReview } from './reading.ts';
import { snapshotText } from './snapshot.ts';
import { tendReview } from './tend.ts';

const byOf = (who: Asker) => ({ ...auditFromCall(who), stepUpHash: who.stepUp.assertionHash });

/** Routes of the issuer. */
export function accessReviewRoutes(
  deps: AccessReviewDeps & { readonly onFailure: (error: unknown) => void },
): RoomRoutes {
  const confirm = confirmer({ subjects: accessReviewSubjects(deps) });
  return bindRoutes(routes, {
    async list({ caller }) {
      const days = { least: REVIEW_DAYS_MIN, usual: REVIEW_DAYS, most: REVIEW_DAYS_MAX };
      return { status: 200 as const, body: { ...(await listReviews(deps, caller)), days } };
    },
    async read({ caller, ids }) {
      return { status: 200 as const, body: await readReview(deps, caller, ids['params.reviewId']) };
    },
    async snapshot({ caller, ids }) {
      const { tenant: context } = caller;
      const [row] = await deps.tenant.scoped(context, queries.reviewById(context, ids['params.reviewId']));
      if (row === undefined) throw new AppError<'not_found'>('not_found', 'no such review');
      const text = await snapshotText(deps, tenantOf(caller), row);
      return { status: 200 as const, body: { text, sha256: row.snapshot_hash.toString('hex') } };
    },
    async open(call) {
      const who = await confirm(call, 'access-reviews.open', { input: call.body });
      const id = await openReview(deps, {
        tenant: tenantOf(call.caller),
        dueAt: new Date(deps.clock.nowMs() + call.body.days * DAY_MS),
        by: byOf(who),
        openedBy: call.caller.personId,
        allow: (tx) => requireManager(tx, call.caller),
      });
      if (id === undefined) throw refuse('access_review_open', 'one is under way');
      return { status: 201 as const, body: { id: deps.formatId('arv', call.caller.tenant, id) } };
    },
    async decide(call) {
      const review = call.ids['params.reviewId'];
      const { snapshot, decisions } = call.body;
      const input = { ...call.params, snapshot, decisions: decisions.map((one) => ({ ...one })) };
      const who = await confirm(call, 'access-reviews.decide', { input, ids: { reviewId: review } });
      const undecided = await decide(deps, who, { review, snapshot, decisions });
      // What is to go goes now; what cannot is tried again by the chore, and nobody's decision is lost for it.
      const { tenant: context } = call.caller;
      const [row] = await deps.tenant.scoped(context, queries.reviewById(context, review));
      if (row !== undefined) await tendReview(deps, tenantOf(call.caller), row).catch(deps.onFailure);
      return { status: 200 as const, body: { decided: decisions.length, undecided } };
    },
    async setQuarterly(call) {
      const who = await confirm(call, 'access-reviews.set-quarterly', { input: call.body });
      const allow = { allow: (tx: Parameters<typeof requireManager>[0]) => requireManager(tx, call.caller) };
      await setEachQuarter(deps, tenantOf(call.caller), { on: call.body.on, by: byOf(who), ...allow });
      return { status: 200 as const, body: { on: call.body.on } };
    },
  });
}
