import { createHash } from 'node:crypto';
import { canonicalJson } from '@auditrax/base';
import type { Json } from '@auditrax/base';
import { gradeClaim } from '../../claims/grade.ts';
import type { Graded, Observation, Standing } from '../../claims/grade.ts';
import type { ClaimId } from '../../claims/ids.ts';
import { SECTIONS } from '../../claims/model.ts';
import type { Claim, SectionId } from '../../claims/model.ts';
import type { FigureTable } from '../../claims/probe.ts';
import type { Organisation } from './organisation.ts';

/** A revision speaks for this long. Past it the gateway, which did not make it, serves it as stale. */
export const VALIDITY_SECONDS = 15 * 60;

/** What is true of this installation and belongs on the page although no claim says it. */
export interface Conditions {
  readonly organisation: Organisation;
  /** Scheme and host at which the pages are served, no slash at the end. */
  readonly origin: string;
  /** Witnesses of the log that run elsewhere and are somebody else's. This machine's own never count. */
  readonly witnessesIndependent: number;
  /** Plain sentences on what is smaller here than in production ("listener for trying out is on"). */
  readonly notes: readonly string[];
  /** Figures that come from data ("6 today"), by claim. */
  readonly figures: Readonly<Partial<Record<ClaimId, string>>>;
  /** What has been measured so far, by claim; shown beside the state and never part of it. */
  readonly tables: Readonly<Partial<Record<ClaimId, FigureTable>>>;
  /** Since when the probes have been due, Unix milliseconds; probes never seen fail against it. */
  readonly probesDueSince_ms: number;
}

export interface ClaimRow {
  readonly claim: Claim;
  readonly graded: Graded;
  readonly figure?: string;
  readonly table?: FigureTable;
}

/** Everything that HTML, JSON, OSCAL and Atom are rendered from: one model, so that they cannot disagree. */
export interface PageModel {
  readonly conditions: Conditions;
  readonly revision: number;
  /** hex SHA-256 over the canonical JSON of `publicBody`, without the digest itself. */
  readonly digest: string;
  readonly generatedAt_ms: number;
  readonly validUntil_ms: number;
  readonly sections: readonly { readonly id: SectionId; readonly title: string; readonly rows: readonly ClaimRow[] }[];
  readonly counts: Readonly<Record<Standing, number>>;
  /** Observations by probe, newest last; for the claims' own pages and the feed. */
  readonly observations: readonly Observation[];
}

export interface BuildInput {
  readonly claims: readonly Claim[];
  readonly observations: readonly Observation[];
  readonly conditions: Conditions;
  readonly now_ms: number;
  /** Greater than that of every revision before. */
  readonly revision: number;
}

/** Order in which the counts are said: what stands, then what does not. */
export const STANDINGS: readonly Standing[] = [
  'proven',
  'measured',
  'rehearsed',
  'attested',
  'stale',
  'failing',
  'asserted',
  'without-document',
];

export const STANDING_WORDS: Readonly<Record<Standing, string>> = {
  proven: 'proven',
  measured: 'measured',
  rehearsed: 'rehearsed',
  attested: 'attested',
  stale: 'stale',
  failing: 'failing',
  asserted: 'asserted',
  'without-document': 'without a document',
};

/** Counts by standing; they add up to the number of rows. */
export function countStandings(rows: readonly ClaimRow[]): Record<Standing, number> {
  const counts = Object.fromEntries(STANDINGS.map((standing) => [standing, 0])) as Record<Standing, number>;
  for (const row of rows) counts[row.graded.standing] += 1;
  return counts;
}

function rowOf(claim: Claim, input: BuildInput): ClaimRow {
  const { conditions } = input;
  const documents = conditions.organisation.documents[claim.id];
  const targetDate = conditions.organisation.targetDates[claim.id];
  const graded = gradeClaim({
    claim,
    observations: input.observations,
    now_ms: input.now_ms,
    dueSince_ms: conditions.probesDueSince_ms,
    ...(documents === undefined ? {} : { documents }),
    ...(targetDate === undefined ? {} : { targetDate }),
  });
  const figure = conditions.figures[claim.id] ?? claim.figure;
  const table = conditions.tables[claim.id];
  return { claim, graded, ...(figure === undefined ? {} : { figure }), ...(table === undefined ? {} : { table }) };
}

