import { fromBase64Url, toBase64Url } from '@auditrax/base';
import { ID_KEYS_MAX, idKeys, type IdKey, type IdKeys } from './ids.ts';

/** One key of ids with its time. Of those whose time has come the newest makes ids; the others are read until they end. */
export interface ScheduledIdKey extends IdKey {
  /** Known everywhere before it is used, so that nobody meets an id whose key has not reached him yet. */
  readonly usedFromMs: number;
  /** Ids made with it are forged from then on; null while nothing replaces it. */
  readonly acceptedUntilMs: number | null;
}

/**
 * - `id_keys_broken`: the kept text is no schedule.
 * - `id_key_rotation_under_way`: the last new key is not in use yet.
 * - `id_keys_too_many`: as many keys are accepted as may be; one must end or be retired first.
 * - `id_key_unknown`, `id_key_in_use`: there is no such key, or it is the one that makes ids (or will).
 */
export type IdRotationCode =
  | 'id_keys_broken'
  | 'id_key_rotation_under_way'
  | 'id_keys_too_many'
  | 'id_key_unknown'
  | 'id_key_in_use';

export class IdRotationError extends Error {
  readonly code: IdRotationCode;
  constructor(code: IdRotationCode, message: string) {
    super(message);
    this.name = 'IdRotationError';
    this.code = code;
  }
}

const isLive = (key: ScheduledIdKey, nowMs: number): boolean =>
  key.acceptedUntilMs === null || key.acceptedUntilMs > nowMs;

/** The ring at a moment. Throws `id_keys_broken` when no key's time has come. */
export function idRingAt(schedule: readonly ScheduledIdKey[], nowMs: number): IdKeys {
  const live = schedule.filter((key) => isLive(key, nowMs));
  const current = live.findLast((key) => key.usedFromMs <= nowMs);
  if (current === undefined) throw new IdRotationError('id_keys_broken', 'no key of ids can be used now');
  return idKeys(
    current,
    live.filter((key) => key !== current),
  );
}

/** When the ring changes next by itself; undefined when it does not. */
export function nextIdRingChange(schedule: readonly ScheduledIdKey[], nowMs: number): number | undefined {
  const times = schedule.flatMap((key) => [key.usedFromMs, key.acceptedUntilMs ?? 0]).filter((time) => time > nowMs);
  return times.length === 0 ? undefined : Math.min(...times);
}

/**
 * Adds a key: accepted at once, used after `prepare_ms`. Those before it stay accepted for `accept_ms` from then; what
 * has ended is left out. Throws IdRotationError.
 */
export function rotateIdKeys(
  schedule: readonly ScheduledIdKey[],
  order: { readonly nowMs: number; readonly key: Uint8Array; readonly prepare_ms: number; readonly accept_ms: number },
): ScheduledIdKey[] {
  const live = schedule.filter((key) => isLive(key, order.nowMs));
  if (live.some((key) => key.usedFromMs > order.nowMs))
    throw new IdRotationError('id_key_rotation_under_way', 'a new key of ids is about to be used');
  if (live.length >= ID_KEYS_MAX)
    throw new IdRotationError('id_keys_too_many', `${ID_KEYS_MAX} keys of ids are accepted already`);
  const usedFromMs = order.nowMs + order.prepare_ms;
  const version = Math.max(0, ...schedule.map((key) => key.version)) + 1;
  return [
    ...live.map((key) => ({ ...key, acceptedUntilMs: key.acceptedUntilMs ?? usedFromMs + order.accept_ms })),
    { version, key: order.key, usedFromMs, acceptedUntilMs: null },
  ];
}

/** Ends an older key at once, because somebody else may have it. Throws IdRotationError. */
export function retireIdKey(schedule: readonly ScheduledIdKey[], version: number, nowMs: number): ScheduledIdKey[] {
  if (!schedule.some((key) => key.version === version))
    throw new IdRotationError('id_key_unknown', `there is no key of ids with version ${version}`);
  if (idRingAt(schedule, nowMs).current.version <= version)
    throw new IdRotationError('id_key_in_use', `version ${version} makes ids, or is about to: rotate first`);
  return schedule.filter((key) => key.version !== version);
}

/** As it is kept in a file. */
export function spellIdKeys(schedule: readonly ScheduledIdKey[]): string {
  return JSON.stringify({ keys: schedule.map((key) => ({ ...key, key: toBase64Url(key.key) })) });
}

/** Reads what `spellIdKeys` wrote, or a single key as text, which was the first form. Throws `id_keys_broken`. */
export function readIdKeys(text: string): ScheduledIdKey[] {
  const broken = (): never => {
    throw new IdRotationError('id_keys_broken', 'the keys of ids cannot be read');
  };
  const bytes = (value: unknown): Uint8Array =>
    (typeof value === 'string' ? fromBase64Url(value) : undefined) ?? broken();
  if (!text.startsWith('{')) return [{ version: 1, key: bytes(text.trim()), usedFromMs: 0, acceptedUntilMs: null }];
  let kept: { keys?: unknown };
  try {
    kept = JSON.parse(text) as { keys?: unknown };
  } catch {
    return broken();
  }
  if (!Array.isArray(kept.keys)) return broken();
  return (kept.keys as Record<string, unknown>[]).map(({ version, key, usedFromMs, acceptedUntilMs }) => {
    const known = Number.isSafeInteger(version) && Number.isSafeInteger(usedFromMs);
    if (!known || !(acceptedUntilMs === null || Number.isSafeInteger(acceptedUntilMs))) return broken();
    return {
      version: version as number,
      key: bytes(key),
      usedFromMs: usedFromMs as number,
      acceptedUntilMs: acceptedUntilMs as number | null,
    };
  });
}

/** Differs between any two rings of one schedule; holds no secret. */
export function idRingMark(ring: IdKeys): string {
  return [ring.current, ...ring.accepted].map(({ version }) => version).join(' ');
}

/** A ring that whoever holds it sees change; `read` gives the one that is true now. */
export function liveIdKeys(read: () => IdKeys): IdKeys {
  return {
    get current() {
      return read().current;
    },
    get accepted() {
      return read().accepted;
    },
  };
}
