import type { RevocationHolder } from '../identity/index.ts';
import type { SsoDeps } from './deps.ts';
import { deleteRequestsOf } from './queries.ts';

/** Steps at a provider that a person has begun while signed in, and that must not come back after they have left. */
export function pendingSteps({ system, clock }: Pick<SsoDeps, 'system' | 'clock'>): RevocationHolder {
  return {
    name: 'provider-steps',
    async end({ tenantId }, memberId) {
      const deleted = await system.at(tenantId).system(deleteRequestsOf(tenantId, memberId));
      return deleted.filter(({ expires_at }) => expires_at.getTime() > clock.nowMs()).length;
    },
  };
}
