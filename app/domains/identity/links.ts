import { createHash } from 'node:crypto';
import { toBase64Url, type Uuid } from '@auditrax/base';
import type { ScopedTransaction } from '@auditrax/tenancy';
import type { AuditActor, AuditDecision } from '../../platform/audit/index.ts';
import type { IdentityDeps } from './deps.ts';
import { insertLink } from './queries.ts';
import { SESSION_TOKEN_BYTES } from './sessions.ts';

/** An invitation may lie in a mailbox over a weekend and a holiday. */
export const ENROL_LINK_SECONDS_MAX = 7 * 86_400;
/** A sign-in link is a bearer secret of sample data; a day is one session of trying the product out. */
export const SIGN_IN_LINK_SECONDS_MAX = 86_400;

/**
 * Makes a one-time link inside the caller's transaction and logs that it was made. The token is returned once and only
 * its hash stored; it travels in the fragment of a URL, so that no server or proxy log sees it.
 */
export async function issueLink(
  deps: Pick<IdentityDeps, 'random' | 'clock' | 'recordAudit'>,
  tx: ScopedTransaction,
  input: {
    readonly kind: 'enrol' | 'sign-in';
    readonly memberId: Uuid;
    readonly actor: AuditActor;
    readonly decision?: AuditDecision | undefined;
  },
): Promise<{ readonly token: string; readonly path: string; readonly expiresAt: Date }> {
  const bytes = deps.random.bytes(SESSION_TOKEN_BYTES);
  const seconds = input.kind === 'enrol' ? ENROL_LINK_SECONDS_MAX : SIGN_IN_LINK_SECONDS_MAX;
  const expiresAt = new Date(deps.clock.nowMs() + seconds * 1000);
  const { tenantId, requestId } = tx.context;
  await tx.query(
    insertLink({
      token_hash: createHash('sha256').update(bytes).digest(),
      kind: input.kind,
      tenant_id: tenantId,
      member_id: input.memberId,
      expires_at: expiresAt,
    }),
  );
  await deps.recordAudit(tx, {
    type: 'link.issued',
    actor: input.actor,
    resource: ['member', input.memberId],
    outcome: 'allowed',
    requestId,
    decision: input.decision,
    public: { kind: input.kind },
  });
  const token = toBase64Url(bytes);
  return { token, path: `${input.kind === 'enrol' ? '/app/enrol' : '/app/link'}#${token}`, expiresAt };
}
