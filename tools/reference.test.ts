import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { EDGE_ROUTES } from '../app/bin/rooms.ts';
import { ROUTES_WITHOUT_ENTRY, unrecordedRoutes, routeEntries } from './reference/audit-actions.ts';
import { reachableEntries, readAuditSource, type AuditSource } from './reference/audit-source.ts';
import { findRoutes, type FoundRoute } from './reference/contracts.ts';
import { findProblems } from './reference/errors.ts';
import { openApi, openApiFindings, type OpenApi } from './reference/openapi.ts';
import { table } from './reference/markdown.ts';

const ROOT = join(import.meta.dirname, '..');
let routes: FoundRoute[];
let source: AuditSource;

beforeAll(async () => {
  routes = await findRoutes(ROOT);
  source = readAuditSource(ROOT);
});

describe('the list of routes', () => {
  it('has every route of the edge, and internal ones that the edge has not', () => {
    const found = new Set(routes.map(({ contract }) => contract));
    expect(EDGE_ROUTES.filter((route) => !found.has(route)).map((route) => route.operation)).toEqual([]);
    const forwarded = routes.filter(({ contract }) => contract.access.kind !== 'internal');
    expect(forwarded.map(({ contract }) => contract.operation).sort()).toEqual(
      EDGE_ROUTES.map((route) => route.operation).sort(),
    );
    expect(routes.length).toBeGreaterThan(forwarded.length + 5);
  });
});

describe('the OpenAPI document', () => {
  const document = openApi(EDGE_ROUTES, '1.0.0');
  const changed = (change: (copy: OpenApi) => void) => {
    const copy = structuredClone(document);
    change(copy);
    return openApiFindings(copy);
  };

  it('is whole', () => {
    expect(openApiFindings(document)).toEqual([]);
    const operations = Object.values(document.paths).flatMap((item) => Object.values(item));
    expect(operations).toHaveLength(EDGE_ROUTES.length);
  });

  it('asks for a session and a confirmation exactly where the contracts do', () => {
    for (const route of EDGE_ROUTES) {
      const operation = document.paths[route.path.replaceAll(/:(\w+)/g, '{$1}')]![route.method.toLowerCase()]!;
      expect(operation['security']).toEqual(route.access.kind === 'public' ? [] : [{ session: [] }]);
      const stepUp = route.access.kind === 'session' && route.access.stepUp === true;
      expect(JSON.stringify(operation['parameters'] ?? []).includes('/StepUp')).toBe(stepUp);
    }
  });

  it('would not pass with a fault', () => {
    const path = '/api/access/members/{memberId}/role';
    const faults: [RegExp, (copy: OpenApi) => void][] = [
      [/used twice/, (copy) => (copy.paths[path]!['post']!['operationId'] = 'access.invite')],
      [/is not declared/, (copy) => (copy.paths[path]!['post']!['parameters'] = [])],
      [/no reply of success/, (copy) => (copy.paths[path]!['post']!['responses'] = { default: {} })],
      [/no reply for errors/, (copy) => (copy.paths[path]!['post']!['responses'] = { 200: {} })],
      [/security scheme/, (copy) => (copy.paths[path]!['post']!['security'] = [{ other: [] }])],
      [/leads nowhere/, (copy) => delete copy.components.schemas['Problem']],
    ];
    for (const [words, change] of faults) expect(changed(change).join('\n')).toMatch(words);
  });
});

describe('the audit entries', () => {
  it('are found for every route that changes something, or there is a reason', () => {
    const entries = routeEntries(routes, source);
    expect(entries.length).toBeGreaterThan(10);
    expect(unrecordedRoutes(entries)).toEqual([]);
  });

  it('name no reason for a route that is gone or does write one', () => {
    const entries = new Map(routeEntries(routes, source));
    const stale = Object.keys(ROUTES_WITHOUT_ENTRY).filter((operation) => {
      const written = entries.get(operation);
      return written === undefined || unrecordedRoutes([[`${operation}-copy`, written]]).length === 0;
    });
    expect(stale).toEqual([]);
  });

  it('would be missed where a handler writes none', () => {
    expect(unrecordedRoutes([['room.change', []]])).toEqual(['room.change']);
    expect(unrecordedRoutes([['room.change', ['access.row-denied']]])).toEqual(['room.change']);
    expect(unrecordedRoutes([['room.change', ['room.changed']]])).toEqual([]);
    // A route whose handler reaches nothing: the very derivation, not only its verdict.
    const finalise = routes.find(({ contract }) => contract.operation === 'engagements.finalise')!;
    expect(unrecordedRoutes(routeEntries([{ ...finalise, key: 'gone' }], source))).toEqual(['engagements.finalise']);
  });
});

describe('the reading of sources', () => {
  const sourceOf = (files: Readonly<Record<string, string>>): AuditSource => {
    const folder = mkdtempSync(join(tmpdir(), 'auditrax-source-'));
    mkdirSync(join(folder, 'app/domains/room'), { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, 'app/domains/room', name), text);
    const read = readAuditSource(folder);
    rmSync(folder, { recursive: true, force: true });
    return read;
  };
  const handlers = "import { change } from './service.ts'; bindRoutes(routes, { edit: async (call) => change(call) });";
  const entry = (type: string) =>
    `export async function change(call) { await record({ type: ${type}, outcome: 'allowed' }); }`;
  const edit = { folder: 'app/domains/room', key: 'edit' };

  it('follows literals, choices, constants and functions of the file', () => {
    const cases: [string, string[]][] = [
      [entry("'room.changed'"), ['room.changed']],
      [entry("call.last ? 'room.closed' : 'room.changed'"), ['room.changed', 'room.closed']],
      [`const KIND = 'room.changed'; ${entry('KIND')}`, ['room.changed']],
      [`function kindOf() { if (1) return 'room.a'; return 'room.b'; } ${entry('kindOf(call)')}`, ['room.a', 'room.b']],
    ];
    for (const [service, types] of cases)
      expect(reachableEntries(sourceOf({ 'routes.ts': handlers, 'service.ts': service }), edit)).toEqual(types);
  });

  it('says where it cannot follow', () => {
    for (const type of ['`room.${call.verb}`', 'elsewhere(call)'])
      expect(sourceOf({ 'routes.ts': handlers, 'service.ts': entry(type) }).unread).toHaveLength(1);
    expect(source.unread).toEqual([]);
  });
});

describe('the error codes', () => {
  it('are those of every room, with the status of an error', async () => {
    const problems = await findProblems(ROOT);
    expect(new Set(problems.map(({ folder }) => folder)).size).toBeGreaterThan(8);
    expect(problems.filter(({ status }) => status < 400 || status > 599)).toEqual([]);
    expect(problems.map(({ code }) => code)).toContain('not_found');
  });
});

describe('a table', () => {
  it('cannot be broken by what stands in it', () => {
    expect(table(['a'], [['x | y\n z']])).toBe('| a |\n|---|\n| x \\| y z |');
  });
});
