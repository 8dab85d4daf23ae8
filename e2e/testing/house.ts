// A whole house of its own for a test: throw-away state folder, free ports, people who sign in over HTTP.
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAppError } from '@auditrax/base';
import { Agent, request } from 'undici';
import { startHouse, type House, type HouseOptions } from '../../app/bin/house.ts';
import { readSettings } from '../../app/bin/settings.ts';
import { bringCompiledCode, keepCompiledCode } from './compile-cache.ts';
import { inTurn } from './turns.ts';

/** A starting process on a loaded machine may need this long; a healthy house answers in milliseconds. */
const ANSWER_MS_MAX = 20_000;

export interface TestHouse {
  readonly house: House;
  /** Every line that the processes said. */
  readonly lines: string[];
  /** Stops the house; the state folder stays. */
  stop(): Promise<void>;
}

/** A new state folder, short enough for a socket below it. */
export function makeStateFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'axe-'));
  chmodSync(path, 0o711); // as root each process passes through as a user of its own
  return path;
}

export function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

export async function openTestHouse(
  state: string,
  change: Partial<HouseOptions> & { readonly environment?: Readonly<Record<string, string>> } = {},
): Promise<TestHouse> {
  const { environment, ...options } = change;
  bringCompiledCode(state);
  const settings = readSettings({ ...environment, AUDITRAX_STATE: state });
  const lines: string[] = [];
  const start = () =>
    startHouse({
      ephemeral: true,
      settings: { ...settings, port: 0, tryoutPort: settings.tryoutPort === undefined ? undefined : 0 },
      progress: () => undefined,
      log: (line) => {
        lines.push(line);
      },
      ...options,
    });
  const house = await inTurn(start);
  if (options.execArgv === undefined) keepCompiledCode(state); // what a test replaces is not kept for others
  return { house, lines, stop: () => house.stop() };
}

export interface SampleLink {
  readonly tenant: string;
  readonly role: string;
  readonly linkPath: string;
  readonly enrolPath: string | null;
}

/** Longer than any pause of the log that a loaded machine makes. */
const SEED_MS_MAX = 60_000;
const SEED_AGAIN_MS = 500;

/** Seeds the sample and gives fresh one-time links; while the log is not running yet nothing is written, and it asks again. */
export async function seedSample(house: House): Promise<SampleLink[]> {
  const deadline = performance.now() + SEED_MS_MAX;
  for (;;) {
    try {
      return (await house.supervisor.ask('issuer', 'seed', null)) as unknown as SampleLink[];
    } catch (error) {
      if (!isAppError(error) || error.code !== 'audit_log_down' || performance.now() > deadline) throw error;
      await sleep(SEED_AGAIN_MS);
    }
  }
}

export interface Reply {
  /** 0: no answer came. */
  readonly status: number;
  readonly body: unknown;
}

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** One signed-in person at the try-out door, as a browser of theirs would call. */
export class Person {
  readonly #base: string;
  readonly #agent: Agent;
  #cookie = '';

  /** `authority`: PEM of the edge's own authority, for a base that is https. */
  constructor(base: string, authority?: string) {
    this.#base = base;
    const times = { keepAliveTimeout: 1_000, headersTimeout: ANSWER_MS_MAX, bodyTimeout: ANSWER_MS_MAX };
    this.#agent = new Agent({ ...times, ...(authority === undefined ? {} : { connect: { ca: authority } }) });
  }

  /** Signs in with a fresh one-time link of the sample role, e.g. `Lead auditor` of `Harbour Street Audit`. */
  static async signIn(house: House, role: string, tenant = 'Harbour Street Audit'): Promise<Person> {
    const links = await seedSample(house);
    return Person.enter(house.tryoutUrl!, links, { role, tenant });
  }

  /** Signs in at an address with the link of one of the sample people. */
  static async enter(
    base: string,
    links: readonly SampleLink[],
    who: { role: string; tenant: string; authority?: string },
  ): Promise<Person> {
    const { role, tenant } = who;
    const link = links.find((candidate) => candidate.role === role && candidate.tenant === tenant);
    if (link === undefined) throw new Error(`no sample person ${role} of ${tenant}`);
    const person = new Person(base, who.authority);
    const reply = await person.send('POST', '/api/identity/link', { token: link.linkPath.split('#')[1] });
    if (reply.status !== 200) throw new Error(`sign-in answered ${reply.status}: ${JSON.stringify(reply.body)}`);
    return person;
  }

  /** Of the session, for a client of another make. */
  get cookie(): string {
    return this.#cookie;
  }

  /** Never rejects: a connection that breaks is a reply of status 0, after which the outcome is unknown. */
  send(method: Method, path: string, body?: unknown): Promise<Reply> {
    return this.#send(method, path, { body });
  }

  /** As `send`, of what was approved with a passkey: `stepUp` is what the browser sends along. */
  sendApproved(path: string, stepUp: string, body?: unknown): Promise<Reply> {
    return this.#send('POST', path, { body, stepUp });
  }

  async #send(method: Method, path: string, { body, stepUp }: { body?: unknown; stepUp?: string }): Promise<Reply> {
    const isBytes = body instanceof Uint8Array;
    const type = isBytes ? 'application/octet-stream' : 'application/json';
    try {
      const reply = await request(this.#base + path, {
        method,
        dispatcher: this.#agent,
        headers: {
          ...(method === 'GET' ? {} : { origin: this.#base }),
          'sec-fetch-site': 'same-origin',
          ...(this.#cookie === '' ? {} : { cookie: this.#cookie }),
          ...(body === undefined ? {} : { 'content-type': type }),
          ...(stepUp === undefined ? {} : { 'x-step-up': stepUp }),
        },
        ...(body === undefined ? {} : { body: isBytes ? body : JSON.stringify(body) }),
      });
      const set = [reply.headers['set-cookie'] ?? []].flat()[0];
      if (set !== undefined) this.#cookie = set.split(';', 1)[0]!;
      const bytes = Buffer.from(await reply.body.arrayBuffer());
      const isJson = String(reply.headers['content-type'] ?? '').includes('json');
      return { status: reply.statusCode, body: isJson ? JSON.parse(bytes.toString('utf8')) : bytes };
    } catch (error) {
      return { status: 0, body: error };
    }
  }

  /** Sends until the answer is the wanted status; a test's way to wait for a house that is coming back. */
  async until(
    status: number,
    question: readonly [method: 'GET' | 'POST', path: string, body?: unknown],
    ms_max = 30_000,
  ): Promise<Reply> {
    const deadline = performance.now() + ms_max;
    for (;;) {
      const reply = await this.send(...question);
      if (reply.status === status) return reply;
      if (performance.now() > deadline) {
        throw new Error(
          `${question[1]} still answers ${reply.status} after ${ms_max} ms: ${JSON.stringify(reply.body)}`,
        );
      }
      await sleep(50);
    }
  }

  /** Reads a download to its end without keeping it. */
  async drain(path: string): Promise<{ status: number; bytes: number; sha256: string }> {
    const headers = { 'sec-fetch-site': 'same-origin', cookie: this.#cookie };
    const reply = await request(this.#base + path, { dispatcher: this.#agent, headers });
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const piece of reply.body as AsyncIterable<Buffer>) {
      hash.update(piece);
      bytes += piece.length;
    }
    return { status: reply.statusCode, bytes, sha256: hash.digest('hex') };
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}
