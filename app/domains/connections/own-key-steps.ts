import type { Uuid } from '@auditrax/base';
import { certificateExpiry, parseCertificate } from '@auditrax/saml';
import type { TenantContext } from '@auditrax/tenancy';
import type { AuditInput } from '../../platform/audit/index.ts';
import { entryOf, forUpdate, type Asker } from './asking.ts';
import type { ConnectionDeps } from './deps.ts';
import { refuse } from './errors.ts';
import { makeOwnKeys, ownKeys, type OwnKeys } from './own-keys.ts';
import * as queries from './queries.ts';
import { openOwnKeys } from './read.ts';

/** What an administrator does with this side's keys of one connection, in this order; `withdraw` goes back from the first. */
export type OwnKeyStep = 'prepare' | 'use' | 'end' | 'withdraw';

const fingerprintOf = (certificate: string): string => parseCertificate(certificate, 'active').fingerprint;

const state = (detail: string) => refuse('connection_state', detail);

interface Change {
  readonly context: TenantContext;
  readonly id: Uuid;
  /** Gives what will be stored, and which certificate the entry names. */
  readonly change: (keys: OwnKeys) => {
    readonly keys: OwnKeys;
    readonly certificate: string;
    readonly isNew: boolean;
  };
  readonly entry: (facts: { readonly certificate: string }) => AuditInput;
}

/** Of the row under its lock. */
async function changeKeys(deps: ConnectionDeps, { context, id, change, entry }: Change): Promise<void> {
  await deps.tenant.transaction(context, async (tx) => {
    const row = await forUpdate(tx, id);
    if (row.own_keys === null) throw state('Only SAML has keys of this side.');
    const { keys, certificate, isNew } = change(await openOwnKeys(deps, { context, tx }, row));
    const value = JSON.stringify(ownKeys.parse(keys));
    const sealed = await deps.sealer.seal({ context, field: 'identity.connection.own_keys', rowId: id, value, tx });
    const warned = isNew ? null : row.own_warned_days;
    await tx.query(queries.updateOwnKeys(context, { id, own_keys: sealed, own_warned_days: warned }));
    await deps.recordAudit(tx, entry({ certificate: fingerprintOf(certificate) }));
  });
}

/** Makes the next keys and shows them in the metadata beside the current ones, which still sign. */
async function prepare(deps: ConnectionDeps, who: Asker, id: Uuid): Promise<void> {
  const made = { ...(await makeOwnKeys(deps)), madeAt: new Date(deps.clock.nowMs()).toISOString() };
  const change = (keys: OwnKeys) => {
    if (keys.next !== undefined) throw state('The next keys are prepared already.');
    // Otherwise three keys would decrypt, and the oldest would never be ended.
    if (keys.previous !== undefined) throw state('End the old keys first.');
    return { keys: { ...keys, next: made }, certificate: made.signing.certificate, isNew: false };
  };
  const entry: Change['entry'] = ({ certificate }) =>
    entryOf(who, id, { type: 'connection.own-key-prepared', public: { certificate } });
  await changeKeys(deps, { context: who.caller.tenant, id, change, entry });
}

/** Requests are signed with the next key from now on; the old one goes on decrypting what is under way. */
async function use(deps: ConnectionDeps, who: Asker, id: Uuid): Promise<void> {
  const replacedAt = new Date(deps.clock.nowMs()).toISOString();
  const change = ({ signing, encryption, next }: OwnKeys) => {
    if (next === undefined) throw state('No next keys are prepared.');
    const previous = { signing, encryption, replacedAt };
    const keys = { signing: next.signing, encryption: next.encryption, previous };
    return { keys, certificate: next.signing.certificate, isNew: true };
  };
  const entry: Change['entry'] = ({ certificate }) =>
    entryOf(who, id, { type: 'connection.own-key-used', public: { certificate } });
  await changeKeys(deps, { context: who.caller.tenant, id, change, entry });
}

/** What is encrypted to the old key is refused from now on, and the key is forgotten. */
async function end(deps: ConnectionDeps, who: Asker, id: Uuid): Promise<void> {
  const change = ({ signing, encryption, previous }: OwnKeys) => {
    if (previous === undefined) throw state('There are no old keys.');
    return { keys: { signing, encryption }, certificate: previous.signing.certificate, isNew: false };
  };
  const entry: Change['entry'] = ({ certificate }) =>
    entryOf(who, id, { type: 'connection.own-key-ended', public: { certificate } });
  await changeKeys(deps, { context: who.caller.tenant, id, change, entry });
}

/** Forgets the next keys before they are used. */
async function withdraw(deps: ConnectionDeps, who: Asker, id: Uuid): Promise<void> {
  const change = ({ signing, encryption, next }: OwnKeys) => {
    if (next === undefined) throw state('No next keys are prepared.');
    return { keys: { signing, encryption }, certificate: next.signing.certificate, isNew: false };
  };
  const entry: Change['entry'] = ({ certificate }) =>
    entryOf(who, id, { type: 'connection.own-key-withdrawn', public: { certificate } });
  await changeKeys(deps, { context: who.caller.tenant, id, change, entry });
}

/**
 * One step of a change of this side's keys: prepared, shown in the metadata beside the current ones, used once the provider
 * was told, and the old ones ended. Throws `not_found`, `connection_state`.
 */
export function stepOwnKeys(
  deps: ConnectionDeps,
  who: Asker,
  { id, step }: { readonly id: Uuid; readonly step: OwnKeyStep },
): Promise<void> {
  switch (step) {
    case 'prepare':
      return prepare(deps, who, id);
    case 'use':
      return use(deps, who, id);
    case 'end':
      return end(deps, who, id);
    case 'withdraw':
      return withdraw(deps, who, id);
  }
}

/** Says once at 60, 30 and 7 days, and at the end, that this side's current certificate ends. */
export async function warnOfOwnEnd(
  deps: ConnectionDeps,
  context: TenantContext,
  row: queries.ConnectionRow,
): Promise<void> {
  if (row.own_keys === null) return;
  const { signing } = await openOwnKeys(deps, { context }, row);
  const [ends] = certificateExpiry([parseCertificate(signing.certificate, 'active')], deps.clock);
  const { stage, days, fingerprint } = ends!;
  if (stage === undefined || (row.own_warned_days !== null && row.own_warned_days <= stage)) return;
  await deps.tenant.transaction(context, async (tx) => {
    await tx.query(queries.noteOwnWarning(context, { id: row.id, days: stage }));
    await deps.recordAudit(tx, {
      type: 'connection.own-certificate-ending',
      actor: { service: 'issuer' },
      resource: ['connection', row.id],
      outcome: 'allowed',
      requestId: context.requestId,
      public: { certificate: fingerprint, dueDays: stage, daysLeft: days },
    });
  });
}
