import { chownSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError, parseUuid, type Json } from '@auditrax/base';
import { checkReason } from '../platform/audit/generations.ts';
import { checkOverlap } from '../platform/audit/key-changes.ts';
import type { GenerationOrder, KeyOrder } from '../platform/audit/ledger.ts';

/** In the ledger's folder; only the ledger's user and whoever runs the house may write there. */
const ORDER_FILE = 'new-generation.json';

/** Throws `bad_order` and `audit_input_invalid`. */
export function readGenerationOrder(input: Json): GenerationOrder {
  const { reason, tenant, newKey } = (typeof input === 'object' && input !== null ? input : {}) as Record<
    string,
    unknown
  >;
  if (typeof reason !== 'string') throw new AppError('bad_order', 'a new generation needs a reason');
  if (tenant === undefined || tenant === null) return { reason: checkReason(reason), isNewKey: newKey === true };
  if (newKey === true) throw new AppError('bad_order', 'a new key is for every log: leave the tenant out');
  const tenantId = typeof tenant === 'string' ? parseUuid(tenant) : undefined;
  if (tenantId === undefined) throw new AppError('bad_order', 'the tenant is not a UUID: `auditrax log-keys` shows it');
  return { reason: checkReason(reason), tenantId };
}

/** Throws `bad_order` and `audit_input_invalid`. */
export function readKeyOrder(input: Json): KeyOrder {
  const { reason, overlap } = (typeof input === 'object' && input !== null ? input : {}) as Record<string, unknown>;
  if (typeof reason !== 'string') throw new AppError('bad_order', 'a change of the key needs a reason');
  if (overlap !== undefined && overlap !== null && typeof overlap !== 'number')
    throw new AppError('bad_order', 'the overlap is a number of entries');
  return { reason: checkReason(reason), overlap: checkOverlap(overlap ?? undefined) };
}

/** Leaves an order for the next start. Throws `house_missing` when there is no house in this state folder. */
export function leaveGenerationOrder(
  state: string,
  order: { reason: string; tenant?: string | undefined; newKey?: boolean },
): void {
  const folder = join(state, 'ledger');
  if (!existsSync(folder)) throw new AppError('house_missing', `${state} holds no house: set AUDITRAX_STATE`);
  const file = join(folder, ORDER_FILE);
  writeFileSync(file, JSON.stringify(order), { mode: 0o600, flush: true });
  const { uid, gid } = statSync(folder);
  if (process.getuid!() === 0) chownSync(file, uid, gid);
}

/** Reads the order that was left and takes it away; undefined without one. */
export function takeGenerationOrder(folder: string): GenerationOrder | undefined {
  const file = join(folder, ORDER_FILE);
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, 'utf8');
  rmSync(file);
  return readGenerationOrder(JSON.parse(text) as Json);
}
