import { AppError } from '@auditrax/base';
import { type DestinationStream, pino } from 'pino';

/**
 * The only members that a log line may have. Anything else is dropped: a log is read by people and machines that may
 * see no tenant's content, so nothing free in form gets in (no URLs, no bodies, no headers, no error messages).
 */
export interface LogFields {
  readonly requestId?: string;
  readonly operation?: string;
  readonly peer?: string;
  readonly status?: number;
  readonly duration_ms?: number;
  readonly bytes?: number;
  readonly count?: number;
  readonly code?: string;
  readonly reason?: string;
  readonly check?: string;
  /** Which database of the house, by its opaque name. */
  readonly cell?: string;
  /** Error class and stack frames; never the message, which may quote a row. */
  readonly error?: unknown;
}

const FREE_OF_CONTENT = [
  'requestId',
  'operation',
  'peer',
  'status',
  'duration_ms',
  'bytes',
  'count',
  'code',
  'reason',
  'check',
  'cell',
] as const;
const TEXT_CHARACTERS_MAX = 200;
const STACK_FRAMES_MAX = 12;

export interface Log {
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

/** A log of JSON lines; `event` is a fixed name such as `request` or `renewal-failed`. */
export function createLog(options: {
  readonly service: string;
  readonly destination: DestinationStream;
  /** Lines below it are not made at all. `warn` unless told: a line for every request costs a tenth of the request. */
  readonly level?: 'info' | 'warn';
}): Log {
  const lines = pino(
    {
      base: { service: options.service },
      messageKey: 'event',
      level: options.level ?? 'warn',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.destination,
  );
  return {
    info: (event, fields) => lines.info(allowed(fields), event),
    warn: (event, fields) => lines.warn(allowed(fields), event),
    error: (event, fields) => lines.error(allowed(fields), event),
  };
}

function allowed(fields: LogFields | undefined): Record<string, string | number> {
  const line: Record<string, string | number> = {};
  if (fields === undefined) return line;
  for (const name of FREE_OF_CONTENT) {
    const value = fields[name];
    if (typeof value === 'number') line[name] = value;
    else if (typeof value === 'string') line[name] = value.slice(0, TEXT_CHARACTERS_MAX);
  }
  if (fields.error !== undefined) Object.assign(line, describeError(fields.error));
  return line;
}

function describeError(error: unknown): Record<string, string> {
  if (!(error instanceof Error)) return { errorName: typeof error };
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  const code = error instanceof AppError ? error.code : (error as { code?: unknown }).code;
  return {
    errorName: error.name.slice(0, TEXT_CHARACTERS_MAX),
    ...(typeof code === 'string' ? { errorCode: code.slice(0, TEXT_CHARACTERS_MAX) } : {}),
    stack: frames
      .slice(0, STACK_FRAMES_MAX)
      .map((line) => line.trim())
      .join(' | '),
  };
}

/** A log that goes nowhere, for tests. */
export const silentLog: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };
