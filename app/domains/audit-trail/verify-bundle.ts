import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isAppError } from '@auditrax/base';
import {
  formatReport,
  nodePrimitives,
  NOTHING_APPROVED,
  NOTHING_DISCLOSED,
  parsePolicyWith,
  parseVerifierKey,
  SIGNATURE_COSIGNATURE,
  verifyBundleFiles,
  type BundleReport,
  type OutsideTrust,
} from '@auditrax/tlog';
import { unpackBundle } from './bundle-file.ts';

/** Where a command writes. */
export interface CommandIo {
  out(text: string): unknown;
  err(text: string): unknown;
}

const HELP = `auditrax verify BUNDLE --key KEY [--policy FILE] [--witness-key KEY ...] [--approved-at ORIGIN ...] [--json]

Verifies an exported bundle offline: a zip file, or the folder it was unpacked to.

  --key KEY           verifier key of the log (name+id+key), from anywhere but the bundle; may be repeated, for a log
                      whose key has changed
  --policy FILE       which logs, witnesses and quorum you trust (C2SP tlog-policy); its quorum decides
  --witness-key KEY   verifier key of one witness; without --policy, one of them is enough
  --approved-at ORIGIN  origin of the pages where you know that approvals are given (https://host[:port]); without it
                      the report says where they were given
  --json              print the report as JSON

The report counts expected, verified, missing and erased, names the range that is covered, who has co-signed and since
when, which times are bracketed, how many approvals by passkey were checked (digest, challenge, origin, relying party,
user verification, signature), and what this check cannot say.

Exit: 0 verified with a key you gave
      1 refused: something was changed, is missing, or contradicts what witnesses saw; also a call like none of these
      2 verified, but only with the key inside the bundle: it agrees with itself, no more
      3 verified with a key you gave, but the witnesses you asked for have not seen all of the range
`;

function refused(problem: string): BundleReport {
  return {
    exitCode: 1,
    verdict: 'refused',
    problems: [problem],
    origin: undefined,
    keysUsed: [],
    keySource: 'none',
    witnesses: 0,
    witnessing: undefined,
    treeSize: undefined,
    range: undefined,
    entries: { expected: 0, verified: 0, missing: 0 },
    disclosures: NOTHING_DISCLOSED,
    approvals: NOTHING_APPROVED,
    notChecked: [],
  };
}

/** Verifies a bundle as it was handed out, byte for byte. Never throws on its content. */
export async function verifyBundle(zip: Uint8Array, outside: OutsideTrust): Promise<BundleReport> {
  try {
    return await verifyBundleFiles(nodePrimitives, { files: unpackBundle(zip), ...outside });
  } catch (error) {
    if (isAppError(error, 'bundle_unreadable')) return refused(error.message);
    throw error;
  }
}

function readFolder(folder: string, prefix = ''): [string, Uint8Array][] {
  return readdirSync(join(folder, prefix), { withFileTypes: true }).flatMap((entry) => {
    const name = `${prefix}${entry.name}`;
    return entry.isDirectory()
      ? readFolder(folder, `${name}/`)
      : [[name, readFileSync(join(folder, name))] as [string, Uint8Array]];
  });
}

interface Wanted {
  readonly bundle: string;
  readonly keys: readonly string[];
  readonly witnessKeys: readonly string[];
  readonly policyFile: string | undefined;
  readonly approvedAt: readonly string[];
  readonly json: boolean;
}

function readArguments(argv: string[]): Wanted | undefined {
  const text = { type: 'string', multiple: true } as const;
  try {
    const { values, positionals } = parseArgs({
      args: argv,
      allowPositionals: true,
      options: { key: text, 'witness-key': text, policy: text, 'approved-at': text, json: { type: 'boolean' } },
    });
    const { key: keys = [], 'witness-key': witnessKeys = [], policy: policies = [], json = false } = values;
    if (positionals.length !== 1 || policies.length > 1) return undefined;
    const approvedAt = values['approved-at'] ?? [];
    return { bundle: positionals[0]!, keys, witnessKeys, policyFile: policies[0], approvedAt, json };
  } catch {
    return undefined; // an option that is not one: the help says which are
  }
}

/** A policy or witness key that means nothing is said before the bundle is looked at: it is not the bundle's fault. */
async function readTrust(wanted: Wanted): Promise<OutsideTrust | { problem: string }> {
  for (const text of wanted.witnessKeys) {
    const key = await parseVerifierKey(text);
    if (key?.type !== SIGNATURE_COSIGNATURE) return { problem: `--witness-key is no key of a witness: ${text}` };
  }
  const { approvedAt } = wanted;
  const keys = [...wanted.keys, ...wanted.witnessKeys];
  if (wanted.policyFile === undefined) return { keys, approvedAt };
  const policy = readFileSync(wanted.policyFile, 'utf8');
  const verdict = await parsePolicyWith(nodePrimitives, policy);
  return verdict.ok
    ? { keys, policy, approvedAt }
    : { problem: `${wanted.policyFile}, line ${verdict.line}: ${verdict.problem}` };
}

async function verifyPath(path: string, outside: OutsideTrust): Promise<BundleReport> {
  return statSync(path).isDirectory()
    ? verifyBundleFiles(nodePrimitives, { files: new Map(readFolder(path)), ...outside })
    : verifyBundle(readFileSync(path), outside);
}

/** The command `auditrax verify`; returns its exit code. */
export async function runVerify(argv: readonly string[], io: CommandIo): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    io.out(HELP);
    return 0;
  }
  const wanted = readArguments([...argv]);
  if (wanted === undefined) {
    io.err(HELP);
    return 1;
  }
  let report: BundleReport;
  try {
    const outside = await readTrust(wanted);
    if ('problem' in outside) {
      io.err(`${outside.problem}\n`);
      return 1;
    }
    report = await verifyPath(wanted.bundle, outside);
  } catch (error) {
    io.err(`${wanted.bundle} cannot be read: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
  io.out(wanted.json ? `${JSON.stringify(report)}\n` : formatReport(report));
  return report.exitCode;
}
