import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize, sep } from 'node:path';
import { securityHeaders } from '../app/platform/edge/security-headers.ts';
import * as data from './gallery-data.ts';
import * as connections from './gallery-connections.ts';
import * as keys from './gallery-keys.ts';
import * as production from './gallery-production.ts';
import * as programs from './gallery-programs.ts';
import * as accessReviews from './gallery-reviews.ts';
import * as rules from './gallery-rules.ts';
import type { Json } from '@auditrax/base';
import { hideSecrets } from '@auditrax/base/secret';
import { secretsOfEdge } from '../app/bin/rooms.ts';
import * as signals from './gallery-signals.ts';
import * as providerSignals from './gallery-provider-signals.ts';

/** The very headers that the gateway sends, by kind of answer. */
const headers = securityHeaders({ tls: false, host: 'localhost' });

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};
/** Small, so that a file of a few parts is enough to see an upload stop and go on. */
export const MOCK_PART_BYTES = 256 * 1024;

interface MockUpload {
  readonly id: string;
  readonly sizeBytes: number;
  readonly fileName: string;
  received: number;
}

export interface MockServer {
  readonly origin: string;
  /** Requests of the API in order, `METHOD path`. */
  readonly log: readonly string[];
  /** The `x-step-up` headers that arrived. */
  readonly stepUps: readonly string[];
  /** Tear off the next part of an upload in the middle, this often. */
  tear(times: number): void;
  close(): Promise<void>;
}

function problem(status: number, code: string, extra: Record<string, string> = {}) {
  return {
    status,
    body: {
      type: `urn:auditrax:problem:${code}`,
      title: code.replaceAll('_', ' '),
      status,
      code,
      requestId: '01981f6e-7c1a-7b3e-9d54-2f6a8c0e4b17',
      ...extra,
    },
  };
}
const ok = (body: unknown, status = 200) => ({ status, body });
const notFound = problem(404, 'not_found');
const ceremony = {
  challengeId: 'f4b0a1de-6e0b-4d56-9a53-6f5b2f3f7a11',
  options: {
    challenge: 'c2FtcGxlLWNoYWxsZW5nZS1mb3ItbG9va2luZw',
    rpId: 'localhost',
    userVerification: 'required',
    timeout: 60_000,
    allowCredentials: [],
  },
};

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

type Answer = { readonly status: number; readonly body: unknown };

function criteriaPage(url: URL): Answer {
  const from = Number(url.searchParams.get('cursor') ?? 0);
  const limit = Number(url.searchParams.get('limit') ?? 50);
  const group = url.searchParams.get('group');
  const words = (url.searchParams.get('search') ?? '').toLowerCase();
  const found = data.criteria.filter(
    (item) =>
      item.position >= from &&
      (group === null || item.groupIndex === Number(group)) &&
      `${item.label} ${item.title} ${item.path.join(' ')}`.toLowerCase().includes(words),
  );
  return ok({ criteria: found.slice(0, limit), nextCursor: found[limit]?.position ?? null });
}

