import type { Clock, Json, Random, ServiceName, Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import type { OwnKeySource } from '../domains/keys/source-contract.ts';
import type { Rehearsal, RehearsedProvider } from '../rehearsal/index.ts';
import type { Observation } from './grade.ts';
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
  /** For one that waits for time to pass; default: what the runner gives all. */
  readonly limit_ms?: number;
  /**
   * Whether there is something to compute the figure from. While there is not, it is not run: its claim stands as said
   * until the first time, and turns stale and then red by itself afterwards. Default: always.
   */
  isReady?(house: ProbeHouse): boolean | Promise<boolean>;
  /**
   * What has been measured so far, from the records that the verdict is made of, also while there is none yet: the page
   * shows it beside the claim and grades nothing by it. Default: nothing.
   */
  soFar?(house: ProbeHouse): FigureTable;
  /** Throwing counts as red with the code of the error: a probe that cannot look has not seen. */
  run(house: ProbeHouse): Promise<ProbeResult>;
}

/** Claims that may change within minutes are tried this often; two missed runs still leave them fresh. */
export const PROBE_SECONDS_MINUTES = 240;
/** Claims with an hour of freshness. */
export const PROBE_SECONDS_HOUR = 1_200;

/** A figure against its limit, as the probe computed it from records that the system keeps. */
export interface Measurement {
  readonly value: number;
  readonly limit: number;
  /** One of the units in `Limit.unit` of the claim; another unit never counts. */
  readonly unit: string;
}

/** Figures of a claim in rows and columns. All of it is public text, and each figure is worked out, with its unit. */
export interface FigureTable {
  /** The worst in one or two sentences, and what has not been measured. */
  readonly summary: string;
  /** What was measured, over which time, and what stood in for the real thing. */
  readonly caption: string;
  readonly columns: readonly string[];
  readonly rows: readonly {
    readonly name: string;
    /** One for each column. */
    readonly cells: readonly string[];
  }[];
}

/** Rehearsals take turns, and each waits until a withdrawal is felt. */
export const REHEARSAL_MS_MAX = 40_000;

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

/** One request as a page of ours would send it from a browser: own Origin, same site. Header names in lower case. */
export interface ProbeRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Sent as `application/json`; instead of `body`. */
  readonly json?: Json;
  /** Value of the `cookie` header. */
  readonly cookie?: string;
  readonly timeout_ms?: number;
  /** Another number, another client in the eyes of the edge's limits (where it is reached by loopback). */
  readonly source?: number;
  /** Sent as a directory's server would, with nothing that a browser says of itself. */
  readonly isServer?: boolean;
  /** At the try-out listener, in plain HTTP, where this house has one; else at the edge. */
  readonly door?: 'try-out';
}

export interface ProbeResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
  /** The edge's `x-request-id`: by it, the attempt is found again in the log and among the pages. */
  readonly requestId: string;
  text(): string;
  /** Throws when the body is not JSON. */
  json(): unknown;
  /** `code` of a problem (RFC 9457); undefined when the body is none. */
  problem(): string | undefined;
  readonly duration_ms: number;
}

/** What a handshake ended in. `refused` is the wanted outcome of an attempt with an old version or a weak suite. */
export type DialOutcome =
  | {
      readonly kind: 'connected';
      readonly protocol: string;
      readonly cipher: string;
      /** Of the key agreement, as OpenSSL names it. */ readonly group: string;
    }
  | { readonly kind: 'refused'; readonly reason: string }
  /** Nothing answered at all: neither proof nor refutation; a probe must not call this a refusal. */
  | { readonly kind: 'unreachable'; readonly reason: string };

/** What became of one kind of client of this process, left to its own defaults, at a peer that speaks nothing new. */
export interface EgressOutcome {
  readonly client: string;
  /** `refused`: given up by the client for the peer's age, and for nothing else. */
  readonly kind: 'refused' | 'connected' | 'failed';
}

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** OpenSSL names, colon separated; suites of TLS 1.3 among them are offered for 1.3. */
  readonly ciphers?: string;
  /** Groups offered for the key agreement, colon separated. Default: the runtime's. */
  readonly groups?: string;
}

