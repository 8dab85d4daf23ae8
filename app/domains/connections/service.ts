import { hash } from 'node:crypto';
import { uuidV7, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { changesOf } from '../../platform/audit/index.ts';
import { closeConnectionSessions } from '../identity/index.ts';
import { addressesOf } from './addresses.ts';
import { originOf, type ConnectionDeps } from './deps.ts';
import { notFound, refuse } from './errors.ts';
import type { GroupMapping } from './groups.ts';
import { entryOf, forUpdate, type Asker } from './asking.ts';
import { checkPasted, trustPasted } from './certificates.ts';
import { makeOwnKeys } from './own-keys.ts';
import * as queries from './queries.ts';
import { openSettings, readGroups } from './read.ts';
import {
  NOBODY_NEW,
  type ConnectionKind,
  type ConnectionState,
  type ConnectionValues,
  type JustInTime,
  type OidcValues,
  type Profile,
  type SamlValues,
  type StoredSettings,
} from './settings-contract.ts';
import { checkName, checkSubject, checkValues } from './validate.ts';

/** Two while one follows another, some for parts of a group of companies; more is a mistake. */
export const CONNECTIONS_MAX = 8;
/** Entra puts at most 200 groups into a token. */
export const GROUPS_MAX = 200;
/** Okta's and ADFS's group ids are names. With a full mapping all of it still fits into one entry of the log. */
export const GROUP_CHARACTERS_MAX = 256;

/** Enough of a digest to see that two differ. */
const SHOWN_DIGITS = 12;
const SALT_BYTES = 16;

/** Settings as a person reads them; the secret by a digest under a salt that is thrown away: that it changed, no more. */
function fieldsOf(settings: StoredSettings, salt: string): Record<string, string | null> {
  const { name, justInTime, values } = settings;
  const newcomers = justInTime.allowed
    ? `allowed, without a group ${justInTime.roleWithoutGroup ?? 'nobody'}`
    : 'refused';
  const rest = Object.entries(values ?? {}).map(([field, value]) => {
    if (field !== 'secret') return [field, value === null ? null : String(value)] as const;
    return [field, hash('sha256', `${salt}\n${String(value)}`, 'hex').slice(0, SHOWN_DIGITS)] as const;
  });
  return { name, newcomers, ...Object.fromEntries(rest) };
}

async function seal(
  deps: ConnectionDeps,
  context: TenantContext,
  of: { readonly field: 'settings' | 'own_keys'; readonly id: Uuid; readonly value: unknown },
): Promise<Buffer> {
  const field = `identity.connection.${of.field}` as const;
  return deps.sealer.seal({ context, field, rowId: of.id, value: JSON.stringify(of.value) });
}

const saltOf = ({ random }: ConnectionDeps): string => Buffer.from(random.bytes(SALT_BYTES)).toString('hex');

/**
 * First step of a set-up: what kind of provider it is. Nothing can be done with the connection yet but read its addresses,
 * which are pasted at the provider. Throws `connections_full` and `connection_setting_invalid`.
 */
export async function createConnection(
  deps: ConnectionDeps,
  who: Asker,
  input: { readonly kind: ConnectionKind; readonly profile: Profile; readonly name: string },
): Promise<Uuid> {
  const { kind, profile, name } = input;
  const context = who.caller.tenant;
  checkName(name);
  const id = uuidV7(deps.clock, deps.random);
  const settings: StoredSettings = { name, justInTime: NOBODY_NEW, values: null };
  const row = {
    id,
    kind,
    profile,
    settings: await seal(deps, context, { field: 'settings', id, value: settings }),
    own_keys:
      kind === 'saml' ? await seal(deps, context, { field: 'own_keys', id, value: await makeOwnKeys(deps) }) : null,
    createdAt: new Date(deps.clock.nowMs()),
  };
  await deps.tenant.transaction(context, async (tx) => {
    if ((await tx.query(queries.listConnections(context))).length >= CONNECTIONS_MAX)
      throw refuse('connections_full', `An organisation has at most ${CONNECTIONS_MAX} connections.`);
    await tx.query(queries.insertConnection(context, row));
    const disclosures = changesOf({}, fieldsOf(settings, saltOf(deps)));
    await deps.recordAudit(
      tx,
      entryOf(who, id, { type: 'connection.created', public: { kind, profile }, disclosures }),
    );
  });
  // After the row: an index entry without one leads to nobody, and a row without one has no public address yet.
  const index = queries.insertIndex({ connection_id: id, tenant_id: context.tenantId, look_at: null });
  await deps.system.at(context.tenantId).system(index);
  return id;
}

export interface SettingsInput {
  readonly id: Uuid;
  /** Of the settings that were read. */
  readonly version: number;
  readonly name: string;
  readonly justInTime: JustInTime;
  /** A secret of null keeps the stored one, where it stays with the issuer that it was given for. */
  readonly values: (Omit<OidcValues, 'secret'> & { readonly secret: string | null }) | SamlValues;
  /** PEM, SAML only: trusted from now on, on the word of whoever saves. */
  readonly certificates?: readonly string[];
}

function withSecret(values: SettingsInput['values'], before: ConnectionValues | null): ConnectionValues {
  if (values.kind === 'saml') return values;
  const { secret, ...rest } = values;
  if (secret !== null) return { ...rest, secret };
  // Otherwise whoever may edit could send a secret that they cannot read to an address of their own.
  const isSame = before?.kind === 'oidc' && before.issuer === rest.issuer && before.clientId === rest.clientId;
  if (!isSame)
    throw refuse('connection_setting_invalid', 'Needed anew when the issuer or the client changes.', 'secret');
  return { ...rest, secret: before.secret };
}

/** Whether settings could be saved. Throws what `changeSettings` throws for them. */
export async function checkSettings(
  deps: ConnectionDeps,
  context: TenantContext,
  input: Pick<SettingsInput, 'id' | 'name' | 'values'> & { readonly certificates: readonly string[] },
): Promise<void> {
  const [row] = await deps.tenant.scoped(context, queries.connectionById(context, input.id));
  if (row === undefined) throw notFound();
  const before = await openSettings(deps, { context }, row);
  checkInput(deps, { row, before, name: input.name, values: input.values });
  checkPasted(input.certificates);
}

/** The values as they would be stored. */
function checkInput(
  deps: ConnectionDeps,
  given: Pick<SettingsInput, 'name' | 'values'> & {
    readonly row: queries.ConnectionRow;
    readonly before: StoredSettings;
  },
): ConnectionValues {
  const { row } = given;
  checkName(given.name);
  if (row.kind !== given.values.kind)
    throw refuse('connection_setting_invalid', `This is a connection by ${row.kind}.`, 'kind');
  const values = withSecret(given.values, given.before.values);
  const addresses = addressesOf(originOf(deps), row.id);
  checkValues(values, { profile: row.profile, addresses, isRehearsal: deps.isRehearsal ?? false });
  checkSubject(values, { profile: row.profile, state: row.state, before: given.before.values });
  return values;
}

/**
 * New settings. They have to be tested again before the connection can be switched on; one that is on stays on with them.
 * Throws `connection_changed`, `connection_setting_invalid` with the field, `not_found`.
 */
export async function changeSettings(deps: ConnectionDeps, who: Asker, input: SettingsInput): Promise<void> {
  const context = who.caller.tenant;
  const { id, name, justInTime } = input;
  await deps.tenant.transaction(context, async (tx) => {
    const row = await forUpdate(tx, id);
    if (row.version !== input.version)
      throw refuse('connection_changed', 'Look at the newest settings and change them again.');
    const before = await openSettings(deps, { context, tx }, row);
    const values = checkInput(deps, { row, before, name, values: input.values });
    const after: StoredSettings = { name, justInTime, values };
    const settings = await seal(deps, context, { field: 'settings', id, value: after });
    await tx.query(queries.updateSettings(context, { id, settings, version: row.version }));
    const added = await trustPasted(deps, tx, { row, pems: input.certificates ?? [], by: who.caller.personId });
    const salt = saltOf(deps);
    const disclosures = changesOf(fieldsOf(before, salt), fieldsOf(after, salt));
    await deps.recordAudit(
      tx,
      entryOf(who, id, { type: 'connection.changed', public: { kind: row.kind, count: added }, disclosures }),
    );
  });
  if (input.values.kind !== 'saml') return;
  const look_at = new Date(deps.clock.nowMs());
  await deps.system.at(context.tenantId).system(queries.planLook({ connection_id: id, look_at }));
}

const STEPS: Readonly<Record<ConnectionState, readonly ConnectionState[]>> = {
  draft: ['active'],
  active: ['disabled'],
  disabled: ['active'],
};

/**
 * Switches a connection on or off. On: only with settings that a test sign-in has accepted as they are now. Off: ends the
 * sessions that it has opened, and gives whose they were. Throws
 * `connection_state`, `connection_untested`, `not_found`.
 */
export async function turnConnection(
  deps: ConnectionDeps,
  who: Asker,
  { id, to }: { readonly id: Uuid; readonly to: 'active' | 'disabled' },
): Promise<readonly Uuid[]> {
  const context = who.caller.tenant;
  await deps.tenant.transaction(context, async (tx) => {
    const row = await forUpdate(tx, id);
    if (!STEPS[row.state].includes(to)) throw refuse('connection_state', `It is ${row.state}.`);
    const tested = queries.acceptedTest(context, { connectionId: id, version: row.version });
    if (to === 'active' && (await tx.query(tested)).length === 0)
      throw refuse('connection_untested', 'Only settings that a test sign-in has accepted can be switched on.');
    await tx.query(queries.setState(context, { id, state: to }));
    const facts = { kind: row.kind, profile: row.profile };
    await deps.recordAudit(
      tx,
      to === 'active'
        ? entryOf(who, id, { type: 'connection.activated', public: facts })
        : entryOf(who, id, { type: 'connection.disabled', public: facts }),
    );
  });
  if (to === 'active') return [];
  // Whoever came by it is out with it: its provider has no say any more, so nobody could say that they have left.
  return closeConnectionSessions(deps, context, id);
}

/** Forgets a draft and all that belongs to it. One that was ever on has accounts, and stays. Throws `connection_state`. */
export async function deleteDraft(deps: ConnectionDeps, who: Asker, id: Uuid): Promise<void> {
  const context = who.caller.tenant;
  await deps.tenant.transaction(context, async (tx) => {
    const row = await forUpdate(tx, id);
    if (row.state !== 'draft') throw refuse('connection_state', `It is ${row.state}: only a draft can be deleted.`);
    await tx.query(queries.deleteAttempts(context, id));
    await tx.query(queries.deleteGroups(context, id));
    await tx.query(queries.deleteCertificates(context, id));
    await tx.query(queries.deleteConnection(context, id));
    const facts = { kind: row.kind, profile: row.profile };
    await deps.recordAudit(tx, entryOf(who, id, { type: 'connection.deleted', public: facts }));
  });
  await deps.system.at(context.tenantId).system(queries.deleteIndex(id));
}

function checkGroups(groups: readonly GroupMapping[]): void {
  if (groups.length > GROUPS_MAX) throw refuse('connections_full', `At most ${GROUPS_MAX} groups.`, 'groups');
  const seen = new Set<string>();
  for (const [index, { group }] of groups.entries()) {
    const field = `groups.${index}.group`;
    const isPlain = group !== '' && group === group.trim() && !/[\p{Cc}\p{Cs}]/u.test(group);
    if (!isPlain || group.length > GROUP_CHARACTERS_MAX)
      throw refuse('connection_setting_invalid', 'Empty, padded, too long or with control characters.', field);
    if (seen.has(group)) throw refuse('connection_setting_invalid', 'This group is there twice.', field);
    seen.add(group);
  }
}

/** What the mapping was and is, one line a group, of those that differ: the names that people use decide nothing. */
function groupChanges(before: readonly GroupMapping[], after: readonly GroupMapping[]): Record<string, string> {
  const line = ({ group, role }: GroupMapping) => `${group}: ${role}`;
  const [old, now] = [before.map(line), after.map(line)];
  const gone = old.filter((one) => !now.includes(one));
  const fresh = now.filter((one) => !old.includes(one));
  return changesOf({ groups: gone.join('\n') }, { groups: fresh.join('\n') });
}

/** Replaces the mapped groups. Takes effect at each person's next sign-in. Throws `not_found`, `connection_setting_invalid`. */
export async function mapGroups(
  deps: ConnectionDeps,
  who: Asker,
  { id, groups }: { readonly id: Uuid; readonly groups: readonly GroupMapping[] },
): Promise<void> {
  const context = who.caller.tenant;
  checkGroups(groups);
  const mappedAt = new Date(deps.clock.nowMs());
  await deps.tenant.transaction(context, async (tx) => {
    await forUpdate(tx, id);
    const before = await readGroups(deps, { context, tx }, id);
    await tx.query(queries.deleteGroups(context, id));
    for (const { group, name, role } of groups) {
      const known = before.find((one) => one.group === group && one.name === name && one.role === role);
      const rowId = uuidV7(deps.clock, deps.random);
      const field = 'identity.connection_group.content' as const;
      const content = await deps.sealer.seal({ context, field, rowId, value: JSON.stringify({ group, name }) });
      const author = { mapped_by: known?.mappedBy ?? who.caller.personId, mapped_at: known?.mappedAt ?? mappedAt };
      await tx.query(queries.insertGroup(context, { id: rowId, connectionId: id, role, content, ...author }));
    }
    const disclosures = groupChanges(before, groups);
    const facts = { count: groups.length };
    await deps.recordAudit(tx, entryOf(who, id, { type: 'connection.groups-mapped', public: facts, disclosures }));
  });
}