function read(url: URL, role: data.MockRole): Answer | null {
  const path = url.pathname;
  const [, , , engagementId, part, itemId] = path.split('/');
  if (path === '/api/engagements')
    return ok({ engagements: role === 'client' ? [] : data.engagements, nextCursor: null });
  if (path.startsWith('/api/engagements/') && engagementId) {
    const found = data.engagement(engagementId);
    if (!found) return notFound;
    if (part === undefined) return ok(found);
    if (part === 'criteria' && !itemId) return criteriaPage(url);
    if (part === 'criteria') return withCriterion(itemId ?? '');
    if (part === 'evidence')
      return ok({
        evidence: data.evidence.filter(
          (item) => (url.searchParams.get('criterionId') ?? item.criterionId) === item.criterionId,
        ),
        nextCursor: null,
      });
  }
  if (path.startsWith('/api/audit-trail/entries/')) {
    const found = path.endsWith('/proof')
      ? data.entryProof(path.split('/')[4] ?? '')
      : data.entry(path.split('/')[4] ?? '');
    return found ? ok(found) : notFound;
  }
  const span = [Number(url.searchParams.get('from')), Number(url.searchParams.get('to'))] as const;
  if (path === '/api/audit-trail/leaves') return ok(data.rangeLeaves(...span));
  if (path === '/api/audit-trail/range-proof') return ok(data.rangeProof(...span));
  if (path === '/api/audit-trail') {
    const type = url.searchParams.get('type') ?? '';
    return ok(
      data.entryPage(
        data.entries.filter(
          (item) => item.type.startsWith(type) && (url.searchParams.get('outcome') ?? item.outcome) === item.outcome,
        ),
      ),
    );
  }
  if (path.startsWith('/api/access/members/') && path.endsWith('/erasure'))
    return ok(data.erasureOf(path.split('/')[4]!));
  if (path.startsWith('/api/connections/') && path.endsWith('/signals')) return ok(providerSignals.active);
  const directory = connections.directoryOf(path);
  if (directory !== undefined) return ok(directory);
  const connection = connections.connectionOf(path.split('/')[3] ?? '');
  if (path.startsWith('/api/connections/') && connection !== undefined) return ok(connection);
  if (path.startsWith('/api/signals/') && path.endsWith('/letters')) return ok(signals.letters);
  const fixed: Readonly<Record<string, unknown>> = {
    '/api/access/members': { members: data.members },
    '/api/access/departures': data.departures,
    '/api/access-reviews': accessReviews.reviews,
    [`/api/access-reviews/${accessReviews.review.review.id}`]: accessReviews.review,
    '/api/access/recoveries': { recoveries: data.recoveries },
    '/api/access/invitations': { invitations: data.invitations },
    '/api/identity/passkeys': { passkeys: data.passkeys },
    '/api/api-keys': {
      keys: data.apiKeys.map(({ owner: _owner, ownerId: _id, ...key }) => key),
      keysMax: 10,
      daysMax: 90,
    },
    '/api/api-keys/all': { keys: data.apiKeys },
    '/api/sso/identities': data.identities,
    '/api/audit-trail/preview': data.exportPreview,
    '/api/siem/streams': data.streams,
    '/api/signals': signals.signals,
    '/api/connections': connections.connections,
    '/api/changeover': connections.change,
    '/api/authorisation-server/clients': programs.clients,
    '/api/authorisation-server/grants': programs.grants,
    '/api/keys': data.keys,
    '/api/keys/source': keys.keySource,
    '/api/keys/rotation': keys.keyRotation,
    '/api/operator/key-rings': keys.keyRings,
    '/api/tenants': keys.tenants,
    '/api/tenants/deletions': keys.deletions,
    '/api/tenants/places': keys.places,
    '/api/tenants/moves': keys.moves,
    '/api/tenants/deletion-preview': keys.deletionPreview,
    '/api/production-access': production.productionAccess,
    '/api/oncall/pages': data.oncall,
    '/api/oncall/attempts': data.deniedAttempts,
    '/api/rules': rules.rulesView,
  };
  return path in fixed ? ok(fixed[path]) : null;
}

function withCriterion(criterionId: string): Answer {
  const found = data.criteria.find((item) => item.id === criterionId);
  return found ? ok({ ...found, history: found.result ? [found.result] : [] }) : notFound;
}

