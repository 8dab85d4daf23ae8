import { sign as signBytes, type KeyObject } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  bytesOf,
  createNoteSigner,
  equalBytes,
  formatCheckpointText,
  fromBase64,
  handoverText,
  emptyRoot,
  parseAddCheckpoint,
  parseCheckpointText,
  parseVerifierKey,
  signNote,
  splitOrigin,
  toBase64,
  verifierKeyOf,
  verifyConsistency,
  type AddCheckpoint,
  type Checkpoint,
  type NoteSigner,
} from '@auditrax/tlog';
import { AppError } from '@auditrax/base';
import { bindRoutes, type RoomRoutes } from '../http/handler.ts';
import { journalPath, openJournal, type SignedState, type LogJournal } from '@auditrax/tlog/journal';
import { judgeOpening, nextOrigin, previousOrigin } from './generation-rule.ts';
import { judgeHandover, type HandoverRequest } from './handover-rule.ts';
import { KeyTerms, type LogKeyCode, type LogKeys } from './signer-keys.ts';
import { signerRoutes } from './signer-contract.ts';

export type SignerVerdict =
  | { readonly ok: true; readonly note: string; readonly verifierKey: string }
  | {
      readonly ok: false;
      readonly reason: 'old-size' | 'rollback' | 'fork' | 'superseded';
      readonly state: SignedState;
    }
  | { readonly ok: false; readonly reason: 'inconsistent' | 'malformed' | 'unknown-log' | 'no-opening' };

export interface SignerDeps {
  /** 0700 folder of the signer alone. */
  readonly journalDirectory: string;
  readonly keys: LogKeys;
  /** Logs of this house have origins below it, e.g. `auditrax.local/log/`; any other origin is unknown. */
  readonly originPrefix: string;
}

/** One of a log's keys: it signs checkpoints of more than `from` entries, up to `until` (null: to this day). */
export interface SignedTerm {
  readonly verifierKey: string;
  readonly from: number;
  readonly until: number | null;
}

/** `verifierKey` is the newest of `terms`, which has at least one. */
export type SignerState = SignedState & { readonly verifierKey: string; readonly terms: readonly SignedTerm[] };

/** What the signer says for one log when its key is to change: public facts of the entry. */
export interface KeyOffer {
  readonly oldKey: string;
  readonly newKey: string;
  readonly overlap: number;
  /** base64. */
  readonly handover: string;
}

/** Where a log stands when it was not at the size that a handover was proved for; undefined when it was carried out. */
export type HandoverVerdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: 'old-size'; readonly state: SignedState }
  | { readonly ok: false; readonly reason: 'refused' | 'unknown-log' };

export interface Signer {
  /**
   * Signs growth of a log it knows, and the same state again. Everything else is refused with the reason. The first
   * signature of a later generation needs its `opening`, the leaf of entry 0; from then on the generation before is
   * `superseded` and nothing of it is signed any more.
   */
  addCheckpoint(request: string, opening?: Uint8Array): Promise<SignerVerdict>;
  /** Size 0 and the empty root when the log was never seen. */
  state(origin: string): Promise<SignerState>;
  /** Makes a new key. Logs that begin from now on have it; those that are there get it by a handover each. */
  makeKey(): Promise<void>;
  /** The old key's word for the newest; undefined when the log has that already, or nothing more is signed of it. */
  offerKey(origin: string, overlap: number): Promise<KeyOffer | undefined>;
  /** The newest key signs the log from now on, since its entry stands in what was signed last. */
  handOver(request: HandoverRequest): Promise<HandoverVerdict>;
  /** Destroys each private key that no log needs any more. Numbers of those that are gone now. */
  retireKeys(): Promise<number[]>;
  close(): Promise<void>;
}

interface Log {
  readonly origin: string;
  readonly journal: LogJournal;
  readonly terms: KeyTerms;
  readonly signers: Map<number, NoteSigner>;
}

const NEVER_SEEN: SignedState = { size: 0, root: toBase64(emptyRoot()) };

/**
 * The rule of a witness (C2SP tlog-witness), applied by the log's own signer: so neither a restored database nor a
 * forked sequencer nor an administrator with SQL gets a rewritten history signed. Enforcer, replaceable as a module.
 */
