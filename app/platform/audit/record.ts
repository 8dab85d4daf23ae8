import { AppError, systemClock, systemRandom, type Clock, type Random, type Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import type { Call } from '../http/handler.ts';
import type { AuditCode } from './errors.ts';
import { buildLeaf, type AuditInput, type Disclosure } from './leaf.ts';
import { insertDisclosure, insertEntry } from './queries.ts';

/** Seals withheld values; `rowId` is the entry's id. The composition root adapts the room that holds the keys. */
export interface DisclosureSealer {
  seal(input: { context: TenantContext; rowId: Uuid; value: string; tx: ScopedTransaction }): Promise<Uint8Array>;
}

export interface RecorderDeps {
  readonly clock?: Clock;
  readonly random?: Random;
  /** Without one, an entry with disclosures is refused (`audit_sealer_missing`); entries without any still work. */
  readonly sealer?: DisclosureSealer;
}

export type RecordAudit = (tx: ScopedTransaction, input: AuditInput) => Promise<{ entryId: Uuid }>;

async function storeDisclosure(
  tx: ScopedTransaction,
  sealer: DisclosureSealer,
  { entryId, disclosure }: { entryId: Uuid; disclosure: Disclosure },
): Promise<void> {
  const sealed = await sealer.seal({ context: tx.context, rowId: entryId, value: disclosure.text, tx });
  await tx.query(insertDisclosure({ tenantId: tx.context.tenantId, entryId, digest: disclosure.digest, sealed }));
}

/**
 * Makes the function that writes an entry inside the caller's transaction: row and entry commit together or not at all.
 * The database repeats the promise (audit.guard_table), so a room that forgets to call it cannot commit.
 */
export function createRecorder(deps: RecorderDeps = {}): RecordAudit {
  const { clock = systemClock, random = systemRandom, sealer } = deps;
  return async (tx, input) => {
    const built = buildLeaf(input, { clock, random });
    if (built.disclosures.length > 0 && sealer === undefined) {
      throw new AppError<AuditCode>(
        'audit_sealer_missing',
        `audit entry ${input.type} withholds values without a sealer`,
      );
    }
    await tx.query(insertEntry({ tenantId: tx.context.tenantId, entryId: built.entryId, leaf: built.leaf }));
    for (const disclosure of built.disclosures) {
      await storeDisclosure(tx, sealer!, { entryId: built.entryId, disclosure });
    }
    return { entryId: built.entryId };
  };
}

let installed: RecordAudit | undefined;
const unsealed: RecordAudit = createRecorder();

/** Called once by a composition root: gives `recordAudit` its sealer, clock and randomness for this process. */
export function installRecorder(deps: RecorderDeps): RecordAudit {
  installed = createRecorder(deps);
  return installed;
}

/**
 * Writes one entry in the transaction of the business row. Throws `audit_input_invalid`, `audit_leaf_too_large` or
 * `audit_sealer_missing`; when it throws, let the transaction fail.
 */
export const recordAudit: RecordAudit = (tx, input) => (installed ?? unsealed)(tx, input);

/** The part of an entry that comes from the verified call, never from the request's text. */
export function auditFromCall(
  call: Pick<Call, 'caller' | 'requestId'>,
): Pick<AuditInput, 'actor' | 'tokenHash' | 'requestId'> & { tokenHash: string } {
  return {
    actor: { personId: call.caller.personId, sessionId: call.caller.sessionId },
    tokenHash: call.caller.tokenHash,
    requestId: call.requestId,
  };
}
