// People at work while the house breaks under them: what was acknowledged is remembered, to be looked for afterwards.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Person, Reply } from './house.ts';

interface Result {
  readonly id: string;
  readonly revision: number;
}

export interface Acknowledged extends Result {
  readonly criterion: string;
  readonly note: string;
}

export interface Work {
  readonly engagement: string;
  readonly criteria: readonly string[];
}

/** Creates an engagement of the sample catalogue and brings it into fieldwork. */
export async function beginWork(lead: Person, title: string): Promise<Work> {
  const made = await lead.send('POST', '/api/engagements', {
    title,
    clientName: 'Auditrax sample organisation',
    periodStart: '2026-01-01',
    periodEnd: '2026-12-31',
    catalogue: { source: 'sample' },
  });
  if (made.status !== 201) throw new Error(`create answered ${made.status}: ${JSON.stringify(made.body)}`);
  const { id, revision } = made.body as { id: string; revision: number };
  const moved = await lead.send('POST', `/api/engagements/${id}/state`, { to: 'fieldwork', revision });
  if (moved.status !== 200) throw new Error(`the move answered ${moved.status}: ${JSON.stringify(moved.body)}`);
  const { body } = await lead.send('GET', `/api/engagements/${id}/criteria?limit=50`);
  return { engagement: id, criteria: (body as { criteria: { id: string }[] }).criteria.map((row) => row.id) };
}

export function recordResult(
  person: Person,
  work: Work,
  input: { criterion: string; revision: number; note: string },
): Promise<Reply> {
  const { criterion, revision, note } = input;
  return person.send('POST', `/api/engagements/${work.engagement}/criteria/${criterion}/result`, {
    outcome: 'satisfied',
    note,
    observedOn: '2026-06-30',
    revision,
  });
}

export async function historyOf(person: Person, work: Work, criterion: string): Promise<(Result & { note: string })[]> {
  const { body } = await person.until(200, ['GET', `/api/engagements/${work.engagement}/criteria/${criterion}`]);
  return (body as { history: (Result & { note: string })[] }).history;
}

export interface Writers {
  readonly acknowledged: Acknowledged[];
  /** How often each status came. */
  readonly statuses: Map<number, number>;
  /** Bodies of the answers that were neither a success nor a refusal for want of a part. */
  readonly odd: Reply[];
  stop(): Promise<void>;
}

/** Four writers stay below the rate that the edge allows one session. */
const PAUSE_MS = 50;

/** Statuses that a write may get while a part is missing: no answer, and "not now". */
const EXPECTED: ReadonlySet<number> = new Set([0, 201, 409, 500, 502, 503, 504]);

/** `count` people write results one after the other, each on a criterion of their own, until stopped. */
export function startWriters(person: Person, work: Work, count: number): Writers {
  const acknowledged: Acknowledged[] = [];
  const statuses = new Map<number, number>();
  const odd: Reply[] = [];
  const stopping = new AbortController();
  const write = async (criterion: string): Promise<void> => {
    let revision = 0;
    for (let attempt = 1; !stopping.signal.aborted; attempt += 1) {
      const note = `attempt ${attempt}`;
      const reply = await recordResult(person, work, { criterion, revision, note });
      statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1);
      if (!EXPECTED.has(reply.status)) odd.push(reply);
      if (reply.status === 201) {
        const { id, revision: stored } = reply.body as Result;
        acknowledged.push({ criterion, id, revision: stored, note });
        revision = stored;
        await sleep(PAUSE_MS);
        continue;
      }
      await sleep(PAUSE_MS);
      // Whether it was done is unknown: ask, as a person would reload the page.
      const seen = await person.send('GET', `/api/engagements/${work.engagement}/criteria/${criterion}`);
      if (seen.status === 200) revision = (seen.body as { result: Result | null }).result?.revision ?? 0;
    }
  };
  const done = Promise.all(work.criteria.slice(0, count).map(write));
  return {
    acknowledged,
    statuses,
    odd,
    stop: async () => {
      stopping.abort();
      await done;
    },
  };
}
