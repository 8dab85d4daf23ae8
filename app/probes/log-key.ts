import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { AppError, type Uuid } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import {
  formatLogProof,
  fromBase64,
  leafHashWith,
  nodePrimitives,
  openCheckpoint,
  parseVerifierKey,
  verifyInclusion,
  type VerifierKey,
} from '@auditrax/tlog';
import type { LedgerClient } from '../platform/audit/index.ts';

/** Waiting for a signed checkpoint over an entry. */
const RECEIPT_MS = 4_000;

export interface LogReader {
  prove(tenantId: Uuid, entryId: Uuid): Promise<{ ok: boolean; reason: string; treeSize: number }>;
  /** Whole tlog-proofs of entries of one tenant; entries without a place or a checkpoint yet are left out. */
  proofsOf(tenantId: Uuid, entryIds: readonly Uuid[]): Promise<Map<string, { index: number; proof: string }>>;
}

interface LeafRow {
  readonly entry_id: Uuid;
  readonly idx: string;
  readonly leaf: Buffer;
}

/**
 * The log's public key as this process first saw it, kept in its own folder: a ledger or signer that was exchanged later
 * does not verify, whatever key it brings along. Throws `log_key_changed`.
 */
function pinLogKey(file: string, key: VerifierKey): VerifierKey {
  const raw = Buffer.from(key.publicKey).toString('base64');
  if (!existsSync(file)) writeFileSync(file, raw, { mode: 0o600, flag: 'wx', flush: true });
  if (readFileSync(file, 'utf8') !== raw) {
    throw new AppError('log_key_changed', `the log is signed with another key than the one pinned in ${file}`);
  }
  return key;
}

function leavesOf(tenantId: Uuid, entryIds: readonly Uuid[]) {
  return {
    sql: `select i.entry_id, i.idx, e.leaf from audit.log_index i
          join audit.entry e on e.tenant_id = i.tenant_id and e.id = i.entry_id
          where i.tenant_id = $1 and i.entry_id = any($2)`,
    parameters: [tenantId, [...entryIds]],
  };
}

/** Reads the log over the ledger's door and believes nothing but signature and hashes. */
export function createLogReader(deps: {
  /** The cell where a tenant's log is. */
  doorOf: (tenantId: Uuid) => Promise<SystemDoor>;
  ledger: LedgerClient;
  pinFile: string;
}): LogReader {
  const { doorOf, ledger, pinFile } = deps;
  const open = async (tenantId: Uuid) => {
    const { note, verifierKey } = await ledger.checkpoint(tenantId);
    const key = await parseVerifierKey(verifierKey);
    if (key === undefined) throw new AppError('log_key_changed', 'the ledger names a key that is none');
    const verdict = await openCheckpoint(note, [pinLogKey(pinFile, key)]);
    if (!verdict.ok) throw new AppError('log_checkpoint_refused', `the checkpoint is refused: ${verdict.reason}`);
    return { note, checkpoint: verdict.checkpoint };
  };
  return {
    async prove(tenantId, entryId) {
      await ledger.receipt({ tenantId, entryId, waitMs: RECEIPT_MS });
      const { checkpoint } = await open(tenantId);
      const door = await doorOf(tenantId);
      const [row] = await door.system<LeafRow>(leavesOf(tenantId, [entryId]));
      if (row === undefined) return { ok: false, reason: 'the log has no such entry', treeSize: checkpoint.size };
      const index = Number(row.idx);
      const [hashes] = await ledger.proofs({ tenantId, size: checkpoint.size, indexes: [index] });
      const ok = await verifyInclusion({
        index,
        size: checkpoint.size,
        leafHash: await leafHashWith(nodePrimitives, row.leaf),
        proof: hashes!.map((hash) => fromBase64(hash)!),
        root: checkpoint.root,
      });
      return { ok, reason: ok ? 'verified' : 'the inclusion proof does not verify', treeSize: checkpoint.size };
    },
    async proofsOf(tenantId, entryIds) {
      const found = new Map<string, { index: number; proof: string }>();
      if (entryIds.length === 0) return found;
      const { note, checkpoint } = await open(tenantId);
      const door = await doorOf(tenantId);
      const rows = (await door.system<LeafRow>(leavesOf(tenantId, entryIds))).filter(
        (row) => Number(row.idx) < checkpoint.size,
      );
      if (rows.length === 0) return found;
      const indexes = rows.map((row) => Number(row.idx));
      const proofs = await ledger.proofs({ tenantId, size: checkpoint.size, indexes });
      for (const [at, row] of rows.entries()) {
        const proof = proofs[at]!.map((hash) => fromBase64(hash)!);
        const index = indexes[at]!;
        found.set(row.entry_id, { index, proof: formatLogProof({ extra: row.leaf, index, proof, checkpoint: note }) });
      }
      return found;
    },
  };
}
