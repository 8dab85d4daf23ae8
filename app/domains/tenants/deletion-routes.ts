import type { Uuid } from '@auditrax/base';
import { bindRoutes, type Call, type RoomRoutes } from '../../platform/http/handler.ts';
import { confirmer } from '../access/index.ts';
import { certificateDigest } from './certificate.ts';
import { deletionRoutes as contract, inventoryShape, type ShownDeletion } from './deletion-contract.ts';
import * as service from './deletion.ts';
import type { DeletionDeps, KnownDeletion } from './deletion.ts';
import { DELETION_MACHINE } from './states.ts';
import { deletionSubjects } from './step-up-subjects.ts';

/** Deleting a tenant, as routes of the issuer. */
export function deletionRoutes(deps: DeletionDeps): RoomRoutes {
  const confirmed = confirmer({ subjects: deletionSubjects(deps) });
  const delay = {
    seconds: Math.max(1, Math.round(deps.delayMs / 1000)),
    isShortened: deps.delayMs < service.DELETION_DELAY_MS,
  };
  const present = (call: Pick<Call, 'caller'>, known: KnownDeletion) => shown(deps, call, known);
  return bindRoutes(contract, {
    async preview(call) {
      const { subject, inventory, refused } = await service.previewDeletion(deps, call, call.query.slug);
      const tenant = { slug: subject.slug, name: subject.display_name };
      return { status: 200 as const, body: { tenant, inventory, delay, remains: [...service.REMAINS], refused } };
    },
    async list(call) {
      const known = await service.listDeletions(deps, call.caller);
      return { status: 200 as const, body: { deletions: known.map((one) => present(call, one)), delay } };
    },
    async propose(call) {
      const who = await confirmed(call, 'tenants.propose-deletion', { input: call.body });
      const made = await service.proposeDeletion(deps, who, call.body.slug);
      return { status: 201 as const, body: { deletion: present(call, made) } };
    },
    async confirm(call) {
      const id = call.ids['params.deletionId'];
      const input = { ...call.params, ...call.body };
      const who = await confirmed(call, 'tenants.confirm-deletion', { input, ids: { deletionId: id } });
      const changed = await service.confirmDeletion(deps, who, { id, slug: call.body.slug });
      return { status: 200 as const, body: { deletion: present(call, changed) } };
    },
    async cancel(call) {
      const who = { caller: call.caller, requestId: call.requestId };
      const changed = await service.cancelDeletion(deps, who, call.ids['params.deletionId']);
      return { status: 200 as const, body: { deletion: present(call, changed) } };
    },
    async certificate(call) {
      const certificate = await service.readCertificate(deps, call.caller, call.ids['params.deletionId']);
      return { status: 200 as const, body: { sha256: certificateDigest(certificate), certificate } };
    },
  });
}

function shown(deps: DeletionDeps, call: Pick<Call, 'caller'>, { row, subject }: KnownDeletion): ShownDeletion {
  const { caller } = call;
  const person = (id: Uuid | null) => (id === null ? null : deps.formatId('mem', caller.tenant, id));
  const at = (instant: Date | null) => instant?.toISOString() ?? null;
  const refusal = service.confirmRefusal(row, caller, deps.clock.nowMs());
  const stillOpen = row.state === 'failed' ? row.evidence?.['stillOpen'] : undefined;
  return {
    id: deps.formatId('del', caller.tenant, row.id),
    tenant: { slug: subject.slug, name: subject.display_name },
    state: row.state,
    inventory: inventoryShape.parse(row.inventory),
    proposedBy: deps.formatId('mem', caller.tenant, row.proposed_by),
    proposedAt: row.proposed_at.toISOString(),
    confirmedBy: person(row.confirmed_by),
    confirmedAt: at(row.confirmed_at),
    dueAt: at(row.due_at),
    cancelledBy: person(row.cancelled_by),
    cancelledAt: at(row.cancelled_at),
    endedAt: at(row.ended_at),
    mayConfirm: refusal === undefined,
    mayCancel: 'to' in DELETION_MACHINE[row.state].cancel,
    confirmRefused: refusal?.publicDetail ?? null,
    stillOpen: Array.isArray(stillOpen) ? stillOpen.filter((name) => typeof name === 'string') : [],
  };
}