function write(path: string, body: Record<string, unknown>): Answer | null {
  if (
    path.endsWith('/sign-in/options') ||
    path === '/api/identity/enrolment/options' ||
    path === '/api/identity/passkey/options'
  )
    return ok(ceremony);
  if (path === '/api/authorisation-server/request') return ok(programs.asked);
  if (path === '/api/sso/invitation/offers') return ok(data.invitationOffers);
  if (path === '/api/identity/passkey/sign-in' || path === '/api/identity/link') return ok(data.session('lead'));
  if (path.startsWith('/api/signals/') && path.endsWith('/token')) return ok({ token: `axr_${'k'.repeat(43)}` });
  if (path.startsWith(`/api${providerSignals.path}/`) && path.endsWith('/verify')) return ok(providerSignals.asked);
  if (path === `/api${providerSignals.path}`) return { status: 201, body: providerSignals.begun };
  if (path.startsWith('/api/siem/streams/') && path.endsWith('/test')) return ok(data.triedStream);
  if (path.startsWith('/api/connections/') && path.endsWith('/check')) return connections.checked(body);
  if (path === '/api/changeover/suggestions') return ok(connections.suggested);
  if (path === '/api/access/step-up') {
    const operation = String(body['operation']);
    const { value, hidden } = hideSecrets(body['input'] as Json, secretsOfEdge(operation));
    return ok({
      ...ceremony,
      hidden,
      action: {
        operation,
        tenant: '5b1c0f62-3a77-4c65-8f0f-3a4c0e6b9d21',
        person: '0d5ef3a1-9a0a-4d0e-8a6a-6a9e4d1c2b3f',
        input: value,
        ...(/-(member|role|recovery)$/.test(String(body['operation']))
          ? { subject: { label: 'Night auditor', role: 'auditor', state: 'active' } }
          : {}),
        ...(body['operation'] === 'authorisation-server.allow' ? { subject: programs.allowSubject } : {}),
        ...(body['operation'] === 'authorisation-server.change-client' ? { subject: programs.changeSubject } : {}),
        ...(body['operation'] === 'production-access.confirm' ? { subject: production.waitingSubject } : {}),
        ...(body['operation'] === 'production-access.ask' ? { subject: production.askSubject } : {}),
      },
    });
  }
  if (path === '/api/keys/source/check')
    return ok((body['source'] as { region?: string }).region === 'xx-none-1' ? keys.refusedSource : keys.checkedSource);
  if (path === '/api/rules/effect') return ok(rules.effectOf(String(body['memberId'])));
  if (path === '/api/rules/try') return ok(rules.trialOf(String(body['text'])));
  if (path === '/api/keys/source/import-parameters') return ok(keys.importParameters);
  if (path === '/api/identity/sign-out') return ok({ signedIn: false });
  if (path.endsWith('/finalise')) return ok({ state: 'final', revision: 4 });
  if (path.endsWith('/state')) return ok({ state: body['to'], revision: 4 });
  if (path.endsWith('/result'))
    return ok(
      {
        ...data.criteria[0]!.result,
        outcome: body['outcome'],
        note: body['note'],
        id: data.id('res', 900),
        revision: 2,
      },
      201,
    );
  if (path.endsWith('/acknowledge')) return ok({ id: path.split('/')[4], acknowledgedAt: new Date().toISOString() });
  if (path === '/api/engagements' && String(body['title']).includes('4111'))
    return problem(422, 'card_number_refused', { field: 'title' });
  if (
    path === '/api/engagements' &&
    typeof body['catalogue'] === 'object' &&
    body['catalogue'] !== null &&
    !('source' in body['catalogue'])
  )
    return problem(422, 'oscal_invalid', {
      field: '$.catalog.groups[2].controls[4].id',
      detail: 'The catalogue is not valid OSCAL: $.catalog.groups[2].controls[4].id must be a token.',
    });
  if (path === '/api/engagements') return ok({ id: data.engagements[0]!.id, revision: 1, criteria: 96 }, 201);
  return null;
}

class Uploads {
  readonly #all = new Map<string, MockUpload>();
  /** Parts still to be torn off in the middle. */
  tears = 0;

  position(upload: MockUpload) {
    return {
      uploadId: upload.id,
      partBytes: MOCK_PART_BYTES,
      received: upload.received,
      sizeBytes: upload.sizeBytes,
      expiresAt: data.at(86_400_000),
    };
  }

