import { RULES, type LogEvent } from '../../app/domains/detections/index.ts';
import { reachableEntries, type AuditSource } from './audit-source.ts';
import type { FoundRoute } from './contracts.ts';
import { code, page, table } from './markdown.ts';

/** Routes that change nothing worth an entry, each with the reason. */
export const ROUTES_WITHOUT_ENTRY: Readonly<Record<string, string>> = {
  'connections.suggest-accounts': 'stores nothing; what is approved of it is recorded then',
  'connections.check': 'changes nothing; settings are recorded when they are saved',
  'connections.describe': 'reads a document that was pasted; nothing is stored',
  'access.step-up': 'makes a challenge; what it confirms is recorded when it is done',
  'rules.effect': 'changes nothing; rules are recorded when they are saved',
  'rules.try': 'changes nothing; rules are recorded when they are saved',
  'evidence.write-part': 'adds bytes to an upload whose start, completion and end are recorded',
};

/** Entries about something that did not happen: no proof that the route records what it does. */
const REFUSALS = /\.(row-denied|refused|upload-refused|overridden)$/;

/** Session routes that change something, with the entries that they may write. */
export function routeEntries(routes: readonly FoundRoute[], source: AuditSource): [string, string[]][] {
  return routes.flatMap((route): [string, string[]][] => {
    const { access, operation } = route.contract;
    if (access.kind !== 'session' || access.class === 'read') return [];
    return [[operation, reachableEntries(source, route)]];
  });
}

/** Routes that change something and of which no entry is found, nor a reason named. */
export function unrecordedRoutes(entries: readonly [string, readonly string[]][]): string[] {
  return entries
    .filter(([operation, types]) => !types.some((type) => !REFUSALS.test(type)) && !(operation in ROUTES_WITHOUT_ENTRY))
    .map(([operation]) => operation);
}

function detectedBy(type: string): string {
  // Rules look at an event as a whole; the type alone decides in all that are written so far.
  const event = { type, outcome: 'denied', facts: {} } as unknown as LogEvent;
  return RULES.filter((rule) => rule.matches(event))
    .map((rule) => code(rule.id))
    .join(', ');
}

/** Every type of entry that the code writes, and what the changing routes write. */
export function auditActionsPage(routes: readonly FoundRoute[], source: AuditSource): string {
  const types = [...new Set(source.entries.map(({ type }) => type))];
  const rows = types.map((type) => {
    const found = source.entries.filter((entry) => entry.type === type);
    const unique = (values: readonly (string | undefined)[]) => [...new Set(values)].filter((one) => one !== undefined);
    return [
      code(type),
      unique(found.map(({ resource }) => resource)).join(', '),
      unique(found.map(({ file }) => file))
        .map(code)
        .join(', '),
      detectedBy(type),
    ];
  });
  const routeRows = routeEntries(routes, source).map(([operation, written]) => [
    code(operation),
    written.map(code).join(', '),
    ROUTES_WITHOUT_ENTRY[operation] ?? '',
  ]);
  return page('Audit entries', 'the sources below `app/`', [
    'A row and its entry commit in one transaction or not at all: the database refuses the commit of a changed row without its entry, whatever the code does. This list is what the code names.',
    table(['type', 'about', 'written by', 'detection'], rows),
    '## What the routes that change something write',
    'Derived from names in the sources: a route may write what its handler can reach.',
    table(['operation', 'entries', 'remark'], routeRows),
  ]);
}
