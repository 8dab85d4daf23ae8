import { describe, expect, it } from 'vitest';
import { roleOfGroups, type GroupMapping } from './index.ts';

const mapped: readonly Pick<GroupMapping, 'group' | 'role'>[] = [
  { group: '11111111', role: 'client' },
  { group: '22222222', role: 'auditor' },
  { group: 'lead', role: 'client' },
];

describe('the role that groups give', () => {
  it('is the highest of those that are mapped', () => {
    expect(roleOfGroups(['11111111', '22222222', 'x'], mapped)).toBe('auditor');
    expect(roleOfGroups(['11111111'], mapped)).toBe('client');
  });

  it('is none where no group is mapped', () => {
    expect(roleOfGroups(['x'], mapped)).toBeUndefined();
    expect(roleOfGroups([], mapped)).toBeUndefined();
  });

  it('is what the administrator mapped, whatever a group is called at the provider', () => {
    expect(roleOfGroups(['lead'], mapped)).toBe('client');
    expect(roleOfGroups(['auditor'], mapped)).toBeUndefined();
  });

  it('wants an id as it is: no cases folded, no blanks cut off', () => {
    expect(roleOfGroups(['LEAD', ' lead', 'lead '], mapped)).toBeUndefined();
  });
});