/** A TCP socket found open by looking at the machine, never on a configured list. */
export interface ListeningSocket {
  readonly host: string;
  readonly port: number;
  /** True when bound to a loopback address only. */
  readonly loopbackOnly: boolean;
  /** What the house calls it, when it is one of the plain-text exceptions that the claim names. */
  readonly exception?: 'try-out' | 'alarm';
}

export interface OpenSockets {
  readonly sockets: readonly ListeningSocket[];
  /** Sockets under the same users that may be another house's on this machine, and were not looked at. */
  readonly leftOut: number;
}

/** What somebody who may has declared a socket to be: the process itself, or the supervisor of what it started. */
export type ListenerUse =
  | 'service'
  | 'edge'
  | 'try-out'
  | 'alarm'
  | 'database'
  | 'control'
  /** The door of a mesh's proxy. */
  | 'sidecar'
  /** A stand-in of the prober's own. */
  | 'played';

/** A socket of any kind at which a process of the house awaits strangers, by looking at the machine. */
export interface HouseListener {
  readonly kind: 'tcp' | 'udp' | 'unix';
  /** Address, or the path of a Unix socket. */
  readonly host: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  /** The kernel's number of it: the same socket keeps it as long as it is open. */
  readonly id: string;
  readonly loopbackOnly: boolean;
  /** Undefined: nobody has declared it. */
  readonly use?: ListenerUse;
  /** With `service`: whose. */
  readonly service?: ServiceName;
}

export interface HouseListeners {
  readonly listeners: readonly HouseListener[];
  /** Processes that were looked into. */
  readonly processes: number;
  /** Of these, those whose descriptors the kernel did not show: their Unix sockets are not known. */
  readonly unread: number;
  /** Sockets under the same users that may be another house's on this machine, and were not looked at. */
  readonly leftOut: number;
}

/** How a database took somebody who named a role and had nothing to show for it. */
export type DatabaseReply = 'let-in' | 'asked' | 'refused' | 'unreachable';

/** A tenant that holds nothing of value and exists to be attacked. */
export interface CanaryTenant {
  readonly slug: string;
  readonly context: TenantContext;
  /** Real tagged ids of rows of this tenant, by kind (`eng`, `crt`, `ev`, …). */
  readonly ids: Readonly<Record<string, string>>;
  /** The same rows as UUIDs, for attempts below HTTP. */
  readonly rows: Readonly<Record<string, Uuid>>;
}

export type CanaryRole = 'lead' | 'auditor' | 'client';
export type CanaryName = 'a' | 'b';
/** `c` has a schema of its own, `d` a database of its own in another region than the shared tables. */
export type PlacedCanaryName = 'c' | 'd';
export type AnyCanaryName = CanaryName | PlacedCanaryName;

/** Where a canary's place is, by home's table, and where traces of it were found. */
export interface Whereabouts {
  readonly kind: string;
  readonly region: string;
  readonly cell: string;
  readonly homeRegion: string;
  /** Cells whose log has entries of the tenant; every cell was asked. */
  readonly loggedIn: readonly string[];
  readonly cells: number;
  readonly regionOf: Readonly<Record<string, string>>;
}

export interface CanarySession {
  readonly personId: Uuid;
  /** Ready to be sent as the `cookie` header to the edge. */
  readonly cookie: string;
}

/** An authenticator in software with real keys; `behaviour` is what an attacker would bend. */
export interface ProbeAuthenticator {
  readonly behaviour: { origin: string; userVerified: boolean; rpId: string | undefined };
  register(options: never): object;
  authenticate(options: never): object;
}

/** A canary person who has just enrolled a passkey through the real ceremony at the edge, and is signed in by it. */
export interface PasskeyPerson extends CanarySession {
  readonly authenticator: ProbeAuthenticator;
  /** Makes another passkey, as the person would right after enrolling. Throws when it is refused. */
  addPasskey(): Promise<void>;
}

