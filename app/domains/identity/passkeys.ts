import { AppError, fromBase64Url, toBase64Url, uuidToBytes, uuidV7, type Uuid } from '@auditrax/base';
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import type { AuditActor, AuditDecision } from '../../platform/audit/index.ts';
import type { EdgeDoor } from '../../platform/http/handler.ts';
import { consumeChallenge, issueChallenge } from './challenges.ts';
import type { IdentityDeps } from './deps.ts';
import { findEverywhere } from './everywhere.ts';
import type { IdentityCode } from './errors.ts';
import type { PasskeyRecord, PasskeyRefusal } from './passkey.ts';
import { credentialHash, publicKeyHash, registrationOptions, verifyAssertion, verifyRegistration } from './passkey.ts';
import type { ChallengeRow, CredentialIndexRow } from './queries.ts';
import * as queries from './queries.ts';
import type { KnownTenant } from './tenant-lookup.ts';
import { findTenant } from './tenant-lookup.ts';

/** More than anybody's devices; the list in the options of a ceremony stays short. */
export const PASSKEYS_PER_MEMBER_MAX = 20;

function toRecord(row: CredentialIndexRow): PasskeyRecord {
  return {
    id: toBase64Url(row.external_id),
    publicKey: row.public_key,
    counter: Number(row.counter),
    transports: row.transports,
  };
}

/** The passkeys that a member may answer with. */
export async function passkeysOfMember(
  deps: Pick<IdentityDeps, 'system'>,
  tenantId: Uuid,
  memberId: Uuid,
): Promise<PasskeyRecord[]> {
  return (await deps.system.at(tenantId).system(queries.passkeysOf(tenantId, memberId))).map(toRecord);
}

/** Takes away what finds a member by their passkeys, and the public keys with it. */
export async function deletePasskeysOf(
  deps: Pick<IdentityDeps, 'system'>,
  { tenantId, memberId }: { readonly tenantId: Uuid; readonly memberId: Uuid },
): Promise<void> {
  await deps.system.at(tenantId).system(queries.deleteCredentialIndexOfMember(tenantId, memberId));
}

/** Options and a stored challenge for adding a passkey to a member. Throws `passkey_limit_reached`. */
export async function beginRegistration(
  deps: IdentityDeps,
  input: {
    readonly tenant: KnownTenant;
    readonly memberId: Uuid;
    readonly sealedLabel: Uint8Array;
    readonly door: EdgeDoor;
    readonly bind: Pick<ChallengeRow, 'purpose'> & Partial<Pick<ChallengeRow, 'link_hash' | 'session_id'>>;
  },
) {
  const { context } = input.tenant;
  const existing = await passkeysOfMember(deps, context.tenantId, input.memberId);
  if (existing.length >= PASSKEYS_PER_MEMBER_MAX) {
    throw new AppError<IdentityCode>(
      'passkey_limit_reached',
      `a member has at most ${PASSKEYS_PER_MEMBER_MAX} passkeys`,
    );
  }
  const label = await deps.sealer.openText({
    context,
    field: 'identity.member.label',
    rowId: input.memberId,
    sealed: input.sealedLabel,
  });
  const { id, challenge } = await issueChallenge(deps, {
    ...input.bind,
    door: input.door,
    tenant_id: context.tenantId,
    member_id: input.memberId,
  });
  const userId = uuidToBytes(input.memberId);
  const options = await registrationOptions({ door: deps.doors[input.door], challenge, userId, label, existing });
  return { challengeId: id, options };
}

/** Verifies the new passkey of a ceremony. Throws `passkey_refused`. */
export async function checkRegistration(
  deps: Pick<IdentityDeps, 'doors'>,
  challenge: Pick<ChallengeRow, 'challenge' | 'door'>,
  response: RegistrationResponseJSON,
): Promise<{ readonly passkey: PasskeyRecord; readonly deviceType: string }> {
  const verdict = await verifyRegistration({
    response,
    challenge: challenge.challenge,
    door: deps.doors[challenge.door],
  });
  if (!verdict.ok) throw new AppError<IdentityCode>('passkey_refused', `registration refused: ${verdict.reason}`);
  return verdict;
}

/** Stores a verified passkey in the caller's transaction, with its entry. A known credential id fails as a duplicate. */
export async function storePasskey(
  deps: Pick<IdentityDeps, 'clock' | 'random' | 'recordAudit' | 'signals'>,
  tx: ScopedTransaction,
  input: {
    readonly memberId: Uuid;
    readonly passkey: PasskeyRecord;
    readonly deviceType: string;
    readonly actor: AuditActor;
    readonly decision?: AuditDecision | undefined;
  },
): Promise<Uuid> {
  const { tenantId, requestId } = tx.context;
  const id = uuidV7(deps.clock, deps.random);
  const hash = credentialHash(input.passkey.id);
  const externalId = fromBase64Url(input.passkey.id);
  if (hash === undefined || externalId === undefined)
    throw new AppError<IdentityCode>('passkey_refused', 'credential id');
  const now = new Date(deps.clock.nowMs());
  await tx.query(
    queries.insertCredential(tenantId, {
      id,
      memberId: input.memberId,
      credentialHash: hash,
      deviceType: input.deviceType,
      now,
    }),
  );
  await tx.query(
    queries.insertCredentialIndex({
      credentialHash: hash,
      tenantId,
      credentialId: id,
      memberId: input.memberId,
      externalId,
      publicKey: input.passkey.publicKey,
      counter: input.passkey.counter,
      transports: input.passkey.transports,
    }),
  );
  await deps.recordAudit(tx, {
    type: 'passkey.registered',
    actor: input.actor,
    resource: ['credential', id],
    outcome: 'allowed',
    requestId,
    decision: input.decision,
    // Approvals that are looked at years later are compared with it; the key itself goes with the passkey.
    public: { deviceType: input.deviceType, publicKey: publicKeyHash(input.passkey.publicKey) },
  });
  await deps.signals.note(tx, { kind: 'passkey-added', memberId: input.memberId });
  return id;
}

