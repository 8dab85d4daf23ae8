import { AppError, type Clock, type Random, type Uuid } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import {
  handoverNote,
  inclusionProof,
  KEY_ROTATED_TYPE,
  leafObject,
  parseCheckpointText,
  parseNote,
  publicFactsOf,
  toBase64,
  type TileReader,
} from '@auditrax/tlog';
import type { AuditCode } from './errors.ts';
import { NOBODY } from './generations.ts';
import { OVERLAP_ENTRIES, OVERLAP_ENTRIES_MAX, OVERLAP_ENTRIES_MIN } from './signer-contract.ts';
import { buildLeaf } from './leaf.ts';
import * as queries from './ledger-queries.ts';
import type { TileStore } from './log-store.ts';
import type { KeyOffer } from './signer.ts';
import type { SignerClient } from './signer-client.ts';
import type { SuperLog } from './super-log.ts';
import * as superQueries from './super-queries.ts';

/** A busy log grows while its proof is made; each further try begins at what was signed meanwhile. */
const HANDOVER_TRIES_MAX = 10;
/** The signer hands over within a second of the entry; the first checkpoint that both keys signed is near. */
const NOTES_READ_MAX = 256;

/** Throws `audit_input_invalid` for an overlap that is none. */
export function checkOverlap(overlap: number = OVERLAP_ENTRIES): number {
  if (Number.isSafeInteger(overlap) && overlap >= OVERLAP_ENTRIES_MIN && overlap <= OVERLAP_ENTRIES_MAX) return overlap;
  throw new AppError<AuditCode>(
    'audit_input_invalid',
    `the overlap must be ${OVERLAP_ENTRIES_MIN} to ${OVERLAP_ENTRIES_MAX} entries`,
  );
}

export interface KeyChangeDeps {
  readonly signer: SignerClient;
  readonly clock: Clock;
  readonly random: Random;
  /** In the operator's words; public for ever. */
  readonly reason: string;
  readonly overlap: number;
}

/** A log that its newest key signs from now on. */
export interface KeyChanged {
  readonly origin: string;
  readonly newKey: string;
  /** The last size that the old key signs. */
  readonly until: number;
}

function changeLeaf(owner: Uuid, offer: KeyOffer, { clock, random, reason }: KeyChangeDeps): Buffer {
  const { leaf } = buildLeaf(
    {
      type: KEY_ROTATED_TYPE,
      actor: { service: 'ledger' },
      resource: ['log', owner],
      outcome: 'allowed',
      requestId: 'operator',
      public: { ...offer, reason },
    },
    { clock, random },
  );
  return leaf;
}

interface Announced {
  readonly origin: string;
  readonly leaf: Uint8Array;
  readonly index: number;
  readonly tiles: TileReader;
}

/** Proves to the signer that the log names the new key; from then on it signs. Throws `audit_head_corrupt`. */
async function handOver(signer: SignerClient, { origin, leaf, index, tiles }: Announced): Promise<void> {
  let { size } = await signer.state(origin);
  for (let attempt = 0; attempt < HANDOVER_TRIES_MAX; attempt += 1) {
    const proof = await inclusionProof({ index, size }, tiles);
    const verdict = await signer.handOver({ origin, size, leaf, index, proof });
    if (verdict.ok) return;
    if (verdict.reason !== 'old-size')
      throw new AppError<AuditCode>(
        'audit_head_corrupt',
        `${origin}: the signer does not change the key: ${verdict.reason}`,
      );
    size = verdict.state.size;
  }
  throw new AppError<AuditCode>('audit_head_moved', `${origin}: it grows too fast for a change of its key; try again`);
}

function changedTo({ origin, newKey, overlap, index }: KeyOffer & { origin: string; index: number }): KeyChanged {
  return { origin, newKey, until: index + 1 + overlap };
}

/** A cell whose sequencer is running, as it must be: the entries get their places from it. */
export interface ChangingCell {
  readonly door: SystemDoor;
  readonly tiles: TileStore;
  /** Resolves when the entry is under a signed checkpoint; its index. */
  readonly placed: (tenantId: Uuid, entryId: Uuid) => Promise<number>;
}

/**
 * Changes the key of each of these logs that has not the signer's newest: an entry in the log, and with its proof the
 * handover. Cut off anywhere, the next call goes on where it stopped.
 */
export async function changeKeys(
  cell: ChangingCell,
  logs: readonly queries.LogRow[],
  deps: KeyChangeDeps,
): Promise<KeyChanged[]> {
  const changed: KeyChanged[] = [];
  for (const { tenant_id: tenantId, generation, origin } of logs) {
    const offer = await deps.signer.offerKey(origin, deps.overlap);
    if (offer === undefined) continue;
    const leaf = changeLeaf(tenantId, offer, deps);
    const [entry] = await cell.door.system(queries.announceKey(tenantId, leaf));
    const index = await cell.placed(tenantId, entry!.id);
    const tiles = cell.tiles.readerFor({ tenantId, generation });
    await handOver(deps.signer, { origin, leaf, index, tiles });
    changed.push(changedTo({ ...offer, origin, index }));
  }
  return changed;
}

