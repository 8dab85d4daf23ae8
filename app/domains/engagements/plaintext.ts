/** Columns of this room that are not sealed, and why. Uuids, numbers, dates and times need no entry. */
export const plaintextColumns = [
  {
    column: 'app.engagement.state',
    reason: 'enumeration: state of the engagement, checked and filtered by the database',
  },
  { column: 'app.result.outcome', reason: 'enumeration: outcome of a test, counted by the database' },
] as const;
