import { createHash } from 'node:crypto';
import pg, { type Connection, type PoolClient, type QueryResultRow, type Submittable } from 'pg';
import { TenancyError } from './errors.ts';

/** Named statements kept on one connection; each costs server memory for a plan. More are sent unnamed. */
const NAMED_STATEMENTS_MAX = 1_000;
/** Names kept in this process; a program has a few hundred statements. */
const NAMES_MAX = 4_000;

/** One statement of a pipeline, in the extended protocol. */
export interface Step {
  readonly text: string;
  readonly values: readonly unknown[];
}

export interface PipelineOptions {
  readonly deadline_ms: number;
  /** False where the server behind the connection changes between transactions: nothing may be left there by name. */
  readonly named: boolean;
}

/** What the server said about the last step. */
export interface PipelineResult {
  readonly rows: QueryResultRow[];
  /** Command tag, such as `COMMIT`; a COMMIT of a failed transaction answers `ROLLBACK`. */
  readonly command: string;
}

// Parts of `pg` that are documented in its source only.
interface WireConnection {
  readonly stream: { cork(): void; uncork(): void; destroy(error?: Error): void };
  parse(query: { name: string; text: string; types: undefined }): void;
  bind(config: { portal: string; statement: string; values: readonly unknown[] }): void;
  describe(what: { type: 'P'; name: string }): void;
  execute(config: { portal: string; rows: number }): void;
  sync(): void;
  on(event: 'parseComplete', listener: () => void): unknown;
}
interface RowReader {
  rows: QueryResultRow[];
  command: string | null;
  addFields(fields: unknown): void;
  parseRow(fields: unknown): QueryResultRow;
  addCommandComplete(message: unknown): void;
}
const { prepareValue } = (pg as unknown as { utils: { prepareValue(value: unknown): unknown } }).utils;
const RowReader = pg.Result as unknown as new () => RowReader;

interface ConnectionState {
  /** Statements the server has parsed on this connection, by name. */
  readonly parsed: Set<string>;
  current: Pipeline | undefined;
}
const states = new WeakMap<WireConnection, ConnectionState>();

function stateOf(connection: WireConnection): ConnectionState {
  let state = states.get(connection);
  if (state === undefined) {
    const fresh: ConnectionState = { parsed: new Set(), current: undefined };
    connection.on('parseComplete', () => fresh.current?.handleParseComplete());
    states.set(connection, (state = fresh));
  }
  return state;
}

const statementNames = new Map<string, string>();

function statementName(text: string): string {
  let name = statementNames.get(text);
  if (name === undefined) {
    // 120 bits: two texts never share a name, which would run the wrong statement.
    name = `t_${createHash('sha256').update(text).digest('base64url').slice(0, 20)}`;
    if (statementNames.size >= NAMES_MAX) statementNames.delete(statementNames.keys().next().value!);
    statementNames.set(text, name);
  }
  return name;
}

/**
 * Several statements and one Sync: one round trip, one implicit transaction, all or nothing. Only the last step's rows
 * are kept. The server forgets transaction-local settings at the Sync, so a tenant cannot outlive its statement.
 */
class Pipeline implements Submittable {
  readonly #steps: readonly Step[];
  readonly #awaited: string[] = [];
  readonly #reader = new RowReader();
  readonly #settle: PromiseWithResolvers<PipelineResult> = Promise.withResolvers();
  readonly #timer: NodeJS.Timeout;
  readonly #named: boolean;
  #connection: WireConnection | undefined;
  #completed = 0;
  #fault: unknown;

  constructor(steps: readonly Step[], { deadline_ms, named }: PipelineOptions) {
    this.#named = named;
    // Serialised before anything is sent: a value that cannot be must not leave half a pipeline behind.
    this.#steps = steps.map(({ text, values }) => ({ text, values: values.map((value) => prepareValue(value)) }));
    this.#timer = setTimeout(() => this.#giveUp(), deadline_ms);
  }

  get result(): Promise<PipelineResult> {
    return this.#settle.promise;
  }

  submit(base: Connection): void {
    const connection = (this.#connection = base as unknown as WireConnection);
    const state = stateOf(connection);
    state.current = this;
    connection.stream.cork();
    try {
      for (const [index, step] of this.#steps.entries())
        this.#send(connection, state, { step, last: index === this.#steps.length - 1 });
      connection.sync();
    } finally {
      connection.stream.uncork();
    }
  }

  #send(connection: WireConnection, state: ConnectionState, { step, last }: { step: Step; last: boolean }): void {
    const name = this.#nameOf(step.text, state);
    if (!state.parsed.has(name)) {
      connection.parse({ name, text: step.text, types: undefined });
      this.#awaited.push(name);
    }
    connection.bind({ portal: '', statement: name, values: step.values });
    if (last) connection.describe({ type: 'P', name: '' });
    connection.execute({ portal: '', rows: 0 });
  }

  #nameOf(text: string, state: ConnectionState): string {
    if (!this.#named) return '';
    const wanted = statementName(text);
    return state.parsed.has(wanted) || state.parsed.size < NAMED_STATEMENTS_MAX ? wanted : '';
  }

  handleParseComplete(): void {
    const name = this.#awaited.shift();
    if (name !== undefined && name !== '' && this.#connection !== undefined) stateOf(this.#connection).parsed.add(name);
  }

  handleRowDescription(message: { fields: unknown }): void {
    this.#reader.addFields(message.fields);
  }

  handleDataRow(message: { fields: unknown }): void {
    // The steps before the last were not described; the only row they give is the scope's empty one.
    if (this.#completed < this.#steps.length - 1 || this.#fault !== undefined) return;
    try {
      this.#reader.rows.push(this.#reader.parseRow(message.fields));
    } catch (error) {
      this.#fault = error; // an uncaught error here would leave the connection in the middle of an answer
    }
  }

  handleCommandComplete(message: unknown): void {
    this.#completed += 1;
    if (this.#completed === this.#steps.length) this.#reader.addCommandComplete(message);
  }

  handleEmptyQuery(): void {
    this.#completed += 1;
  }

  handlePortalSuspended(): void {
    this.#fault = new TenancyError('database_failed', 'the server suspended a portal that has no row limit');
  }

  handleCopyInResponse(connection: { sendCopyFail(message: string): void }): void {
    connection.sendCopyFail('COPY is not possible here');
  }

  handleCopyData(): void {
    // Answers to COPY TO are dropped; the guard lets no COPY through.
  }

  handleError(error: unknown): void {
    this.#end();
    this.#settle.reject(error);
  }

  handleReadyForQuery(): void {
    this.#end();
    if (this.#fault !== undefined) this.#settle.reject(this.#fault);
    else this.#settle.resolve({ rows: this.#reader.rows, command: this.#reader.command ?? '' });
  }

  #end(): void {
    clearTimeout(this.#timer);
    if (this.#connection !== undefined) stateOf(this.#connection).current = undefined;
  }

  /** The server enforces its own limit; this one is for a network that swallows the answer. */
  #giveUp(): void {
    const silent = new TenancyError('database_unavailable', 'the database did not answer in time');
    if (this.#connection === undefined) this.#settle.reject(silent);
    else this.#connection.stream.destroy(silent);
  }
}

/** Runs the steps on a client that nothing else uses meanwhile. Rejects with whatever `pg` reports. */
export function runPipeline(
  client: PoolClient,
  steps: readonly Step[],
  options: PipelineOptions,
): Promise<PipelineResult> {
  const pipeline = new Pipeline(steps, options);
  client.query(pipeline);
  return pipeline.result;
}
