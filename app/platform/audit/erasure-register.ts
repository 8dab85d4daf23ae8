import { closeSync, existsSync, fsyncSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { AppError, type Uuid } from '@auditrax/base';

/** Name of the register below the issuer's folder of the state. */
export const ERASURE_REGISTER_FILE = 'erasures.jsonl';
/** People who were ever erased in one house; a register that is larger is something else than a register. */
export const REGISTER_LINES_MAX = 1_000_000;

export type ErasureRegisterCode = 'erasure_register_malformed';

/** One person who was erased by law: ids only, so that the register may be copied off the machine. */
export interface Erasure {
  readonly tenantId: Uuid;
  readonly subject: Uuid;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/**
 * Who was erased, outside the database: a database that is put back knows nothing of the erasures since. One line a person,
 * only ever appended.
 */
export interface ErasureRegister {
  /** In the order in which they were written down, nobody twice. */
  all(): readonly Erasure[];
  has(tenantId: Uuid, subject: Uuid): boolean;
  /** On disk when it returns; a person who is in it already changes nothing. Throws what the file system throws. */
  add(erasure: Erasure): void;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function malformed(file: string, line: number): AppError<ErasureRegisterCode> {
  return new AppError<ErasureRegisterCode>(
    'erasure_register_malformed',
    `${file}, line ${line}: this is no register of erasures; put back the last good copy, since without it a restored database brings erased people back`,
  );
}

function parseLine(text: string): Erasure | undefined {
  let body: Partial<Record<'v' | 'tenant' | 'subject' | 'at', unknown>> | null;
  try {
    body = JSON.parse(text) as typeof body;
  } catch {
    return undefined;
  }
  if (body?.v !== 1 || !Number.isSafeInteger(body.at)) return undefined;
  const ids = [body.tenant, body.subject];
  if (!ids.every((id) => typeof id === 'string' && UUID.test(id))) return undefined;
  return { tenantId: body.tenant as Uuid, subject: body.subject as Uuid, at: body.at as number };
}

/** The lines of a register. Throws `erasure_register_malformed` for what is none; a last line that was cut off is not read. */
export function readErasures(file: string): { readonly erasures: readonly Erasure[]; readonly bytes: number } {
  const bytes = existsSync(file) ? readFileSync(file) : Buffer.alloc(0);
  const whole = bytes.lastIndexOf(0x0a) + 1;
  const lines = bytes.subarray(0, whole).toString('utf8').split('\n').slice(0, -1);
  if (lines.length > REGISTER_LINES_MAX) throw malformed(file, REGISTER_LINES_MAX + 1);
  const erasures = lines.map((line, at) => {
    const erasure = parseLine(line);
    if (erasure === undefined) throw malformed(file, at + 1);
    return erasure;
  });
  return { erasures, bytes: whole };
}

function syncFolder(file: string): void {
  const folder = openSync(dirname(file), 'r');
  fsyncSync(folder);
  closeSync(folder);
}

function append(file: string, text: string): void {
  const isNew = !existsSync(file);
  const handle = openSync(file, 'a', 0o600);
  try {
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  if (isNew) syncFolder(file);
}

/**
 * Opens the register, or begins it. A line that a crash cut off is taken away: the database, which was not lost in that
 * crash, still knows it. Throws `erasure_register_malformed`.
 */
export function openErasureRegister(file: string): ErasureRegister {
  const { erasures, bytes } = readErasures(file);
  if (existsSync(file)) truncateSync(file, bytes);
  const keyOf = (tenantId: Uuid, subject: Uuid) => `${tenantId}/${subject}`;
  const known = new Map<string, Erasure>();
  for (const erasure of erasures) {
    const key = keyOf(erasure.tenantId, erasure.subject);
    if (!known.has(key)) known.set(key, erasure);
  }
  return {
    all: () => [...known.values()],
    has: (tenantId, subject) => known.has(keyOf(tenantId, subject)),
    add(erasure) {
      const { tenantId, subject, at } = erasure;
      if (known.has(keyOf(tenantId, subject))) return;
      append(file, `${JSON.stringify({ v: 1, tenant: tenantId, subject, at })}\n`);
      known.set(keyOf(tenantId, subject), erasure);
    },
  };
}

/** Adds what another register knows; says how many people were new. Throws `erasure_register_malformed` of either. */
export function mergeErasures(file: string, other: string): number {
  const { erasures } = readErasures(other);
  const register = openErasureRegister(file);
  const before = register.all().length;
  for (const erasure of erasures) register.add(erasure);
  return register.all().length - before;
}