  start(body: Record<string, unknown>): Answer {
    const upload: MockUpload = {
      id: data.id('upl', this.#all.size + 1),
      sizeBytes: Number(body['sizeBytes']),
      fileName: String(body['fileName']),
      received: 0,
    };
    this.#all.set(upload.id, upload);
    return ok(this.position(upload), 201);
  }

  /** Answers, or null when the line has been torn off. */
  async handle(request: IncomingMessage, url: URL): Promise<Answer | null> {
    const upload = this.#all.get(url.pathname.split('/')[4] ?? '');
    if (!upload) return notFound;
    if (request.method === 'DELETE') return this.#all.delete(upload.id) ? ok({ aborted: true }) : notFound;
    if (request.method === 'POST')
      return upload.received === upload.sizeBytes
        ? ok({ ...data.evidence[0], fileName: upload.fileName, sizeBytes: upload.sizeBytes }, 201)
        : problem(409, 'upload_incomplete');
    if (request.method !== 'PUT') return ok(this.position(upload));
    const body = await bodyOf(request);
    if (Number(url.searchParams.get('offset')) !== upload.received) return problem(409, 'upload_offset');
    if (this.tears > 0) {
      this.tears -= 1;
      upload.received += Math.floor(body.length / 2);
      request.socket.destroy();
      return null;
    }
    upload.received += body.length;
    return ok(this.position(upload));
  }
}

async function staticFile(root: string, path: string): Promise<{ body: Buffer; type: string } | null> {
  const inside = normalize(path.slice('/app/'.length));
  if (inside.startsWith('..') || inside.includes(`..${sep}`)) return null;
  const type = types[extname(inside)];
  const name = type ? inside : 'index.html';
  return readFile(join(root, name)).then(
    (body) => ({ body, type: type ?? 'text/html; charset=utf-8' }),
    () => null,
  );
}

const roles = ['lead', 'auditor', 'client', 'operator', 'link'] as const;

/** Serves a built app with canned answers and the production policy. `mock=<role>` in the cookie signs in. */
export async function startMockServer(root: string, publicPage: string): Promise<MockServer> {
  const log: string[] = [];
  const stepUps: string[] = [];
  const uploads = new Uploads();
  const send = (
    response: ServerResponse,
    kind: keyof typeof headers,
    { status, type, body }: { status: number; type: string; body: Buffer | string },
  ) => {
    response.writeHead(status, [
      ...headers[kind],
      'content-type',
      type,
      'x-request-id',
      '01981f6e-7c1a-7b3e-9d54-2f6a8c0e4b17',
    ]);
    response.end(body);
  };
  const answer = async (request: IncomingMessage, url: URL): Promise<Answer | null> => {
    const mock = /mock=(\w+)/.exec(request.headers.cookie ?? '')?.[1];
    const role = roles.find((name) => name === mock);
    log.push(`${request.method} ${url.pathname}`);
    if (request.headers['x-step-up']) stepUps.push(String(request.headers['x-step-up']));
    if (mock === 'down') return problem(503, 'database_unavailable');
    if (url.pathname === '/api/identity/session') return ok(role ? data.session(role) : { signedIn: false });
    if (url.pathname === '/api/sso/offers') return ok(data.ssoOffers);
    if (url.pathname.startsWith('/api/evidence/uploads/')) return uploads.handle(request, url);
    const body =
      request.method === 'POST'
        ? (JSON.parse((await bodyOf(request)).toString('utf8') || '{}') as Record<string, unknown>)
        : {};
    if (url.pathname.endsWith('/evidence/uploads')) return uploads.start(body);
    if (request.method === 'POST') return write(url.pathname, body) ?? notFound;
    if (!role) return problem(401, 'session_required');
    return read(url, role) ?? notFound;
  };
  const server = createServer((request, response) => {
    void (async () => {
      const url = new URL(request.url ?? '/', 'http://localhost');
      if (url.pathname.startsWith('/api/')) {
        const reply = await answer(request, url);
        if (reply)
          send(response, 'api', { status: reply.status, type: 'application/json', body: JSON.stringify(reply.body) });
        return;
      }
      if (url.pathname === '/security')
        return send(response, 'page', { status: 200, type: 'text/html; charset=utf-8', body: publicPage });
      const file =
        url.pathname.startsWith('/app/') || url.pathname === '/app'
          ? await staticFile(root, url.pathname === '/app' ? '/app/' : url.pathname)
          : null;
      if (file) send(response, 'app', { status: 200, ...file });
      else send(response, 'api', { status: 404, type: 'text/plain', body: 'not found' });
    })().catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://localhost:${port}`,
    log,
    stepUps,
    tear: (times) => {
      uploads.tears = times;
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