/** Programs that the sentinel is, as the canary's lead has registered them. */
export interface CanaryProgram {
  readonly organisation: Uuid;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly agentId: string;
  /** Private half included, as a JWK. */
  readonly agentKey: Readonly<Record<string, unknown>>;
}

/** What the house noticed about an attempt: found by request id, read by the sentinel's read-only role. */
export interface Noticed {
  readonly entryId: Uuid;
  readonly tenantId: Uuid;
  readonly type: string;
  readonly outcome: string;
  readonly occurred_ms: number;
  readonly facts: Readonly<Record<string, string | number | boolean>>;
}

export interface DeliveredPage {
  readonly pageId: Uuid;
  readonly detection: string;
  /** When the channel accepted it with a receipt; absent while it has not. */
  readonly accepted_ms?: number;
  readonly channel: string;
}

/** One attempt on a canary tenant and what became of it. */
export interface AttemptOutcome {
  readonly name: string;
  readonly layer: string;
  readonly requestId: string;
  readonly started_ms: number;
  readonly refused: boolean;
  /** How it was refused, or what happened instead. */
  readonly answer: string;
  /** Its entry in the log, when there is one. */
  readonly seen?: Noticed;
  readonly page?: DeliveredPage;
  /** From the attempt's beginning to the page's receipt. */
  readonly page_latency_ms?: number;
}

/** Distribution of (event happened → page accepted by a channel) over a window, from receipts. */
export interface DetectionTimes {
  readonly count: number;
  /** Events older than the page's limit that no channel has accepted. */
  readonly missing: number;
  readonly mean_ms: number;
  readonly max_ms: number;
}

/**
 * `scim`: the directory says so; `scim-entra`: in the words of Entra; `signal`: the provider pushes it, signed; `silence`:
 * nobody says anything.
 */
export type LeavingWay = 'scim' | 'scim-entra' | 'scim-unread' | 'signal' | 'silence';

/** Everything that opens something for a person; whoever leaves a canary holds each of them. */
export const LEAVER_HOLDS = [
  'provider session',
  'passkey session',
  'passkey',
  'link',
  'API key',
  'program access token',
  'program refresh token',
] as const;
export type LeaverHolds = (typeof LEAVER_HOLDS)[number];

/** Somebody of a canary who has left, followed to the end. */
export interface Departure {
  readonly way: LeavingWay;
  /** When they left: the message was sent, or the last word about them was said. */
  readonly left_ms: number;
  /** When it was written down. */
  readonly checked_ms: number;
  /** Until everything that they held was refused. Absent: something was not, for as long as it was followed. */
  readonly took_ms?: number;
  /** What they held, each with its time. */
  readonly held: Readonly<Record<string, number>>;
  /** What still worked, and in which ways they came back. */
  readonly alive: readonly string[];
  /**
   * In how many ways they were to be brought back by somebody who must not, or put out by signals that must not count; of
   * whom nobody speaks, in none.
   */
  readonly attacks_tried: number;
}

/** How the reviews of the operator's own access stand. */
export interface ReviewStanding {
  /** Of the last one that was closed; null: there was none yet. */
  readonly closedAt: string | null;
  readonly undecidedAtClose: number;
  /** Of the one under way. */
  readonly dueAt: string | null;
  readonly isOverdue: boolean;
  /** Removals that were seen not to have held. */
  readonly stillThere: number;
  /** Emergencies that nobody has judged in time. */
  readonly unjudged: number;
}

/** A review of access that is carried out in seconds, in the first canary, on people made for it. */
export interface ReviewDrill {
  /** The four, newly enrolled and signed in. */
  people(): Promise<Readonly<Record<'reviewer' | 'second' | 'undecided' | 'removed', PasskeyPerson>>>;
  /** Freezes their access; gives the tagged id of the review. */
  open(seconds: number): Promise<string>;
  /** What the house does of itself every few minutes. */
  tend(): Promise<void>;
  standing(): Promise<ReviewStanding>;
}

