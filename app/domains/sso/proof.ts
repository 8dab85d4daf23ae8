import type { Json, Uuid } from '@auditrax/base';
import { finishSignIn, parseOidcConnection, PROFILES, startSignIn, type StoredSignIn } from '@auditrax/oidc';
import {
  acceptResponse,
  makeAuthnRequest,
  parseConnection,
  type AcceptedResponse,
  type StoredRequest,
} from '@auditrax/saml';
import type { LoadedConnection, OidcSettings, SamlSettings } from '../connections/index.ts';
import { type ProviderName, providerHash, shownName } from '../identity/index.ts';
import type { SsoDeps } from './deps.ts';
import { found, refuse } from './errors.ts';
import type { Providers } from './providers.ts';
import { rememberToken, tokenKnown } from './queries.ts';
import { fetchOf } from './stand-ins.ts';

/** Somebody whom a provider has vouched for just now. */
export interface Proven {
  /** What the account is keyed on. */
  readonly subject: string;
  /** For people to read. */
  readonly shown: string;
  /** Undefined: the provider said nothing. */
  readonly groups: readonly string[] | undefined;
  readonly claims: ReadonlyMap<string, unknown>;
  /** What the provider calls its session and the person when it says that they have left. */
  readonly providerSession: string | undefined;
  readonly providerSubject: string | undefined;
  /** How the provider writes itself and the person in its tokens. */
  readonly name: ProviderName;
  /** When the person signed in there; undefined: the provider did not say, and was not asked. */
  readonly signedIn_ms: number | undefined;
  /** The provider's own end of the session. */
  readonly endsAt_ms: number | undefined;
}

export interface Ports extends SsoDeps {
  readonly providers: Providers;
}

export interface Departure {
  readonly url: string;
  readonly state: string;
  readonly request: Json;
}

/** What came back, by the browser. */
export type Answer =
  | { readonly kind: 'oidc'; readonly query: string }
  | { readonly kind: 'saml'; readonly response: string; readonly relayState: string | undefined };

const TRANSIENT = 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient';

function parseOidc(deps: SsoDeps, { input }: OidcSettings) {
  return parseOidcConnection(input, { rehearsal: deps.isRehearsal ?? false });
}

/** Whether a provider can be asked for a new sign-in, and says when it was. */
export function canAskAnew({ settings, profile }: LoadedConnection): boolean {
  return settings?.kind === 'saml' || PROFILES[profile].freshness !== 'never';
}

/**
 * The provider's address for a sign-in by this connection, and what its answer will be checked against. `isFresh` asks
 * for a new sign-in wherever the provider can be asked. Throws the packages' codes.
 */
export async function depart(
  deps: Ports,
  connection: LoadedConnection,
  options: { readonly isFresh: boolean },
): Promise<Departure> {
  const { clock, random } = deps;
  const { settings } = connection;
  if (settings?.kind === 'oidc') {
    const parsed = parseOidc(deps, settings);
    const { provider } = await deps.providers.reach(parsed, connection);
    const isFresh = options.isFresh && canAskAnew(connection);
    const { request, url } = startSignIn(parsed, provider, { isFresh, clock, random });
    return { url, state: request.state, request: { ...request } };
  }
  if (settings === undefined) throw found('sso_connection_inactive', 'The connection is not set up yet.');
  const parsed = parseConnection({ ...settings.input, ssoBinding: 'redirect' });
  const made = makeAuthnRequest(parsed, {
    signingKey: settings.signingKey,
    forceAuthn: options.isFresh,
    clock,
    random,
  });
  if (made.departure.binding !== 'redirect') throw new Error('a redirect was asked for');
  return { url: made.departure.url, state: made.request.relayState, request: { ...made.request } };
}

type TokenKind = 'assertion' | 'logout';

const tokenHashOf = (kind: TokenKind, id: string): Buffer => providerHash('token', `${kind} ${id}`);

/** Remembers an id of this connection until nobody could use it any more; true the first time only. */
export function once(
  deps: Pick<SsoDeps, 'system'>,
  of: { readonly tenantId: Uuid; readonly connectionId: Uuid; readonly kind: TokenKind },
): (id: string, forget_ms: number) => Promise<boolean> {
  const { tenantId, connectionId, kind } = of;
  return async (id, forget_ms) => {
    const tokenHash = tokenHashOf(kind, id);
    const row = { tenantId, connectionId, tokenHash, forgetAt: new Date(forget_ms) };
    return (await deps.system.at(tenantId).system(rememberToken(row))).length === 1;
  };
}

/** Whether `once` remembers the id. */
export async function isRemembered(
  deps: Pick<SsoDeps, 'system'>,
  of: { readonly tenantId: Uuid; readonly connectionId: Uuid; readonly kind: TokenKind; readonly id: string },
): Promise<boolean> {
  const { tenantId, connectionId, kind, id } = of;
  return (await deps.system.at(tenantId).system(tokenKnown(connectionId, tokenHashOf(kind, id)))).length > 0;
}

