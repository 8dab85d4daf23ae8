import type { Clock } from '@auditrax/base';
import type { AttemptOutcome } from '../claims/probe.ts';
import { compareAnswers, followAll, type Attempt, type CorpusDeps, type SameAnswer } from './attempts.ts';
import type { Watch } from './watch.ts';

export interface AttackRow {
  readonly name: string;
  readonly attempts: number;
  readonly refused: number;
  readonly seen: number;
  readonly paged: number;
  readonly page_latency_ms_max: number;
  /** What the attempts were answered, each once. */
  readonly answers: readonly string[];
  /** Walls that told the log of them, each once. */
  readonly stopped_by: readonly string[];
}

function distinct(words: readonly string[]): string[] {
  return [...new Set(words)].toSorted();
}

export interface AttackReport {
  /** One row an attempt of the corpus. */
  readonly attacks: readonly AttackRow[];
  /** The same, by the layer whose door was attacked. */
  readonly matrix: readonly AttackRow[];
  /** Whether foreign, forged, malformed and missing ids can be told apart from outside, route by route. */
  readonly answers: readonly SameAnswer[];
  /** Attempts that succeeded, went unseen or unpaged, with what happened. */
  readonly faults: readonly string[];
  readonly ok: boolean;
}

/** Counts of several attempts under one name. */
export function rowOf(name: string, outcomes: readonly AttemptOutcome[]): AttackRow {
  return {
    name,
    attempts: outcomes.length,
    refused: outcomes.filter((one) => one.refused).length,
    seen: outcomes.filter((one) => one.seen !== undefined).length,
    paged: outcomes.filter((one) => one.page !== undefined).length,
    page_latency_ms_max: outcomes.reduce((most, one) => Math.max(most, one.page_latency_ms ?? 0), 0),
    answers: distinct(outcomes.map((one) => one.answer)),
    stopped_by: distinct(outcomes.flatMap((one) => (one.seen === undefined ? [] : [String(one.seen.facts['layer'])]))),
  };
}

function faultOf(outcome: AttemptOutcome): string[] {
  const { name, refused, answer, seen, page } = outcome;
  const wrong = [
    refused ? '' : `not refused (${answer})`,
    seen === undefined ? 'not seen' : '',
    page === undefined ? 'not paged' : '',
  ].filter(Boolean);
  return wrong.length === 0 ? [] : [`${name}: ${wrong.join(', ')}`];
}

/** Compares the answers at every place of every route that takes an id. */
async function everyAnswer(corpus: CorpusDeps): Promise<SameAnswer[]> {
  const places = corpus.routes.flatMap((route) => Object.keys(route.ids).map((place) => ({ route, place })));
  const found: SameAnswer[] = [];
  for (const { route, place } of places) found.push(await compareAnswers(corpus, route, place));
  return found;
}

/**
 * Plays the corpus, or the attempts whose names begin with one of `names`, and says of each whether it was refused, seen
 * and paged. `ok` needs all three of all, and answers that cannot be told apart.
 */
export async function playAttacks(
  deps: { corpus: CorpusDeps; attempts: readonly Attempt[]; watch: Watch; clock: Clock },
  names: readonly string[],
): Promise<AttackReport> {
  const chosen = deps.attempts.filter(
    ({ name }) => names.length === 0 || names.some((wanted) => name.startsWith(wanted)),
  );
  const outcomes = await followAll(chosen, deps);
  const answers = names.length === 0 ? await everyAnswer(deps.corpus) : [];
  const layers = [...new Set(chosen.map((attempt) => attempt.layer))];
  const faults = [
    ...outcomes.flatMap(faultOf),
    ...answers
      .filter((one) => !one.same)
      .map((one) => `${one.operation}: answers to wrong ids at ${one.place} can be told apart`),
  ];
  const byName = outcomes.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return {
    attacks: byName.map((one) => rowOf(one.name, [one])),
    matrix: layers.map((layer) =>
      rowOf(
        layer,
        outcomes.filter((one) => one.layer === layer),
      ),
    ),
    answers,
    faults,
    ok: chosen.length > 0 && faults.length === 0,
  };
}
