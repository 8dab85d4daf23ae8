import { type Clock, type Random, toBase64Url } from '@auditrax/base';
import type { Caller, Statement } from './policy.ts';

/** A user with an access key. */
export interface SimulatedUser {
  /** `arn:aws:iam::<account>:user/<name>` */
  readonly arn: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Its own policies; nothing is allowed by default. */
  readonly identity: readonly Statement[];
}

/** A role that others may assume. */
export interface SimulatedRole {
  /** `arn:aws:iam::<account>:role/<name>` */
  readonly arn: string;
  readonly identity: readonly Statement[];
  /** ARN of who may assume it. */
  readonly trusts: string;
  /** Demanded of the request when given. */
  readonly externalId?: string;
}

export interface Session {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly endsMs: number;
  readonly arn: string;
  readonly caller: Caller;
}

export interface Credential {
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

function accountOf(arn: string): string {
  return arn.split(':')[4]!;
}

/** Who may sign requests: users, and sessions of assumed roles. */
export class Callers {
  readonly #users: ReadonlyMap<string, SimulatedUser>;
  readonly #roles: ReadonlyMap<string, SimulatedRole>;
  readonly #sessions = new Map<string, Session>();
  readonly #random: Random;
  readonly #clock: Clock;

  constructor(input: {
    readonly users: readonly SimulatedUser[];
    readonly roles: readonly SimulatedRole[];
    readonly random: Random;
    readonly clock: Clock;
  }) {
    this.#users = new Map(input.users.map((user) => [user.accessKeyId, user]));
    this.#roles = new Map(input.roles.map((role) => [role.arn, role]));
    this.#random = input.random;
    this.#clock = input.clock;
  }

  credential(accessKeyId: string): Credential | undefined {
    return this.#sessions.get(accessKeyId) ?? this.#users.get(accessKeyId);
  }

  /** Undefined for a session that is over. The signature has been verified before. */
  caller(accessKeyId: string): Caller | undefined {
    const session = this.#sessions.get(accessKeyId);
    if (session) return session.endsMs > this.#clock.nowMs() ? session.caller : undefined;
    const user = this.#users.get(accessKeyId)!;
    return { arn: user.arn, names: [user.arn], account: accountOf(user.arn), identity: user.identity };
  }

  role(arn: string): SimulatedRole | undefined {
    return this.#roles.get(arn);
  }

  startSession(role: SimulatedRole, name: string, duration_seconds: number): Session {
    const account = accountOf(role.arn);
    const arn = `arn:aws:sts::${account}:assumed-role/${role.arn.split('/').at(-1)}/${name}`;
    const text = (length_bytes: number) => toBase64Url(this.#random.bytes(length_bytes));
    const session: Session = {
      accessKeyId: `ASIA${Buffer.from(this.#random.bytes(8)).toString('hex').toUpperCase()}`,
      secretAccessKey: text(30),
      sessionToken: text(96),
      endsMs: this.#clock.nowMs() + duration_seconds * 1000,
      arn,
      caller: { arn, names: [arn, role.arn], account, identity: role.identity },
    };
    this.#sessions.set(session.accessKeyId, session);
    return session;
  }
}
