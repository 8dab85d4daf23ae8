import { AppError, type Uuid } from '@auditrax/base';
import type { AuditCode } from './errors.ts';
import type { InternalPost } from './signer-client.ts';

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
    consistency: async (input) => (await ask<{ proof: string[] }>('consistency', input)).proof,
  };
}
