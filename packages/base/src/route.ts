import type { ZodType } from 'zod';

/** The processes that answer HTTP (see ARCHITECTURE.md, "one secret, one process"). */
export type ServiceName = 'gateway' | 'issuer' | 'workspace' | 'keys' | 'ledger' | 'signer' | 'sentinel';

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** What a token must have been minted for; it can only shrink on the way. */
export type RouteClass = 'read' | 'write' | 'privileged';

/**
 * Who may reach a route. There is no default: a route without access does not compile, and a service refuses to start
 * when a handler is missing or undeclared.
 *
 * - `public`: the edge forwards it without a session (sign-in, public pages). The service still checks the peer.
 * - `session`: needs a live session and a transaction token of this class; the Cedar action is the route's `operation`.
 *   `stepUp` asks for a fresh passkey assertion bound to this very action. `operatorOnly` exists for nobody but the
 *   operator's people, and says what more it asks of them.
 * - `internal`: only the named peers, never the edge; `token` also wants the caller's transaction token, of this class
 *   (`true`: any, which is `read`).
 */
export type Access =
  | { readonly kind: 'public' }
  | {
      readonly kind: 'session';
      readonly class: RouteClass;
      readonly stepUp?: boolean;
      readonly operatorOnly?: OperatorAccess;
    }
  | { readonly kind: 'internal'; readonly callers: readonly ServiceName[]; readonly token: boolean | RouteClass };

/**
 * Parts of the house that its operators are let into, each for a time (docs/adr/0026). Few, so that whoever asks knows what
 * they ask for, and whoever confirms knows what they give.
 *
 * - `tenants`: which organisations there are and where they live; opening and moving one, stopping a deletion.
 * - `deletions`: what a deletion would destroy; proposing and confirming one.
 * - `keys`: which key stores serve whom, and how they do.
 * - `attempts`: who tried what of whom, over all organisations.
 */
export const PRODUCTION_SCOPES = ['tenants', 'deletions', 'keys', 'attempts'] as const;
export type ProductionScope = (typeof PRODUCTION_SCOPES)[number];

/**
 * What a route that only the operator's people reach asks of them besides their role: a live grant of production access
 * with this scope, or none, for a reason that stands here: to notice that one must act, and to ask for access.
 */
export type OperatorAccess = { readonly scope: ProductionScope } | { readonly withoutGrant: string };

/** Where tagged ids stand in a request: `params.engagementId`, `query.cursor`, `body.memberId` -> id kind (prefix). */
export type IdPlaces = Readonly<Record<string, string>>;

/**
 * A public route, below `/sso/`, `/scim/v2/`, `/oauth/` or `/ssf/`, that others than our own pages reach. The rule that only our own
 * origin may send is
 * loosened for exactly these, and each says why.
 *
 * - `navigation`: the browser itself goes there, by a redirect or by a form of another site's page. It is never a page's
 *   script, image or frame; its answer leads on (303) or is a plain page, also when it is an error.
 * - `server`: another organisation's server calls. Browsers are refused.
 */
export interface Foreign {
  readonly caller: 'navigation' | 'server';
  readonly reason: string;
  /**
   * `scim`, below `/scim/v2/`: the caller's bearer token and versions go on to the service, the body as the bytes that it
   * is, under whatever type it came, and errors have the form of RFC 7644, the handler's own included.
   *
   * `oauth`, below `/oauth/`: a program's proof of its key (RFC 9449) goes on to the service, and errors have the form of
   * RFC 6749, the handler's own included.
   *
   * `ssf`, below `/ssf/`: the caller's authorization goes on to the service, the body as the bytes that it is with the
   * type that was said of it (`SAID_TYPE_HEADER`), and errors have the form of RFC 8935, the handler's own included.
   */
  readonly protocol?: 'scim' | 'oauth' | 'ssf';
}

/** One route, as data: the gateway, the service, the browser's client and the attack corpus all read the same one. */
export interface RouteContract {
  /** `room.verb`: stable name, Cedar action, audit operation. */
  readonly operation: `${string}.${string}`;
  readonly service: ServiceName;
  readonly method: HttpMethod;
  /** Fastify-style path, `/api/<room>/…`, `/internal/…`, or `/sso/…`, `/scim/v2/…`, `/oauth/…`, `/ssf/…` where it is `foreign`. */
  readonly path: string;
  readonly access: Access;
  readonly ids: IdPlaces;
  /**
   * Places that read like an id, or take anything, and carry no tagged id of ours: each with what stands in for the tag.
   * A route that a client can reach and that has such a place in neither list does not start.
   */
  readonly untagged?: Readonly<Record<string, string>>;
  readonly params?: ZodType;
  readonly query?: ZodType;
  /** `'stream'`: the raw body is handed to the handler unparsed. */
  readonly body?: ZodType | 'stream';
  readonly bodyBytesMax?: number;
  /** `form`: the body comes as `application/x-www-form-urlencoded`, each name once; else it is JSON. */
  readonly bodyForm?: 'form';
  /** Undefined, as nearly everywhere: only pages of our own reach the route. */
  readonly foreign?: Foreign;
  /** Success replies by status. Errors are always RFC 9457 problems. `'stream'`: the handler answers raw bytes. */
  readonly replies: Readonly<Record<number, ZodType | 'stream'>>;
}

/** Keeps the literal types of a room's table. Use: `export const routes = defineRoutes({ list: {...}, create: {...} })`. */
export function defineRoutes<const T extends Readonly<Record<string, RouteContract>>>(routes: T): T {
  return routes;
}
