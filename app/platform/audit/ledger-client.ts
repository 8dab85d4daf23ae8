import { AppError, type Uuid } from '@auditrax/base';
import type { EpochEvidence } from '@auditrax/tlog';
import type { AuditCode } from './errors.ts';
import type { KeyChangeProof } from './key-changes.ts';
import type { InternalPost } from './signer-client.ts';
import type { Errand, WitnessingStatus } from './witnessing.ts';

export interface LedgerCheckpoint {
  readonly origin: string;
  readonly size: number;
  /** base64. */
  readonly root: string;
  readonly note: string;
  readonly verifierKey: string;
}

/** The ledger as the other services see it. Proof hashes are base64. */
export interface LedgerClient {
  /** Waits until a signed checkpoint covers the entry. */
  receipt(input: { tenantId: Uuid; entryId: Uuid; waitMs?: number }): Promise<{ index: number; size: number }>;
  checkpoint(tenantId: Uuid): Promise<LedgerCheckpoint>;
  proofs(input: { tenantId: Uuid; size: number; indexes: readonly number[] }): Promise<string[][]>;
  consistency(input: { tenantId: Uuid; from: number; to: number }): Promise<string[]>;
  /** Evidence of the super-log that brackets the sizes `from` to `to`; fewer epochs while it has not seen them. */
  epochs(input: { tenantId: Uuid; from: number; to: number }): Promise<EpochEvidence[]>;
  /** How the key of a tenant's log changed, the oldest first; null: the super-log's. */
  keyChanges(tenantId: Uuid | null): Promise<KeyChangeProof[]>;
  /** Who co-signs the super-log, and with it every log of this house. */
  witnessing(): Promise<WitnessingStatus>;
}

/** The ledger as whoever carries its bodies outside sees it. */
export interface OutsideLedgerClient {
  errands(): Promise<Errand[]>;
  /** `body` in base64. */
  answered(answer: { id: string; status: number; body: string }): Promise<void>;
  status(): Promise<WitnessingStatus>;
}

/** As `remoteLedger`, for the sentinel. */
export function remoteOutsideLedger(post: InternalPost): OutsideLedgerClient {
  const ask = async <T>(verb: string, body: unknown): Promise<T> => {
    const reply = await post(`/internal/ledger/${verb}`, body);
    if (reply.status === 200) return reply.body as T;
    throw new AppError<AuditCode>('audit_log_down', `the ledger answered ${reply.status}`);
  };
  return {
    errands: async () => (await ask<{ errands: Errand[] }>('errands', {})).errands,
    answered: async (answer) => {
      await ask('errand-answer', answer);
    },
    status: () => ask('witnessing', {}),
  };
}

/** `post` is the composition root's mTLS client towards the ledger. Throws `audit_entry_unknown` and `audit_log_down`. */
export function remoteLedger(post: InternalPost): LedgerClient {
  const ask = async <T>(verb: string, body: unknown): Promise<T> => {
    let reply: { status: number; body: unknown };
    try {
      reply = await post(`/internal/ledger/${verb}`, body);
    } catch (error) {
      throw new AppError<AuditCode>('audit_log_down', 'the ledger cannot be reached', { cause: error });
    }
    if (reply.status === 200) return reply.body as T;
    if (reply.status === 404) throw new AppError<AuditCode>('audit_entry_unknown', 'the ledger knows no such entry');
    throw new AppError<AuditCode>(
      reply.status === 503 ? 'audit_receipt_timeout' : 'audit_log_down',
      `the ledger answered ${reply.status}`,
    );
  };
  return {
    receipt: (input) => ask('receipt', input),
    checkpoint: (tenantId) => ask('checkpoint', { tenantId }),
    proofs: async (input) => (await ask<{ proofs: string[][] }>('proofs', input)).proofs,
    epochs: async (input) => (await ask<{ epochs: EpochEvidence[] }>('epochs', input)).epochs,
    consistency: async (input) => (await ask<{ proof: string[] }>('consistency', input)).proof,
    keyChanges: async (tenantId) => (await ask<{ changes: KeyChangeProof[] }>('key-changes', { tenantId })).changes,
    witnessing: () => ask('witnessing', {}),
  };
}
