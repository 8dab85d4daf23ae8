import type { Uuid } from '@auditrax/base';
import type { OidcConnectionInput } from '@auditrax/oidc';
import type { ConnectionInput } from '@auditrax/saml';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { findBySecret, findTenant, type KnownTenant } from '../identity/index.ts';
import { addressesOf, type ConnectionAddresses } from './addresses.ts';
import { originOf, type ReadDeps } from './deps.ts';
import type { GroupMapping } from './groups.ts';
import { ownKeys, type OwnKeys } from './own-keys.ts';
import * as queries from './queries.ts';
import {
  storedSettings,
  type ConnectionState,
  type JustInTime,
  type OidcValues,
  type Profile,
  type SamlValues,
  type StoredSettings,
} from './settings-contract.ts';

/** Settings of OpenID Connect, as `parseOidcConnection` of `@auditrax/oidc` takes them. */
export interface OidcSettings {
  readonly kind: 'oidc';
  readonly input: OidcConnectionInput;
}

/** Settings of SAML, as `parseConnection` of `@auditrax/saml` takes them, certificates of every state included. */
export interface SamlSettings {
  readonly kind: 'saml';
  readonly input: ConnectionInput;
  /** PEM, PKCS #8: signs our requests. */
  readonly signingKey: string;
  /** PEM, the current one and what overlaps with it: for `acceptResponse`. */
  readonly decryptionKeys: readonly string[];
  /** PEM, the current ones first, then the next ones: for `spMetadata`. */
  readonly certificates: { readonly signing: readonly string[]; readonly encryption: readonly string[] };
  /** Names of the attributes to read; null where none is to be read. */
  readonly attributes: Readonly<Record<'subject' | 'groups' | 'email' | 'name', string | null>>;
}

/** One connection with everything opened that a sign-in needs. Never leaves the issuer: it holds secrets. */
export interface LoadedConnection {
  readonly id: Uuid;
  readonly profile: Profile;
  readonly state: ConnectionState;
  /** Of the settings. Give it back with an attempt. */
  readonly version: number;
  readonly name: string;
  readonly addresses: ConnectionAddresses;
  /** Undefined while the set-up has not come that far. Nothing in it is trusted before a package has parsed it. */
  readonly settings: OidcSettings | SamlSettings | undefined;
  readonly groups: readonly GroupMapping[];
  readonly justInTime: JustInTime;
}

/** What is needed to read a connection inside of a transaction, or outside of any. */
export interface Reading {
  readonly context: TenantContext;
  readonly tx?: ScopedTransaction;
}

/** What the form writes, and what our document asks for while nobody has saved the form. */
const PERSISTENT_NAME = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent';

const present = <T>(value: T | null): value is T => value !== null;

export function oidcInput(profile: Profile, values: OidcValues, addresses: ConnectionAddresses): OidcConnectionInput {
  const { issuer, clientId, clientAuthentication: method, secret, algorithm } = values;
  return {
    profile,
    issuer,
    clientId,
    clientAuthentication: { method, secret },
    redirectUri: addresses.callback,
    algorithm,
    ...(present(values.groupsClaim) ? { claims: { groups: values.groupsClaim } } : {}),
    ...(present(values.hostedDomain) ? { hostedDomain: values.hostedDomain } : {}),
    ...(present(values.authnAge_seconds_max) ? { authnAge_seconds_max: values.authnAge_seconds_max } : {}),
  };
}

export function samlInput(
  values: SamlValues,
  addresses: ConnectionAddresses,
  certificates: ConnectionInput['certificates'],
): ConnectionInput {
  return {
    idpEntityId: values.idpEntityId,
    ssoUrl: values.ssoUrl,
    ssoBinding: values.ssoBinding,
    certificates,
    spEntityId: addresses.metadata,
    acsUrl: addresses.acs,
    ...(present(values.nameIdFormat) ? { nameIdFormat: values.nameIdFormat } : {}),
    ...(present(values.authnAge_seconds_max) ? { authnAge_seconds_max: values.authnAge_seconds_max } : {}),
  };
}

