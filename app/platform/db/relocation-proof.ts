import { escapeIdentifier, type Client } from 'pg';
import type { Uuid } from '@auditrax/base';

/**
 * Rows of a table are told apart by the hash of their key. With some hundred thousand rows a bucket holds a hundred: few
 * enough that comparing one again costs nothing, and few enough buckets to remember.
 */
const BUCKETS = 4096;

/** Number of rows, and SHA-256 (hex) over the buckets of the table, each over its rows in the order of their key. */
export interface TableProof {
  readonly rows: number;
  readonly sha256: string;
}

/** A table as one side calls it. */
export interface ComparedTable {
  readonly name: string;
  readonly key: readonly string[];
  /** Those that are the same on both sides. */
  readonly columns: readonly string[];
}

/** What the rows of each bucket are, by the bucket's number: SHA-256 (hex) over their SHA-256. */
export type BucketDigests = Map<number, { readonly rows: number; readonly digest: string }>;

/**
 * Which versions of rows each bucket holds: the server writes every change as a new version in a new spot, so while this
 * stays the same, so do the rows. Reads no content.
 */
export type BucketVersions = ReadonlyMap<number, { readonly rows: number; readonly versions: string }>;

/** By the key without the tenant, which is the same for all. */
function bucketOf({ key }: ComparedTable): string {
  const own = key.filter((column) => column !== 'tenant_id').map((column) => `t.${escapeIdentifier(column)}::text`);
  const text = own.length === 0 ? "''" : own.join(" || ' ' || ");
  return `(hashtextextended((${text}) collate "C", 0) & ${BUCKETS - 1})::integer`;
}

/** Reads every row of the named buckets; of all, when none are named. */
export async function digestBuckets(
  client: Client,
  table: ComparedTable,
  of: { readonly tenantId: Uuid; readonly buckets?: readonly number[] },
): Promise<BucketDigests> {
  const columns = table.columns.map((column) => `t.${escapeIdentifier(column)}`).join(', ');
  const { rows } = await client.query<{ bucket: number; n: string; digest: string }>(
    `select b.bucket, count(*) as n, encode(sha256(string_agg(b.hash, ''::bytea order by ${table.key.map((_column, at) => `b.k${at}`).join(', ')})), 'hex') as digest
     from (select ${bucketOf(table)} as bucket, sha256(convert_to(row(${columns})::text, 'UTF8')) as hash,
         ${table.key.map((column, at) => `t.${escapeIdentifier(column)} as k${at}`).join(', ')}
       from ${table.name} t where t.tenant_id = $1 ${of.buckets === undefined ? '' : `and ${bucketOf(table)} = any ($2::integer[])`}) b
     group by b.bucket`,
    of.buckets === undefined ? [of.tenantId] : [of.tenantId, of.buckets],
  );
  return new Map(rows.map(({ bucket, n, digest }) => [bucket, { rows: Number(n), digest }]));
}

export async function readVersions(client: Client, table: ComparedTable, tenantId: Uuid): Promise<BucketVersions> {
  const { rows } = await client.query<{ bucket: number; n: string; versions: string }>(
    `select ${bucketOf(table)} as bucket,
       count(*) as n, sum(hashtextextended(t.ctid::text || t.xmin::text, 0))::text as versions
     from ${table.name} t where t.tenant_id = $1 group by 1`,
    [tenantId],
  );
  return new Map(rows.map(({ bucket, n, versions }) => [bucket, { rows: Number(n), versions }]));
}

/** Rows in all buckets together. */
export function countIn(buckets: ReadonlyMap<number, { readonly rows: number }>): number {
  return [...buckets.values()].reduce((sum, { rows }) => sum + rows, 0);
}

/** Buckets that do not hold the same versions of rows as before. */
export function changedBuckets(before: BucketVersions, now: BucketVersions): number[] {
  const all = new Set([...before.keys(), ...now.keys()]);
  return [...all].filter((bucket) => {
    const [one, other] = [before.get(bucket), now.get(bucket)];
    return one?.rows !== other?.rows || one?.versions !== other?.versions;
  });
}
