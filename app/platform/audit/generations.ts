import { AppError, type Clock, type Random, type Uuid } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import {
  EPOCH_KEY_BYTES,
  emptyRoot,
  equalBytes,
  GENERATION_OPENED_TYPE,
  leafHash,
  openCheckpoint,
  parseVerifierKey,
  rootFromTiles,
  toBase64,
  type Checkpoint,
  type TileReader,
  type VerifierKey,
} from '@auditrax/tlog';
import type { AuditCode } from './errors.ts';
import { nextOrigin } from './generation-rule.ts';
import { buildLeaf } from './leaf.ts';
import * as queries from './ledger-queries.ts';
import { createTileStore, logFromRow } from './log-store.ts';
import type { HeadSigner } from './signer-client.ts';
import * as superQueries from './super-queries.ts';

/** With both origins and both roots it stays below the 1024 characters of an entry of the super-log. */
export const REASON_CHARS_MAX = 200;
/** Checkpoints read at once on the way back to the last good one. */
const CHECKPOINTS_READ_MAX = 256;
/** The super-log is nobody's: its entry names no tenant. */
export const NOBODY = '00000000-0000-0000-0000-000000000000' as Uuid;

export interface GenerationDeps {
  readonly signer: HeadSigner;
  readonly clock: Clock;
  readonly random: Random;
  /** In the operator's words, 1 to `REASON_CHARS_MAX` characters; public for ever. */
  readonly reason: string;
  /** Only logs whose database knows less, or other, than was signed. */
  readonly behindOnly: boolean;
}

/** What was done about one log. Entries of the old generation from `keptSize` to `signedSize` are lost. */
export interface OpenedGeneration {
  readonly origin: string;
  readonly previousOrigin: string;
  readonly keptSize: number;
  readonly signedSize: number;
}

/** One log as the database has it. */
interface Tree extends Checkpoint {
  readonly reader: TileReader;
  readonly checkpointsBelow: (size: number) => Promise<readonly { readonly size: string; readonly note: string }[]>;
}

/** What was last signed of the newest generation that the signer knows. */
interface Signed extends Checkpoint {
  /** Those that have signed it since it began. */
  readonly keys: readonly VerifierKey[];
}

/** Throws `audit_input_invalid`. */
export function checkReason(reason: string): string {
  // ASCII: it must read the same in every terminal and take as many bytes as characters.
  if (/^[\x20-\x7e]+$/.test(reason) && reason.length <= REASON_CHARS_MAX) return reason;
  throw new AppError<AuditCode>('audit_input_invalid', `the reason must be 1 to ${REASON_CHARS_MAX} ASCII characters`);
}

/**
 * Opens a new generation of the logs of a cell. Each begins with an entry that names the last good checkpoint and what
 * was signed beyond it; the signer compares that with its journal before it signs the generation, and signs nothing of
 * the one before any more. Entries that the database has beyond the last good checkpoint get a place in the new one. No
 * sequencer of the cell may run meanwhile. Returns those that were opened.
 */
export async function openGenerations(
  door: SystemDoor,
  logs: readonly queries.LogRow[],
  deps: GenerationDeps,
): Promise<OpenedGeneration[]> {
  const tiles = createTileStore(door);
  const opened: OpenedGeneration[] = [];
  for (const row of logs) {
    const log = logFromRow(row);
    const tree: Tree = {
      ...log,
      reader: tiles.readerFor(log),
      checkpointsBelow: (size) => door.system(queries.checkpointsBelow(log, size, CHECKPOINTS_READ_MAX)),
    };
    const gap = await gapOf(tree, deps);
    if (gap === undefined) continue;
    const { leaf } = openingLeaf(log.tenantId, gap, deps);
    await door.system(queries.openGeneration(log.tenantId, leaf));
    opened.push(summary(gap));
  }
  return opened;
}

