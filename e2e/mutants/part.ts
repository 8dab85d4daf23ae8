// Enforcers replaced by nothing, one after the other, in one running house. Two files share them out, each with a house of
// its own: much of what a mutant takes is waiting, in which the other can work.
import { hasSoftToken } from '@auditrax/seal/soft-token';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ClaimId } from '../../app/claims/ids.ts';
import { openMutantHouse, REHEARSED, type MutantHouse } from './house.ts';
import { committedRows, faultsOf, namedBy, rowOf, writeMatrix, type MatrixRow } from './matrix.ts';
import { MUTANTS, nameOf, type Mutant } from './mutants.ts';

/** Those that change the workspace or the database, and all others. */
type MutantPart = 'workspace' | 'others';

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

/** Every mutant is in one part and in one only. */
function partOf(mutant: Mutant): MutantPart {
  return mutant.kind !== 'module' || mutant.processes.includes('workspace') ? 'workspace' : 'others';
}

// Without SoftHSM nobody can look, which is a failure where everything must be there.
const canRehearse = hasSoftToken() || process.env['CI'] === 'true';

/** Those of the part, or those that were asked for: they all run in the file of `others`. */
function chosenFor(part: MutantPart): Mutant[] {
  const asked = MUTANTS.filter((mutant) =>
    wanted === undefined ? partOf(mutant) === part : part === 'others' && new RegExp(wanted).test(nameOf(mutant)),
  );
  return inOrder(asked.filter((mutant) => canRehearse || rehearsedBy(mutant).length === 0));
}

/** An attempt that rotates over the routes may or may not meet the one that a claim would notice; the register says so. */
function certain(row: MatrixRow): MatrixRow {
  const necessary: readonly string[] = namedBy(row.enforcer).necessary;
  return { ...row, red: row.red.filter((id) => necessary.includes(id)) };
}

/** The tests of a part. A house of its own starts before and ends after them. */
export function describeMutants(part: MutantPart): void {
  const chosen = chosenFor(part);
  const rows: MatrixRow[] = [];
  let house: MutantHouse;

  beforeAll(async () => {
    house = await openMutantHouse();
  }, 240_000);

  afterAll(async () => {
    await house?.close();
  }, 60_000);

  const proveAfter = async (mutant: Mutant | undefined): ReturnType<MutantHouse['prove']> => {
    await house.apply(mutant);
    return house.prove(mutant === undefined ? [] : rehearsedBy(mutant), mutant);
  };

  test('the house is green before, rehearsals and all', async () => {
    // A rehearsal takes long: only of what a mutant of this part is to turn red.
    const rehearsed = [...new Set(chosen.flatMap(rehearsedBy))];
    expect(await house.prove(rehearsed)).toEqual([]);
  }, 120_000);

  const lookAgain = (): void =>
    test('the house is green again when everything is back', async () => {
      expect(await proveAfter(undefined)).toEqual([]);
    }, 120_000);
  // What marks leave behind cannot be read any more: the last look at a whole house comes before them.
  const firstMark = chosen.findIndex((one) => one.kind === 'module' && one.leavesMarks === true);
  for (const [at, mutant] of chosen.entries()) {
    if (at === firstMark) lookAgain();
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

  if (firstMark < 0) lookAgain();

  test('the committed matrix says what was measured', () => {
    if (process.env['AUDITRAX_MATRIX'] === 'write' && wanted === undefined) writeMatrix(rows, MUTANTS.map(nameOf));
    const measured = rows.toSorted((a, b) => (a.enforcer < b.enforcer ? -1 : 1));
    const committed = committedRows().filter((row) => measured.some((one) => one.enforcer === row.enforcer));
    expect(committed.map(certain)).toEqual(measured.map(certain));
  });
}
