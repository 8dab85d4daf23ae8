import type { Uuid } from '@auditrax/base';
import type { Statement } from '@auditrax/tenancy';
import type { Asker, EngagementDeps } from './ports.ts';
import { permits } from './gate.ts';
import { BEYOND_ALL_IDS, gatesAmong, sampleEngagements, type EngagementGateRow } from './queries.ts';

/** Enough to meet a wrong filter within minutes of use; too seldom to be felt. */
const SAMPLE_INTERVAL_MS = 5_000;
/** Rows of one sample, shown and withheld ones together. */
const SAMPLE_ROWS_MAX = 60;
/** A row may change between two statements; what stays different when looked at anew is no such change. */
const LOOKS_MAX = 3;
/** Entries of one sample: the first ones say everything. */
const ENTRIES_MAX = 3;

/** What a list was asked, and what the very same question gives now. */
export interface SampledList {
  /** What the list decides on: its action in the policies. */
  readonly operation: string;
  /** A page of the newest engagements, below `before` when it is given; or a choice among named ones. */
  readonly page: { readonly before?: Uuid; readonly limit: number } | { readonly among: readonly Uuid[] };
  /** Ids that the list shows; of a page, newest first. */
  shown(): Promise<readonly Uuid[]>;
}

export type SamplerDeps = Pick<EngagementDeps, 'door' | 'policy' | 'rules' | 'attempts' | 'clock'>;

export interface ListSampler {
  /** Returns at once; now and then, a look begins that nobody waits for. */
  look(who: Asker, list: SampledList): void;
  /** Resolves when no look is under way. */
  idle(): Promise<void>;
}

interface Difference {
  readonly id: Uuid;
  readonly shown: boolean;
}

type Query = <Row>(statement: Statement<Row>) => Promise<Row[]>;

/** The rows that the list had to decide on: of a page, below its start, and not below its end when it was cut. */
async function decidedRows(
  query: Query,
  who: Asker,
  { page, shown }: { readonly page: SampledList['page']; readonly shown: readonly Uuid[] },
): Promise<EngagementGateRow[]> {
  const { tenant: context, personId } = who.caller;
  if ('among' in page) {
    return query(gatesAmong(context, { ids: page.among.slice(0, SAMPLE_ROWS_MAX), personId }));
  }
  const { before = BEYOND_ALL_IDS, limit } = page;
  const rows = await query(sampleEngagements(context, { before, limit: SAMPLE_ROWS_MAX, personId }));
  const last = shown.at(-1);
  return shown.length < limit || last === undefined ? rows : rows.filter(({ id }) => id >= last);
}

/** Rows on which Cedar and the list do not agree at this moment. */
async function differences(deps: SamplerDeps, who: Asker, list: SampledList): Promise<Difference[]> {
  const context = who.caller.tenant;
  const query: Query = (statement) => deps.door.scoped(context, statement);
  const { operation, page } = list;
  const shown = await list.shown();
  const rows = await decidedRows(query, who, { page, shown });
  const ids = new Set(shown);
  const found: Difference[] = [];
  for (const row of rows) {
    const allowed = await permits({ ...deps, query }, who, { operation, row });
    if (ids.has(row.id) !== allowed) found.push({ id: row.id, shown: ids.has(row.id) });
  }
  return found;
}

async function inspect(deps: SamplerDeps, who: Asker, list: SampledList): Promise<void> {
  let found = await differences(deps, who, list);
  for (let look = 1; look < LOOKS_MAX && found.length > 0; look += 1) {
    const again = await differences(deps, who, list);
    found = found.filter(({ id, shown }) => again.some((other) => other.id === id && other.shown === shown));
  }
  for (const { id, shown } of found.slice(0, ENTRIES_MAX)) {
    await deps.attempts.record(who.caller.tenant, {
      actor: { service: 'workspace' },
      type: 'access.decision-differed',
      resource: ['engagement', id],
      outcome: 'failed',
      requestId: who.requestId,
      public: { operation: list.operation, role: who.caller.role, shown },
    });
  }
}

/**
 * Decides some of what a list returned and withheld once more, by Cedar itself and off the path of the answer. The list
 * goes by a condition that our own compiler made; a fault of it would show somebody too much, or hide it, without any
 * error. A difference that stays becomes an entry of the tenant's log, and somebody is called.
 */
export function createListSampler(deps: SamplerDeps): ListSampler {
  let last_ms = Number.NEGATIVE_INFINITY;
  let running: Promise<void> | undefined;
  return {
    look(who, list) {
      const now_ms = deps.clock.nowMs();
      if (running !== undefined || now_ms - last_ms < SAMPLE_INTERVAL_MS) return;
      last_ms = now_ms;
      running = new Promise<void>((resolve) => {
        setImmediate(resolve);
      })
        .then(() => inspect(deps, who, list))
        // A database that does not answer is seen by everybody; the next list is looked at anew.
        .catch(() => undefined)
        .finally(() => {
          running = undefined;
        });
    },
    idle: async () => {
      await running;
    },
  };
}
