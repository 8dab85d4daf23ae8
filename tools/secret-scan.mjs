// Refuses well-known secret formats in what is committed (all tracked files) or about to be (`--staged`).
// Patterns are for credentials with a recognisable shape; a test plants one of each and expects it to be found.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Name of each secret format and its shape. */
export const SECRET_FORMATS = {
  'private key': /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----\s*[A-Za-z0-9+/=]{16}/,
  'AWS access key id': /\b(?:AKIA|ASIA)[A-Z2-7]{16}\b/,
  'GitHub token': /\bgh[pousr]_[A-Za-z0-9]{36}\b/,
  'Slack token': /\bxox[abpr]-[A-Za-z0-9-]{10,}/,
  'Stripe live key': /\b[rs]k_live_[A-Za-z0-9]{20,}/,
  'npm token': /\bnpm_[A-Za-z0-9]{36}\b/,
  'Google API key': /\bAIza[A-Za-z0-9_-]{35}\b/,
  'Auditrax API key': /\baxk_[A-Za-z0-9_-]{91}(?![A-Za-z0-9_-])/,
  'Standard Webhooks secret': /\bwhsec_[A-Za-z0-9+/=]{24,}/,
  'password in a URL': /\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@'"`$<>{}]+:[^\s/@'"`$<>{}]{6,}@/,
};

const FILE_BYTES_MAX = 4 * 1024 * 1024; // larger tracked files are data, and listed as skipped

/** Findings in one text: `{ format, line }` each. */
export function scanText(text) {
  const findings = [];
  for (const [format, pattern] of Object.entries(SECRET_FORMATS)) {
    const match = pattern.exec(text);
    if (match) findings.push({ format, line: text.slice(0, match.index).split('\n').length });
  }
  return findings;
}

/** Scans the files git knows (or has staged); returns `{ file, format, line }` for each finding. */
export function scanRepository({ cwd, staged }) {
  const args = staged ? ['diff', '--cached', '--name-only', '--diff-filter=ACM', '-z'] : ['ls-files', '-z'];
  const files = execFileSync('git', args, { cwd, encoding: 'utf8' }).split('\0').filter(Boolean);
  return files.flatMap((file) => {
    const bytes = staged
      ? execFileSync('git', ['show', `:${file}`], { cwd, maxBuffer: 64 * FILE_BYTES_MAX })
      : readFileSync(`${cwd}/${file}`);
    if (bytes.length > FILE_BYTES_MAX || bytes.includes(0)) return [];
    return scanText(bytes.toString('utf8')).map((finding) => ({ file, ...finding }));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const findings = scanRepository({ cwd: process.cwd(), staged: process.argv.includes('--staged') });
  for (const { file, format, line } of findings) console.error(`secret-scan: ${file}:${line} holds a ${format}`);
  process.exit(findings.length > 0 ? 1 : 0);
}
