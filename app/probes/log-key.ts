import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { AppError, type Uuid } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import {
  followRotationWith,
  formatLogProof,
  fromBase64,
  leafHashWith,
  nameKeyWith,
  nodePrimitives,
  openCheckpoint,
  parseNote,
  parseVerifierKey,
  SIGNATURE_ED25519,
  toBase64,
  verifyInclusion,
  type VerifierKey,
} from '@auditrax/tlog';
import type { KeyChangeProof, LedgerClient } from '../platform/audit/index.ts';

/** Waiting for a signed checkpoint over an entry. */
const RECEIPT_MS = 4_000;

export interface LogReader {
  /** Forgets the pinned key, by the operator's order: the next one seen is trusted. */
  trustAnew(): void;
  prove(tenantId: Uuid, entryId: Uuid): Promise<{ ok: boolean; reason: string; treeSize: number }>;
  /** Whole tlog-proofs of entries of one tenant; entries without a place or a checkpoint yet are left out. */
  proofsOf(tenantId: Uuid, entryIds: readonly Uuid[]): Promise<Map<string, { index: number; proof: string }>>;
}

interface LeafRow {
  readonly entry_id: Uuid;
  readonly idx: string;
  readonly leaf: Buffer;
}

interface Pin {
  /** Resolves when the key is trusted. Rejects with `log_key_changed`. */
  check(key: VerifierKey): Promise<void>;
  forget(): void;
}

/**
 * Public keys of the log in this process's own folder: the one that it saw first, and those that this one led to. A ledger
 * or signer that was exchanged does not verify, whatever key it brings along; a key that the old one has handed over to,
 * in an entry of the super-log, does.
 */
function pinLogKey(file: string, changes: () => Promise<KeyChangeProof[]>): Pin {
  const read = (): string[] => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []);
  const write = (keys: readonly string[]): void => {
    const temporary = `${file}.new`;
    writeFileSync(temporary, `${keys.join('\n')}\n`, { mode: 0o600, flush: true });
    renameSync(temporary, file);
  };
  const follow = async (): Promise<string[]> => {
    const pinned = read();
    for (const { note, leaf, index, proof } of await changes()) {
      const name = parseNote(note)?.text.split('\n')[0] ?? '';
      const trusted = pinned.map((raw) => {
        return nameKeyWith(nodePrimitives, { name, type: SIGNATURE_ED25519, publicKey: Buffer.from(raw, 'base64') });
      });
      const rotation = await followRotationWith(nodePrimitives, await Promise.all(trusted), {
        note,
        leaf: Buffer.from(leaf, 'base64'),
        index,
        proof: proof.map((hash) => fromBase64(hash)!),
      });
      const raw = rotation && toBase64(rotation.newKey.publicKey);
      if (raw !== undefined && !pinned.includes(raw)) pinned.push(raw);
    }
    write(pinned);
    return pinned;
  };
  return {
    check: async ({ publicKey }) => {
      const raw = toBase64(publicKey);
      const pinned = read();
      if (pinned.length === 0) write([raw]);
      if (pinned.length === 0 || pinned.includes(raw) || (await follow()).includes(raw)) return;
      throw new AppError('log_key_changed', `the log is signed with another key than those pinned in ${file}`);
    },
    forget: () => rmSync(file, { force: true }),
  };
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
  const pin = pinLogKey(pinFile, () => ledger.keyChanges(null));
  const open = async (tenantId: Uuid) => {
    const { note, verifierKey } = await ledger.checkpoint(tenantId);
    const key = await parseVerifierKey(verifierKey);
    if (key === undefined) throw new AppError('log_key_changed', 'the ledger names a key that is none');
    await pin.check(key);
    const verdict = await openCheckpoint(note, [key]);
    if (!verdict.ok) throw new AppError('log_checkpoint_refused', `the checkpoint is refused: ${verdict.reason}`);
    return { note, checkpoint: verdict.checkpoint };
  };
  return {
    trustAnew: pin.forget,
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
