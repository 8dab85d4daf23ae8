import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MACHINE, REVIEW_EVENTS, REVIEW_STATES, type ReviewEvent, type ReviewState } from './states.ts';

const anyState = fc.constantFrom(...REVIEW_STATES);
const anyEvents = fc.array(fc.constantFrom(...REVIEW_EVENTS), { maxLength: 40 });

/** The state after these events, those that are refused left out. */
function after(from: ReviewState, events: readonly ReviewEvent[]): ReviewState {
  return events.reduce((state, event) => {
    const outcome = MACHINE[state][event];
    return 'to' in outcome ? outcome.to : state;
  }, from);
}

describe('the state machine of a review', () => {
  it('has an answer to every event in every state', () => {
    for (const state of REVIEW_STATES)
      for (const event of REVIEW_EVENTS) {
        const outcome = MACHINE[state][event];
        if ('refused' in outcome) expect(outcome.refused.length).toBeGreaterThan(10);
        else expect(REVIEW_STATES).toContain(outcome.to);
      }
  });

  it('names the same states as the check constraint of the table', () => {
    const sql = readFileSync(join(import.meta.dirname, 'migrations/20261126130000_access_reviews.sql'), 'utf8');
    const listed = /state text not null check \(state in \(([^)]*)\)\)/.exec(sql)?.[1]?.match(/[a-z]+/g);
    expect(listed).toEqual([...REVIEW_STATES]);
  });

  it('lets nothing happen to a closed review, whatever comes', () => {
    fc.assert(fc.property(anyEvents, (events) => after('closed', events) === 'closed'));
  });

  it('closes by a proof of removal alone, and only from removing', () => {
    fc.assert(
      fc.property(anyState, fc.constantFrom(...REVIEW_EVENTS), (state, event) => {
        const outcome = MACHINE[state][event];
        const closes = 'to' in outcome && outcome.to === 'closed' && state !== 'closed';
        return !closes || (state === 'removing' && event === 'prove');
      }),
    );
  });

  it('never takes a decision again once the deadline is over, but about whoever could not be decided', () => {
    fc.assert(
      fc.property(anyEvents, anyEvents, (before, rest) => {
        const state = after('open', [...before, 'deadline']);
        if (state !== 'removing') return true;
        const takes = (at: ReviewState) => 'to' in MACHINE[at].decide || 'to' in MACHINE[at]['decide-last'];
        return !takes(after(state, rest));
      }),
    );
  });

  it('comes to an end from everywhere: decided, settled and proven', () => {
    fc.assert(
      fc.property(anyEvents, (events) => after(after('open', events), ['decide-last', 'settle', 'prove']) === 'closed'),
    );
  });
});
