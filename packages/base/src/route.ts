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
 *   `stepUp` asks for a fresh passkey assertion bound to this very action.
 * - `internal`: only the named peers, never the edge; `token: true` also wants the caller's transaction token.
 */
export type Access =
  | { readonly kind: 'public' }
  | { readonly kind: 'session'; readonly class: RouteClass; readonly stepUp?: boolean; readonly operatorOnly?: boolean }
  | { readonly kind: 'internal'; readonly callers: readonly ServiceName[]; readonly token: boolean };

/** Where tagged ids stand in a request: `params.engagementId`, `query.cursor`, `body.memberId` -> id kind (prefix). */
export type IdPlaces = Readonly<Record<string, string>>;

/** One route, as data: the gateway, the service, the browser's client and the attack corpus all read the same one. */
export interface RouteContract {
  /** `room.verb`: stable name, Cedar action, audit operation. */
  readonly operation: `${string}.${string}`;
  readonly service: ServiceName;
  readonly method: HttpMethod;
  /** Fastify-style path, `/api/<room>/…` or `/internal/…`. */
  readonly path: string;
  readonly access: Access;
  readonly ids: IdPlaces;
  readonly params?: ZodType;
  readonly query?: ZodType;
  /** `'stream'`: the raw body is handed to the handler unparsed. */
  readonly body?: ZodType | 'stream';
  readonly bodyBytesMax?: number;
  /** Success replies by status. Errors are always RFC 9457 problems. `'stream'`: the handler answers raw bytes. */
  readonly replies: Readonly<Record<number, ZodType | 'stream'>>;
}

/** Keeps the literal types of a room's table. Use: `export const routes = defineRoutes({ list: {...}, create: {...} })`. */
export function defineRoutes<const T extends Readonly<Record<string, RouteContract>>>(routes: T): T {
  return routes;
}
