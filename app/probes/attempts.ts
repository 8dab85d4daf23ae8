import type { Clock, Random, RouteContract, Uuid } from '@auditrax/base';
import { fromBase64Url, toBase64Url, uuidV4 } from '@auditrax/base';
import type { AttemptOutcome, CanaryTenant, DrillOutcome, ProbeResponse, ProbeRequest } from '../claims/probe.ts';
import type { Watch } from './watch.ts';

/** An attempt must be in the log by then; the sequencer needs a few milliseconds. */
const SEEN_MS_MAX = 8_000;
/** And paged by then, or it counts as unpaged here; the claim itself allows a minute. */
const PAGED_MS_MAX = 15_000;
/** Attempts under way at once, gentle to a machine that also works. */
const PARALLEL_MAX = 6;
const ATTEMPT = 'tenant.attempt.refused';

/** One thing to try. `seen` attempts must be logged and paged; the others are noise that must only look the same. */
export interface Attempt {
  readonly name: string;
  readonly layer: string;
  make(): Promise<Answer>;
}

interface Answer {
  readonly requestId: string;
  readonly refused: boolean;
  readonly answer: string;
}

export interface CorpusDeps {
  readonly routes: readonly RouteContract[];
  readonly fetch: (path: string, request: ProbeRequest) => Promise<ProbeResponse>;
  /** Tried in the name of one canary on the other shared one. */
  readonly drill: (name: string, rowId: Uuid | undefined, tenant: 'a' | 'c') => Promise<DrillOutcome>;
  /** Knocks at the workspace's id parser with a valid token. */
  readonly knock: (id: string) => Promise<{ readonly requestId: string; readonly status: number }>;
  /** `c` has a schema of its own; absent where there is none. */
  readonly canaries: { readonly a: CanaryTenant; readonly b: CanaryTenant; readonly c?: CanaryTenant };
  readonly idOf: (kind: string, tenant: 'a' | 'b', uuid: Uuid) => string;
  readonly cookie: () => Promise<string>;
  readonly random: Random;
}

type IdFault = 'foreign' | 'forged' | 'missing' | 'malformed';

/** A genuine id with one bit of its tag changed. */
export function forgeId(genuine: string): string {
  const mark = genuine.indexOf('_') + 1; // the kind has none; the base64url body may
  const bytes = fromBase64Url(genuine.slice(mark));
  if (bytes === undefined) throw new RangeError('only a genuine id can be forged from');
  const last = bytes.length - 1;
  bytes[last] = bytes[last]! ^ 0x01;
  return genuine.slice(0, mark) + toBase64Url(bytes);
}

function wrongId(deps: CorpusDeps, kind: string, fault: IdFault): string {
  const nobody = uuidV4(deps.random);
  if (fault === 'foreign') return deps.canaries.b.ids[kind] ?? deps.idOf(kind, 'b', nobody);
  if (fault === 'forged') return forgeId(deps.idOf(kind, 'a', nobody));
  return fault === 'missing' ? deps.idOf(kind, 'a', nobody) : `${kind}_none`;
}

/** Settings of a connection as its room accepts them. */
const CONNECTION = {
  name: 'Provider',
  values: {
    kind: 'oidc',
    issuer: 'https://idp.example',
    clientId: 'a',
    clientAuthentication: 'client_secret_basic',
    secret: null,
    algorithm: 'RS256',
    groupsClaim: null,
    hostedDomain: null,
    authnAge_seconds_max: null,
  },
  certificates: [],
} as const;

/** Bodies that a room accepts, so that a wrong id in the address is the only thing wrong. */
const BODIES: Readonly<Record<string, object>> = {
  'authorisation-server.change-client': {
    name: 'Program',
    access: 'read',
    redirectUris: ['https://program.example/back'],
    handsTo: [],
    revision: 1,
  },
  'engagements.record-result': { outcome: 'satisfied', note: '', observedOn: '2026-01-02', revision: 0 },
  'engagements.move': { to: 'review', revision: 1 },
  'engagements.assign-contact': { revision: 1 },
  'engagements.remove-contact': { revision: 1 },
  'access.step-up': { operation: 'engagements.finalise', input: {} },
  'siem.change': { target: { kind: 'syslog-tls', host: 'siem.example', port: 6514 }, version: 1 },
  'siem.turn': { on: false, version: 1 },
  'siem.remove': { on: false, version: 1 },
  'signals.turn': { to: 'paused' },
  'connections.change': { version: 1, justInTime: { allowed: false, roleWithoutGroup: null }, ...CONNECTION },
  'connections.check': CONNECTION,
  'connections.turn': { to: 'disabled' },
  'connections.map-groups': { groups: [] },
  'connections.decide-certificate': { to: 'retired' },
  'connections.own-keys': { step: 'prepare' },
  'provisioning.issue-token': { days: 90 },
  'signal-receiver.begin': { delivery: 'push' },
  'signal-receiver.set-up': {
    issuer: 'https://signals.example',
    audience: 'https://receiver.example',
    theirStream: null,
    jwksUri: 'https://signals.example/jwks',
    algorithm: 'RS256',
    opaqueSubjects: false,
    pollUrl: null,
    authorization: null,
  },
  'signal-receiver.connect': {
    issuer: 'https://signals.example',
    authorization: 'Bearer none',
    algorithm: 'RS256',
    opaqueSubjects: false,
  },
  'signal-receiver.turn': { to: 'paused' },
  'signal-receiver.decide': { to: 'dismiss' },
  'audit-trail.export-lines': { format: 'csv', upTo: 1 },
  'rules.place-person': { belongs: true },
  'rules.place-engagement': { belongs: true },
  'evidence.start-upload': {
    fileName: 'a.txt',
    mediaType: 'text/plain',
    sizeBytes: 1,
    speaksAbout: { from: '2026-01-01', to: '2026-01-02' },
  },
};
const QUERIES: Readonly<Record<string, Record<string, string>>> = { 'evidence.write-part': { offset: '0' } };