/** Works out the whole page. Pure: the same claims, runs, conditions and instant give the same model. */
export function buildPage(input: BuildInput): PageModel {
  const rows = input.claims.map((claim) => rowOf(claim, input));
  const sections = SECTIONS.map((section) => ({
    ...section,
    rows: rows.filter((row) => row.claim.section === section.id),
  }));
  const draft = {
    conditions: input.conditions,
    revision: input.revision,
    generatedAt_ms: input.now_ms,
    validUntil_ms: input.now_ms + VALIDITY_SECONDS * 1000,
    sections,
    counts: countStandings(rows),
    observations: input.observations,
  };
  const digest = createHash('sha256')
    .update(canonicalJson(publicBody(draft)))
    .digest('hex');
  return { ...draft, digest };
}

function isoInstant(at_ms: number): string {
  return new Date(at_ms).toISOString();
}

function tableJson({ summary, caption, columns, rows }: FigureTable): Json {
  return { summary, caption, columns, rows: rows.map(({ name, cells }) => ({ name, cells })) };
}

/** What a claim lacks to be more than an assertion; nothing more once it has been seen or has its document. */
export function missingOf({ claim, graded }: ClaimRow): string | undefined {
  return graded.grade === 'asserted' ? claim.assertedBecause : undefined;
}

/** A claim as JSON, without its history. */
export function publicClaim(row: ClaimRow): { readonly [key: string]: Json | undefined } {
  const { claim, graded } = row;
  return {
    id: claim.id,
    section: claim.section,
    sentence: claim.sentence,
    exceptions: [...(claim.exceptions ?? [])],
    kind: claim.kind,
    figure: row.figure,
    limit: claim.limit === undefined ? undefined : { ...claim.limit },
    grade: graded.grade,
    state: graded.state,
    standing: graded.standing,
    detail: graded.detail,
    observed_at: graded.newest === undefined ? null : isoInstant(graded.newest.observedAt_ms),
    measured: graded.newest?.measured === undefined ? undefined : { ...graded.newest.measured },
    measured_so_far: row.table === undefined ? undefined : tableJson(row.table),
    rehearsed_against: graded.newest?.rehearsedAgainst,
    log_entry: graded.newest?.entry?.entryId,
    document: graded.document === undefined ? undefined : { ...graded.document },
    in_progress: graded.inProgress === undefined ? undefined : { ...graded.inProgress },
    freshness_seconds_max: claim.freshness_seconds_max,
    owner: claim.owner,
    module: claim.module,
    enforcers: claim.enforcers.map((one) => ({ ...one })),
    probe: claim.probe ?? null,
    asserted_because: missingOf(row),
    would_turn_red: claim.wouldTurnRed,
    href: `/security/claims/${claim.id}`,
  };
}

/**
 * The page as JSON, without its digest. `/security.json` is this plus `digest`, so that anyone can take the digest
 * out, canonicalise (RFC 8785), hash, and compare with what the HTML shows.
 */
export function publicBody(model: Omit<PageModel, 'digest'>): { readonly [key: string]: Json | undefined } {
  const { organisation } = model.conditions;
  return {
    format: 'auditrax-trust-page/1',
    organisation: {
      name: organisation.name,
      label: organisation.label,
      security_mailbox: organisation.securityMailbox,
      status_site: organisation.statusSite,
    },
    revision: model.revision,
    generated_at: isoInstant(model.generatedAt_ms),
    valid_until: isoInstant(model.validUntil_ms),
    independent_witnesses: model.conditions.witnessesIndependent,
    notes: [...model.conditions.notes],
    counts: { ...model.counts },
    claims: model.sections.flatMap((section) => section.rows.map(publicClaim)),
  };
}

/** All rows in the order of the page. */
export function pageRows(model: Pick<PageModel, 'sections'>): ClaimRow[] {
  return model.sections.flatMap((section) => [...section.rows]);
}

/** "24 proven, 3 measured, 0 failing, 44 asserted, 10 without a document": the line that start prints. Zeroes are left out but for failing. */
export function countsLine(counts: Readonly<Record<Standing, number>>): string {
  return STANDINGS.filter((standing) => counts[standing] > 0 || standing === 'failing')
    .map((standing) => `${counts[standing]} ${STANDING_WORDS[standing]}`)
    .join(', ');
}