export async function judgeGrowth(
  last: SignedState,
  { request, checkpoint }: { request: AddCheckpoint; checkpoint: Checkpoint },
): Promise<'ok' | 'old-size' | 'rollback' | 'fork' | 'inconsistent'> {
  const root1 = fromBase64(last.root)!;
  if (checkpoint.size < last.size) return 'rollback';
  if (request.oldSize !== last.size) return 'old-size';
  if (checkpoint.size === last.size) return equalBytes(checkpoint.root, root1) ? 'ok' : 'fork';
  // First seen: there is no past to be consistent with, and a proof would pretend that there is one.
  if (last.size === 0) return request.proof.length === 0 ? 'ok' : 'inconsistent';
  const grown = await verifyConsistency({
    size1: last.size,
    size2: checkpoint.size,
    root1,
    root2: checkpoint.root,
    proof: request.proof,
  });
  return grown ? 'ok' : 'inconsistent';
}

/** All generations of one log wait for each other: one is opened by what was signed of another. */
function logName(origin: string): string {
  const parts = splitOrigin(origin);
  return parts === undefined ? origin : `${parts.prefix}${parts.log}`;
}

/** The signing service. Calls for one log run one after the other: checking and journalling must not interleave. */
export function createSigner(deps: SignerDeps): Signer {
  const logs = new Map<string, Promise<Log>>();
  const turns = new Map<string, Promise<unknown>>();

  const openLog = (origin: string): Promise<Log> => {
    const known = logs.get(origin) ?? loadLog(deps, origin);
    logs.set(origin, known);
    known.catch(() => logs.delete(origin));
    return known;
  };
  const inTurn = <T>(origin: string, work: () => Promise<T>): Promise<T> => {
    const name = logName(origin);
    const turn = (turns.get(name) ?? Promise.resolve()).then(work, work);
    turns.set(name, turn);
    return turn;
  };
  /** What was signed of another generation; a journal that is not there is not made by asking. */
  const signedOf = async (origin: string | undefined): Promise<SignedState | undefined> => {
    if (origin === undefined) return undefined;
    if (!logs.has(origin) && !existsSync(journalPath(deps.journalDirectory, origin))) return undefined;
    return (await openLog(origin)).journal.current();
  };

  return {
    addCheckpoint: async (text, opening) => {
      const request = parseAddCheckpoint(text);
      const checkpoint = request && parseCheckpointText(request.checkpoint);
      if (request === undefined || checkpoint === undefined) return { ok: false, reason: 'malformed' };
      if (!checkpoint.origin.startsWith(deps.originPrefix)) return { ok: false, reason: 'unknown-log' };
      const { origin } = checkpoint;
      return inTurn(origin, async () => {
        const log = await openLog(origin);
        const last = log.journal.current();
        if ((await signedOf(nextOrigin(origin))) !== undefined)
          return { ok: false, reason: 'superseded', state: last ?? NEVER_SEEN };
        const from = previousOrigin(origin);
        if (last !== undefined || from === undefined) return sign(deps, log, { request, checkpoint });
        const verdict = await judgeOpening({ request, checkpoint, opening, previous: await signedOf(from) });
        if (verdict === 'no-opening') return { ok: false, reason: verdict };
        if (verdict === 'old-size') return { ok: false, reason: verdict, state: NEVER_SEEN };
        return signAs(deps, log, checkpoint);
      });
    },
    state: async (origin) => {
      if (!origin.startsWith(deps.originPrefix)) return { ...NEVER_SEEN, verifierKey: '', terms: [] };
      return inTurn(origin, async () => {
        if ((await signedOf(origin)) === undefined) {
          const verifierKey = await verifierKeyOf(origin, deps.keys.publicKey(deps.keys.newest()));
          return { ...NEVER_SEEN, verifierKey, terms: [{ verifierKey, from: 0, until: null }] };
        }
        const log = await openLog(origin);
        const terms = await signedTerms(deps.keys, log);
        return { ...(log.journal.current() ?? NEVER_SEEN), verifierKey: terms.at(-1)!.verifierKey, terms };
      });
    },
    ...keyCalls(deps, { openLog, inTurn, signedOf }),
    close: async () => {
      await Promise.allSettled(turns.values());
      for (const log of logs.values()) await (await log).journal.close();
    },
  };
}