/** Hands over where the log names the newest key and the signer was not told: the ledger ended in between. */
export async function finishKeyChanges(
  { door, tiles }: Pick<ChangingCell, 'door' | 'tiles'>,
  signer: SignerClient,
): Promise<void> {
  const rows = await door.system(queries.keyChanges(null));
  // The last of each log: what came before it was handed over, or there would be no later one.
  for (const row of new Map(rows.map((one) => [one.tenant_id, one])).values()) {
    const { tenant_id: tenantId, generation, origin, leaf } = row;
    const index = Number(row.idx);
    if (!(await isWaiting(signer, origin, leaf))) continue;
    const reader = tiles.readerFor({ tenantId, generation });
    await handOver(signer, { origin, leaf, index, tiles: reader });
  }
}

async function isWaiting(signer: SignerClient, origin: string, leaf: Uint8Array): Promise<boolean> {
  const offer = await signer.offerKey(origin, OVERLAP_ENTRIES);
  return offer !== undefined && publicFactsOf(leaf)['newKey'] === offer.newKey;
}

/** The same for the super-log, whose loop must not run meanwhile. Undefined when it has the newest key. */
export async function changeSuperKey(superLog: SuperLog, deps: KeyChangeDeps): Promise<KeyChanged | undefined> {
  const { origin } = superLog.head() ?? (await superLog.runEpoch());
  const offer = await deps.signer.offerKey(origin, deps.overlap);
  if (offer === undefined) return undefined;
  const leaf = changeLeaf(NOBODY, offer, deps);
  const index = await superLog.appendEntry(leaf.toString('utf8'));
  await handOver(deps.signer, { origin, leaf, index, tiles: superLog.tilesOf(superLog.head()!.generation) });
  return changedTo({ ...offer, origin, index });
}

export async function finishSuperKeyChange(home: SystemDoor, superLog: SuperLog, signer: SignerClient): Promise<void> {
  const [row] = (await home.system(superQueries.superStatements)).filter(isKeyChange);
  if (row === undefined) return;
  const { origin, generation } = superLog.head() ?? (await superLog.runEpoch());
  const leaf = Buffer.from(row.leaf, 'utf8');
  if (row.generation !== generation || !(await isWaiting(signer, origin, leaf))) return;
  await handOver(signer, { origin, leaf, index: Number(row.idx), tiles: superLog.tilesOf(generation) });
}

function isKeyChange({ leaf }: superQueries.SuperEntryRow): boolean {
  return leafObject(Buffer.from(leaf, 'utf8'))['type'] === KEY_ROTATED_TYPE;
}

/** A change of a key as anybody can follow it: the entry, and its proof to a checkpoint, signed by both keys if there is one. */
export interface KeyChangeProof {
  readonly note: string;
  /** base64. */
  readonly leaf: string;
  readonly index: number;
  /** base64. */
  readonly proof: readonly string[];
}

interface PlacedChange {
  readonly leaf: Uint8Array;
  readonly index: number;
  readonly notes: readonly { readonly note: string }[];
  readonly tiles: TileReader;
}

async function proofOf({ leaf, index, notes, tiles }: PlacedChange): Promise<KeyChangeProof[]> {
  const note = handoverNote(notes.map((one) => one.note));
  if (note === undefined) return [];
  const { size } = parseCheckpointText(parseNote(note)!.text)!;
  const proof = await inclusionProof({ index, size }, tiles);
  return [{ note, leaf: toBase64(leaf), index, proof: proof.map(toBase64) }];
}

/** Changes of the super-log's key, the oldest first. */
export async function superKeyChanges(home: SystemDoor, superLog: SuperLog): Promise<KeyChangeProof[]> {
  const found: KeyChangeProof[] = [];
  const rows = (await home.system(superQueries.superStatements)).filter(isKeyChange);
  for (const { generation, idx, leaf } of rows.toReversed()) {
    const index = Number(idx);
    const notes = await home.system(superQueries.superCheckpointsOver(generation, index, NOTES_READ_MAX));
    const tiles = superLog.tilesOf(generation);
    found.push(...(await proofOf({ leaf: Buffer.from(leaf, 'utf8'), index, notes, tiles })));
  }
  return found;
}

/** Changes of the key of one tenant's log, in its newest generation, the oldest first. */
export async function logKeyChanges(
  { door, tiles }: Pick<ChangingCell, 'door' | 'tiles'>,
  { tenantId, generation }: queries.LogKey,
): Promise<KeyChangeProof[]> {
  const found: KeyChangeProof[] = [];
  for (const row of await door.system(queries.keyChanges(tenantId))) {
    if (row.generation !== generation) continue;
    const index = Number(row.idx);
    const notes = await door.system(queries.checkpointsOver({ tenantId, generation }, index, NOTES_READ_MAX));
    found.push(...(await proofOf({ leaf: row.leaf, index, notes, tiles: tiles.readerFor({ tenantId, generation }) })));
  }
  return found;
}
