import type { Uuid } from '@auditrax/base';

/**
 * Whose rows a statement may touch. Built from a verified transaction token or by a named system task, never from a
 * request's text.
 */
export interface TenantContext {
  readonly tenantId: Uuid;
  /** Random, non-sequential 32-bit part that every id of the tenant carries; unsigned. */
  readonly tenantPart: number;
  readonly requestId: string;
}

/** Same shape as Kysely's CompiledQuery, so that queries.ts can use Kysely as a builder; the driver executes it. */
export interface Statement<Row = unknown> {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  /** Phantom: the type of a row. */
  readonly row?: Row;
}
