// The half of mutants.house.test.ts that changes the workspace or the database.
import { describe } from 'vitest';
import { describeMutants } from './mutants/part.ts';

/** Those that AUDITRAX_MUTANTS names run in the other file. */
const isWhole = process.env['AUDITRAX_MUTANTS'] === undefined;

describe.runIf(isWhole)('an enforcer of the workspace or the database replaced by nothing', () =>
  describeMutants('workspace'),
);
