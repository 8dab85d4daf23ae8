import type { DirectoryWord } from '../access/index.ts';
import type { ProvisioningDeps } from './deps.ts';
import * as queries from './queries.ts';

/** What directories say of members, for those who would let somebody in again. */
export function directoryWord({ recordAudit, clock }: Pick<ProvisioningDeps, 'recordAudit' | 'clock'>): DirectoryWord {
  return {
    async saysLeft(tx, memberId) {
      const now = new Date(clock.nowMs());
      return (await tx.query(queries.saysLeft(tx.context, memberId, now))).length > 0;
    },
    async forget(tx, memberId, by) {
      const { context } = tx;
      for (const row of await tx.query(queries.outRows(context, memberId))) {
        if (row.deleted_at !== null) await tx.query(queries.deleteResource(context, row.id));
        // It has said something newer meanwhile: that counts, and its entry is written.
        else if ((await tx.query(queries.updateResource(context, { ...row, suspended_at: null }))).length === 0)
          continue;
        await recordAudit(tx, {
          ...by,
          decision: by.decision,
          type: row.deleted_at === null ? 'directory.person-reinstated' : 'directory.person-forgotten',
          resource: ['scim-resource', row.id],
          outcome: 'allowed',
          requestId: context.requestId,
          public: { connection: row.connection_id, member: memberId },
        });
      }
    },
  };
}
