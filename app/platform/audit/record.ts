import { AppError, systemClock, systemRandom, type Clock, type Random, type Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { formatApproval, parseApproval } from '@auditrax/tlog';
import { approvalOf } from '../http/approvals.ts';
import { decisionOf } from '../http/decisions.ts';
import type { Call } from '../http/handler.ts';
import type { AuditCode } from './errors.ts';
import {
  APPROVAL_VALUE,
  buildLeaf,
  type AuditActor,
  type AuditInput,
  type BuiltLeaf,
  type Disclosure,
} from './leaf.ts';
import type { LateApprovals, LateValue } from './late-approvals.ts';
import { insertLate } from './late-queries.ts';
import { insertDisclosure, insertEntry } from './queries.ts';
import type { SubjectKeys } from './subject-keys.ts';

/** Seals withheld values; `rowId` is the entry's id. The composition root adapts the room that holds the keys. */
export interface DisclosureSealer {
  seal(input: { context: TenantContext; rowId: Uuid; value: string; tx: ScopedTransaction }): Promise<Uint8Array>;
}

export interface RecorderDeps {
  readonly clock?: Clock;
  readonly random?: Random;
  /** Without one, an entry with disclosures is refused (`audit_sealer_missing`); entries without any still work. */
  readonly sealer?: DisclosureSealer;
  /** An entry that names an approval which is not at hand is refused (`audit_approval_missing`). Tests that approve nothing do without. */
  readonly needsApprovals?: boolean;
  /** True for what a key store that is out of reach throws: switching away from it must be possible all the same. */
  readonly isSealFault?: (error: unknown) => boolean;
  /** Where an approval waits that cannot be sealed now. Without it such an entry says that its approval was not kept. */
  readonly late?: LateApprovals;
  /** Keys of persons. Without them, an entry with values about a person is refused (`audit_sealer_missing`). */
  readonly subjects?: Pick<SubjectKeys, 'seal'>;
}

export type RecordAudit = (tx: ScopedTransaction, input: AuditInput) => Promise<{ entryId: Uuid }>;

interface SealedDisclosure {
  readonly digest: string;
  readonly sealed: Uint8Array;
  readonly subject: Uuid | null;
}

async function sealDisclosure(
  tx: ScopedTransaction,
  { sealer, subjects }: RecorderDeps,
  { entryId, disclosure }: { entryId: Uuid; disclosure: Disclosure },
): Promise<SealedDisclosure> {
  const { subject, text, digest } = disclosure;
  if (sealer === undefined || (subject !== null && subjects === undefined))
    throw new AppError<AuditCode>('audit_sealer_missing', 'an entry withholds values without a sealer for them');
  const value = subject === null ? text : await subjects!.seal(tx, { subject, entryId, text });
  const sealed = await sealer.seal({ context: tx.context, rowId: entryId, value, tx });
  return { digest, sealed, subject };
}

/** Puts what was approved among the withheld values of the entry that names the approval. */
function withApproval(input: AuditInput, { needsApprovals = false }: RecorderDeps): AuditInput {
  if (input.stepUpHash === undefined) return input;
  const approval = approvalOf(input.stepUpHash);
  if (approval === undefined) {
    if (!needsApprovals) return input;
    throw new AppError<AuditCode>('audit_approval_missing', `${input.type} names an approval that is not at hand`);
  }
  const value = { [APPROVAL_VALUE]: approval.text };
  const subject = input.personal?.subject ?? approval.about;
  return subject === null
    ? { ...input, disclosures: { ...input.disclosures, ...value } }
    : { ...input, personal: { subject, values: { ...input.personal?.values, ...value } } };
}

interface Sealed {
  readonly built: BuiltLeaf;
  readonly disclosures: readonly SealedDisclosure[];
  /** An approval that waits for the tenant's key store. */
  readonly late?: LateValue & { readonly digest: string };
}

/**
 * What of an approval is kept late. One that is about a person would need their key, which lies under the same ring: of
 * that the hash of the action is kept, so an erasure leaves nothing behind. It is verified by whoever knows the action.
 */
function lateText(input: AuditInput): string | undefined {
  const { text, about } = approvalOf(input.stepUpHash!)!;
  if (about === null && input.personal === undefined) return text;
  const approval = parseApproval(text);
  return approval === undefined ? undefined : formatApproval({ ...approval, action: null });
}

/**
 * The entry while the tenant's key store is away: its approval is encrypted to the tenant's own key pair and can be opened
 * by nobody before the key store is back. Where there is no such pair yet the entry says that its approval was not kept.
 */
async function sealAway(
  tx: ScopedTransaction,
  deps: RecorderDeps,
  { input, clock, random }: { input: AuditInput; clock: Clock; random: Random },
): Promise<Sealed> {
  const late = await lateOf(tx, deps, { input, clock, random });
  if (late !== undefined) return late;
  const lost = { ...input, public: { ...input.public, approvalKept: false } };
  return sealEntry(tx, deps, { input: lost, clock, random });
}

/** Undefined where the approval cannot be kept late. */
async function lateOf(
  tx: ScopedTransaction,
  deps: RecorderDeps,
  { input, clock, random }: { input: AuditInput; clock: Clock; random: Random },
): Promise<Sealed | undefined> {
  const text = lateText(input);
  if (text === undefined) return undefined;
  const others = Object.keys(input.disclosures ?? {}).length;
  const disclosed = { ...input.disclosures, [APPROVAL_VALUE]: text };
  const kept = { ...input, disclosures: disclosed, public: { ...input.public, approvalLate: true } };
  const built = buildLeaf(kept, { clock, random });
  const { entryId } = built;
  const approval = built.disclosures[others]!;
  const late = await deps.late?.seal(tx, { entryId, text: approval.text });
  if (late === undefined) return undefined;
  const disclosures: SealedDisclosure[] = [];
  for (const disclosure of built.disclosures)
    if (disclosure !== approval) disclosures.push(await sealDisclosure(tx, deps, { entryId, disclosure }));
  return { built, disclosures, late: { ...late, digest: approval.digest } };
}

async function sealEntry(
  tx: ScopedTransaction,
  deps: RecorderDeps,
  { input, clock, random }: { input: AuditInput; clock: Clock; random: Random },
): Promise<Sealed> {
  const built = buildLeaf(input, { clock, random });
  const disclosures: SealedDisclosure[] = [];
  for (const disclosure of built.disclosures)
    disclosures.push(await sealDisclosure(tx, deps, { entryId: built.entryId, disclosure }));
  return { built, disclosures };
}

/**
 * Makes the function that writes an entry inside the caller's transaction: row and entry commit together or not at all.
 * The database repeats the promise (audit.guard_table), so a room that forgets to call it cannot commit.
 */
export function createRecorder(deps: RecorderDeps = {}): RecordAudit {
  const { clock = systemClock, random = systemRandom } = deps;
  const sealWith = (tx: ScopedTransaction, input: AuditInput) => sealEntry(tx, deps, { input, clock, random });
  return async (tx, input) => {
    const approved = withApproval(input, deps);
    const isFault = (error: unknown): boolean => deps.isSealFault?.(error) === true;
    const { built, disclosures, late } = await sealWith(tx, approved).catch((error: unknown) => {
      if (approved === input || !isFault(error)) throw error;
      return sealAway(tx, deps, { input, clock, random });
    });
    if (approved !== input && late === undefined)
      await deps.late?.prepare(tx).catch((error: unknown) => {
        // Gone away in between: the next approval makes the pair.
        if (!isFault(error)) throw error;
      });
    await tx.defer(insertEntry({ tenantId: tx.context.tenantId, entryId: built.entryId, leaf: built.leaf }));
    // At once: it holds the person's key against an erasure from here on.
    for (const one of disclosures)
      await tx.query(insertDisclosure({ tenantId: tx.context.tenantId, entryId: built.entryId, ...one }));
    if (late !== undefined) await tx.query(insertLate(tx.context, { entryId: built.entryId, ...late }));
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

/** Who did it, as entries say it: the person, by which session or permission, let in by what, and through which agents. */
export function actorOf({
  personId,
  sessionId,
  agents,
  production,
}: Pick<Call['caller'], 'personId' | 'sessionId' | 'agents' | 'production'>): AuditActor {
  return {
    personId,
    sessionId,
    ...(production === undefined ? {} : { grantId: production.id }),
    ...(agents === undefined ? {} : { agents }),
  };
}

/** The part of an entry that comes from the verified call, never from the request's text. */
export function auditFromCall(
  call: Pick<Call, 'caller' | 'requestId'>,
): Pick<AuditInput, 'actor' | 'tokenHash' | 'requestId' | 'decision'> & { tokenHash: string } {
  const decision = decisionOf(call.caller);
  return {
    actor: actorOf(call.caller),
    tokenHash: call.caller.tokenHash,
    requestId: call.requestId,
    ...(decision === undefined ? {} : { decision }),
  };
}
