import type { Claim, Limit } from './model.ts';
import type { Measurement } from './probe.ts';
import type { Json } from '@auditrax/base';

/** Where an observation stands in the log, and what a reader needs to check it there. */
export interface EntryProof {
  readonly entryId: string;
  /** Position of the leaf, once the log has placed it. */
  readonly index?: number;
  /** A whole C2SP tlog-proof, as text, once there is a checkpoint over it. */
  readonly proof?: string;
}

/** One run of a probe, as recorded. Append-only; nothing else can make a claim green. */
export interface Observation {
  readonly probeId: string;
  /** Milliseconds since the Unix epoch, from the sentinel's clock. */
  readonly observedAt_ms: number;
  readonly duration_ms: number;
  readonly state: 'green' | 'red';
  readonly detail: string;
  readonly measured?: Measurement;
  readonly evidence?: Json;
  readonly rehearsedAgainst?: string;
  readonly entry?: EntryProof;
}

/** A third party's document on file. Dates are calendar days, `YYYY-MM-DD`, both ends in force. */
export interface AttestedDocument {
  readonly title: string;
  readonly issuer: string;
  readonly validFrom: string;
  readonly validUntil: string;
  /** Lower-case hex of the file's SHA-256. */
  readonly sha256: string;
}

export type Grade = 'proven' | 'measured' | 'rehearsed' | 'attested' | 'asserted';
/** `unknown`: nothing speaks for the claim. It is never a pass. */
export type State = 'green' | 'stale' | 'failing' | 'unknown';
/** The one word a reader sees. Every claim has exactly one, so the counts add up to all of them. */
export type Standing = Grade | 'stale' | 'failing' | 'without-document';

/** Ticks of the strip, oldest first. A gap is time in which a run was due and none came. */
export type StripMark =
  | { readonly kind: 'run'; readonly at_ms: number; readonly state: 'green' | 'red' }
  | { readonly kind: 'gap'; readonly from_ms: number; readonly to_ms: number };

/** As many runs as fit one line of the page. */
export const STRIP_RUNS_MAX = 60;
/** Clocks of two processes on one machine may differ this much; an observation from further ahead is not believed. */
export const CLOCK_SKEW_MS_MAX = 5_000;

export interface GradeInput {
  readonly claim: Claim;
  /** In any order; those of other probes are ignored. */
  readonly observations: readonly Observation[];
  readonly now_ms: number;
  /** Since when the probe has been due. Past twice the freshness without any run the claim fails. */
  readonly dueSince_ms?: number;
  readonly documents?: readonly AttestedDocument[];
  /** `YYYY-MM-DD`: the last day by which a certificate in progress was to be had. */
  readonly targetDate?: string;
}

export interface Graded {
  readonly grade: Grade;
  readonly state: State;
  readonly standing: Standing;
  /** A public sentence: what was seen, or why nothing is known. */
  readonly detail: string;
  readonly newest?: Observation;
  readonly document?: AttestedDocument;
  readonly inProgress?: { readonly targetDate: string; readonly overdue: boolean };
  readonly strip: readonly StripMark[];
}

const DAY_MS = 86_400_000;

/** True when the figure keeps the limit. Not a number never does. */
export function keepsLimit(value: number, limit: Limit): boolean {
  if (!Number.isFinite(value)) return false;
  if (limit.direction === 'below') return value < limit.value;
  return limit.direction === 'at-most' ? value <= limit.value : value >= limit.value;
}

function relevant(input: GradeInput): Observation[] {
  const latest_ms = input.now_ms + CLOCK_SKEW_MS_MAX;
  return (
    input.observations
      .filter((one) => one.probeId === input.claim.probe && one.observedAt_ms <= latest_ms)
      // Two runs in one millisecond: the red one is taken as the newer, so that a tie never hides a failure.
      .toSorted((a, b) => a.observedAt_ms - b.observedAt_ms || rank(a) - rank(b))
  );
}

function rank(one: Observation): number {
  return one.state === 'red' ? 1 : 0;
}

function stripOf(runs: readonly Observation[], input: GradeInput): StripMark[] {
  const budget_ms = input.claim.freshness_seconds_max * 1000;
  const shown = runs.slice(-STRIP_RUNS_MAX);
  const marks: StripMark[] = [];
  let before_ms: number | undefined;
  for (const run of shown) {
    if (before_ms !== undefined && run.observedAt_ms - before_ms > budget_ms) {
      marks.push({ kind: 'gap', from_ms: before_ms, to_ms: run.observedAt_ms });
    }
    marks.push({ kind: 'run', at_ms: run.observedAt_ms, state: run.state });
    before_ms = run.observedAt_ms;
  }
  const last_ms = before_ms ?? input.dueSince_ms;
  if (last_ms !== undefined && input.now_ms - last_ms > budget_ms) {
    marks.push({ kind: 'gap', from_ms: last_ms, to_ms: input.now_ms });
  }
  return marks;
}

/** The claim's own limit decides, never the probe's word: a probe that says green over the limit is overruled. */
function refutedByFigure(claim: Claim, newest: Observation): string | undefined {
  if (claim.kind !== 'measured' || claim.limit === undefined) return undefined;
  const measured = newest.measured;
  if (measured === undefined) return 'The newest run brought no figure.';
  if (measured.unit !== claim.limit.unit)
    return `The newest run measured in ${measured.unit}, not in ${claim.limit.unit}.`;
  if (keepsLimit(measured.value, claim.limit)) return undefined;
  return `Measured ${measured.value} ${measured.unit}; the limit is ${claim.limit.value}.`;
}

