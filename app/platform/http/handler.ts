import type { Readable } from 'node:stream';
import type { Json, ProductionScope, RouteContract, ServiceName, RouteClass, Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import type { ZodType, output } from 'zod';

export type Role = 'lead' | 'auditor' | 'client' | 'operator';
/**
 * How the session was opened. `link` and `canary` can never satisfy step-up; `sso` only with a passkey of the person's
 * own.
 */
export type SignInMethod = 'passkey' | 'link' | 'canary' | 'sso';
/**
 * By what a call is made: a session, a key that its owner gave to a program, or a program by what a person has allowed it.
 * The last two can never satisfy step-up.
 */
export type CallMethod = SignInMethod | 'api-key' | 'oauth';
/** Which door of the edge the session belongs to; sessions of one are unknown to the other. */
export type EdgeDoor = 'edge' | 'tryout';

/** A step-up assertion that this service has verified itself against the action it is about to do. */
export interface StepUp {
  /** base64url SHA-256 of the assertion as received; goes into the audit entry. */
  readonly assertionHash: string;
  readonly credentialId: string;
}

/** How an approval is kept with the entry about what was done. */
export interface ApprovalKeeping {
  /** The person, other than the caller, whom the action names: their erasure destroys the approval. */
  readonly about?: Uuid | undefined;
  /** The action holds what is being erased: only its hash is kept, as of one that holds a secret by the route's contract. */
  readonly hashOnly?: boolean | undefined;
}

/** Production access of an operator, as the issuer vouches for it in their token. */
export interface ProductionGrant {
  readonly id: Uuid;
  readonly scopes: readonly ProductionScope[];
  /** From this instant on it covers nothing. */
  readonly endsAtMs: number;
}

/** Who calls, taken from a transaction token that this service has verified. Never from a header. */
export interface Caller {
  readonly tenant: TenantContext;
  readonly tenantKind: 'sample' | 'canary' | 'operator' | 'customer';
  readonly personId: Uuid;
  readonly role: Role;
  /** Of a program: the permission that it acts by. */
  readonly sessionId: Uuid;
  /** Agents that the work was handed on to, first to last; the last one calls. Absent: the person or their program does. */
  readonly agents?: readonly Uuid[] | undefined;
  readonly method: CallMethod;
  readonly door: EdgeDoor;
  readonly routeClass: RouteClass;
  /** What of the house the caller is let into now; of an operator alone. */
  readonly production?: ProductionGrant;
  /** base64url SHA-256 of the compact token; goes into the audit entry, so that a forged actor is noticed. */
  readonly tokenHash: string;
}

type Parsed<T, Fallback> = T extends ZodType ? output<T> : Fallback;

/** What a handler is given. Ids named in `contract.ids` have been parsed: read them from `ids`, never from the text. */
export interface Call<C extends RouteContract = RouteContract> {
  readonly requestId: string;
  readonly peer: ServiceName;
  /** Present on session routes and on internal routes with a `token`. */
  readonly caller: Caller;
  readonly params: Parsed<C['params'], Record<string, never>>;
  readonly query: Parsed<C['query'], Record<string, never>>;
  /** As it came, without the question mark: for whoever must see each parameter as it was written, and how often. */
  readonly rawQuery: string;
  readonly body: C['body'] extends 'stream' ? Readable : Parsed<C['body'], undefined>;
  /** Same keys as `contract.ids`; the UUID inside each tagged id of the caller's own tenant. */
  readonly ids: { readonly [K in keyof C['ids']]: Uuid };
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Verifies the step-up assertion that travelled along against `action`, re-read by the caller from its database. */
  stepUp(action: Json, keeping?: ApprovalKeeping): Promise<StepUp>;
}

type ReplyBody<T> = T extends ZodType ? output<T> : Readable | Uint8Array | string;

export type Reply<C extends RouteContract> = {
  [S in keyof C['replies'] & number]: {
    readonly status: S;
    readonly body: ReplyBody<C['replies'][S]>;
    readonly headers?: Readonly<Record<string, string>>;
  };
}[keyof C['replies'] & number];

export type Handler<C extends RouteContract> = (call: Call<C>) => Promise<Reply<C>>;

/** Binds handlers to a room's contract; a missing handler does not compile. */
export type Handlers<T extends Readonly<Record<string, RouteContract>>> = { readonly [K in keyof T]: Handler<T[K]> };

export interface RoomRoutes {
  readonly contract: Readonly<Record<string, RouteContract>>;
  // The table is heterogeneous; `bindRoutes` has checked each pair.
  readonly handlers: Readonly<Record<string, Handler<never>>>;
}

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- H keeps literal types, as said below
export function bindRoutes<T extends Readonly<Record<string, RouteContract>>, H extends Handlers<T>>(
  contract: T,
  // A type of its own: inferred together with T, a handler's `status: 200` would widen to a number.
  handlers: H,
): RoomRoutes {
  return { contract, handlers: handlers as unknown as RoomRoutes['handlers'] };
}