interface OpenLogs {
  readonly openLog: (origin: string) => Promise<Log>;
  readonly inTurn: <T>(origin: string, work: () => Promise<T>) => Promise<T>;
  readonly signedOf: (origin: string | undefined) => Promise<SignedState | undefined>;
}

type KeyCalls = Pick<Signer, 'makeKey' | 'offerKey' | 'handOver' | 'retireKeys'>;

function keyCalls(deps: SignerDeps, { openLog, inTurn, signedOf }: OpenLogs): KeyCalls {
  return {
    makeKey: async () => {
      deps.keys.make();
    },
    offerKey: (origin, overlap) =>
      inTurn(origin, async () => {
        const isOpen = (await signedOf(origin)) !== undefined && (await signedOf(nextOrigin(origin))) === undefined;
        return isOpen ? offer(deps.keys, await openLog(origin), overlap) : undefined;
      }),
    handOver: (request) =>
      inTurn(request.origin, async () => {
        const state = await signedOf(request.origin);
        if (state === undefined) return { ok: false, reason: 'unknown-log' };
        return handOver(deps.keys, await openLog(request.origin), { request, state });
      }),
    retireKeys: async () => retireKeys(deps),
  };
}

async function loadLog({ journalDirectory, keys }: SignerDeps, origin: string): Promise<Log> {
  const path = journalPath(journalDirectory, origin);
  const journal = await openJournal(journalDirectory, origin);
  // One that was signed before there was a second key has no file of its own to say so.
  const first = journal.current() === undefined ? keys.newest() : 1;
  return {
    origin,
    journal,
    terms: new KeyTerms(journalDirectory, { journal: path, origin, first }),
    signers: new Map(),
  };
}

/** Journal first, signature after: a signature that left the process is never forgotten. */
async function sign(
  deps: SignerDeps,
  log: Log,
  { request, checkpoint }: { request: AddCheckpoint; checkpoint: Checkpoint },
): Promise<SignerVerdict> {
  const last = log.journal.current() ?? NEVER_SEEN;
  const verdict = await judgeGrowth(last, { request, checkpoint });
  if (verdict === 'inconsistent') return { ok: false, reason: verdict };
  if (verdict !== 'ok') return { ok: false, reason: verdict, state: last };
  return signAs(deps, log, checkpoint);
}

async function signAs({ keys }: SignerDeps, log: Log, checkpoint: Checkpoint): Promise<SignerVerdict> {
  const { origin, journal, terms } = log;
  const { size, root } = checkpoint;
  // By now there may be a newer key than when the log was first asked for.
  if (journal.current() === undefined && !terms.isSaved() && keys.newest() !== 1)
    terms.save([{ key: keys.newest(), from: 0, until: 0 }]);
  if (size !== journal.current()?.size) await journal.append({ size, root: toBase64(root) });
  const signers: NoteSigner[] = [];
  for (const number of terms.signingAt(Math.max(size, 1))) {
    const signer = log.signers.get(number) ?? (await createNoteSigner(origin, privateKeyOf(keys, number)));
    log.signers.set(number, signer);
    signers.push(signer);
  }
  return {
    ok: true,
    note: signNote(formatCheckpointText(checkpoint), signers),
    verifierKey: signers.at(-1)!.verifierKey,
  };
}

function privateKeyOf(keys: LogKeys, number: number): KeyObject {
  const key = keys.privateKey(number);
  if (key !== undefined) return key;
  throw new AppError<LogKeyCode>('log_key_missing', `private key ${number} of the log is gone, and a log needs it`);
}

async function signedTerms(keys: LogKeys, { origin, terms }: Log): Promise<SignedTerm[]> {
  const all = terms.all();
  return Promise.all(
    all.map(async ({ key, from }, at) => ({
      verifierKey: await verifierKeyOf(origin, keys.publicKey(key)),
      from,
      until: all[at + 1]?.until ?? null,
    })),
  );
}

