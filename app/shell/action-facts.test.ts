import { describe, expect, it } from 'vitest';
import { actionFacts } from './action-facts.ts';

const ACTION = {
  operation: 'access.change-role',
  tenant: '5b1c0f62-3a77-4c65-8f0f-3a4c0e6b9d21',
  person: '0d5ef3a1-9a0a-4d0e-8a6a-6a9e4d1c2b3f',
  input: { memberId: 'mem_S4R0jAJxUA7C0eNECqWAsoeyTMbEE41SA_Cn0k', role: 'lead', agents: [], days: 90, isNew: false },
  subject: { label: 'Night auditor', role: 'auditor', askedAt: '2026-11-24T03:50:28.888Z' },
};

describe('actionFacts', () => {
  it('tells what is from what is asked for, in plain words, and both from ids', () => {
    expect(actionFacts(ACTION)).toEqual({
      now: [
        { name: 'Name', values: ['Night auditor'] },
        { name: 'Role', values: ['auditor'] },
        { name: 'Asked at', values: ['2026-11-24 03:50:28.888 UTC'] },
      ],
      asked: [
        { name: 'Role', values: ['lead'] },
        { name: 'Agents', values: ['none'] },
        { name: 'Days', values: ['90'] },
        { name: 'Is new', values: ['no'] },
      ],
      ids: [
        { name: 'Operation', values: ['access.change-role'] },
        { name: 'Organisation', values: ['5b1c0f62-3a77-4c65-8f0f-3a4c0e6b9d21'] },
        { name: 'Approved by', values: ['0d5ef3a1-9a0a-4d0e-8a6a-6a9e4d1c2b3f'] },
        { name: 'Member id', values: ['mem_S4R0jAJxUA7C0eNECqWAsoeyTMbEE41SA_Cn0k'] },
      ],
    });
  });

  it('leaves nothing out: each value that is signed stands somewhere', () => {
    const action = {
      operation: 'x.y',
      input: { deep: { list: [{ value: 'one' }, { value: 'two' }] }, none: null, empty: {}, list: [] },
    };
    const { now, asked, ids } = actionFacts(action);
    expect([...now, ...asked, ...ids]).toEqual([
      { name: 'Deep list 1 value', values: ['one'] },
      { name: 'Deep list 2 value', values: ['two'] },
      { name: 'None', values: ['nothing'] },
      { name: 'Empty', values: ['none'] },
      { name: 'List', values: ['none'] },
      { name: 'Operation', values: ['x.y'] },
    ]);
  });

  it('a digest or a token in a field of words is still shown, among the ids', () => {
    const { asked, ids } = actionFacts({ input: { reason: 'r'.repeat(43), label: 'Sample' } });
    expect(asked).toEqual([{ name: 'Name', values: ['Sample'] }]);
    expect(ids).toEqual([{ name: 'Reason', values: ['r'.repeat(43)] }]);
  });
});