/** What a drill at the workspace saw (`app/domains/drills`). */
export type DrillOutcome =
  | {
      readonly kind: 'refused';
      readonly code: string;
      readonly sqlState?: string | undefined;
      readonly requestId: string;
    }
  | {
      readonly kind: 'happened';
      readonly facts: Readonly<Record<string, string | number | boolean>>;
      readonly requestId: string;
    };

export interface DrillRequest {
  readonly tenant: AnyCanaryName;
  /** Row that the drill is about, in the other canary unless the drill says its own. */
  readonly rowId?: Uuid;
}

export interface ServiceReply {
  /** `refused`: the handshake or the connection was ended; no HTTP answer came. */
  readonly kind: 'answered' | 'refused' | 'unreachable';
  readonly status?: number;
  /** Problem code of an answer. */
  readonly code?: string;
  readonly reason?: string;
}

export type TokenFault =
  | 'none'
  | 'valid'
  | 'expired'
  | 'other-audience'
  | 'other-presenter'
  /** Right in every way, and of the other canary: another tenant's person. */
  | 'other-tenant'
  /** Made for reading, where more is asked. */
  | 'lower-class'
  | 'foreign-key'
  | 'tampered';

export interface ServiceRequest {
  readonly method: string;
  readonly path: string;
  /**
   * `stranger`: a well-formed certificate for the gateway's name from another authority. `expired`: this process's, by
   * the house's authority, an hour past its end. `nobody`: by the same authority, for a name that no process has.
   */
  readonly credential: 'own' | 'none' | 'stranger' | 'expired' | 'nobody';
  /** `valid` is for a canary; the others are ways in which a token can be wrong. */
  readonly token?: TokenFault;
  /** Says in the headers of every mesh's proxy that it is this process. */
  readonly forging?: ServiceName;
  readonly body?: Json;
}

export interface InnerRoute {
  readonly service: ServiceName;
  readonly method: string;
  readonly path: string;
  readonly callers: readonly ServiceName[];
}

/**
 * Everything a probe may use, and nothing else. Implemented by the sentinel against the running house and by test
 * composition roots against a mutant.
 */
export interface ProbeHouse {
  readonly clock: Clock;
  readonly random: Random;
  /** `users`: each process has a uid of its own; `passwords`: they share one, and claims that rest on it say so. */
  readonly separation: 'users' | 'passwords';
  /** By what the processes of this house know each other. */
  readonly peerIdentity: 'own' | 'spiffe' | 'istio' | 'linkerd';

  /** Origin of the edge. */
  readonly origin: string;
  /** HTTPS with the edge's authority pinned and TLS 1.3 only; follows no redirect, keeps no cookie. */
  fetch(path: string, request?: ProbeRequest): Promise<ProbeResponse>;
  /** One handshake (and nothing more) with exactly these options. */
  dial(options: DialOptions): Promise<DialOutcome>;
  /** The same handshake with a permissive listener of our own: shows that the dialler can do what others must refuse. */
  dialControl(options: Omit<DialOptions, 'host' | 'port'>): Promise<DialOutcome>;
  /** Connections outwards to a peer of our own that speaks TLS 1.2 at most, one by each kind of client. */
  outwards(): Promise<readonly EgressOutcome[]>;
  /** First bytes that a plain-text client gets from a socket: a TLS-only one answers no HTTP. */
  plaintext(target: { readonly host: string; readonly port: number }): Promise<string>;
  /** Sockets that the house's own processes have open now. */
  sockets(): Promise<OpenSockets>;
  /** Everything at which the house's processes await strangers now. */
  listeners(): Promise<HouseListeners>;
  /** Names a role to a database at its Unix socket, with nothing to show but who this process is. */
  knockAtDatabase(path: string, role: string): Promise<DatabaseReply>;
  /** Whether this process may so much as connect to a Unix socket. */
  canConnect(path: string): Promise<boolean>;
  /** Routes between the processes: who serves each, and who may call. */
  readonly innerRoutes: readonly InnerRoute[];

