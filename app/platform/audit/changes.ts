/** Values of named fields; null or undefined where there is none. Dates and lists as text, the way a person reads them. */
export type FieldValues = Readonly<Record<string, string | null | undefined>>;

/**
 * What a change did to named fields, as values to withhold: `old.<field>` and `new.<field>` for each that differs. A field
 * that is new has no old value, one that is taken away no new one. Give it to `disclosures`, or to `personal.values` when it
 * is about a person.
 */
export function changesOf(before: FieldValues, after: FieldValues): Record<string, string> {
  const named: Record<string, string> = {};
  for (const field of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [old, now] = [before[field] ?? undefined, after[field] ?? undefined];
    if (old === now) continue;
    if (old !== undefined) named[`old.${field}`] = old;
    if (now !== undefined) named[`new.${field}`] = now;
  }
  return named;
}
