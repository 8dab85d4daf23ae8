import { AppError } from '@auditrax/base';
import {
  consistencyProof,
  formatAddCheckpoint,
  formatCheckpointText,
  inclusionProof,
  toBase64,
  type Checkpoint,
  type TileReader,
} from '@auditrax/tlog';
import type { AuditCode } from './errors.ts';
import type { HeadSigner } from './signer-client.ts';
import type { SignerVerdict } from './signer.ts';

/** Enforcer, replaceable as a module: a head that the signer has already left behind is not to be built upon. */
export function assertNotBehind(log: Checkpoint, signed: { size: number; root: string }): void {
  const ahead = signed.size > log.size;
  const forked = signed.size === log.size && signed.size > 0 && signed.root !== toBase64(log.root);
  if (!ahead && !forked) return;
  throw new AppError<AuditCode>(
    'audit_log_behind_signer',
    `${log.origin}: the database has ${log.size} entries${forked ? ' with another root' : ''}, ${signed.size} were signed. ` +
      'This database was restored or rewritten: bring back the newer one, or begin a new generation with a signed gap ' +
      'statement: `auditrax log-keys new-generation --reason …` (docs/runbooks/log-stopped.md)',
  );
}

/** A head, and the size of it that the signer last signed. */
export interface HeadToSign {
  readonly log: Checkpoint;
  signed: number;
  /** Leaf of entry 0 of a later generation of which nothing is signed yet. */
  readonly opening?: Uint8Array | undefined;
}

/**
 * Proves the growth since the last signature and gets the head signed. When a reply of the signer was lost, it stands
 * further than we remember: then the growth is proved from where it stands, once. Throws `audit_log_behind_signer`.
 */
export async function signHead(signer: HeadSigner, open: HeadToSign, tiles: TileReader): Promise<string> {
  const { log } = open;
  let verdict = await askSigner(signer, open, tiles);
  if (!verdict.ok && verdict.reason === 'old-size' && 'state' in verdict && verdict.state.size <= log.size) {
    open.signed = verdict.state.size;
    verdict = await askSigner(signer, open, tiles);
  }
  if (verdict.ok) return verdict.note;
  throw new AppError<AuditCode>(
    'audit_log_behind_signer',
    `${log.origin}: the signer refused size ${log.size}: ${verdict.reason}`,
  );
}

async function askSigner(signer: HeadSigner, open: HeadToSign, tiles: TileReader): Promise<SignerVerdict> {
  const { log, signed } = open;
  const opening = signed === 0 ? open.opening : undefined;
  const proof = await proofFor(open, opening !== undefined, tiles);
  const request = formatAddCheckpoint({ oldSize: signed, proof, checkpoint: formatCheckpointText(log) });
  return signer.addCheckpoint(request, opening);
}

async function proofFor({ log, signed }: HeadToSign, opens: boolean, tiles: TileReader): Promise<Uint8Array[]> {
  if (opens) return inclusionProof({ index: 0, size: log.size }, tiles);
  return signed > 0 && signed < log.size ? consistencyProof({ from: signed, to: log.size }, tiles) : [];
}
