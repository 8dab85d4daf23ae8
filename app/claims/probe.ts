import type { Clock, Json, Random, ServiceName, Uuid } from '@auditrax/base';
import type { Statement, TenantContext } from '@auditrax/tenancy';
import type { ClaimId } from './ids.ts';

/**
 * A probe attempts the opposite of a claim, from outside, and reports what it saw. It never reads back what the same
 * build wrote about itself. It is given everything it may touch, so that it can be pointed at a test house.
 */
export interface Probe {
  /** Stable, `<room>.<what>`; the claim names it in `probe`. */
  readonly id: string;
  /** The claims whose state follows this probe. */
  readonly claims: readonly ClaimId[];
  readonly everySeconds: number;
  /** Throwing counts as red with the code of the error: a probe that cannot look has not seen. */
  run(house: ProbeHouse): Promise<ProbeResult>;
}

/** A figure against its limit, as the probe computed it from records that the system keeps. */
export interface Measurement {
  readonly value: number;
  readonly limit: number;
  /** One of the units in `Limit.unit` of the claim; another unit never counts. */
  readonly unit: string;
}

export interface ProbeResult {
  readonly state: 'green' | 'red';
  /** One or two public sentences: what was tried, what happened. No tenant content, no secret, no path. */
  readonly detail: string;
  readonly measured?: Measurement;
  /** Small and public-safe: what was dialled, which alert came back, which digest was compared. */
  readonly evidence?: Json;
  /** Names the simulator, software module or replayed fixture that stood in for the real thing: never proven then. */
  readonly rehearsedAgainst?: string;
}

/** One request as an outsider would send it. Header names in lower case. */
export interface ProbeRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly timeout_ms?: number;
}

export interface ProbeResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
  text(): string;
  /** Throws when the body is not JSON. */
  json(): Json;
  readonly duration_ms: number;
}

/** What a handshake ended in. `refused` is the wanted outcome of an attempt with an old version or a weak suite. */
export type DialOutcome =
  | {
      readonly kind: 'connected';
      readonly protocol: string;
      readonly cipher: string;
      readonly peerName?: string;
      readonly peerFingerprint256?: string;
    }
  | { readonly kind: 'refused'; readonly reason: string }
  /** Nothing answered at all: neither proof nor refutation; a probe must not call this a refusal. */
  | { readonly kind: 'unreachable'; readonly reason: string };

export interface DialOptions {
  readonly target: SocketTarget;
  readonly minVersion?: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
  readonly maxVersion?: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
  /** OpenSSL cipher list for TLS 1.2 and below. */
  readonly ciphers?: string;
  /** TLS 1.3 suites, colon separated. */
  readonly ciphersuites?: string;
  readonly serverName?: string;
  /** Which client certificate to show. `stranger` is a well-formed one from a foreign authority. */
  readonly credential?: 'own' | 'none' | 'stranger';
}

export type SocketTarget =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** A socket found open by looking at the machine (for example /proc/net/tcp and /proc/net/unix), never a configured list. */
export interface ListeningSocket {
  readonly target: SocketTarget;
  /** Whose it is, when the operating system tells. */
  readonly processName?: string;
  readonly pid?: number;
  /** True when bound to a loopback address only. */
  readonly loopbackOnly: boolean;
  /** True when the house's own processes hold it (others on the machine are not the house's promise). */
  readonly ofTheHouse: boolean;
}

/** A tenant that holds nothing of value and exists to be attacked. */
export interface CanaryTenant {
  readonly slug: string;
  readonly context: TenantContext;
  /** Real tagged ids of rows of this tenant, by kind (`eng`, `crt`, `ev`, …). */
  readonly ids: Readonly<Record<string, readonly string[]>>;
  /** The same rows as UUIDs, for attempts below HTTP. */
  readonly rows: Readonly<Record<string, readonly Uuid[]>>;
}

export interface CanarySession {
  readonly tenant: CanaryTenant;
  readonly role: 'lead' | 'auditor' | 'client';
  readonly personId: Uuid;
  /** Ready to be sent as the `cookie` header to the edge. */
  readonly cookie: string;
}

/** What the house noticed about an attempt: found by nonce or request id, read by the sentinel's read-only role. */
export interface Noticed {
  readonly entryId: Uuid;
  readonly type: string;
  readonly outcome: 'allowed' | 'denied' | 'failed';
  readonly committedAt: string;
  readonly public: Readonly<Record<string, string | number | boolean>>;
}

export interface DeliveredPage {
  readonly pageId: Uuid;
  readonly detection: string;
  readonly raisedAt: string;
  /** When the channel accepted it with a receipt; absent while it has not. */
  readonly acceptedAt?: string;
  readonly channel: string;
}

