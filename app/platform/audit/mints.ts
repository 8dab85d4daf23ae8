import type { Uuid } from '@auditrax/base';
import type { Statement } from '@auditrax/tenancy';

/** What the issuer put its name under. Hashes and ids only; never the token. */
export interface Mint {
  /** base64url SHA-256 of the compact token. */
  readonly tokenHash: string;
  readonly tenantId: Uuid;
  readonly personId: Uuid;
  readonly sessionId: Uuid;
  /** End of the token's life, milliseconds since the Unix epoch. */
  readonly expiresAtMs: number;
}

/** Anything that runs a statement as ax_issuer: a scoped or a system transaction. */
export interface MintWriter {
  query(statement: Statement): Promise<unknown>;
}

/**
 * Must be durable before the token leaves the issuer; otherwise an honest entry looks like a forged one. Write it
 * where the tenant lives: there it is compared with the tenant's log.
 */
export async function recordMint(tx: MintWriter, mint: Mint): Promise<void> {
  await tx.query({
    sql: `insert into audit.mint (token_hash, tenant_id, person_id, session_id, expires_at)
          values ($1, $2, $3, $4, to_timestamp($5::double precision / 1000))`,
    parameters: [mint.tokenHash, mint.tenantId, mint.personId, mint.sessionId, mint.expiresAtMs],
  });
}

/** The reconciler looks every few seconds; a day later nobody asks about a token of thirty seconds any more. */
const MINT_KEPT_MS = 86_400_000;

/** What forgets mints whose life ended a day before `now_ms`; for ax_issuer, in every cell. */
export function sweepMints(now_ms: number): Statement {
  return { sql: 'delete from audit.mint where expires_at < $1', parameters: [new Date(now_ms - MINT_KEPT_MS)] };
}
