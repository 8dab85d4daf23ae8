// The full audit: every entry of a log hashed again, up to the signed root. Imports only ./core.ts.
import {
  bytesOf,
  equalBytes,
  HASH_BYTES,
  openCheckpointWith,
  type Checkpoint,
  type CheckpointVerdict,
  type Primitives,
  type VerifierKey,
} from './core.ts';

/** Entries hashed between two waits: enough that a browser's waiting costs little, few enough to fit in its caches. */
export const AUDIT_BATCH_ENTRIES = 4096;

const LEAF_PREFIX_BYTE = 0;
const NODE_PREFIX_BYTE = 1;
const NODE_BYTES = 1 + 2 * HASH_BYTES;

async function hashMany(crypto: Primitives, inputs: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
  return crypto.sha256Many === undefined
    ? Promise.all(inputs.map(async (input) => crypto.sha256(input)))
    : crypto.sha256Many(inputs);
}

/** All leaves with their prefix in one piece of memory: one allocation instead of thousands. */
function prefixedLeaves(leaves: readonly Uint8Array[]): Uint8Array[] {
  const memory = new Uint8Array(leaves.reduce((sum, leaf) => sum + leaf.length + 1, 0));
  let offset = 0;
  return leaves.map((leaf) => {
    const start = offset;
    memory[start] = LEAF_PREFIX_BYTE;
    memory.set(leaf, start + 1);
    offset += leaf.length + 1;
    return memory.subarray(start, offset);
  });
}

function pairedNodes(nodes: readonly Uint8Array[]): Uint8Array[] {
  const pairs = Math.floor(nodes.length / 2);
  const memory = new Uint8Array(pairs * NODE_BYTES);
  return Array.from({ length: pairs }, (_, at) => {
    const start = at * NODE_BYTES;
    memory[start] = NODE_PREFIX_BYTE;
    memory.set(nodes[2 * at]!, start + 1);
    memory.set(nodes[2 * at + 1]!, start + 1 + HASH_BYTES);
    return memory.subarray(start, start + NODE_BYTES);
  });
}

/** Size and root of the log that consists of these entries. */
export interface AuditedTree {
  readonly size: number;
  readonly root: Uint8Array;
}

/**
 * Root over all entries, in order, in batches of any size. Each height keeps at most one node that waits for its right
 * neighbour, so memory does not grow with the log.
 */
export async function auditTreeWith(
  crypto: Primitives,
  batches: AsyncIterable<readonly Uint8Array[]> | Iterable<readonly Uint8Array[]>,
): Promise<AuditedTree> {
  const waiting: (Uint8Array | undefined)[] = [];
  let size = 0;
  for await (const leaves of batches) {
    size += leaves.length;
    let row = await hashMany(crypto, prefixedLeaves(leaves));
    for (let height = 0; row.length > 0; height += 1) {
      const before = waiting[height];
      const nodes: readonly Uint8Array[] = before === undefined ? row : [before, ...row];
      waiting[height] = nodes.length % 2 === 1 ? nodes.at(-1) : undefined;
      row = await hashMany(crypto, pairedNodes(nodes));
    }
  }
  let root: Uint8Array | undefined;
  for (const node of waiting) {
    if (node === undefined) continue;
    root = root === undefined ? node : (await hashMany(crypto, pairedNodes([node, root])))[0]!;
  }
  return { size, root: root ?? (await crypto.sha256(bytesOf(''))) };
}

export type AuditVerdict =
  | { readonly ok: true; readonly checkpoint: Checkpoint; readonly entries: number }
  | {
      readonly ok: false;
      readonly reason: Exclude<CheckpointVerdict, { ok: true }>['reason'] | 'entries-missing' | 'entries-changed';
      readonly entries: number;
    };

/** Audits a whole log: exactly these entries, in this order, under a checkpoint that one of the keys has signed. */
export async function auditLogWith(
  crypto: Primitives,
  { note, keys }: { note: string; keys: readonly VerifierKey[] },
  batches: AsyncIterable<readonly Uint8Array[]> | Iterable<readonly Uint8Array[]>,
): Promise<AuditVerdict> {
  const opened = await openCheckpointWith(crypto, note, keys);
  if (!opened.ok) return { ok: false, reason: opened.reason, entries: 0 };
  const { size, root } = await auditTreeWith(crypto, batches);
  if (size !== opened.checkpoint.size) return { ok: false, reason: 'entries-missing', entries: size };
  if (!equalBytes(root, opened.checkpoint.root)) return { ok: false, reason: 'entries-changed', entries: size };
  return { ok: true, checkpoint: opened.checkpoint, entries: size };
}
