// Every enforcer of a probed claim is replaced by nothing in a running house, and the claims that notice are compared
// with those that name it: here, and in workspace-mutants.house.test.ts those of the workspace and the database.
// AUDITRAX_MUTANTS=<pattern> runs some of them, all here; AUDITRAX_MATRIX=write writes the document.
import { describe } from 'vitest';
import { describeMutants } from './mutants/part.ts';

describe('an enforcer replaced by nothing', () => describeMutants('others'));
