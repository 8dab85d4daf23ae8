import type { Json, ServiceName } from '@auditrax/base';
import type { Inventory } from './inventory.ts';

/**
 * What the supervisor and its children tell each other over the child's inherited channel (a file descriptor that
 * nobody else can open). Secrets never travel in an environment or in arguments, where other users read them.
 */

/** EX_CONFIG of sysexits: the supervisor shows the process's line instead of starting it again. */
export const EXIT_MEND_FIRST = 78;

/** Name of the file that holds a role's password, in the folder of the process that logs in as it. */
export const DATABASE_PASSWORD_FILE = 'database.secret';

/** Name of the file, in the workspace's folder, that holds the password of a role made for one tenant. */
export function dedicatedPasswordFile(role: string): string {
  return `database-${role}.secret`;
}

/** How a process reaches the database: a socket (or host) and a role of its own. */
export interface DatabaseAccess {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  /** File in the process's own folder, only where the kernel cannot tell the processes apart (peer authentication). */
  readonly passwordFile?: string;
  /** Over TCP: TLS 1.3 with the server's name verified, and nothing less. */
  readonly tls?: { readonly ca?: string; readonly servername: string };
}

/** Where a database is, without a role: each process has its own. */
export type DatabaseAddress = Omit<DatabaseAccess, 'user' | 'passwordFile'>;

/** The database that the house starts with. */
export const HOME_CELL = 'home';

/** One database with the complete schema; `home` is the first, others are of one tenant each. */
export interface CellAddress {
  /** `home` or `<region>/<database>`. */
  readonly cell: string;
  /** Name of the cluster it is on. */
  readonly region: string;
  readonly address: DatabaseAddress;
}

/** Name of the fact that holds the cells, as `CellAddress[]`; the supervisor alone publishes it. */
export const CELLS_FACT = 'cells';

/** A place of its own for a tenant that stands in home's `platform.tenant`. Asking again finishes what was interrupted. */
export interface ProvisionOrder {
  readonly tenantId: string;
  readonly kind: 'schema' | 'database';
  readonly region: string;
}

/** The place is complete and empty; whoever asked writes it into `platform.placement`. */
export interface ProvisionedPlace {
  readonly cell: string;
  readonly schema: string;
  /** What the workspace logs in as for this tenant. */
  readonly role: string;
}

/** Moves every row of a tenant. Asking again after a crash goes on, or takes back what was begun. */
export interface RelocationOrder {
  readonly moveId: string;
  readonly tenantId: string;
  readonly kind: 'shared' | 'schema' | 'database';
  readonly region: string;
}

/** What the move has shown; the place is switched and the source emptied. */
export interface RelocationReport {
  /** Rows and SHA-256 (hex) of each table, the same on both sides; under `files` evidence files that changed region. */
  readonly proof: Readonly<Record<string, { rows: number; sha256: string; bytes?: number }>>;
  /** How long nothing could be written for the tenant, in milliseconds. */
  readonly frozenMs: number;
}

/** What the issuer may have the set-up process do while the house runs. */
export interface Orders {
  provision(order: ProvisionOrder): Promise<ProvisionedPlace>;
  relocate(order: RelocationOrder): Promise<RelocationReport>;
}

/** A Unix socket that the supervisor itself has made, or had made, and why. */
export interface KnownSocket {
  readonly path: string;
  readonly use: 'database' | 'control' | 'sidecar';
  /** Who listens there. */
  readonly pid: number;
}

/** What the house's processes listen at, as the kernel tells the supervisor, and what it knows to be its own doing. */
export interface HouseInventory extends Inventory {
  readonly known: readonly KnownSocket[];
}

/** Everything a process may know at start. A process gets what is named here and reads no environment. */
export interface Boot {
  readonly service: ServiceName;
  /** Own folder, mode 0700, owned by the process's user. */
  readonly stateDirectory: string;
  /** Set when the supervisor is root: the process drops to this user before it opens anything. */
  readonly runAs?: { readonly uid: number; readonly gid: number };
  readonly database?: DatabaseAccess;
  readonly options: Readonly<Record<string, Json>>;
}

/** Where each process listens, and the public facts each has announced (keys to verify with, versions). */
export interface Peers {
  readonly addresses: Readonly<Partial<Record<ServiceName, { readonly port: number; readonly pid: number }>>>;
  readonly facts: Readonly<Record<string, Json>>;
}

/** A workload certificate as the issuer answers it. */
export interface WorkloadCertificate {
  readonly certificatePem: string;
  readonly bundlePem: string;
}

export type ToChild =
  | { readonly type: 'boot'; readonly boot: Boot; readonly peers: Peers }
  | { readonly type: 'certificate'; readonly ticket: string; readonly certificate: WorkloadCertificate }
  /** To the issuer alone. `service` is what the supervisor knows by which channel the request came in on. */
  | { readonly type: 'sign'; readonly ticket: string; readonly service: ServiceName; readonly csrPem: string }
  | { readonly type: 'peers'; readonly peers: Peers }
  /** The answer to an order or a question for the inventory, or code and detail. */
  | { readonly type: 'ordered'; readonly ticket: string; readonly ok: boolean; readonly output: Json }
  | { readonly type: 'ask'; readonly ticket: string; readonly name: string; readonly input: Json }
  | { readonly type: 'drain' };

export type FromChild =
  | { readonly type: 'csr'; readonly ticket: string; readonly csrPem: string }
  | { readonly type: 'signed'; readonly ticket: string; readonly certificate: WorkloadCertificate }
  | { readonly type: 'announce'; readonly facts: Readonly<Record<string, Json>> }
  | { readonly type: 'ready'; readonly port: number }
  /** From the issuer alone. */
  | {
      readonly type: 'order';
      readonly ticket: string;
      readonly name: keyof Orders;
      readonly order: ProvisionOrder | RelocationOrder;
    }
  /** From the sentinel alone. */
  | { readonly type: 'inventory'; readonly ticket: string }
  | { readonly type: 'answer'; readonly ticket: string; readonly ok: boolean; readonly output: Json }
  /**
   * The process cannot serve. `passing`: it waits for another part and is started again; else only a person can mend
   * it, there is no restart loop, and the line is shown with its fix.
   */
  | { readonly type: 'fatal'; readonly code: string; readonly message: string; readonly passing: boolean };
