import type { KeyState } from './contract.ts';

export const KEY_EVENTS = ['activate', 'discard', 'close', 'retire', 'reopen', 'destroy', 'shred'] as const;
/**
 * `activate`: it has been unwrapped once and may seal; `discard`: it never will. `close`: a younger key seals now.
 * `retire`: no stored value names it any more. `reopen`: one does after all (a restored row). `destroy`: no backup can
 * name it either. `shred`: the tenant's data is to become unreadable, now.
 */
export type KeyEvent = (typeof KEY_EVENTS)[number];

/** The next state, or why the event is refused. */
export type KeyOutcome = { readonly to: KeyState } | { readonly refused: string };

const NOT_BEGUN: KeyOutcome = { refused: 'The key has not been in use yet.' };
const SEALS: KeyOutcome = { refused: 'The key still seals: a younger one must take over first.' };
const OPENS: KeyOutcome = { refused: 'Stored values may still name the key: it is retired first.' };
const BEGUN: KeyOutcome = { refused: 'The key has been in use: it is not simply thrown away.' };
const ONCE: KeyOutcome = { refused: 'A key seals during one span of time only.' };
const GONE: KeyOutcome = { refused: 'The key is destroyed.' };
const ALREADY: KeyOutcome = { refused: 'The key is in this state already.' };

/**
 * A data key's life. Every event in every state has an answer. PENDING is never stored by the rotation of this room: a
 * key gets its row once it has been unwrapped again, in the transaction that closes its predecessor.
 */
export const KEY_MACHINE: Readonly<Record<KeyState, Readonly<Record<KeyEvent, KeyOutcome>>>> = {
  PENDING: {
    activate: { to: 'ACTIVE' },
    discard: { to: 'DESTROYED' },
    close: NOT_BEGUN,
    retire: NOT_BEGUN,
    reopen: NOT_BEGUN,
    destroy: NOT_BEGUN,
    shred: { to: 'DESTROYED' },
  },
  ACTIVE: {
    activate: ALREADY,
    discard: BEGUN,
    close: { to: 'DECRYPT_ONLY' },
    retire: SEALS,
    reopen: SEALS,
    destroy: SEALS,
    shred: { to: 'DESTROYED' },
  },
  DECRYPT_ONLY: {
    activate: ONCE,
    discard: BEGUN,
    close: ALREADY,
    retire: { to: 'RETIRED' },
    reopen: ALREADY,
    destroy: OPENS,
    shred: { to: 'DESTROYED' },
  },
  RETIRED: {
    activate: ONCE,
    discard: BEGUN,
    close: ONCE,
    retire: ALREADY,
    reopen: { to: 'DECRYPT_ONLY' },
    destroy: { to: 'DESTROYED' },
    shred: { to: 'DESTROYED' },
  },
  DESTROYED: {
    activate: GONE,
    discard: GONE,
    close: GONE,
    retire: GONE,
    reopen: GONE,
    destroy: ALREADY,
    shred: ALREADY,
  },
};
