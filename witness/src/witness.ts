import { createServer as createPlainServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Clock } from '@auditrax/base';
import {
  ADD_CHECKPOINT_BYTES_MAX,
  createCosigner,
  fromBase64,
  judgeAddCheckpoint,
  originOf,
  SIZE_MEDIA_TYPE,
  toBase64,
  type Cosigner,
  type WitnessVerdict,
} from '@auditrax/tlog';
import { openJournal, type LogJournal } from '@auditrax/tlog/journal';
import type { WitnessConfig } from './config.ts';

/** A body comes in one go; whoever takes longer holds a connection for nothing. */
const REQUEST_MS_MAX = 5_000;

/** One line of the program's log. */
export type WitnessLogEntry = Readonly<Record<string, string | number>>;

export interface RunningWitness {
  readonly port: number;
  readonly verifierKey: string;
  /** Lets requests finish, closes the journals. */
  stop(): Promise<void>;
}

export interface WitnessDeps {
  readonly config: WitnessConfig;
  readonly clock: Clock;
  readonly log: (entry: WitnessLogEntry) => void;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly type?: string;
}

/** How many more requests there may be this second. */
class Budget {
  readonly #perSecond: number;
  #second = 0;
  #left = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  take(now_ms: number): boolean {
    const second = Math.floor(now_ms / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#left = this.#perSecond;
    }
    this.#left -= 1;
    return this.#left >= 0;
  }
}

/** What a witness knows and does; the server only carries bodies to it. Requests about one log take turns. */
class Witness {
  readonly #deps: WitnessDeps;
  readonly #cosigner: Cosigner;
  readonly #journals = new Map<string, Promise<LogJournal>>();
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(deps: WitnessDeps, cosigner: Cosigner) {
    this.#deps = deps;
    this.#cosigner = cosigner;
  }

  async addCheckpoint(body: string): Promise<Answer> {
    const origin = originOf(body);
    const keys = origin === undefined ? undefined : this.#deps.config.logs.get(origin);
    if (origin === undefined) return this.#tell('', { status: 400, reason: 'malformed' });
    if (keys === undefined) return this.#tell(origin, { status: 404 });
    const work = async (): Promise<Answer> => {
      const journal = await this.#journal(origin);
      const known = journal.current();
      const state = known && { size: known.size, root: fromBase64(known.root)! };
      const verdict = await judgeAddCheckpoint(body, { keys, state });
      if (verdict.status !== 200) return this.#tell(origin, verdict);
      const { size, root } = verdict.checkpoint;
      // On disk before the signature leaves: what was witnessed is never forgotten, not even by a crash in between.
      if (known === undefined || size !== known.size) await journal.append({ size, root: toBase64(root) });
      this.#deps.log({ event: 'cosigned', origin, size });
      const time_seconds = Math.floor(this.#deps.clock.nowMs() / 1000);
      return { status: 200, body: this.#cosigner.cosignLine(verdict.text, time_seconds) };
    };
    const turn = (this.#turns.get(origin) ?? Promise.resolve()).then(work, work);
    this.#turns.set(origin, turn);
    return turn;
  }

  #tell(origin: string, verdict: Exclude<WitnessVerdict, { status: 200 }>): Answer {
    const reason = 'reason' in verdict ? verdict.reason : '';
    this.#deps.log({ event: 'refused', origin, status: verdict.status, reason });
    return verdict.status === 409
      ? { status: 409, body: `${verdict.size}\n`, type: SIZE_MEDIA_TYPE }
      : { status: verdict.status, body: '' };
  }

  #journal(origin: string): Promise<LogJournal> {
    const known = this.#journals.get(origin) ?? openJournal(this.#deps.config.journalFolder, origin);
    this.#journals.set(origin, known);
    known.catch(() => this.#journals.delete(origin));
    return known;
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#turns.values());
    for (const journal of await Promise.allSettled(this.#journals.values()))
      if (journal.status === 'fulfilled') await journal.value.close();
  }
}

/** Undefined when it is longer than any request of the protocol. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > ADD_CHECKPOINT_BYTES_MAX) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function serverOf({ tls, connectionsMax }: WitnessConfig): Server {
  const limits = { requestTimeout: REQUEST_MS_MAX, headersTimeout: REQUEST_MS_MAX, keepAliveTimeout: REQUEST_MS_MAX };
  const server =
    tls === undefined ? createPlainServer(limits) : createTlsServer({ ...limits, ...tls, minVersion: 'TLSv1.3' });
  server.maxConnections = connectionsMax;
  return server;
}

/** Starts the witness. Throws what a port or a journal folder throws. */
export async function startWitness(deps: WitnessDeps): Promise<RunningWitness> {
  const { config, clock, log } = deps;
  const cosigner = await createCosigner(config.name, config.privateKey);
  const witness = new Witness(deps, cosigner);
  const budget = new Budget(config.requestsPerSecondMax);
  const answer = async (request: IncomingMessage): Promise<Answer> => {
    if (request.url === '/livez') return { status: 200, body: '' };
    if (request.url !== `${config.uriPathPrefix}/add-checkpoint`) return { status: 404, body: '' };
    if (request.method !== 'POST') return { status: 405, body: '' };
    if (!budget.take(clock.nowMs())) return { status: 429, body: '' };
    const body = await readBody(request);
    return body === undefined ? { status: 413, body: '' } : witness.addCheckpoint(body);
  };
  const server = serverOf(config);
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const send = ({ status, body, type = 'text/plain; charset=utf-8' }: Answer): void => {
      response.writeHead(status, { 'content-type': type, ...(status === 413 ? { connection: 'close' } : {}) });
      response.end(body);
    };
    answer(request).then(send, (error: unknown) => {
      log({ event: 'failed', reason: error instanceof Error ? error.message : String(error) });
      send({ status: 500, body: '' });
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(config.listen.port, config.listen.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    verifierKey: cosigner.verifierKey,
    stop: async () => {
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeIdleConnections();
      });
      await witness.close();
    },
  };
}
