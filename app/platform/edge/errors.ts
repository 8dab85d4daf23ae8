import type { ProblemTable } from '../http/problems.ts';

export type EdgeCode = 'static_missing' | 'publication_refused' | 'publication_damaged';

/** Outward forms of the edge's own codes. */
export const edgeProblems = {
  publication_refused: { status: 409, title: 'The publication was refused' },
  static_missing: { status: 500, title: 'Something failed here' },
  publication_damaged: { status: 500, title: 'Something failed here' },
} as const satisfies Record<EdgeCode, { status: number; title: string }> & ProblemTable;
