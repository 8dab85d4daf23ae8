import { describe, expect, it } from 'vitest';
import { routes as privileged } from '../privileged-access/contract.ts';
import { routes } from './contract.ts';

describe('what people write and others approve beside', () => {
  const isTaken = (label: string) => routes.invite.body.safeParse({ label, role: 'auditor' }).success;
  const isReason = (reason: string) => privileged.breakGlass.body.safeParse({ reason, ticket: null }).success;

  it.each(['Ann \u202Edael', 'Ann\u2066', 'An\u200Bn', 'Ann\nrole: lead', 'An\u2028n', '\u200D Ann'])(
    'is not %j as the name of somebody invited',
    (label) => {
      expect(isTaken(label)).toBe(false);
    },
  );
  it.each(['Ünal Ó', 'نمی\u200Cدانم', '山田', 'Ann (temporary)'])('may be %j as a name', (label) => {
    expect(isTaken(label)).toBe(true);
  });
  it.each(['pay\u202Eroll', 'a\u0007b', '\u200B x'])('is not %j as a reason for production access', (reason) => {
    expect(isReason(reason)).toBe(false);
  });
  it('is a reason of several lines', () => {
    expect(isReason('The queue stands.\nNobody is paid.')).toBe(true);
  });
});