function setAt(body: Record<string, unknown>, names: readonly string[], id: string): void {
  const [name, ...rest] = names;
  if (rest.length === 0) body[name!] = id;
  else setAt((body[name!] ??= {}) as Record<string, unknown>, rest, id);
}

/** The route's request with every id right but the one at `place`. */
export function requestWith(
  deps: CorpusDeps,
  route: RouteContract,
  wrong: { place: string; id: string },
): { path: string; request: ProbeRequest } {
  let path: string = route.path;
  const query = new URLSearchParams(QUERIES[route.operation]);
  const body = structuredClone(BODIES[route.operation] ?? {}) as Record<string, unknown>;
  for (const [place, kind] of Object.entries(route.ids)) {
    const [part, ...names] = place.split('.') as [string, ...string[]];
    const name = names[0]!;
    const own = deps.canaries.a.ids[kind] ?? deps.idOf(kind, 'a', uuidV4(deps.random));
    const id = place === wrong.place ? wrong.id : own;
    if (part === 'params') path = path.replace(`:${name}`, id);
    else if (part === 'query') {
      if (place === wrong.place) query.set(name, id);
    } else setAt(body, names, id);
  }
  const asked = query.size === 0 ? path : `${path}?${query.toString()}`;
  if (route.body === undefined) return { path: asked, request: { method: route.method } };
  if (route.body === 'stream') {
    return {
      path: asked,
      request: { method: route.method, headers: { 'content-type': 'application/octet-stream' }, body: 'x' },
    };
  }
  return { path: asked, request: { method: route.method, json: body as never } };
}

/** Every route of the edge that takes an id, at every place, with an id of another tenant and with a forged one. */
export function edgeAttempts(deps: CorpusDeps): Attempt[] {
  return deps.routes.flatMap((route) =>
    Object.entries(route.ids).flatMap(([place, kind]) =>
      (['foreign', 'forged'] as const).map((fault) => ({
        name: `gateway/${route.operation}/${place}/${fault}`,
        layer: 'gateway',
        make: async () => {
          const { path, request } = requestWith(deps, route, { place, id: wrongId(deps, kind, fault) });
          const reply = await deps.fetch(path, { ...request, cookie: await deps.cookie() });
          return {
            requestId: reply.requestId,
            refused: reply.status === 404,
            answer: `${reply.status} ${reply.problem() ?? ''}`.trim(),
          };
        },
      })),
    ),
  );
}

interface LayerDrill {
  readonly drill: string;
  readonly layer: string;
  readonly code: string;
  /** Kind of the row that is reached for. */
  readonly row?: string;
}

/** Drills by the wall that must speak, with the code that this wall gives. */
const LAYER_DRILLS: readonly LayerDrill[] = [
  { drill: 'guard-foreign-parameter', layer: 'guard', code: 'tenant_foreign_parameter' },
  { drill: 'guard-unscoped-statement', layer: 'guard', code: 'tenant_statement_refused' },
  { drill: 'guard-unscoped-join', layer: 'guard', code: 'tenant_statement_refused' },
  { drill: 'tripwire-foreign-read', layer: 'tripwire', code: 'tenant_tripwire', row: 'eng' },
  { drill: 'tripwire-foreign-update', layer: 'tripwire', code: 'tenant_tripwire', row: 'eng' },
  { drill: 'tripwire-foreign-insert', layer: 'tripwire', code: 'tenant_tripwire' },
  { drill: 'no-tenant-read', layer: 'scope', code: 'tenant_scope_missing' },
  { drill: 'no-tenant-insert', layer: 'scope', code: 'tenant_scope_missing' },
  { drill: 'scope-twice', layer: 'scope', code: 'tenant_scope_twice' },
  { drill: 'grant-change-entry', layer: 'grant', code: 'tenant_grant_refused' },
  { drill: 'grant-empty-log', layer: 'grant', code: 'tenant_grant_refused' },
];

