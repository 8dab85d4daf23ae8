type Cell = string | number | boolean | null;
export type CsvColumn<Row> = readonly [name: string, cell: (row: Row) => Cell];

/** RFC 4180; a cell that a spreadsheet would take for a formula is kept a text. */
function cellText(value: Cell): string {
  const text = value === null ? '' : String(value);
  const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

/** A table with its header; lines end in CRLF. */
export function csvText<Row>(columns: readonly CsvColumn<Row>[], rows: readonly Row[]): string {
  const lines = [columns.map(([name]) => name), ...rows.map((row) => columns.map(([, cell]) => cellText(cell(row))))];
  return lines.map((line) => `${line.join(',')}\r\n`).join('');
}
