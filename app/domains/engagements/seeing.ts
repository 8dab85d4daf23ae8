import type { Uuid } from '@auditrax/base';
import type { Statement } from '@auditrax/tenancy';
import { readStanding } from '../rules/index.ts';
import type { Asker, EngagementDeps } from './ports.ts';
import { ENGAGEMENT_COLUMNS, permittedAmong } from './queries.ts';
import type { ListSampler } from './sampler.ts';

const OPERATION = 'engagements.read';

/**
 * Which of the named engagements the rules of the asker's organisation leave them. Undefined: there are no rules, so
 * nothing is taken away. What no longer exists is left to nobody. Throws `rules_unusable`.
 */
export type EngagementsLeft = (who: Asker, ids: readonly Uuid[]) => Promise<ReadonlySet<Uuid> | undefined>;

/** See `EngagementsLeft`. For rooms whose rows speak of engagements; goes by the condition that lists go by. */
export function engagementsLeft(
  deps: Pick<EngagementDeps, 'door' | 'policy' | 'rules'>,
  sampler: ListSampler,
): EngagementsLeft {
  const left: EngagementsLeft = async (who, ids) => {
    const { caller } = who;
    const context = caller.tenant;
    const query = <Row>(statement: Statement<Row>): Promise<Row[]> => deps.door.scoped(context, statement);
    const [standing] = await query(readStanding(context, caller.personId));
    const narrowing = standing && (await deps.rules.narrowing({ query, caller, standing }));
    if (narrowing === undefined) return undefined;
    if (ids.length === 0) return new Set();
    const scope = { type: 'Engagement', columns: ENGAGEMENT_COLUMNS, idColumn: 'e.id' };
    const filters = [deps.policy.filter(OPERATION, caller, scope), narrowing.filter(OPERATION, ENGAGEMENT_COLUMNS)];
    return new Set((await query(permittedAmong(context, { ids, filters }))).map(({ id }) => id));
  };
  return async (who, ids) => {
    const found = await left(who, ids);
    if (found !== undefined && ids.length > 0) {
      sampler.look(who, {
        operation: OPERATION,
        page: { among: ids },
        shown: async () => [...((await left(who, ids)) ?? ids)],
      });
    }
    return found;
  };
}
