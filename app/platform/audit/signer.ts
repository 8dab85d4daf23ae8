import type { KeyObject } from 'node:crypto';
import {
  createNoteSigner,
  equalBytes,
  formatCheckpointText,
  fromBase64,
  emptyRoot,
  parseAddCheckpoint,
  parseCheckpointText,
  signNote,
  toBase64,
  verifyConsistency,
  type AddCheckpoint,
  type Checkpoint,
  type NoteSigner,
} from '@auditrax/tlog';
import { bindRoutes, type RoomRoutes } from '../http/handler.ts';
import { openJournal, type SignedState, type SignerJournal } from './signer-journal.ts';
import { signerRoutes } from './signer-contract.ts';

export type SignerVerdict =
  | { readonly ok: true; readonly note: string; readonly verifierKey: string }
  | { readonly ok: false; readonly reason: 'old-size' | 'rollback' | 'fork'; readonly state: SignedState }
  | { readonly ok: false; readonly reason: 'inconsistent' | 'malformed' | 'unknown-log' };

export interface SignerDeps {
  /** 0700 folder of the signer alone. */
  readonly journalDirectory: string;
  readonly privateKey: KeyObject;
  /** Logs of this house have origins below it, e.g. `auditrax.local/log/`; any other origin is unknown. */
  readonly originPrefix: string;
}

export interface Signer {
  /** Signs growth of a log it knows, and the same state again. Everything else is refused with the reason. */
  addCheckpoint(request: string): Promise<SignerVerdict>;
  /** Size 0 and the empty root when the log was never seen. */
  state(origin: string): Promise<SignedState & { verifierKey: string }>;
  close(): Promise<void>;
}

interface Log {
  readonly journal: SignerJournal;
  readonly signer: NoteSigner;
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
    const turn = (turns.get(origin) ?? Promise.resolve()).then(work, work);
    turns.set(origin, turn);
    return turn;
  };

  return {
    addCheckpoint: async (text) => {
      const request = parseAddCheckpoint(text);
      const checkpoint = request && parseCheckpointText(request.checkpoint);
      if (request === undefined || checkpoint === undefined) return { ok: false, reason: 'malformed' };
      if (!checkpoint.origin.startsWith(deps.originPrefix)) return { ok: false, reason: 'unknown-log' };
      return inTurn(checkpoint.origin, async () => sign(await openLog(checkpoint.origin), { request, checkpoint }));
    },
    state: async (origin) => {
      if (!origin.startsWith(deps.originPrefix)) return { ...NEVER_SEEN, verifierKey: '' };
      return inTurn(origin, async () => {
        const log = await openLog(origin);
        return { ...(log.journal.current() ?? NEVER_SEEN), verifierKey: log.signer.verifierKey };
      });
    },
    close: async () => {
      await Promise.allSettled(turns.values());
      for (const log of logs.values()) await (await log).journal.close();
    },
  };
}

async function loadLog(deps: SignerDeps, origin: string): Promise<Log> {
  const [journal, signer] = await Promise.all([
    openJournal(deps.journalDirectory, origin),
    createNoteSigner(origin, deps.privateKey),
  ]);
  return { journal, signer };
}

/** Journal first, signature after: a signature that left the process is never forgotten. */
async function sign(
  log: Log,
  { request, checkpoint }: { request: AddCheckpoint; checkpoint: Checkpoint },
): Promise<SignerVerdict> {
  const last = log.journal.current() ?? NEVER_SEEN;
  const verdict = await judgeGrowth(last, { request, checkpoint });
  if (verdict === 'inconsistent') return { ok: false, reason: verdict };
  if (verdict !== 'ok') return { ok: false, reason: verdict, state: last };
  if (checkpoint.size !== last.size || log.journal.current() === undefined) {
    await log.journal.append({ size: checkpoint.size, root: toBase64(checkpoint.root) });
  }
  const note = signNote(formatCheckpointText(checkpoint), [log.signer]);
  return { ok: true, note, verifierKey: log.signer.verifierKey };
}

/** Routes of the signer process. */
export function signerServiceRoutes(signer: Signer): RoomRoutes {
  return bindRoutes(signerRoutes, {
    checkpoint: async (call) => ({ status: 200 as const, body: await signer.addCheckpoint(call.body.request) }),
    state: async (call) => ({ status: 200 as const, body: await signer.state(call.body.origin) }),
  });
}
