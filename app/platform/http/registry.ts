import type { RouteContract } from '@auditrax/base';
import { type ZodType, z } from 'zod';
import { BODY_BYTES_MAX } from './route-check.ts';

/** One route as documentation, generated checks and the attack corpus read it. */
export interface RouteDescription {
  readonly operation: string;
  readonly service: string;
  readonly method: string;
  readonly path: string;
  readonly access: RouteContract['access'];
  readonly ids: RouteContract['ids'];
  readonly bodyBytesMax: number;
  /** Who but our own pages reaches it, and why. */
  readonly foreign?: RouteContract['foreign'];
  /** JSON Schema (2020-12) of each part; `'stream'` for raw bytes. */
  readonly params?: unknown;
  readonly query?: unknown;
  readonly body?: unknown;
  readonly replies: Readonly<Record<string, unknown>>;
}

const describe = (schema: ZodType | 'stream', io: 'input' | 'output'): unknown =>
  schema === 'stream' ? 'stream' : z.toJSONSchema(schema, { io, unrepresentable: 'any' });

/** All routes of `contracts`, by operation. */
export function describeRoutes(contracts: readonly Readonly<Record<string, RouteContract>>[]): RouteDescription[] {
  return contracts
    .flatMap((contract) => Object.values(contract))
    .map((route) => ({
      operation: route.operation,
      service: route.service,
      method: route.method,
      path: route.path,
      access: route.access,
      ids: route.ids,
      bodyBytesMax: route.body === undefined ? 0 : (route.bodyBytesMax ?? BODY_BYTES_MAX),
      ...(route.foreign === undefined ? {} : { foreign: route.foreign }),
      ...(route.params === undefined ? {} : { params: describe(route.params, 'input') }),
      ...(route.query === undefined ? {} : { query: describe(route.query, 'input') }),
      ...(route.body === undefined ? {} : { body: describe(route.body, 'input') }),
      replies: Object.fromEntries(
        Object.entries(route.replies).map(([status, schema]) => [status, describe(schema, 'output')]),
      ),
    }))
    .sort((a, b) => (a.operation < b.operation ? -1 : 1));
}
