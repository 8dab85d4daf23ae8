/** A move's life. Nothing leads out of `done`, `failed` and `cancelled`: a further try is a move of its own. */
export const MOVE_STATES = ['requested', 'moving', 'cancelling', 'done', 'failed', 'cancelled'] as const;
export type MoveState = (typeof MOVE_STATES)[number];

/**
 * `cancel` is people's. `begin` is the house's, also again after a crash; `finish` and `fail` are what the run says at
 * its end, and `stop` that it ended because somebody had cancelled.
 */
export const MOVE_EVENTS = ['begin', 'cancel', 'finish', 'fail', 'stop'] as const;
export type MoveEvent = (typeof MOVE_EVENTS)[number];

/** The next state, or why the event is refused. */
export type MoveOutcome = { readonly to: MoveState } | { readonly refused: string };

const NOT_BEGUN: MoveOutcome = { refused: 'This move has not begun.' };
const OVER: MoveOutcome = { refused: 'This move has ended.' };
const ENDED: Readonly<Record<MoveEvent, MoveOutcome>> = {
  begin: OVER,
  cancel: OVER,
  finish: OVER,
  fail: OVER,
  stop: OVER,
};

/** The whole state machine: every event in every state has an answer. */
export const MOVE_MACHINE: Readonly<Record<MoveState, Readonly<Record<MoveEvent, MoveOutcome>>>> = {
  requested: {
    begin: { to: 'moving' },
    cancel: { to: 'cancelled' },
    finish: NOT_BEGUN,
    fail: NOT_BEGUN,
    stop: NOT_BEGUN,
  },
  moving: {
    begin: { to: 'moving' }, // resumed after a crash
    cancel: { to: 'cancelling' },
    finish: { to: 'done' },
    fail: { to: 'failed' },
    stop: { refused: 'Nobody has cancelled this move.' },
  },
  cancelling: {
    begin: { to: 'cancelling' }, // resumed, so that what was begun is taken back
    cancel: { refused: 'It is being cancelled already.' },
    finish: { to: 'done' }, // too late: the place had been switched
    fail: { to: 'failed' },
    stop: { to: 'cancelled' },
  },
  done: ENDED,
  failed: ENDED,
  cancelled: ENDED,
};

export const OPEN_STATES: ReadonlySet<MoveState> = new Set(['requested', 'moving', 'cancelling']);
