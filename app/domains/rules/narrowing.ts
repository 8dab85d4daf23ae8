import { AppError, type Uuid } from '@auditrax/base';
import type { Explanation, PolicySet, RowFilter } from '@auditrax/policy';
import type { Statement, TenantContext } from '@auditrax/tenancy';
import type { Caller } from '../../platform/http/handler.ts';
import type { Sealer } from '../keys/index.ts';
import type { RulesCode } from './errors.ts';
import { readRules, type Standing } from './queries.ts';
import { readTenantRules, SEEING } from './sandbox.ts';

/** The row as the rules know it. */
export interface RuledResource {
  readonly id: Uuid;
  readonly state: string;
  readonly contacts: readonly Uuid[];
  readonly office: Uuid | null;
}

/** A tenant's own rules for one asker: they only ever take away. */
export interface Narrowing {
  /** May the asker do it, as far as these rules go? By Cedar. */
  decide(operation: string, resource: RuledResource): boolean;
  /** The same for a list. `columns`: `state`, `contacts`, `office`. */
  filter(operation: string, columns: Readonly<Record<string, string>>): RowFilter;
  explain(operation: string, resource: RuledResource): Explanation;
}

const seeing = new Set<string>(SEEING);

/** Whoever may not see an engagement may not work on it either, whatever a rule forgot. */
function questions(operation: string): readonly string[] {
  return seeing.has(operation) ? [operation] : [operation, 'engagements.read'];
}

export function narrowingOf(set: PolicySet, caller: Pick<Caller, 'personId' | 'role'>, office: Uuid | null): Narrowing {
  const principal = { type: 'Person', id: caller.personId, attributes: { role: caller.role, office } };
  const request = (action: string, { id, ...attributes }: RuledResource) => ({
    principal,
    action,
    resource: { type: 'Engagement', id, attributes },
    context: {},
  });
  return {
    decide: (operation, resource) =>
      questions(operation).every((action) => set.decide(request(action, resource)).allowed),
    filter: (action, columns) =>
      set.compileFilter({ action, principal, context: {}, resourceType: 'Engagement', columns }),
    explain: (operation, resource) => set.explain(request(operation, resource)),
  };
}

type Query = <Row>(statement: Statement<Row>) => Promise<Row[]>;

/** Rules of tenants, compiled once for each version. */
export interface TenantRules {
  /**
   * The rules in force for the asker, by the standing that was read with the row. Undefined: there are none. Throws
   * `rules_unusable` when they cannot be read: then nothing is allowed.
   */
  narrowing(about: { query: Query; caller: Caller; standing: Standing }): Promise<Narrowing | undefined>;
}

/** Compiled rules that are kept; a tenant beyond them costs a few milliseconds. */
const TENANTS_KEPT_MAX = 500;

interface Kept {
  readonly version: number;
  readonly set: PolicySet | undefined;
}

async function compile(
  sealer: Pick<Sealer, 'openText'>,
  about: { context: TenantContext; query: Query; version: number },
): Promise<Kept> {
  const { context, version } = about;
  const [row] = await about.query(readRules(context, version));
  if (row === undefined) throw new AppError<RulesCode>('rules_unusable', `version ${version} is not there`);
  const text = await sealer.openText({ context, field: 'app.access_rules.text', rowId: row.id, sealed: row.text });
  const { set, problems } = readTenantRules(text);
  // A later release may know less than the one that took the rules in. Then a lead has to write them anew.
  if (problems.length > 0) throw new AppError<RulesCode>('rules_unusable', `version ${version} no longer loads`);
  return { version, set };
}

/** See `TenantRules`. A version never changes, so what was compiled from it holds for ever. */
export function createTenantRules({ sealer }: { sealer: Pick<Sealer, 'openText'> }): TenantRules {
  const kept = new Map<Uuid, Kept>();
  return {
    async narrowing({ query, caller, standing }) {
      const version = standing.rules_version;
      if (version === null) return undefined;
      const { tenantId } = caller.tenant;
      let found = kept.get(tenantId);
      if (found?.version !== version) {
        found = await compile(sealer, { context: caller.tenant, query, version });
        kept.delete(tenantId);
        const oldest = kept.keys().next();
        if (kept.size >= TENANTS_KEPT_MAX && oldest.value !== undefined) kept.delete(oldest.value);
        kept.set(tenantId, found);
      }
      return found.set === undefined ? undefined : narrowingOf(found.set, caller, standing.asker_office);
    },
  };
}
