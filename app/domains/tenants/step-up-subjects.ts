import { AppError, type Json, type Uuid } from '@auditrax/base';
import type { StepUpSubjects, SubjectFacts } from '../access/index.ts';
import type { IdentityDeps } from '../identity/index.ts';
import * as queries from './deletion-queries.ts';
import type { SubjectRow } from './deletion-queries.ts';
import { placeOf, type MovingDeps } from './moving.ts';

type Reading = Pick<IdentityDeps, 'tenant' | 'system'>;

const notFound = () => new AppError<'not_found'>('not_found', 'nothing of this name');

function factsOf({ id, display_name: name, kind, tier, closed_at }: SubjectRow): SubjectFacts {
  return { organisation: id, name, kind, tier, deleted: closed_at !== null };
}

async function bySlug({ system }: Pick<Reading, 'system'>, slug: Json | undefined): Promise<SubjectRow> {
  const [subject] = typeof slug === 'string' ? await system.system(queries.subjectBySlug(slug)) : [];
  if (subject === undefined) throw notFound();
  return subject;
}

/** A proposal as whoever confirms it sees it: whose, when, of which organisation, and what it destroys. */
async function proposalFacts(deps: Reading, question: Parameters<StepUpSubjects[string]>[0]): Promise<SubjectFacts> {
  const { tenant } = question.caller;
  const find = (id: Uuid) => deps.tenant.scoped(tenant, queries.deletionById(tenant.tenantId, id));
  const id = question.ids['deletionId'];
  const [row] = id === undefined ? [] : await find(id);
  const [subject] = row === undefined ? [] : await deps.system.system(queries.subjectById(row.subject_id));
  if (row === undefined || subject === undefined) throw notFound();
  return {
    ...factsOf(subject),
    state: row.state,
    proposedBy: row.proposed_by,
    proposedAt: row.proposed_at.toISOString(),
    ...Object.fromEntries(Object.entries(row.inventory).map(([what, count]) => [`destroys ${what}`, count])),
  };
}

/** What is read again for deleting a tenant. Their rows are looked at once more under a lock by the service itself. */
export function deletionSubjects(deps: Reading): StepUpSubjects {
  return {
    'tenants.propose-deletion': async ({ input }) => factsOf(await bySlug(deps, input['slug'])),
    'tenants.confirm-deletion': (question) => proposalFacts(deps, question),
  };
}

/** What is read again for moving a tenant: which one, and where it is now. */
export function moveSubjects(deps: Pick<MovingDeps, 'system' | 'placer'>): StepUpSubjects {
  return {
    async 'tenants.move'({ input }) {
      const subject = await bySlug(deps, input['slug']);
      const { kind, region } = await placeOf(deps, subject.id);
      return { ...factsOf(subject), from: `${kind}/${region}` };
    },
  };
}