  /** Routes of the edge with what they say about themselves: which are public, which take ids. */
  readonly routes: readonly { readonly method: string; readonly path: string; readonly isPublic: boolean }[];
  readonly canaries: { readonly a: CanaryTenant; readonly b: CanaryTenant };
  /** Any canary. Throws `canaries_missing` when the house has no such one, or could not plant its rows. */
  canary(name: AnyCanaryName): CanaryTenant;
  /** Where a canary with a place of its own lives. Throws when a database cannot be asked: that is not an absence. */
  whereabouts(name: PlacedCanaryName): Promise<Whereabouts>;
  /** A session of a canary person, opened by the issuer over its internal door; never a session of anyone else. */
  session(tenant: AnyCanaryName, role: CanaryRole): Promise<CanarySession>;
  /** Enrols a passkey for a canary person through the edge. */
  enrol(tenant: CanaryName, role: CanaryRole, source?: number): Promise<PasskeyPerson>;
  /** A program of canary A that may hand work to an agent, whose key is the sentinel's own. */
  program(): Promise<CanaryProgram>;
  /** A genuine tagged id of a canary. */
  idOf(kind: string, tenant: CanaryName, uuid: Uuid): string;
  /** The row behind an id that the edge gave for a canary. Throws when it is not one of that canary's. */
  uuidOf(kind: string, tenant: AnyCanaryName, id: string): Uuid;

  /** Knocks at an inner service directly, around the edge. */
  service(destination: ServiceName, request: ServiceRequest): Promise<ServiceReply>;
  /** An attempt below HTTP, made where the code runs, on canary rows only. */
  drill(name: string, request: DrillRequest): Promise<DrillOutcome>;

  /**
   * Runs `work` with stand-ins for the key stores of others, started for it and stopped after it; one at a time. Throws
   * `rehearsal_unavailable` where they cannot be had: then nothing has been seen.
   */
  rehearse<T>(work: (rehearsal: Rehearsal) => Promise<T>): Promise<T>;
  /** One step of a rehearsal in which canary B has this key source. */
  keySource(step: 'begin' | 'read' | 'end', source?: OwnKeySource): Promise<DrillOutcome>;

  /**
   * Runs `work` with a stand-in for an identity provider, started for it and stopped after it, and connections of canary
   * A that lead to it: two of a protocol, or one of each replay. Nobody else's connection is ever let reach it.
   */
  identityProvider<T>(
    kind: keyof RehearsedProvider['plans'],
    work: (provider: RehearsedProvider, connections: readonly string[]) => Promise<T>,
  ): Promise<T>;

  /** Reviews of access: a drill, and how the operator's own stand. */
  readonly accessReviews: ReviewDrill;

  /** Audit entries that carry this request id; waits up to `wait_ms` for the first. */
  noticed(requestId: string, wait_ms: number): Promise<readonly Noticed[]>;
  /** Makes one attempt through the edge now (another route each time) and follows it until its page has been accepted. */
  attempt(): Promise<AttemptOutcome>;
  /** Attempts of the loop within the last `window_seconds`, newest last; those still under way are left out. */
  recentAttempts(window_seconds: number): readonly AttemptOutcome[];
  detectionTimes(window_seconds: number): Promise<DetectionTimes>;
  /** Departures of the last `window_seconds`, the newest last; a drill that could not be carried out is none. */
  departures(window_seconds: number): readonly Departure[];
  /** Proves an entry's inclusion with the log's key as it was pinned outside at the first start. */
  logProof(
    tenantId: Uuid,
    entryId: Uuid,
  ): Promise<{ readonly ok: boolean; readonly reason: string; readonly treeSize: number }>;

  /** Newest recorded runs of a probe, newest first. */
  observations(probeId: string): Promise<readonly Observation[]>;
  /** base64url of the raw Ed25519 key that pages are signed with, known to the sentinel from outside the pages. */
  readonly pageKey: string;
}