/** The same for the super-log; undefined when it needs none. Its loop must not run meanwhile. */
export async function openSuperGeneration(
  home: SystemDoor,
  tilesOf: (generation: number) => TileReader,
  deps: GenerationDeps,
): Promise<OpenedGeneration | undefined> {
  const [row] = await home.system(superQueries.newestSuperLog);
  if (row === undefined) return undefined;
  const tree: Tree = {
    origin: row.origin,
    size: Number(row.size),
    root: row.root,
    reader: tilesOf(row.generation),
    checkpointsBelow: (size) =>
      home.system(superQueries.superCheckpointsBelow(row.generation, size, CHECKPOINTS_READ_MAX)),
  };
  const gap = await gapOf(tree, deps);
  if (gap === undefined) return undefined;
  const leaf = openingLeaf(NOBODY, gap, deps).leaf.toString('utf8');
  const hash = leafHash(Buffer.from(leaf, 'utf8'));
  const origin = nextOrigin(gap.signed.origin)!;
  const generation = Number(origin.slice(origin.lastIndexOf('/') + 1));
  await home.transaction(async (tx) => {
    await tx.query(superQueries.lockSuperLog);
    const [newest] = await tx.query(superQueries.newestEpoch);
    // The numbers of epochs that are lost are not given a second time: somebody may hold evidence of them.
    const lost = gap.signed.size - gap.kept.size;
    const epoch = Number(newest?.epoch ?? -1) + lost + 1;
    const slotKey = deps.random.bytes(EPOCH_KEY_BYTES);
    await tx.query(superQueries.insertSuperLog({ generation, origin, root: emptyRoot() }));
    await tx.query(superQueries.insertEpoch({ epoch, generation, index: 0, leaf, leafHash: hash, slotKey }));
    await tx.query(superQueries.moveSuperHead({ generation, oldSize: 0, newSize: 1, root: hash }));
  });
  return summary(gap);
}

interface Gap {
  readonly kept: Checkpoint;
  readonly signed: Signed;
}

function summary({ kept, signed }: Gap): OpenedGeneration {
  return {
    origin: nextOrigin(signed.origin)!,
    previousOrigin: signed.origin,
    keptSize: kept.size,
    signedSize: signed.size,
  };
}

/** Undefined when no new generation is asked for, or nothing was signed that one could follow on. */
async function gapOf(tree: Tree, { signer, behindOnly }: GenerationDeps): Promise<Gap | undefined> {
  const signed = await lastSigned(signer, tree.origin);
  if (signed === undefined) return undefined;
  const isWhole = await holds(tree, signed);
  if (isWhole && behindOnly) return undefined;
  return { signed, kept: isWhole ? signed : await lastGood(tree, signed) };
}

/** The database may know an older generation than the signer: then it was put back to before an earlier opening. */
async function lastSigned(signer: HeadSigner, origin: string): Promise<Signed | undefined> {
  let found: Signed | undefined;
  for (let name: string | undefined = origin; name !== undefined; name = nextOrigin(name)) {
    const { size, root, terms } = await signer.state(name);
    if (size === 0) break;
    const parsed = await Promise.all(terms.map(({ verifierKey }) => parseVerifierKey(verifierKey)));
    const keys = parsed.filter((key) => key !== undefined);
    if (keys.length === 0) throw new AppError<AuditCode>('audit_head_corrupt', `the signer has no key for ${name}`);
    found = { origin: name, size, root: Buffer.from(root, 'base64'), keys };
  }
  return found;
}

/** Whether the stored hashes give this root. */
async function holds(tree: Tree, { origin, size, root }: Checkpoint): Promise<boolean> {
  if (origin !== tree.origin || size > tree.size) return false;
  const found = await rootFromTiles(size, tree.reader).catch(() => new Uint8Array());
  return equalBytes(found, root);
}

/** The newest stored checkpoint that we signed and whose root the stored hashes still give; the empty log without one. */
async function lastGood(tree: Tree, signed: Signed): Promise<Checkpoint> {
  const none = { origin: signed.origin, size: 0, root: emptyRoot() };
  if (signed.origin !== tree.origin) return none;
  let below = Math.min(tree.size, signed.size) + 1;
  for (;;) {
    const rows = await tree.checkpointsBelow(below);
    if (rows.length === 0) return none;
    for (const { note } of rows) {
      const opened = await openCheckpoint(note, signed.keys);
      if (opened.ok && opened.checkpoint.size > 0 && (await holds(tree, opened.checkpoint))) return opened.checkpoint;
    }
    below = Number(rows.at(-1)!.size);
  }
}

function openingLeaf(owner: Uuid, { kept, signed }: Gap, { clock, random, reason }: GenerationDeps): { leaf: Buffer } {
  return buildLeaf(
    {
      type: GENERATION_OPENED_TYPE,
      actor: { service: 'ledger' },
      resource: ['log', owner],
      outcome: 'allowed',
      requestId: 'operator',
      public: {
        previousOrigin: signed.origin,
        keptSize: kept.size,
        keptRoot: toBase64(kept.root),
        signedSize: signed.size,
        signedRoot: toBase64(signed.root),
        reason: checkReason(reason),
      },
    },
    { clock, random },
  );
}