function gradeOf(claim: Claim, newest: Observation): Grade {
  if (newest.rehearsedAgainst !== undefined) return 'rehearsed';
  return claim.kind === 'measured' ? 'measured' : 'proven';
}

function neverSeen(input: GradeInput): Graded {
  const due_ms = input.dueSince_ms === undefined ? 0 : input.now_ms - input.dueSince_ms;
  const strip = stripOf([], input);
  const budget_ms = input.claim.freshness_seconds_max * 1000;
  // A check that not every house can carry out: until it has been, the claim stands as said, and is not overdue.
  if (input.claim.assertedBecause !== undefined) {
    return { grade: 'asserted', state: 'unknown', standing: 'asserted', detail: input.claim.assertedBecause, strip };
  }
  if (due_ms > 2 * budget_ms) {
    return {
      grade: 'asserted',
      state: 'failing',
      standing: 'failing',
      detail: 'Its check was due and has never run.',
      strip,
    };
  }
  if (due_ms > budget_ms) {
    return {
      grade: 'asserted',
      state: 'stale',
      standing: 'stale',
      detail: 'Its check is late and has not run yet.',
      strip,
    };
  }
  return { grade: 'asserted', state: 'unknown', standing: 'asserted', detail: 'Its check has not run yet.', strip };
}

function gradeProbed(input: GradeInput): Graded {
  const runs = relevant(input);
  const newest = runs.at(-1);
  if (newest === undefined) return neverSeen(input);
  const { claim } = input;
  const grade = gradeOf(claim, newest);
  const strip = stripOf(runs, input);
  const known = { grade, newest, strip };
  if (newest.state === 'red') return { ...known, state: 'failing', standing: 'failing', detail: newest.detail };
  const refuted = refutedByFigure(claim, newest);
  if (refuted !== undefined) return { ...known, state: 'failing', standing: 'failing', detail: refuted };
  const age_ms = input.now_ms - newest.observedAt_ms;
  const budget_ms = claim.freshness_seconds_max * 1000;
  if (age_ms > 2 * budget_ms) {
    return {
      ...known,
      state: 'failing',
      standing: 'failing',
      detail: 'Its check has stopped running; the last result is too old to stand.',
    };
  }
  if (age_ms > budget_ms) {
    return {
      ...known,
      state: 'stale',
      standing: 'stale',
      detail: `Its check is late. The last one said: ${newest.detail}`,
    };
  }
  return { ...known, state: 'green', standing: grade, detail: newest.detail };
}

/** First instant after the last day of `date`, UTC. */
function endOfDay_ms(date: string): number {
  return Date.parse(`${date}T00:00:00Z`) + DAY_MS;
}

function inForce(document: AttestedDocument, now_ms: number): boolean {
  return Date.parse(`${document.validFrom}T00:00:00Z`) <= now_ms && now_ms < endOfDay_ms(document.validUntil);
}

function gradeAttested(input: GradeInput): Graded {
  const documents = input.documents ?? [];
  const document = documents
    .filter((one) => inForce(one, input.now_ms))
    .toSorted((a, b) => (a.validUntil < b.validUntil ? -1 : 1))
    .at(-1);
  if (document !== undefined) {
    const detail = `${document.title}, from ${document.issuer}, in force until ${document.validUntil}.`;
    return { grade: 'attested', state: 'green', standing: 'attested', detail, document, strip: [] };
  }
  const target = input.targetDate;
  if (target !== undefined) {
    const overdue = input.now_ms >= endOfDay_ms(target);
    const detail = overdue
      ? `In progress, and overdue: it was to be had by ${target}, and no document is on file.`
      : `In progress, aimed at ${target}; no document is on file yet.`;
    return {
      grade: 'asserted',
      state: 'unknown',
      standing: 'without-document',
      detail,
      inProgress: { targetDate: target, overdue },
      strip: [],
    };
  }
  if (documents.length > 0) {
    return {
      grade: 'attested',
      state: 'failing',
      standing: 'failing',
      detail: 'No document on file is in force today.',
      strip: [],
    };
  }
  const detail = input.claim.assertedBecause ?? 'No document is on file.';
  return { grade: 'asserted', state: 'unknown', standing: 'without-document', detail, strip: [] };
}

/**
 * Grade, state and history of one claim, from recorded runs and documents alone. Pure: same input, same answer; there
 * is no argument that makes a claim green. Guarantees (tested as properties): unknown is never green; a run seen only
 * against a stand-in is never proven; waiting never improves a state; a dead check is stale after its freshness and
 * failing after twice that; a run dated in the future does not count.
 */
export function gradeClaim(input: GradeInput): Graded {
  if (input.claim.kind === 'attested') return gradeAttested(input);
  if (input.claim.probe !== undefined) return gradeProbed(input);
  const detail = input.claim.assertedBecause ?? 'Nothing checks it yet.';
  return { grade: 'asserted', state: 'unknown', standing: 'asserted', detail, strip: [] };
}
