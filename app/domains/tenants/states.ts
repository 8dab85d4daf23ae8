/** A deletion's life. Nothing leads out of `destroyed` and `cancelled`. */
export const DELETION_STATES = ['proposed', 'confirmed', 'destroying', 'failed', 'destroyed', 'cancelled'] as const;
export type DeletionState = (typeof DELETION_STATES)[number];

/**
 * `confirm` and `cancel` are people's. `begin` is the clock's, once the delay is over, and again after a failure;
 * `fail` and `finish` are what the canaries say afterwards.
 */
export const DELETION_EVENTS = ['confirm', 'cancel', 'begin', 'fail', 'finish'] as const;
export type DeletionEvent = (typeof DELETION_EVENTS)[number];

/** The next state, or why the event is refused. */
export type DeletionOutcome = { readonly to: DeletionState } | { readonly refused: string };

const UNDER_WAY: DeletionOutcome = { refused: 'The keys are being destroyed: this cannot be taken back.' };
const OVER: DeletionOutcome = { refused: 'The keys are destroyed.' };
const CANCELLED: DeletionOutcome = { refused: 'This deletion was cancelled. Propose it again.' };
const NOT_BEGUN: DeletionOutcome = { refused: 'Nothing has been destroyed yet.' };

/** The whole state machine: every event in every state has an answer, so that nothing is allowed by being forgotten. */
export const DELETION_MACHINE: Readonly<Record<DeletionState, Readonly<Record<DeletionEvent, DeletionOutcome>>>> = {
  proposed: {
    confirm: { to: 'confirmed' },
    cancel: { to: 'cancelled' },
    begin: { refused: 'A second operator has not confirmed it.' },
    fail: NOT_BEGUN,
    finish: NOT_BEGUN,
  },
  confirmed: {
    confirm: { refused: 'It is confirmed already.' },
    cancel: { to: 'cancelled' },
    begin: { to: 'destroying' },
    fail: NOT_BEGUN,
    finish: NOT_BEGUN,
  },
  destroying: {
    confirm: UNDER_WAY,
    cancel: UNDER_WAY,
    begin: { to: 'destroying' }, // resumed after a crash
    fail: { to: 'failed' },
    finish: { to: 'destroyed' },
  },
  failed: {
    confirm: UNDER_WAY,
    cancel: UNDER_WAY,
    begin: { to: 'destroying' },
    fail: { to: 'failed' },
    finish: UNDER_WAY,
  },
  destroyed: { confirm: OVER, cancel: OVER, begin: OVER, fail: OVER, finish: OVER },
  cancelled: { confirm: CANCELLED, cancel: CANCELLED, begin: CANCELLED, fail: CANCELLED, finish: CANCELLED },
};
