// Writes docs/reference from the code (`npm run reference -- --write`) or says what is not current.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EDGE_ROUTES } from '../app/bin/rooms.ts';
import { auditActionsPage, unrecordedRoutes, routeEntries } from './reference/audit-actions.ts';
import { readAuditSource } from './reference/audit-source.ts';
import { findRoutes } from './reference/contracts.ts';
import { errorsPage, findProblems } from './reference/errors.ts';
import { privilegedFindings, privilegedPage, readActions, readTables } from './reference/privileged.ts';
import { openApi, openApiFindings } from './reference/openapi.ts';
import { routesPage } from './reference/routes.ts';
import {
  claimsPage,
  configurationPage,
  detectionsPage,
  refusalsPage,
  stateMachinesPage,
} from './reference/small-pages.ts';

const FOLDER = 'docs/reference';

interface Reference {
  readonly pages: Readonly<Record<string, string>>;
  /** What is wrong with the code itself, seen while reading it. */
  readonly findings: readonly string[];
}

/** Everything that docs/reference says about the code, made from the code. */
export async function makeReference(root: string): Promise<Reference> {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const [routes, problems, source] = [await findRoutes(root), await findProblems(root), readAuditSource(root)];
  const document = openApi(EDGE_ROUTES, version);
  const tables = readTables(root);
  const unrecorded = unrecordedRoutes(routeEntries(routes, source));
  return {
    pages: {
      'openapi.json': `${JSON.stringify(document, null, 2)}\n`,
      'routes.md': routesPage(routes),
      'errors.md': errorsPage(problems),
      'audit-actions.md': auditActionsPage(routes, source),
      'privileged.md': privilegedPage(routes, source, tables),
      'state-machines.md': stateMachinesPage(),
      'detections.md': detectionsPage(),
      'refusals.md': refusalsPage(),
      'configuration.md': configurationPage(),
      'claims.md': claimsPage(),
    },
    findings: [
      ...openApiFindings(document).map((finding) => `openapi.json: ${finding}`),
      ...source.unread.map((place) => `the type of an audit entry cannot be read: ${place}`),
      ...privilegedFindings(routes, readActions(root), tables),
      ...unrecorded.map((operation) => `${operation} changes something, and no audit entry of it is found`),
    ],
  };
}

/** What of docs/reference is not current, or wrong in the code that it is made of. */
export async function referenceFindings(root: string): Promise<string[]> {
  const { pages, findings } = await makeReference(root);
  const stale = Object.entries(pages).filter(([name, text]) => {
    const path = join(root, FOLDER, name);
    return !existsSync(path) || readFileSync(path, 'utf8') !== text;
  });
  return [...findings, ...stale.map(([name]) => `${FOLDER}/${name} is not current: npm run reference -- --write`)];
}

async function main(root: string): Promise<number> {
  if (process.argv.includes('--write')) {
    for (const [name, text] of Object.entries((await makeReference(root)).pages))
      writeFileSync(join(root, FOLDER, name), text);
  }
  const findings = await referenceFindings(root);
  for (const line of findings) process.stdout.write(`${line}\n`);
  return findings.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(join(import.meta.dirname, '..'));