async function offer(keys: LogKeys, { origin, terms }: Log, overlap: number): Promise<KeyOffer | undefined> {
  const { key } = terms.newest();
  if (key === keys.newest()) return undefined;
  const [oldKey, newKey] = await Promise.all(
    [key, keys.newest()].map((number) => verifierKeyOf(origin, keys.publicKey(number))),
  );
  const text = handoverText({ newKey: (await parseVerifierKey(newKey!))!, overlap });
  const handover = signBytes(null, bytesOf(text), privateKeyOf(keys, key)).toString('base64');
  return { oldKey: oldKey!, newKey: newKey!, overlap, handover };
}

async function handOver(
  keys: LogKeys,
  { terms, origin }: Log,
  { request, state }: { request: HandoverRequest; state: SignedState },
): Promise<HandoverVerdict> {
  const last = terms.newest();
  if (last.key === keys.newest()) return { ok: true }; // an answer was lost, and it is asked again
  if (request.size !== state.size) return { ok: false, reason: 'old-size', state };
  const [oldKey, newKey] = await Promise.all(
    [last.key, keys.newest()].map((number) => verifierKeyOf(origin, keys.publicKey(number))),
  );
  const rotation = await judgeHandover({ request, root: fromBase64(state.root)!, oldKey: oldKey!, newKey: newKey! });
  if (rotation === undefined) return { ok: false, reason: 'refused' };
  terms.save([...terms.all(), { key: keys.newest(), from: rotation.index, until: rotation.until }]);
  return { ok: true };
}

/** Origin and last signed size, by the files alone: most logs of a house are not open. */
function lastLine(journal: string): { origin: string; size: number } | undefined {
  const line = readFileSync(journal, 'utf8').split('\n').at(-2);
  const [origin, size] = line?.split(' ') ?? [];
  return origin === undefined || size === undefined ? undefined : { origin, size: Number(size) };
}

/** A key is needed by each log that goes on and whose next checkpoint it would sign. */
function retireKeys({ journalDirectory, keys }: SignerDeps): number[] {
  const older = Array.from({ length: keys.newest() - 1 }, (_, at) => at + 1);
  const idle = new Set(older.filter((number) => keys.privateKey(number) !== undefined));
  if (idle.size === 0) return [];
  for (const name of readdirSync(journalDirectory)) {
    const last = name.endsWith('.journal') ? lastLine(join(journalDirectory, name)) : undefined;
    if (last === undefined) continue;
    const next = nextOrigin(last.origin);
    if (next !== undefined && existsSync(journalPath(journalDirectory, next))) continue;
    const journal = join(journalDirectory, name);
    const terms = new KeyTerms(journalDirectory, { journal, origin: last.origin, first: 1 });
    for (const number of terms.signingAt(last.size + 1)) idle.delete(number);
    // Until its last checkpoint is out under the new key, the old one may be asked for it again.
    for (const number of terms.signingAt(Math.max(last.size, 1))) idle.delete(number);
  }
  for (const number of idle) keys.destroy(number);
  return [...idle];
}

/** Routes of the signer process. */
export function signerServiceRoutes(signer: Signer): RoomRoutes {
  return bindRoutes(signerRoutes, {
    checkpoint: async ({ body: { request, opening } }) => {
      const leaf = opening === undefined ? undefined : Buffer.from(opening, 'base64');
      return { status: 200 as const, body: await signer.addCheckpoint(request, leaf) };
    },
    state: async (call) => {
      const { terms, ...state } = await signer.state(call.body.origin);
      return { status: 200 as const, body: { ...state, terms: [...terms] } };
    },
    makeKey: async () => {
      await signer.makeKey();
      return { status: 200 as const, body: {} };
    },
    offerKey: async ({ body }) => {
      const offered = await signer.offerKey(body.origin, body.overlap);
      return { status: 200 as const, body: { offer: offered ?? null } };
    },
    handOver: async ({ body: { leaf, proof, ...rest } }) => {
      const request = { ...rest, leaf: Buffer.from(leaf, 'base64'), proof: proof.map((hash) => fromBase64(hash)!) };
      return { status: 200 as const, body: await signer.handOver(request) };
    },
    retireKeys: async () => ({ status: 200 as const, body: { destroyed: await signer.retireKeys() } }),
  });
}
