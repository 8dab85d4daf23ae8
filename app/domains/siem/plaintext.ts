/** Columns of this room that are not sealed, and why. */
export const plaintextColumns = [
  {
    column: 'audit.stream_cursor.error',
    reason: 'enumeration: the step that failed and a code; never words of the receiver',
  },
] as const;
