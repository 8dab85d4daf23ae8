/** A campaign's life. `overdue`: the deadline is over, and there is somebody about whom nobody here may decide. */
export const REVIEW_STATES = ['open', 'decided', 'removing', 'overdue', 'closed'] as const;
export type ReviewState = (typeof REVIEW_STATES)[number];

/**
 * `decide`: a decision, and others are missing still; `decide-last`: the last one. `reopen`: somebody's access has grown
 * since it was decided. `settle`: what is to be removed is being removed. `deadline`: what nobody has decided is to be
 * removed; `deadline-stuck`: all but the one without whom nobody would manage the tenant. `prove`: a later look at every
 * target has found it gone.
 */
export const REVIEW_EVENTS = [
  'decide',
  'decide-last',
  'reopen',
  'settle',
  'deadline',
  'deadline-stuck',
  'prove',
] as const;
export type ReviewEvent = (typeof REVIEW_EVENTS)[number];

/** The next state, or why the event is refused. */
export type Outcome = { readonly to: ReviewState } | { readonly refused: string };

const ALL_DECIDED: Outcome = { refused: 'Everything has been decided.' };
const TOO_LATE: Outcome = { refused: 'The deadline is over: what nobody had decided is being removed.' };
const CLOSED: Outcome = { refused: 'This review is closed.' };
const UNDECIDED: Outcome = { refused: 'Not everything has been decided.' };
const NOT_REMOVED: Outcome = { refused: 'Nothing has been removed yet.' };

/** The whole state machine: every event in every state has an answer, so that nothing is allowed by being forgotten. */
export const MACHINE: Readonly<Record<ReviewState, Readonly<Record<ReviewEvent, Outcome>>>> = {
  open: {
    decide: { to: 'open' },
    'decide-last': { to: 'decided' },
    reopen: { to: 'open' },
    settle: UNDECIDED,
    deadline: { to: 'removing' },
    'deadline-stuck': { to: 'overdue' },
    prove: UNDECIDED,
  },
  decided: {
    decide: ALL_DECIDED,
    'decide-last': ALL_DECIDED,
    reopen: { to: 'open' },
    settle: { to: 'removing' },
    deadline: { to: 'removing' },
    'deadline-stuck': ALL_DECIDED,
    prove: NOT_REMOVED,
  },
  removing: {
    decide: TOO_LATE,
    'decide-last': TOO_LATE,
    reopen: TOO_LATE,
    settle: { to: 'removing' },
    deadline: { to: 'removing' },
    'deadline-stuck': TOO_LATE,
    prove: { to: 'closed' },
  },
  overdue: {
    decide: { to: 'overdue' },
    'decide-last': { to: 'removing' },
    reopen: TOO_LATE,
    settle: UNDECIDED,
    deadline: { to: 'removing' },
    'deadline-stuck': { to: 'overdue' },
    prove: UNDECIDED,
  },
  closed: {
    decide: CLOSED,
    'decide-last': CLOSED,
    reopen: CLOSED,
    settle: CLOSED,
    deadline: CLOSED,
    'deadline-stuck': CLOSED,
    prove: CLOSED,
  },
};