/** Removes every passkey of a member, in the caller's transaction. */
export async function removePasskeysOf(
  deps: Pick<IdentityDeps, 'clock' | 'recordAudit' | 'signals'>,
  tx: ScopedTransaction,
  input: { readonly memberId: Uuid; readonly actor: AuditActor },
): Promise<void> {
  const { tenantId, requestId } = tx.context;
  for (const { id } of await tx.query(queries.credentialsOf(tenantId, input.memberId))) {
    await tx.query(queries.removeCredential(tenantId, id, new Date(deps.clock.nowMs())));
    await tx.query(queries.deleteCredentialIndex(tenantId, id));
    await deps.recordAudit(tx, {
      type: 'passkey.removed',
      actor: input.actor,
      resource: ['credential', id],
      outcome: 'allowed',
      requestId,
    });
    await deps.signals.note(tx, { kind: 'passkey-removed', memberId: input.memberId });
  }
}

export type AssertionOutcome =
  | {
      readonly ok: true;
      readonly tenant: KnownTenant;
      readonly memberId: Uuid;
      readonly credentialId: Uuid;
      readonly passkey: PasskeyRecord;
    }
  | {
      readonly ok: false;
      readonly reason: PasskeyRefusal | 'unknown-passkey';
      readonly known?: { readonly context: TenantContext; readonly memberId: Uuid; readonly credentialId: Uuid };
    };

/**
 * The credential of this id. Somebody may have registered one with the same id in another cell, where no unique index
 * can see it; the answer says whose it is, and the public key has the last word.
 */
async function findCredential(
  deps: Pick<IdentityDeps, 'system'>,
  hash: Uint8Array,
  { response: { userHandle } }: AuthenticationResponseJSON,
): Promise<CredentialIndexRow | undefined> {
  const rows = await findEverywhere(deps.system, queries.credentialByHash(hash));
  return rows.find((row) => userHandle === toBase64Url(uuidToBytes(row.member_id))) ?? rows[0];
}

/**
 * Takes the challenge, verifies the answer with the stored public key and moves the counter on. The challenge is used
 * up whatever comes out, and of two answers with one counter the second is refused. `known` names whose passkey was
 * tried, for the log. Throws `challenge_unusable`.
 */
export async function acceptAssertion(
  deps: Pick<IdentityDeps, 'system' | 'clock' | 'doors'>,
  input: {
    readonly challengeId: Uuid;
    readonly purpose: 'sign-in' | 'step-up';
    readonly door: EdgeDoor;
    readonly response: AuthenticationResponseJSON;
    readonly requestId: string;
    /** Whose session asked for it; a sign-in has none. */
    readonly tenantId: Uuid | undefined;
  },
): Promise<{ readonly challenge: ChallengeRow; readonly outcome: AssertionOutcome }> {
  const { purpose, door, tenantId } = input;
  const challenge = await consumeChallenge(deps, input.challengeId, { purpose, door, tenantId });
  const hash = credentialHash(input.response.id);
  const row = hash === undefined ? undefined : await findCredential(deps, hash, input.response);
  const tenant = row === undefined ? undefined : await findTenant(deps, row.tenant_id, input.requestId);
  if (hash === undefined || row === undefined || tenant === undefined) {
    return { challenge, outcome: { ok: false, reason: 'unknown-passkey' } };
  }
  const known = { context: tenant.context, memberId: row.member_id, credentialId: row.credential_id };
  const passkey = toRecord(row);
  const { userHandle } = input.response.response;
  if (userHandle !== undefined && userHandle !== toBase64Url(uuidToBytes(row.member_id))) {
    return { challenge, outcome: { ok: false, reason: 'user-handle', known } };
  }
  const verdict = await verifyAssertion({
    response: input.response,
    challenge: challenge.challenge,
    door: deps.doors[input.door],
    passkey,
  });
  if (!verdict.ok) return { challenge, outcome: { ok: false, reason: verdict.reason, known } };
  const advance = queries.advanceCounter(hash, verdict.counter, new Date(deps.clock.nowMs()));
  const moved = await deps.system.at(row.tenant_id).system(advance);
  if (moved.length === 0) return { challenge, outcome: { ok: false, reason: 'counter', known } };
  return {
    challenge,
    outcome: { ok: true, tenant, memberId: row.member_id, credentialId: row.credential_id, passkey },
  };
}
