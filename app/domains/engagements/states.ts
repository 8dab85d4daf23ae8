/** An engagement's life. `final` is read-only for ever: a correction is a new engagement. */
export const ENGAGEMENT_STATES = ['draft', 'fieldwork', 'review', 'final'] as const;
export type EngagementState = (typeof ENGAGEMENT_STATES)[number];

export const ENGAGEMENT_EVENTS = ['start', 'submit', 'return', 'finalise', 'record', 'collect', 'assign'] as const;
/**
 * `start`, `submit`, `return`, `finalise` move the engagement; `record` adds a result, `collect` adds evidence and
 * `assign` changes who of the client may see it, all without moving it.
 */
export type EngagementEvent = (typeof ENGAGEMENT_EVENTS)[number];

/** The next state, or why the event is refused. */
export type Outcome = { readonly to: EngagementState } | { readonly refused: string };

const READ_ONLY: Outcome = { refused: 'A final engagement is read-only.' };
const NOT_STARTED: Outcome = { refused: 'Results and evidence are taken in fieldwork, which has not started.' };
const IN_REVIEW: Outcome = {
  refused: 'The engagement is in review. Return it to fieldwork to change results or evidence.',
};

/** The whole state machine: every event in every state has an answer, so that nothing is allowed by being forgotten. */
export const MACHINE: Readonly<Record<EngagementState, Readonly<Record<EngagementEvent, Outcome>>>> = {
  draft: {
    start: { to: 'fieldwork' },
    submit: { refused: 'Only fieldwork can be submitted for review.' },
    return: { refused: 'Only an engagement in review can be returned to fieldwork.' },
    finalise: { refused: 'Only an engagement in review can be made final.' },
    record: NOT_STARTED,
    collect: NOT_STARTED,
    assign: { to: 'draft' },
  },
  fieldwork: {
    start: { refused: 'Fieldwork has started already.' },
    submit: { to: 'review' },
    return: { refused: 'The engagement is in fieldwork already.' },
    finalise: { refused: 'Only an engagement in review can be made final.' },
    record: { to: 'fieldwork' },
    collect: { to: 'fieldwork' },
    assign: { to: 'fieldwork' },
  },
  review: {
    start: { refused: 'Fieldwork has started already.' },
    submit: { refused: 'The engagement is in review already.' },
    return: { to: 'fieldwork' },
    finalise: { to: 'final' },
    record: IN_REVIEW,
    collect: IN_REVIEW,
    assign: { to: 'review' },
  },
  final: {
    start: READ_ONLY,
    submit: READ_ONLY,
    return: READ_ONLY,
    finalise: READ_ONLY,
    record: READ_ONLY,
    collect: READ_ONLY,
    assign: READ_ONLY,
  },
};

/** The event that a person means by asking for a state; making final is a verb of its own, with a passkey. */
export function eventTo(from: EngagementState, to: 'fieldwork' | 'review'): EngagementEvent {
  if (to === 'review') return 'submit';
  return from === 'draft' ? 'start' : 'return';
}
