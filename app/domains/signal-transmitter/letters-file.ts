import { csvText, type CsvColumn } from '../../shell/csv.ts';
import type { SignalLetter } from '../../shell/wire.ts';

const COLUMNS: readonly CsvColumn<SignalLetter>[] = [
  ['event', ({ event }) => event],
  ['person', ({ member }) => member],
  ['person_id', ({ memberId }) => memberId],
  ['cause', ({ cause }) => cause],
  ['happened_at', ({ happenedAt }) => happenedAt],
  ['given_up_at', ({ at }) => at],
  ['reason', ({ reason }) => reason],
  ['error', ({ error }) => error],
  ['tries', ({ attempts }) => attempts],
];

/** A line for each event that no receiver took. */
export function lettersCsv(letters: readonly SignalLetter[]): string {
  return csvText(COLUMNS, letters);
}