/** Of a tenant with a place of its own: its login with another tenant, and everybody else's login with its rows. */
const ROLE_DRILLS: readonly LayerDrill[] = [
  { drill: 'placed-role-elsewhere', layer: 'role', code: 'tenant_role_foreign', row: 'res' },
  { drill: 'placed-shared-elsewhere', layer: 'role', code: 'tenant_grant_refused', row: 'res' },
];

/** Each layer below the gateway at its own door. */
export function layerAttempts(deps: CorpusDeps): Attempt[] {
  const { b, c } = deps.canaries;
  const parser = (['foreign', 'forged'] as const).map((fault) => ({
    name: `parser/${fault}`,
    layer: 'parser',
    make: async () => {
      const { requestId, status } = await deps.knock(wrongId(deps, 'eng', fault));
      return { requestId, refused: status === 404, answer: String(status) };
    },
  }));
  const made = [
    ...LAYER_DRILLS.map((drill) => ({ ...drill, rows: b.rows, tenant: 'a' as const })),
    ...(c === undefined ? [] : ROLE_DRILLS.map((drill) => ({ ...drill, rows: c.rows, tenant: 'c' as const }))),
  ];
  const drills = made.map(({ drill, layer, code, row, rows, tenant }) => ({
    name: `${layer}/${drill}`,
    layer,
    make: async () => {
      const outcome = await deps.drill(drill, row === undefined ? undefined : rows[row], tenant);
      const answer = outcome.kind === 'refused' ? outcome.code : 'happened';
      return { requestId: outcome.requestId, refused: answer === code, answer };
    },
  }));
  return [...parser, ...drills];
}

/** Makes one attempt and follows it to the log and to the page. Never throws: what went wrong is its answer. */
export async function followAttempt(
  attempt: Attempt,
  { watch, clock }: { watch: Watch; clock: Clock },
): Promise<AttemptOutcome> {
  const started_ms = clock.nowMs();
  const about = { name: attempt.name, layer: attempt.layer, started_ms };
  let answer: Answer;
  try {
    answer = await attempt.make();
  } catch (error) {
    return {
      ...about,
      requestId: '',
      refused: false,
      answer: `failed: ${(error as { code?: string }).code ?? (error as Error).name}`,
    };
  }
  const seen = (await watch.noticed(answer.requestId, SEEN_MS_MAX)).find((entry) => entry.type === ATTEMPT);
  if (seen === undefined) return { ...about, ...answer };
  const page = (await watch.pages(answer.requestId, PAGED_MS_MAX)).find((one) => one.accepted_ms !== undefined);
  if (page === undefined) return { ...about, ...answer, seen };
  return { ...about, ...answer, seen, page, page_latency_ms: Math.max(0, page.accepted_ms! - started_ms) };
}

/** Follows many, a few at a time, in the order given. */
export async function followAll(
  attempts: readonly Attempt[],
  by: { watch: Watch; clock: Clock },
): Promise<AttemptOutcome[]> {
  const outcomes: AttemptOutcome[] = [];
  const waiting = [...attempts];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      outcomes.push(await followAttempt(next, by));
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_MAX }, worker));
  return outcomes;
}

export interface SameAnswer {
  readonly operation: string;
  readonly place: string;
  /** Kinds of wrong id whose answers were compared. */
  readonly compared: readonly IdFault[];
  readonly same: boolean;
}

/** What of an answer may differ: its id and the time of day. */
function essence(reply: ProbeResponse): string {
  const { date: _date, 'x-request-id': _id, ...headers } = reply.headers;
  return JSON.stringify([reply.status, headers, reply.text().replaceAll(reply.requestId, '')]);
}

/**
 * Whether a missing, forged, foreign and malformed id can be told apart from outside. A missing id is compared only
 * where the route reaches a row without anything else (a confirmation, say) being asked first.
 */
export async function compareAnswers(deps: CorpusDeps, route: RouteContract, place: string): Promise<SameAnswer> {
  const kind = route.ids[place]!;
  const stepUp = route.access.kind === 'session' && route.access.stepUp === true;
  const faults: IdFault[] =
    place.startsWith('params.') && !stepUp
      ? ['foreign', 'forged', 'missing', 'malformed']
      : ['foreign', 'forged', 'malformed'];
  const answers = new Set<string>();
  for (const fault of faults) {
    const { path, request } = requestWith(deps, route, { place, id: wrongId(deps, kind, fault) });
    answers.add(essence(await deps.fetch(path, { ...request, cookie: await deps.cookie() })));
  }
  return { operation: route.operation, place, compared: faults, same: answers.size === 1 };
}
