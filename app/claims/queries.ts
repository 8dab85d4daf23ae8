import type { Json, Uuid } from '@auditrax/base';
import { sql } from '@auditrax/tenancy';
import type { Statement } from '@auditrax/tenancy';
import type { Observation } from './grade.ts';
import type { ClaimId } from './ids.ts';

/** Global tables that a process needs to be allowed for these statements. */
export const CLAIM_TABLES = ['claims.observation', 'claims.revision'] as const;

/** Runs of one probe that are kept at hand for its page. */
export const RUNS_PER_PROBE_MAX = 60;

interface ObservationRow {
  readonly probe_id: string;
  readonly observed_ms: number;
  readonly duration_ms: number;
  readonly state: 'green' | 'red';
  readonly detail: string;
  readonly measured_value: number | null;
  readonly measured_limit: number | null;
  readonly measured_unit: string | null;
  readonly evidence: Json;
  readonly rehearsed_against: string | null;
  readonly entry_id: string | null;
}

/** Adds one run. There is no statement that changes or removes one, and the role has no privilege for it. */
export function insertObservation(id: Uuid, claims: readonly ClaimId[], one: Observation): Statement {
  const { measured } = one;
  return sql`insert into claims.observation (id, probe_id, claim_ids, observed_at, duration_ms, state, detail,
      measured_value, measured_limit, measured_unit, evidence, rehearsed_against, entry_id)
    values (${id}, ${one.probeId}, ${[...claims]}, ${new Date(one.observedAt_ms)}, ${one.duration_ms}, ${one.state}, ${one.detail},
      ${measured?.value ?? null}, ${measured?.limit ?? null}, ${measured?.unit ?? null},
      ${one.evidence === undefined ? null : JSON.stringify(one.evidence)}, ${one.rehearsedAgainst ?? null}, ${one.entry?.entryId ?? null})`;
}

/** Newest runs of a probe, newest first. Turn each row with `observationFrom`. */
export function newestObservations(probeId: string): Statement<ObservationRow> {
  return sql<ObservationRow>`select probe_id, (extract(epoch from observed_at) * 1000)::float8 as observed_ms, duration_ms, state, detail,
      measured_value, measured_limit, measured_unit, evidence, rehearsed_against, entry_id
    from claims.observation where probe_id = ${probeId} order by observed_at desc limit ${RUNS_PER_PROBE_MAX}`;
}

/** A row as the grader wants it. */
export function observationFrom(row: ObservationRow): Observation {
  return {
    probeId: row.probe_id,
    observedAt_ms: Math.round(row.observed_ms),
    duration_ms: row.duration_ms,
    state: row.state,
    detail: row.detail,
    ...(row.measured_value === null || row.measured_limit === null || row.measured_unit === null
      ? {}
      : { measured: { value: row.measured_value, limit: row.measured_limit, unit: row.measured_unit } }),
    ...(row.evidence === null ? {} : { evidence: row.evidence }),
    ...(row.rehearsed_against === null ? {} : { rehearsedAgainst: row.rehearsed_against }),
    ...(row.entry_id === null ? {} : { entry: { entryId: row.entry_id } }),
  };
}

export interface RevisionRecord {
  readonly number: number;
  readonly digest: string;
  readonly manifestSha256: string;
  readonly generatedAt_ms: number;
  readonly validUntil_ms: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly entryId?: Uuid;
}

/** Records a revision that was made. The number is the key: two publishers cannot make the same one. */
export function insertRevision(one: RevisionRecord): Statement {
  return sql`insert into claims.revision (number, digest, manifest_sha256, generated_at, valid_until, counts, entry_id)
    values (${one.number}, ${one.digest}, ${one.manifestSha256}, ${new Date(one.generatedAt_ms)}, ${new Date(one.validUntil_ms)},
      ${JSON.stringify(one.counts)}, ${one.entryId ?? null})`;
}

/** Number of the newest revision; no row before the first. */
export function latestRevision(): Statement<{ readonly number: string }> {
  return sql<{ readonly number: string }>`select number from claims.revision order by number desc limit 1`;
}
