import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { engagementState } from './contract.ts';
import { ENGAGEMENT_EVENTS, ENGAGEMENT_STATES, eventTo, MACHINE } from './states.ts';

describe('the state machine of an engagement', () => {
  test('has an answer to every event in every state', () => {
    for (const state of ENGAGEMENT_STATES) {
      for (const event of ENGAGEMENT_EVENTS) {
        const outcome = MACHINE[state][event];
        if ('refused' in outcome) expect(outcome.refused.length).toBeGreaterThan(10);
        else expect(ENGAGEMENT_STATES).toContain(outcome.to);
      }
    }
  });

  test('names the same states as the contract and the check constraint of the table', () => {
    expect(engagementState.options).toEqual([...ENGAGEMENT_STATES]);
    const sql = readFileSync(join(import.meta.dirname, 'migrations/20261122100000_engagements.sql'), 'utf8');
    const listed = /state text not null default 'draft' check \(state in \(([^)]*)\)\)/
      .exec(sql)?.[1]
      ?.match(/[a-z]+/g);
    expect(listed).toEqual([...ENGAGEMENT_STATES]);
  });

  test('lets nothing happen to a final engagement, and takes results and evidence in fieldwork only', () => {
    for (const event of ENGAGEMENT_EVENTS) expect(MACHINE.final[event]).toHaveProperty('refused');
    for (const event of ['record', 'collect'] as const) {
      expect(ENGAGEMENT_STATES.filter((state) => 'to' in MACHINE[state][event])).toEqual(['fieldwork']);
    }
  });

  test('reaches final from review only', () => {
    const into = ENGAGEMENT_STATES.flatMap((from) =>
      ENGAGEMENT_EVENTS.map((event) => ({ from, event, outcome: MACHINE[from][event] })),
    ).filter(({ outcome }) => 'to' in outcome && outcome.to === 'final');
    expect(into.map(({ from, event }) => [from, event])).toEqual([['review', 'finalise']]);
  });

  test('reads a wish for a state as the right event', () => {
    expect([eventTo('draft', 'fieldwork'), eventTo('review', 'fieldwork'), eventTo('fieldwork', 'review')]).toEqual([
      'start',
      'return',
      'submit',
    ]);
  });
});
