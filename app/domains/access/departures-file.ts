import { csvText, type CsvColumn } from '../../shell/csv.ts';
import type { Departure } from '../../shell/wire.ts';

interface Line {
  readonly departure: Departure;
  readonly effect: Departure['effects'][number] | null;
}

const COLUMNS: readonly CsvColumn<Line>[] = [
  ['person', ({ departure }) => departure.label],
  ['person_id', ({ departure }) => departure.memberId],
  ['cause', ({ departure }) => departure.cause],
  ['by', ({ departure }) => departure.by],
  ['caused_at', ({ departure }) => departure.causedAt],
  ['completed_at', ({ departure }) => departure.completedAt],
  ['effect', ({ effect }) => effect?.holder ?? null],
  ['ended', ({ effect }) => effect?.ended ?? null],
  ['effect_at', ({ effect }) => effect?.at ?? null],
  ['after_ms', ({ effect }) => effect?.after_ms ?? null],
];

/** A line for each effect, and one without for what has not ended yet. */
export function departuresCsv(departures: readonly Departure[]): string {
  const lines = departures.flatMap((departure): Line[] =>
    departure.effects.length === 0
      ? [{ departure, effect: null }]
      : departure.effects.map((effect) => ({ departure, effect })),
  );
  return csvText(COLUMNS, lines);
}
