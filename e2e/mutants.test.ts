// The register, the mutants and the committed matrix name the same enforcers; needs no house.
import { describe, expect, test } from 'vitest';
import { probedClaims } from '../app/claims/register.ts';
import { committedRows, faultsOf, readMatrix, renderMatrix } from './mutants/matrix.ts';
import { MUTANTS, nameOf } from './mutants/mutants.ts';

const named = [...new Set(probedClaims.flatMap((claim) => claim.enforcers.map(nameOf)))].sort();

describe('the mutants', () => {
  test('are those of the register: every enforcer of a probed claim has one, and none is for anything else', () => {
    expect(MUTANTS.map(nameOf).sort()).toEqual(named);
  });

  test('have their row in docs/reference/mutants.md, which agrees with the register', () => {
    const rows = committedRows();
    expect(rows.map((row) => row.enforcer)).toEqual(named);
    expect(rows.flatMap(faultsOf)).toEqual([]);
    expect(rows.map((row) => row.left)).toEqual(
      named.map((name) => MUTANTS.find((mutant) => nameOf(mutant) === name)!.left),
    );
    expect(renderMatrix(rows)).toBe(readMatrix());
  });

  test('are judged: a claim that stays green and one that should not have turned red are both told', () => {
    const row = { enforcer: 'packages/workload/src/strict-tls.ts#strictTls', left: '', where: 'gateway' };
    expect(faultsOf({ ...row, red: ['crypto.tls13-only', 'crypto.weak-ciphers'] })).toEqual([]);
    expect(faultsOf({ ...row, red: ['crypto.tls13-only'] })).toHaveLength(1);
    expect(faultsOf({ ...row, red: ['crypto.tls13-only', 'crypto.weak-ciphers', 'tenant.row-scope'] })).toHaveLength(1);
  });
});
