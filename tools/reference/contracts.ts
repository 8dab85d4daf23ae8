import { globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { RouteContract } from '@auditrax/base/route';

/** A route, the folder whose contract declares it, and its name there. */
export interface FoundRoute {
  readonly contract: RouteContract;
  readonly folder: string;
  readonly file: string;
  readonly key: string;
}

function isRoute(value: unknown): value is RouteContract {
  if (typeof value !== 'object' || value === null) return false;
  return ['operation', 'service', 'method', 'path', 'access', 'replies'].every((name) => Object.hasOwn(value, name));
}

/**
 * Every route of every `*contract.ts` below app/, whoever wires it: a new room is in the reference without a line here.
 * Ordered by service, then path, then method. Throws when two routes share an operation.
 */
export async function findRoutes(root: string): Promise<FoundRoute[]> {
  const found = new Map<string, FoundRoute>();
  for (const file of globSync('app/{domains,platform}/*/*contract.ts', { cwd: root }).sort()) {
    const module = (await import(pathToFileURL(join(root, file)).href)) as Record<string, unknown>;
    for (const [key, contract] of Object.values(module).flatMap((value) => Object.entries(Object(value)))) {
      if (!isRoute(contract)) continue;
      const earlier = found.get(contract.operation);
      if (earlier === undefined) found.set(contract.operation, { contract, folder: dirname(file), file, key });
      else if (earlier.contract !== contract) throw new Error(`two routes are called ${contract.operation}`);
    }
  }
  const order = ({ contract }: FoundRoute) => `${contract.service} ${contract.path} ${contract.method}`;
  return [...found.values()].sort((a, b) => (order(a) < order(b) ? -1 : 1));
}
