import { createHash } from 'node:crypto';
import pg, { type Connection, type PoolClient, type QueryResultRow, type Submittable } from 'pg';
import { TenancyError } from './errors.ts';
import { WireWriter, type WireValue } from './wire.ts';

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
  readonly stream: { write(bytes: Buffer): unknown; destroy(error?: Error): void };
  on(event: 'parseComplete', listener: () => void): unknown;
}
interface RowReader {
  readonly fields: readonly unknown[];
  addFields(fields: unknown): void;
  parseRow(fields: readonly unknown[]): QueryResultRow;
}
const { prepareValue } = (pg as unknown as { utils: { prepareValue(value: unknown): WireValue } }).utils;
const RowReader = pg.Result as unknown as new () => RowReader;

/** What a statement of this connection answers; the server holds to it, or refuses (0A000). */
interface Prepared {
  /** Reads its rows; `none` when it has none, undefined when the server has not said yet. */
  reader: RowReader | 'none' | undefined;
}

interface ConnectionState {
  /** Statements the server has parsed on this connection, by name. */
  readonly prepared: Map<string, Prepared>;
  current: Pipeline | undefined;
  /** Set anew with each pipeline, never cleared: that would cost more than to find nothing to do. */
  deadline: NodeJS.Timeout | undefined;
}
const states = new WeakMap<WireConnection, ConnectionState>();

function stateOf(connection: WireConnection): ConnectionState {
  let state = states.get(connection);
  if (state === undefined) {
    const fresh: ConnectionState = { prepared: new Map(), current: undefined, deadline: undefined };
    connection.on('parseComplete', () => fresh.current?.handleParseComplete());
    states.set(connection, (state = fresh));
  }
  return state;
}

/** The socket keeps the process alive meanwhile. */
function watch(state: ConnectionState, deadline_ms: number): void {
  if (state.deadline === undefined)
    state.deadline = setTimeout(() => state.current?.handleSilence(), deadline_ms).unref();
  else state.deadline.refresh();
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

/** A step that is asked for its columns each time: those of a cursor are not the statement's own. */
const isAlwaysDescribed = (text: string): boolean => text.startsWith('fetch ');

/**
 * Several statements and one Sync: one write, one round trip, one implicit transaction, all or nothing. Only the last
 * step's rows are kept. The server forgets transaction-local settings at the Sync, so a tenant cannot outlive its
 * statement. What columns a named statement has is asked once on each connection.
 */
class Pipeline implements Submittable {
  readonly #steps: readonly Step[];
  readonly #values: readonly WireValue[][];
  readonly #options: PipelineOptions;
  readonly #awaited: string[] = [];
  readonly #settle: PromiseWithResolvers<PipelineResult> = Promise.withResolvers();
  readonly #rows: QueryResultRow[] = [];
  #connection: WireConnection | undefined;
  #state: ConnectionState | undefined;
  /** Of the last step. */
  #name = '';
  #reader: RowReader | 'none' | undefined;
  #command = '';
  #completed = 0;
  #fault: unknown;

  constructor(steps: readonly Step[], options: PipelineOptions) {
    this.#options = options;
    this.#steps = steps;
    // Serialised before anything is sent: a value that cannot be must not leave half a pipeline behind.
    this.#values = steps.map(({ values }) => values.map((value) => prepareValue(value)));
  }

  get result(): Promise<PipelineResult> {
    return this.#settle.promise;
  }

  submit(base: Connection): Error | null {
    this.#connection = base as unknown as WireConnection;
    const state = (this.#state = stateOf(this.#connection));
    let bytes: Buffer;
    try {
      bytes = this.#write(state);
    } catch (error) {
      return error as Error;
    }
    state.current = this;
    watch(state, this.#options.deadline_ms);
    this.#connection.stream.write(bytes);
    return null;
  }

  #write(state: ConnectionState): Buffer {
    const writer = new WireWriter();
    const last = this.#steps.length - 1;
    for (let index = 0; index <= last; index += 1) {
      const { text } = this.#steps[index]!;
      const name = this.#nameOf(text, state);
      const known = name === '' ? undefined : state.prepared.get(name);
      if (known === undefined && (name === '' || !this.#awaited.includes(name))) {
        writer.parse(name, text);
        this.#awaited.push(name);
      }
      writer.bind(name, this.#values[index]!);
      if (index === last) {
        this.#name = name;
        if (!isAlwaysDescribed(text)) this.#reader = known?.reader;
        if (this.#reader === undefined) writer.describe();
      }
      writer.execute();
    }
    writer.sync();
    return writer.finish();
  }

  #nameOf(text: string, state: ConnectionState): string {
    if (!this.#options.named) return '';
    const wanted = statementName(text);
    return state.prepared.has(wanted) || state.prepared.size < NAMED_STATEMENTS_MAX ? wanted : '';
  }

  handleParseComplete(): void {
    const name = this.#awaited.shift();
    if (name !== undefined && name !== '') this.#state?.prepared.set(name, { reader: undefined });
  }

  handleRowDescription(message: { fields: unknown }): void {
    const reader = new RowReader();
    reader.addFields(message.fields);
    this.#reader = reader;
  }

  handleDataRow(message: { fields: readonly unknown[] }): void {
    // The steps before the last were not described; the only row they give is the scope's empty one.
    if (this.#completed < this.#steps.length - 1 || this.#fault !== undefined) return;
    try {
      this.#rows.push(this.#read(message.fields));
    } catch (error) {
      this.#fault = error; // an uncaught error here would leave the connection in the middle of an answer
    }
  }

  #read(fields: readonly unknown[]): QueryResultRow {
    const reader = this.#reader;
    if (reader === undefined || reader === 'none' || reader.fields.length !== fields.length)
      throw new TenancyError('database_failed', 'the server answered with other columns than it described');
    return reader.parseRow(fields);
  }

  handleCommandComplete(message: { text: string }): void {
    this.#completed += 1;
    if (this.#completed < this.#steps.length) return;
    this.#command = message.text.split(' ', 1)[0]!;
    const known = this.#state?.prepared.get(this.#name);
    if (known !== undefined) known.reader ??= this.#reader ?? 'none';
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
    else this.#settle.resolve({ rows: this.#rows, command: this.#command });
  }

  #end(): void {
    if (this.#state?.current === this) this.#state.current = undefined;
  }

  /** The server enforces its own limit; this one is for a network that swallows the answer. */
  handleSilence(): void {
    this.#connection?.stream.destroy(new TenancyError('database_unavailable', 'the database did not answer in time'));
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