const ask = <Row>(deps: ReadDeps, { context, tx }: Reading, statement: Parameters<typeof deps.tenant.scoped<Row>>[1]) =>
  tx === undefined ? deps.tenant.scoped(context, statement) : tx.query(statement);

/** Opens what an administrator said of a connection. */
export async function openSettings(
  deps: ReadDeps,
  { context, tx }: Reading,
  row: Pick<queries.ConnectionRow, 'id' | 'settings'>,
): Promise<StoredSettings> {
  const field = 'identity.connection.settings' as const;
  const text = await deps.sealer.openText({
    context,
    field,
    rowId: row.id,
    sealed: row.settings,
    ...(tx === undefined ? {} : { tx }),
  });
  return storedSettings.parse(JSON.parse(text));
}

/** A certificate with its text. */
export interface KeptCertificate extends Omit<queries.CertificateRow, 'pem'> {
  readonly pem: string;
}

/** Every certificate of a connection, the one that ends first first. */
export async function readCertificates(deps: ReadDeps, at: Reading, connectionId: Uuid): Promise<KeptCertificate[]> {
  const rows = await ask(deps, at, queries.certificatesOf(at.context, connectionId));
  const field = 'identity.connection_certificate.pem' as const;
  const values = rows.map(({ id, pem }) => ({ field, rowId: id, sealed: pem }));
  const texts = await deps.sealer.openTexts({ ...at, values });
  return rows.map((row, index) => ({ ...row, pem: texts[index]! }));
}

/** A mapping as it is stored: who made it, and when. */
export interface KeptGroup extends GroupMapping {
  readonly id: Uuid;
  readonly mappedBy: Uuid;
  readonly mappedAt: Date;
}

/** Every mapped group of a connection, in the order they were mapped. */
export async function readGroups(deps: ReadDeps, at: Reading, connectionId: Uuid): Promise<KeptGroup[]> {
  const rows = await ask(deps, at, queries.groupsOf(at.context, connectionId));
  const field = 'identity.connection_group.content' as const;
  const values = rows.map(({ id, content }) => ({ field, rowId: id, sealed: content }));
  const texts = await deps.sealer.openTexts({ ...at, values });
  return rows.map(({ id, role, mapped_by, mapped_at }, index) => {
    const { group, name } = JSON.parse(texts[index]!) as Pick<GroupMapping, 'group' | 'name'>;
    return { id, group, name, role, mappedBy: mapped_by, mappedAt: mapped_at };
  });
}

/** Opens this side's keys of a SAML connection. */
export async function openOwnKeys(
  deps: ReadDeps,
  { context, tx }: Reading,
  row: Pick<queries.ConnectionRow, 'id' | 'own_keys'>,
): Promise<OwnKeys> {
  const field = 'identity.connection.own_keys' as const;
  const sealed = { context, field, rowId: row.id, sealed: row.own_keys!, ...(tx === undefined ? {} : { tx }) };
  return ownKeys.parse(JSON.parse(await deps.sealer.openText(sealed)));
}

/** What this side says of itself at a SAML provider: for `spMetadata`. */
export interface OwnDocument {
  readonly spEntityId: string;
  readonly acsUrl: string;
  readonly nameIdFormat: string | undefined;
  readonly certificates: SamlSettings['certificates'];
}

/** PEM, the current ones first, then those that are to follow. */
function shownCertificates(own: OwnKeys): SamlSettings['certificates'] {
  const shown = [own, ...(own.next === undefined ? [] : [own.next])];
  return {
    signing: shown.map((one) => one.signing.certificate),
    encryption: shown.map((one) => one.encryption.certificate),
  };
}

/**
 * Our own document of a SAML connection, from its first moment on: a provider such as AD FS reads it before anybody has
 * written here what belongs to the provider. Undefined when there is no such connection, or it is none by SAML.
 */
export async function ownDocument(
  deps: ReadDeps,
  context: TenantContext,
  connectionId: Uuid,
): Promise<OwnDocument | undefined> {
  const [row] = await deps.tenant.scoped(context, queries.connectionById(context, connectionId));
  if (row?.kind !== 'saml') return undefined;
  const { values } = await openSettings(deps, { context }, row);
  const { metadata, acs } = addressesOf(originOf(deps), row.id);
  return {
    spEntityId: metadata,
    acsUrl: acs,
    nameIdFormat: (values?.kind === 'saml' ? values.nameIdFormat : PERSISTENT_NAME) ?? undefined,
    certificates: shownCertificates(await openOwnKeys(deps, { context }, row)),
  };
}

