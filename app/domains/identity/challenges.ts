import { AppError, uuidV4, type Uuid } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import type { EdgeDoor } from '../../platform/http/handler.ts';
import type { IdentityDeps } from './deps.ts';
import type { IdentityCode } from './errors.ts';
import { CEREMONY_SECONDS_MAX } from './passkey.ts';
import type { ChallengeRow } from './queries.ts';
import { insertChallenge, takeChallenge } from './queries.ts';

/** Challenges are 256 random bits, or (for step-up) the digest of the action with a random nonce. */
export const CHALLENGE_BYTES = 32;

type ChallengeFields = Pick<ChallengeRow, 'purpose' | 'door'> & Partial<Omit<ChallengeRow, 'id' | 'expires_at'>>;

/** Beside the tenant, where it is known already; a sign-in does not know it yet. */
function storeOf({ system }: Pick<IdentityDeps, 'system'>, tenantId: Uuid | null | undefined): SystemDoor {
  return tenantId == null ? system : system.at(tenantId);
}

/** Stores a challenge for one ceremony of one purpose at one door, where the tenant that it names lives. */
export async function issueChallenge(
  deps: Pick<IdentityDeps, 'system' | 'clock' | 'random'>,
  fields: ChallengeFields,
): Promise<{ readonly id: Uuid; readonly challenge: Uint8Array }> {
  const challenge = fields.challenge ?? deps.random.bytes(CHALLENGE_BYTES);
  const id = uuidV4(deps.random);
  await storeOf(deps, fields.tenant_id).system(
    insertChallenge({
      tenant_id: null,
      member_id: null,
      session_id: null,
      link_hash: null,
      nonce: null,
      action_hash: null,
      operation: null,
      ...fields,
      id,
      challenge,
      expires_at: new Date(deps.clock.nowMs() + CEREMONY_SECONDS_MAX * 1000),
    }),
  );
  return { id, challenge };
}

/**
 * Takes a challenge out of the store, before anything is verified against it: an answer can be tried once, and a wrong
 * purpose, door or a late answer uses it up as well. `tenantId` is the one it was issued with; with another one it is not
 * found. Throws `challenge_unusable`.
 */
export async function consumeChallenge(
  deps: Pick<IdentityDeps, 'system' | 'clock'>,
  id: Uuid,
  wanted: { readonly purpose: ChallengeRow['purpose']; readonly door: EdgeDoor; readonly tenantId: Uuid | undefined },
): Promise<ChallengeRow> {
  const row = (await storeOf(deps, wanted.tenantId).system(takeChallenge(id)))[0];
  const usable =
    row !== undefined &&
    row.purpose === wanted.purpose &&
    row.door === wanted.door &&
    row.expires_at.getTime() > deps.clock.nowMs();
  if (!usable) throw new AppError<IdentityCode>('challenge_unusable', `no live ${wanted.purpose} challenge of this id`);
  return row;
}
