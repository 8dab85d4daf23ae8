// Every enforcer of a probed claim is replaced by nothing in a running house, and the claims that notice are compared
// with those that name it. AUDITRAX_MUTANTS=<pattern> runs some of them; AUDITRAX_MATRIX=write writes the document.
import { hasSoftToken } from '@auditrax/seal/soft-token';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClaimId } from '../app/claims/ids.ts';
import { openMutantHouse, REHEARSED, type MutantHouse } from './mutants/house.ts';
import { committedRows, faultsOf, namedBy, rowOf, writeMatrix, type MatrixRow } from './mutants/matrix.ts';
import { MUTANTS, nameOf, type Mutant } from './mutants/mutants.ts';

const wanted = process.env['AUDITRAX_MUTANTS'];
if (wanted !== undefined && process.env['CI'] === 'true') throw new Error('with CI=true every mutant is run');

/** Mutants of one process follow each other, so that each restart puts one back and the next in; marks come last. */
function inOrder(mutants: readonly Mutant[]): Mutant[] {
  const place = (mutant: Mutant): string => {
    if (mutant.kind !== 'module') return '0';
    return `${mutant.leavesMarks === true ? '2' : '1'} ${mutant.processes.join()}`;
  };
  return mutants.toSorted((a, b) => (place(a) < place(b) ? -1 : place(a) > place(b) ? 1 : 0));
}

/** Claims that name it and that only a rehearsal looks at. Each takes as long as its enforcers promise to act in. */
function rehearsedBy(mutant: Mutant): ClaimId[] {
  return namedBy(nameOf(mutant)).named.filter((id) => REHEARSED.has(id));
}

// Without SoftHSM nobody can look, which is a failure where everything must be there.
const canRehearse = hasSoftToken() || process.env['CI'] === 'true';
const chosen = inOrder(
  MUTANTS.filter((mutant) => wanted === undefined || new RegExp(wanted).test(nameOf(mutant))).filter(
    (mutant) => canRehearse || rehearsedBy(mutant).length === 0,
  ),
);
const rows: MatrixRow[] = [];
let house: MutantHouse;

beforeAll(async () => {
  house = await openMutantHouse();
}, 240_000);

afterAll(async () => {
  await house?.close();
}, 60_000);

async function proveAfter(mutant: Mutant | undefined): Promise<Awaited<ReturnType<MutantHouse['prove']>>> {
  await house.apply(mutant);
  return house.prove(mutant === undefined ? [] : rehearsedBy(mutant));
}

describe('an enforcer replaced by nothing', () => {
  test('the house is green before, rehearsals and all', async () => {
    expect(await house.prove(canRehearse ? [...REHEARSED] : [])).toEqual([]);
  }, 120_000);

  for (const [at, mutant] of chosen.entries()) {
    // What marks leave behind cannot be read any more: the last look at a whole house comes before them.
    const isFirstMark =
      mutant.kind === 'module' &&
      mutant.leavesMarks === true &&
      at === chosen.findIndex((one) => one.kind === 'module' && one.leavesMarks === true);
    if (isFirstMark) {
      test('the house is green again when everything is back', async () => {
        expect(await proveAfter(undefined)).toEqual([]);
      }, 120_000);
    }
    test(
      nameOf(mutant),
      async () => {
        const red = await proveAfter(mutant);
        const row = rowOf(
          mutant,
          red.map((claim) => claim.id),
        );
        rows.push(row);
        const reasons = red.map((claim) => `${claim.id}: ${claim.detail}`).join('\n');
        expect(faultsOf(row), reasons).toEqual([]);
      },
      120_000,
    );
  }

  test('the committed matrix says what was measured', () => {
    if (process.env['AUDITRAX_MATRIX'] === 'write' && wanted === undefined) writeMatrix(rows);
    // An attempt that rotates over the routes may or may not meet the one that a claim would notice; the register says
    // so by naming the enforcer as not necessary.
    const certain = (row: MatrixRow): MatrixRow => {
      const necessary: readonly string[] = namedBy(row.enforcer).necessary;
      return { ...row, red: row.red.filter((id) => necessary.includes(id)) };
    };
    const measured = rows.toSorted((a, b) => (a.enforcer < b.enforcer ? -1 : 1));
    const committed = committedRows().filter((row) => measured.some((one) => one.enforcer === row.enforcer));
    expect(committed.map(certain)).toEqual(measured.map(certain));
  });
});
