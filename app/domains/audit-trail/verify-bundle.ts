import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isAppError } from '@auditrax/base';
import { formatReport, nodePrimitives, verifyBundleFiles, type BundleReport } from '@auditrax/tlog';
import { unpackBundle } from './bundle-file.ts';

/** Where a command writes. */
export interface CommandIo {
  out(text: string): unknown;
  err(text: string): unknown;
}

const HELP = `auditrax verify BUNDLE --key KEY [--key WITNESS_KEY ...] [--json]

Verifies an exported bundle offline: a zip file, or the folder it was unpacked to.

  --key KEY   verifier key of the log (name+id+key), or of a witness, from anywhere but the bundle; may be repeated
  --json      print the report as JSON

Exit: 0 verified with a key you gave, 1 refused, 2 only the key inside the bundle was used.
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
    treeSize: undefined,
    range: undefined,
    entries: { expected: 0, verified: 0, missing: 0 },
    disclosures: { opened: 0 },
  };
}

/** Verifies a bundle as it was handed out, byte for byte. Never throws on its content. */
export async function verifyBundle(zip: Uint8Array, { keys }: { keys: readonly string[] }): Promise<BundleReport> {
  try {
    return await verifyBundleFiles(nodePrimitives, { files: unpackBundle(zip), keys });
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
  readonly json: boolean;
}

function readArguments(argv: readonly string[]): Wanted | undefined {
  const bundles: string[] = [];
  const keys: string[] = [];
  let json = false;
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at]!;
    if (word === '--json') json = true;
    else if (word === '--key' && argv[at + 1] !== undefined) keys.push(argv[(at += 1)]!);
    else if (word.startsWith('--key=')) keys.push(word.slice('--key='.length));
    else if (!word.startsWith('-')) bundles.push(word);
    else return undefined;
  }
  return bundles.length === 1 ? { bundle: bundles[0]!, keys, json } : undefined;
}

/** The command `auditrax verify`; returns its exit code. */
export async function runVerify(argv: readonly string[], io: CommandIo): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    io.out(HELP);
    return 0;
  }
  const wanted = readArguments(argv);
  if (wanted === undefined) {
    io.err(HELP);
    return 1;
  }
  let report: BundleReport;
  try {
    const { bundle, keys } = wanted;
    report = statSync(bundle).isDirectory()
      ? await verifyBundleFiles(nodePrimitives, { files: new Map(readFolder(bundle)), keys })
      : await verifyBundle(readFileSync(bundle), { keys });
  } catch (error) {
    io.err(`${wanted.bundle} cannot be read: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
  io.out(wanted.json ? `${JSON.stringify(report)}\n` : formatReport(report));
  return report.exitCode;
}
