import { isAppError, type Uuid } from '@auditrax/base';
import type { RowFilter } from '@auditrax/policy';
import type { Caller } from '../../platform/http/handler.ts';
import { COUNTED_MAX, type EffectReply } from './contract.ts';
import { narrowingOf, type Narrowing } from './narrowing.ts';
import { countEffect, readPersonOffice, RULED_COLUMNS } from './queries.ts';
import { readTenantRules } from './sandbox.ts';
import { inForce, READ, visibleFilters, type Asker, type RulesDeps } from './service.ts';

/** Lets nothing through. */
const NOTHING: Pick<RowFilter, 'strings' | 'values'> = { strings: ['false'], values: [] };

/**
 * How many engagements one person sees under the rules in force and would see under `text`, counted by the conditions
 * that lists go by, over what the asker sees: a lead learns nothing from it that the house does not show them. Changes
 * nothing. Under rules that no longer load nobody sees anything.
 */
export async function effectOf(
  deps: RulesDeps,
  who: Asker,
  input: { readonly text: string; readonly personId: Uuid; readonly role: Caller['role'] },
): Promise<EffectReply> {
  const { set, problems } = readTenantRules(input.text);
  if (problems.length > 0) return { problems: [...problems], effect: null };
  const context = who.caller.tenant;
  const person: Caller = { ...who.caller, personId: input.personId, role: input.role };
  const [place] = await deps.door.scoped(context, readPersonOffice(context, input.personId));
  const next = set === undefined ? undefined : narrowingOf(set, person, place?.office_id ?? null);
  const product = deps.policy.filter(READ, person, { type: 'Engagement', columns: RULED_COLUMNS, idColumn: 'e.id' });
  const under = (narrowing: Narrowing | undefined) =>
    narrowing === undefined ? [product] : [product, narrowing.filter(READ, RULED_COLUMNS)];
  const before = await inForce(deps, who, person).then(under, (error: unknown) => {
    if (isAppError(error, 'rules_unusable')) return [NOTHING];
    throw error;
  });
  const seen = await visibleFilters(deps, who);
  const asked = { seen, before, after: under(next), limit: COUNTED_MAX + 1 };
  const [row] = await deps.door.scoped(context, countEffect(context, asked));
  const number = (text: string | undefined): number => Number(text ?? 0);
  const counted = number(row?.counted);
  return {
    problems: [],
    effect: {
      counted: Math.min(counted, COUNTED_MAX),
      cut: counted > COUNTED_MAX,
      before: number(row?.before),
      after: number(row?.after),
      loses: number(row?.loses),
      gains: number(row?.gains),
    },
  };
}
