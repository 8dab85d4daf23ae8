/** Columns of this room that are stored in the clear, each with the reason. Read by the schema lint. */
export const plaintextColumns: readonly { readonly column: string; readonly reason: string }[] = [
  {
    column: 'app.access_rules.text_hash',
    reason:
      'SHA-256 of a text, for reviews of access: tells whoever guesses a whole text that it is the one, and nothing else',
  },
];