function showable(...texts: readonly (string | undefined)[]): string {
  return texts.map((one) => shownName(one ?? '')).find((one) => one !== '') ?? 'Unnamed person';
}

async function proveOidc(
  deps: Ports,
  at: { readonly connection: LoadedConnection; readonly settings: OidcSettings },
  given: { readonly query: string; readonly request: Json },
): Promise<Proven> {
  const connection = parseOidc(deps, at.settings);
  const reached = await deps.providers.reach(connection, at.connection);
  const request = given.request as unknown as StoredSignIn;
  const ports = { clock: deps.clock, fetch: fetchOf(deps, at.connection.id) };
  const person = await finishSignIn({ query: given.query, request, connection, ...reached }, ports);
  return {
    subject: person.key,
    shown: showable(person.name, person.email),
    groups: person.groups,
    claims: person.claims,
    providerSession: person.sessionId,
    providerSubject: person.subject,
    name: { issuer: at.settings.input.issuer, subject: person.subject },
    signedIn_ms: person.signedIn_ms,
    endsAt_ms: undefined,
  };
}

/** As long as a NameID may be (SAML core 8.3.7). */
const SUBJECT_CHARACTERS_MAX = 256;
/** What every address has. Whatever Format a provider writes beside it: Google writes persistent beside an address. */
const looksLikeAddress = (subject: string): boolean => subject.includes('@');

/**
 * A transient name is another one each time, and an address is given to somebody else one day: an account under either
 * would be nobody's, or somebody else's.
 */
function requireLasting(nameId: string, format: string | undefined): void {
  if (format === TRANSIENT || looksLikeAddress(nameId))
    throw found(
      'sso_subject_changes',
      'The provider names people by an address or by a passing name. Have it send a persistent NameID, made of an identifier that never changes, or name an attribute that has one.',
    );
}

/** What the account is keyed on: the connection's attribute where it names one, else the NameID. */
function lastingSubject(
  { subject: { nameId, format }, attributes }: Pick<AcceptedResponse, 'subject' | 'attributes'>,
  attribute: string | null,
): string {
  if (attribute === null) {
    requireLasting(nameId, format);
    return nameId;
  }
  const [value = '', ...more] = attributes.get(attribute) ?? [];
  const isWhole = value !== '' && value === value.trim() && value.length <= SUBJECT_CHARACTERS_MAX;
  if (!isWhole || more.length > 0)
    throw found(
      'sso_subject_absent',
      `The provider sent no single value of ${attribute} for this person, by which people are known here.`,
    );
  if (looksLikeAddress(value))
    throw found(
      'sso_subject_changes',
      `The provider sends an address as ${attribute}. Have it send an identifier that never changes, such as a staff number.`,
    );
  return value;
}

async function proveSaml(
  deps: Ports,
  at: { readonly connectionId: Uuid; readonly tenantId: Uuid; readonly settings: SamlSettings },
  given: { readonly response: string; readonly relayState: string | undefined; readonly request: Json },
): Promise<Proven> {
  const { settings, connectionId, tenantId } = at;
  const accepted = await acceptResponse(
    {
      samlResponse: given.response,
      relayState: given.relayState,
      request: given.request as unknown as StoredRequest,
      connection: parseConnection({ ...settings.input, ssoBinding: 'redirect' }),
      decryptionKeys: settings.decryptionKeys,
    },
    { clock: deps.clock, once: once(deps, { tenantId, connectionId, kind: 'assertion' }) },
  );
  const { nameId, format } = accepted.subject;
  const subject = lastingSubject(accepted, settings.attributes.subject);
  const values = (name: string | null) => (name === null ? undefined : accepted.attributes.get(name));
  const { attributes } = settings;
  return {
    subject,
    shown: showable(values(attributes.name)?.[0], values(attributes.email)?.[0]),
    groups: values(attributes.groups),
    claims: new Map<string, unknown>([['NameID', nameId], ['NameID format', format ?? 'none'], ...accepted.attributes]),
    providerSession: accepted.sessionIndex,
    providerSubject: nameId,
    name: { issuer: settings.input.idpEntityId, subject: nameId },
    signedIn_ms: accepted.authnInstant_ms,
    endsAt_ms: accepted.sessionNotOnOrAfter_ms,
  };
}

/** Who came back, or an error that names the failed check. The request has been taken out of the store by then. */
export function prove(
  deps: Ports,
  at: { readonly connection: LoadedConnection; readonly tenantId: Uuid },
  given: { readonly answer: Answer; readonly request: Json },
): Promise<Proven> {
  const { connection, tenantId } = at;
  const { settings } = connection;
  const { answer, request } = given;
  if (settings?.kind === 'oidc' && answer.kind === 'oidc')
    return proveOidc(deps, { connection, settings }, { query: answer.query, request });
  if (settings?.kind === 'saml' && answer.kind === 'saml')
    return proveSaml(deps, { connectionId: connection.id, tenantId, settings }, { ...answer, request });
  throw refuse('sso_request_unusable', 'an answer in another protocol than the connection’s');
}