/** Distribution of (event committed → page accepted by a channel) over a window, from receipts. */
export interface DetectionTimes {
  readonly count: number;
  readonly missing: number;
  readonly mean_ms: number;
  readonly p95_ms: number;
  readonly max_ms: number;
  readonly from: string;
  readonly to: string;
}

/** A row-level result or the refusal's code, for attempts at the database door. */
export type DatabaseOutcome =
  | { readonly kind: 'rows'; readonly rows: readonly Readonly<Record<string, unknown>>[]; readonly rowCount: number }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string };

export interface ServiceReply {
  readonly kind: 'answered' | 'refused' | 'unreachable';
  readonly status?: number;
  readonly problemType?: string;
  readonly reason?: string;
}

/**
 * Everything a probe may use, and nothing else. Implemented by the sentinel against the running house and by test
 * composition roots against a mutant.
 */
export interface ProbeHouse {
  readonly clock: Clock;
  readonly random: Random;

  /** Origins of the edge; `tryout` is absent when the loopback-only listener is off. */
  readonly origins: { readonly edge: string; readonly tryout?: string };
  /** HTTPS with the edge's authority pinned and TLS 1.3 only; follows no redirect, keeps no cookie. `path` or a full URL of an own origin. */
  fetch(pathOrUrl: string, request?: ProbeRequest): Promise<ProbeResponse>;
  /** One handshake (and nothing more) with exactly these options. */
  dial(options: DialOptions): Promise<DialOutcome>;
  /** First bytes that a plain-text client gets from a socket: a TLS-only one answers no HTTP. */
  plaintext(target: SocketTarget, send: string): Promise<{ readonly answered: boolean; readonly firstBytes: string }>;
  /** Sockets the machine really has open now. */
  sockets(): Promise<readonly ListeningSocket[]>;

  readonly canaries: { readonly a: CanaryTenant; readonly b: CanaryTenant };
  /** A session of a canary person, opened by the issuer over its internal door; never a session of anyone else. */
  session(tenant: 'a' | 'b', role: CanarySession['role']): Promise<CanarySession>;

  /** Knocks at an inner service directly, around the edge. */
  service(
    destination: ServiceName,
    request: {
      readonly method: string;
      readonly path: string;
      readonly credential: 'own' | 'none' | 'stranger';
      /** `valid` is for a canary; the others are ways in which a token can be wrong. */
      readonly token?: 'none' | 'valid' | 'expired' | 'wrong-audience' | 'foreign-key' | 'tampered';
      readonly session?: CanarySession;
      readonly body?: Json;
    },
  ): Promise<ServiceReply>;
  readonly services: readonly ServiceName[];

  /** The tenancy driver as a room uses it, for canary contexts only (any other context is refused by the role). */
  scoped(context: TenantContext | undefined, statement: Statement): Promise<DatabaseOutcome>;
  /** The bare database door under the application's role, below the driver: no context set unless named. */
  raw(statement: Statement, options?: { readonly setTenant?: Uuid }): Promise<DatabaseOutcome>;

  /** Audit entries that carry this request id or nonce; waits up to `wait_ms` for the commit. */
  noticed(match: {
    readonly requestId?: string;
    readonly nonce?: string;
    readonly wait_ms?: number;
  }): Promise<readonly Noticed[]>;
  /** Pages raised for this request id or nonce; waits up to `wait_ms` for a receipt. */
  pages(match: {
    readonly requestId?: string;
    readonly nonce?: string;
    readonly wait_ms?: number;
  }): Promise<readonly DeliveredPage[]>;
  detectionTimes(window_seconds: number): Promise<DetectionTimes>;
  /** Reads the log over its public door (checkpoint, inclusion of an entry) and verifies it with a key given from outside. */
  logProof(entryId: Uuid): Promise<{ readonly ok: boolean; readonly reason?: string; readonly treeSize?: number }>;

  /** Age of the oldest data key in use, and how many are, from the key ring's own records. */
  dataKeyAges(): Promise<{ readonly count: number; readonly oldest_days: number }>;
  /** What the disk really holds for this row or object, read below the application: for finding plaintext or a wrong tenant's key. */
  storedBytes(
    what: { readonly column: string; readonly rowId: Uuid; readonly tenantId: Uuid } | { readonly objectId: string },
  ): Promise<Uint8Array | undefined>;
  /** Asks the keys process to unwrap with another tenant's context, a changed byte, another version: what did it answer. */
  unwrapAttempt(kind: 'foreign-tenant' | 'tampered' | 'wrong-field'): Promise<'refused' | 'opened'>;

  /** The published revision as the publisher last wrote it, read from its signed files, for comparing with what the edge serves. */
  publishedFile(
    path: string,
  ): Promise<{ readonly content: Uint8Array; readonly mediaType: string; readonly revision: string } | undefined>;
  /** base64url of the raw Ed25519 key that pages are signed with, known to the sentinel from outside the pages. */
  readonly pageKey: string;
}
