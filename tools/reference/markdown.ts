/** One cell: no line breaks, and a bar that does not end it. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll(/\s*\n\s*/g, ' ');
}

/** A Markdown table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((text) => cell(text)).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map((row) => line(row))].join('\n');
}

/** `text` as code; nothing for an empty text. */
export function code(text: string): string {
  return text === '' ? '' : `\`${text}\``;
}

/** A generated page: heading, where it comes from, and its parts. */
export function page(title: string, source: string, parts: readonly string[]): string {
  const note = `<!-- Generated from ${source} by \`npm run reference -- --write\`; \`npm run check\` compares. -->`;
  return `${[`# ${title}`, note, ...parts].join('\n\n')}\n`;
}