async function samlSettings(
  deps: ReadDeps,
  at: Reading,
  of: { readonly row: queries.ConnectionRow; readonly values: SamlValues; readonly addresses: ConnectionAddresses },
): Promise<SamlSettings> {
  const { row, values, addresses } = of;
  const own = await openOwnKeys(deps, at, row);
  const reading = [own, own.next, own.previous].filter((one) => one !== undefined);
  const { subjectAttribute: subject, groupsAttribute: groups, emailAttribute: email, nameAttribute: name } = values;
  return {
    kind: 'saml',
    input: samlInput(values, addresses, await readCertificates(deps, at, row.id)),
    signingKey: own.signing.privateKey,
    decryptionKeys: reading.map((one) => one.encryption.privateKey),
    certificates: shownCertificates(own),
    attributes: { subject, groups, email, name },
  };
}

/** A connection and what stands behind it, out of its row. */
export async function openConnection(
  deps: ReadDeps,
  at: Reading,
  row: queries.ConnectionRow,
): Promise<LoadedConnection> {
  const { id, profile, state, version } = row;
  const { name, justInTime, values } = await openSettings(deps, at, row);
  const addresses = addressesOf(originOf(deps), id);
  const settings =
    values === null
      ? undefined
      : values.kind === 'oidc'
        ? ({ kind: 'oidc', input: oidcInput(profile, values, addresses) } as const)
        : await samlSettings(deps, at, { row, values, addresses });
  const groups = await readGroups(deps, at, id);
  return { id, profile, state, version, name, addresses, settings, groups, justInTime };
}

/**
 * A connection of the context's tenant, opened; undefined when there is none. Its state is for the caller to look at: a
 * sign-in wants `active`, a test wants settings. Throws what opening sealed values throws, such as `keys_unavailable`.
 */
export async function loadConnection(
  deps: ReadDeps,
  context: TenantContext,
  connectionId: Uuid,
): Promise<LoadedConnection | undefined> {
  const [row] = await deps.tenant.scoped(context, queries.connectionById(context, connectionId));
  return row === undefined ? undefined : openConnection(deps, { context }, row);
}

/** What people call a connection, in use or not; undefined when there is none. */
export async function connectionName(
  deps: ReadDeps,
  context: TenantContext,
  connectionId: Uuid,
): Promise<string | undefined> {
  const [row] = await deps.tenant.scoped(context, queries.connectionById(context, connectionId));
  return row === undefined ? undefined : (await openSettings(deps, { context }, row)).name;
}

/**
 * Whose connection has this id, for a public address. Any cell is looked in; undefined when there is none, or when its
 * tenant is closed. It proves nothing about who called.
 */
export async function findConnection(
  deps: Pick<ReadDeps, 'system'>,
  connectionId: Uuid,
  requestId: string,
): Promise<KnownTenant | undefined> {
  const found = await findBySecret(deps.system, queries.indexById(connectionId));
  return found === undefined ? undefined : findTenant(deps, found.tenant_id, requestId);
}

/** Connections that people come in by, as they are inside of a transaction. */
export async function openConnectionIds(tx: ScopedTransaction): Promise<ReadonlySet<Uuid>> {
  const rows = await tx.query(queries.listConnections(tx.context));
  return new Set(rows.filter(({ state }) => state === 'active').map(({ id }) => id));
}

/** Connections of a tenant that people may sign in by, for the sign-in page: their names are chosen for it. */
export async function activeConnections(
  deps: ReadDeps,
  context: TenantContext,
): Promise<{ readonly id: Uuid; readonly profile: Profile; readonly name: string }[]> {
  const rows = await deps.tenant.scoped(context, queries.listConnections(context));
  const active = rows.filter(({ state }) => state === 'active');
  const opened = await Promise.all(active.map((row) => openSettings(deps, { context }, row)));
  return active.map(({ id, profile }, index) => ({ id, profile, name: opened[index]!.name }));
}
