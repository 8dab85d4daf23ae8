// Debian's sqlmap against addresses of this machine: what it is given is derived from the table of routes.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RouteDescription } from '../../app/platform/http/registry.ts';

const SQLMAP = '/usr/bin/sqlmap';
/** sqlmap's mark for "try here". */
const MARK = '*';
/** One address with a few places takes seconds; a hanging one must not hold up the rest. */
const RUN_MS_MAX = 240_000;

/** False when it may be left out: on a machine without it, unless everything must run (`CI=true`). */
export function hasSqlmap(): boolean {
  return existsSync(SQLMAP) || process.env['CI'] === 'true';
}

/** One request with marks at every place that is tried. */
export interface SqlTarget {
  readonly name: string;
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** JSON text. */
  readonly body?: string;
  readonly places: number;
}

interface JsonSchema {
  readonly type?: string;
  readonly pattern?: string;
  readonly format?: string;
  readonly enum?: readonly string[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
}

/** What makes a request an honest one: genuine ids by kind, and values of members by name. */
export interface Samples {
  readonly ids: Readonly<Record<string, string>>;
  readonly values: Readonly<Record<string, string | number>>;
}

/** A value that the schema accepts; undefined where this knows none. */
function sampleOf(name: string, schema: JsonSchema, { ids, values }: Samples): string | number | boolean | undefined {
  const kind = /^\^([a-z]{2,4})_/.exec(schema.pattern ?? '')?.[1];
  if (kind !== undefined) return ids[kind];
  // Before the name: a day that is called as a number of another route is one.
  if (schema.format === 'date') return '2026-01-02';
  if (values[name] !== undefined) return values[name];
  if (schema.enum !== undefined) return schema.enum[0];
  if (schema.type === 'integer') return Math.max(1, schema.minimum ?? 1);
  if (schema.type === 'boolean') return true;
  if (schema.format === 'date-time') return '2026-01-02T03:04:05Z';
  return schema.type === 'string' ? 'a' : undefined;
}

interface Marked {
  readonly text: string;
  readonly places: number;
}

/** The JSON text of a body with a mark at the end of every text and number; undefined when it is no plain object. */
function markedBody(schema: JsonSchema, samples: Samples): Marked | undefined {
  if (schema.type !== 'object' || schema.properties === undefined) return undefined;
  const members: string[] = [];
  let places = 0;
  for (const [name, member] of Object.entries(schema.properties)) {
    const inner = member.type === 'object' ? markedBody(member, samples) : undefined;
    const sample = inner === undefined ? sampleOf(name, member, samples) : undefined;
    if (inner === undefined && sample === undefined) continue;
    const isTried = typeof sample === 'string' || typeof sample === 'number';
    const text = typeof sample === 'string' ? `"${sample}${MARK}"` : `${String(sample)}${isTried ? MARK : ''}`;
    members.push(`"${name}": ${inner?.text ?? text}`);
    places += inner?.places ?? (isTried ? 1 : 0);
  }
  return { text: `{${members.join(', ')}}`, places };
}

/** Path and query with a mark behind each value; undefined when an id of a path's kind is not at hand. */
function markedAddress(route: RouteDescription, samples: Samples): Marked | undefined {
  const named = [...route.path.matchAll(/:([A-Za-z]+)/g)].map((match) => match[1]!);
  const ids = named.map((name) => samples.ids[route.ids[`params.${name}`] ?? '']);
  if (ids.includes(undefined)) return undefined;
  const path = named.reduce((text, name, at) => text.replace(`:${name}`, `${ids[at]}${MARK}`), route.path);
  const query = Object.entries((route.query as JsonSchema | undefined)?.properties ?? {}).flatMap(([name, schema]) => {
    const sample = sampleOf(name, schema, samples);
    return sample === undefined ? [] : [`${name}=${encodeURIComponent(sample)}${MARK}`];
  });
  return {
    text: query.length === 0 ? path : `${path}?${query.join('&')}`,
    places: named.length + query.length,
  };
}

const plain = (text: string): string => text.replaceAll(MARK, '');

/** What sqlmap is given of a route: its address, and its body apart, each with a mark at every place. */
export function sqlTargets(route: RouteDescription, samples: Samples): SqlTarget[] {
  const address = markedAddress(route, samples);
  const hasBody = route.body !== undefined;
  const body = hasBody ? markedBody(route.body as JsonSchema, samples) : undefined;
  if (address === undefined || (hasBody && body === undefined)) return [];
  const { operation, method } = route;
  const sent = body === undefined ? {} : { body: plain(body.text) };
  return [
    { name: `${operation} address`, method, path: address.text, places: address.places, ...sent },
    ...(body === undefined
      ? []
      : [{ name: `${operation} body`, method, path: plain(address.text), places: body.places, body: body.text }]),
  ].filter(({ places }) => places > 0);
}

/** The same request without the marks: it must be answered, or nothing behind it was tried. */
export function unmarked({ path, body }: SqlTarget): { readonly path: string; readonly body?: unknown } {
  return body === undefined ? { path: plain(path) } : { path: plain(path), body: JSON.parse(plain(body)) as unknown };
}

export interface SqlmapVerdict {
  readonly name: string;
  /** `unclear`: sqlmap said neither; its words are in `said`. */
  readonly found: 'injectable' | 'not injectable' | 'unclear';
  /** Statuses above 399 that it met, with how often. */
  readonly statuses: ReadonlyMap<number, number>;
  readonly said: string;
}

/** Lets sqlmap try one request, with every technique, from an empty memory of its own. Never throws. */
export async function runSqlmap(
  target: SqlTarget,
  door: { readonly origin: string; readonly cookie?: string },
): Promise<SqlmapVerdict> {
  const folder = mkdtempSync(join(tmpdir(), 'sqlmap-'));
  const headers = [`Origin: ${door.origin}`, 'Sec-Fetch-Site: same-origin', 'Content-Type: application/json'];
  const words = [
    '--batch',
    // In an address sqlmap would else spell its values as JSON, because the body is.
    ...(target.body?.includes(MARK) === true ? [] : ['--answers=JSON data found=N']),
    '--flush-session',
    `--output-dir=${folder}`,
    `--url=${door.origin}${target.path}`,
    `--method=${target.method}`,
    ...(target.body === undefined ? [] : [`--data=${target.body}`]),
    ...(door.cookie === undefined ? [] : [`--cookie=${door.cookie}`]),
    `--headers=${headers.join('\n')}`,
    '--dbms=PostgreSQL',
    '--level=1',
    '--risk=1',
    '--technique=BEUST',
    '--time-sec=1',
    '--skip-waf',
    '--ignore-redirects',
    '--ignore-code=400,404,409',
    // Below what one session may ask for in a second.
    '--delay=0.01',
    '--retries=0',
    '--timeout=20',
    '--drop-set-cookie',
    '--disable-coloring',
  ];
  try {
    const said = await output(words, folder);
    const statuses = new Map(
      [...said.matchAll(/\b([45]\d\d) \([^)]*\) - (\d+) times/g)].map((match) => [Number(match[1]), Number(match[2])]),
    );
    const isFound = said.includes('identified the following injection point');
    const isRefused = said.includes('all tested parameters do not appear to be injectable');
    return {
      name: target.name,
      found: isFound ? 'injectable' : isRefused ? 'not injectable' : 'unclear',
      statuses,
      said,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function output(words: readonly string[], home: string): Promise<string> {
  const child = spawn(SQLMAP, words, {
    // No folder of the person who runs the tests, and no way out by a proxy of theirs.
    env: { PATH: process.env['PATH'], HOME: home, XDG_DATA_HOME: home, no_proxy: '*' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_MS_MAX,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => (said += piece.toString()));
  return new Promise((resolve) => {
    child.once('close', () => resolve(said));
    child.once('error', (error) => resolve(`${said}\n${error.message}`));
  });
}
