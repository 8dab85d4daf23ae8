// The key ring of tagged ids, in the issuer: kept in one file, changed by the operator's command.
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { AppError, type Clock, type Json } from '@auditrax/base';
import {
  IdRotationError,
  idRingAt,
  idRingMark,
  liveIdKeys,
  nextIdRingChange,
  readIdKeys,
  retireIdKey,
  rotateIdKeys,
  spellIdKeys,
  type ScheduledIdKey,
} from '@auditrax/tenancy/id-rotation';
import type { IdKeys } from '@auditrax/tenancy/ids';
import type { Floor } from './floor.ts';

const KEY_BYTES = 32;
/** Long enough for every process of a slow machine to have fetched a new key before it is used. */
const PREPARE_SECONDS = 60;
/** A link in somebody's mail should still lead somewhere. */
const ACCEPT_SECONDS = 90 * 86_400;
const SECONDS_MAX = 10 * 365 * 86_400;
/** `setTimeout` takes no longer delay; the next look is then as far away. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export interface IdKeyHouse {
  /** Changes by itself. */
  readonly keys: IdKeys;
  /** Answers the operator's command; `record` tells the log before anything changes. */
  answer(
    input: Json,
    record: (change: 'id-key-rotated' | 'id-key-retired', version: number) => Promise<void>,
  ): Promise<Json>;
  close(): void;
}

function keep(path: string, schedule: readonly ScheduledIdKey[]): void {
  writeFileSync(`${path}.new`, spellIdKeys(schedule), { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder); // the new name must be there after a crash: an id may have gone out under the new key
  closeSync(folder);
}

/** Lost, every id ever given out would be forged: so it is made on a first start only. */
function load({ member, random }: Floor): { path: string; schedule: ScheduledIdKey[] } {
  const path = join(member.boot.stateDirectory, 'id-key');
  if (!existsSync(path)) {
    if (member.boot.options['isNew'] !== true) {
      throw new AppError('id_key_missing', `the key of ids ${path} is gone: restore it from a backup`);
    }
    keep(path, [{ version: 1, key: random.bytes(KEY_BYTES), usedFromMs: 0, acceptedUntilMs: null }]);
  }
  return { path, schedule: readIdKeys(readFileSync(path, 'utf8')) };
}

interface Order {
  readonly action: 'list' | 'rotate' | 'retire';
  readonly version?: number;
  readonly prepare_seconds?: number;
  readonly accept_seconds?: number;
}

function seconds(asked: number | undefined, otherwise: number): number {
  const value = asked ?? otherwise;
  if (!Number.isSafeInteger(value) || value < 0 || value > SECONDS_MAX)
    throw new AppError('id_key_order_invalid', `a time is given in whole seconds, at most ${SECONDS_MAX}`);
  return value * 1000;
}

function changed(
  schedule: readonly ScheduledIdKey[],
  order: Order,
  { clock, random }: Pick<Floor, 'clock' | 'random'>,
) {
  const nowMs = clock.nowMs();
  if (order.action === 'retire') return retireIdKey(schedule, order.version ?? 0, nowMs);
  return rotateIdKeys(schedule, {
    nowMs,
    key: random.bytes(KEY_BYTES),
    prepare_ms: seconds(order.prepare_seconds, PREPARE_SECONDS),
    accept_ms: seconds(order.accept_seconds, ACCEPT_SECONDS),
  });
}

function list(schedule: readonly ScheduledIdKey[], clock: Clock): Json {
  const { current } = idRingAt(schedule, clock.nowMs());
  return schedule.map(({ version, usedFromMs, acceptedUntilMs }) => ({
    version,
    usedFromMs,
    acceptedUntilMs,
    makesIds: version === current.version,
  }));
}

/** Opens the ring and announces it, now and at each change. */
export function openIdKeys(floor: Floor): IdKeyHouse {
  const { member, clock } = floor;
  const { path, schedule: kept } = load(floor);
  let schedule: readonly ScheduledIdKey[] = kept;
  const keys = liveIdKeys(() => idRingAt(schedule, clock.nowMs()));
  let timer: NodeJS.Timeout | undefined;
  const announce = (): void => {
    clearTimeout(timer);
    member.announce({ idKeys: idRingMark(keys) });
    const next = nextIdRingChange(schedule, clock.nowMs());
    if (next === undefined) return;
    timer = setTimeout(announce, Math.min(Math.max(1, next - clock.nowMs()), TIMER_MS_MAX));
    timer.unref();
  };
  announce();
  return {
    keys,
    answer: async (input, record) => {
      const order = input as unknown as Order;
      if (order.action === 'list') return list(schedule, clock);
      try {
        const next = changed(schedule, order, floor);
        const isRetired = order.action === 'retire';
        const version = isRetired ? order.version! : next.at(-1)!.version;
        await record(isRetired ? 'id-key-retired' : 'id-key-rotated', version);
        keep(path, next);
        schedule = next;
      } catch (error) {
        throw error instanceof IdRotationError ? new AppError(error.code, error.message) : error;
      }
      announce();
      return list(schedule, clock);
    },
    close: () => clearTimeout(timer),
  };
}
