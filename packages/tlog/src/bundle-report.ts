// A bundle's report as lines for a person. Part of verify.mjs.
import type { BundleReport } from './bundle-core.ts';

/** One line each would drown the verdict; the JSON report has them all. */
const ERASURE_LINES_MAX = 40;

function witnessLines({ witnessing, range, witnesses }: BundleReport): string[] {
  const lines = [`${witnesses} independent witness${witnesses === 1 ? '' : 'es'}`];
  if (witnessing === undefined || range === undefined) return lines;
  const { independent, cosigned, own, unvouched, since, until, bracketed, halfBracketed, epochs } = witnessing;
  lines[0] =
    independent === 0
      ? `no outside witness: ${lines[0]}`
      : `co-signed by ${cosigned} of ${independent} independent witness${independent === 1 ? '' : 'es'}${
          cosigned > 0 && since !== undefined ? ` since ${since}` : ''
        }`;
  if (own > 0) lines.push(`co-signed by ${own} of the operator's own witnesses, which count as the operator`);
  if (unvouched > 0) lines.push(`co-signed by ${unvouched} witnesses that only this bundle names`);
  lines.push(`epochs of the super-log: ${epochs}`);
  if (since !== undefined) {
    lines.push(`times: ${bracketed} entries between two co-signatures, ${halfBracketed} with one side open`);
    const open = Math.min(range.to - range.from, Math.max(0, range.to - until));
    if (open > 0) lines.push(`not yet co-signed: the newest ${open} entries, [${range.to - open}, ${range.to})`);
  }
  return lines;
}

function erasureLines({ disclosures }: BundleReport): string[] {
  const { erasures } = disclosures;
  const lines = erasures
    .slice(0, ERASURE_LINES_MAX)
    .map(({ entry, values, by }) => `entry ${entry}: ${values} erased, see entry ${by}`);
  if (erasures.length > ERASURE_LINES_MAX) lines.push(`and ${erasures.length - ERASURE_LINES_MAX} entries more`);
  return lines;
}

function approvalLines({ approvals }: BundleReport): string[] {
  const { approved, verified, hashOnly, registered, origins } = approvals;
  if (approved === 0) return [];
  const at = origins.length > 0 ? `, given at ${origins.join(', ')}` : '';
  const kept = hashOnly > 0 ? `, ${hashOnly} of them by the hash of what was approved` : '';
  return [
    `approvals by passkey: ${approved} named, ${verified} verified${kept}${at}`,
    ...(verified > 0 ? [`keys of approvals: ${registered} as registered in this bundle`] : []),
  ];
}

/** The report as lines for a person. */
export function formatReport(report: BundleReport): string {
  const { entries, range, disclosures } = report;
  const lines = [
    `verdict: ${report.verdict}`,
    `log: ${report.origin ?? 'unknown'}`,
    ...report.keysUsed.map(
      (key) => `key (${report.keySource === 'outside' ? 'given by you' : 'from the bundle itself'}): ${key}`,
    ),
    ...witnessLines(report),
    `entries: ${entries.expected} expected, ${entries.verified} verified, ${entries.missing} missing`,
    range === undefined
      ? 'range: unknown'
      : `range: [${range.from}, ${range.to}) of ${report.treeSize ?? 'unknown'} entries in the log`,
    `withheld values: ${disclosures.opened} opened, ${disclosures.erased} erased, ${disclosures.withheld} kept back`,
    ...erasureLines(report),
    ...approvalLines(report),
    ...report.notChecked.map((what) => `not checked: ${what}`),
    ...report.problems.map((problem) => `refused: ${problem}`),
  ];
  if (report.exitCode === 2)
    lines.push(
      'This only shows that the bundle agrees with itself. Get the key of the log elsewhere and pass it with --key.',
    );
  if (report.exitCode === 3) lines.push('The witnesses that you asked for have not seen all of these entries.');
  return `${lines.join('\n')}\n`;
}
