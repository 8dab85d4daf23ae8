import { globSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ProblemKind } from '../../app/platform/http/problems.ts';
import { code, page, table } from './markdown.ts';

/** A code's outward form and the folder that defines it. */
export interface FoundProblem extends ProblemKind {
  readonly code: string;
  readonly folder: string;
}

function isKind(value: unknown): value is ProblemKind {
  return typeof value === 'object' && value !== null && Object.keys(value).sort().join() === 'status,title';
}

/** Every problem table that a room or the floor exports, flattened and in the order of the codes. */
export async function findProblems(root: string): Promise<FoundProblem[]> {
  const found = new Map<string, FoundProblem>();
  for (const file of globSync('app/{domains,platform}/*/{errors,problems}.ts', { cwd: root }).sort()) {
    const module = (await import(pathToFileURL(join(root, file)).href)) as Record<string, unknown>;
    for (const table of Object.values(module)) {
      const entries = Object.entries(Object(table));
      if (entries.length === 0 || !entries.every(([, kind]) => isKind(kind))) continue;
      for (const [name, kind] of entries) {
        const folder = dirname(file);
        // Re-exported tables are met again in another file of the same folder.
        if ((found.get(name)?.folder ?? folder) !== folder) throw new Error(`problem code ${name} is defined twice`);
        found.set(name, { code: name, folder, ...(kind as ProblemKind) });
      }
    }
  }
  return [...found.values()].sort((a, b) => (a.code < b.code ? -1 : 1));
}

/** Every error code with its status and title. */
export function errorsPage(problems: readonly FoundProblem[]): string {
  const rows = problems.map(({ code: name, status, title, folder }) => [
    code(name),
    String(status),
    title,
    basename(folder),
  ]);
  return page('Error codes', 'the problem tables of the rooms and the floor', [
    'Every error is an RFC 9457 problem (`application/problem+json`) with `type` `urn:auditrax:problem:<code>`, `title`, `status`, `code`, `requestId`, and where it helps `detail` and `field`. What belongs to another tenant, was forged or never existed has one and the same answer: `not_found`.',
    table(['code', 'status', 'title', 'defined in'], rows),
  ]);
}
