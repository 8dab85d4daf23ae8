import { createHash } from 'node:crypto';
import type { Clock } from '@auditrax/base';
import type { OidcConnection } from './connection.ts';
import { quoted, refusal, type OidcCode } from './errors.ts';
import {
  AMR_MAX,
  CLOCK_SKEW_MS,
  DISPLAY_CHARACTERS_MAX,
  GROUP_CHARACTERS_MAX,
  GROUPS_MAX,
  ID_CHARACTERS_MAX,
  SUBJECT_CHARACTERS_MAX,
} from './limits.ts';
import { entraTenant, PROFILES } from './profiles.ts';
import type { StoredSignIn } from './request.ts';
import { claimOf, type TokenClaims } from './token.ts';

/** Seconds since the epoch up to the year 9999; NumericDate may have a fraction. */
const EPOCH_SECONDS_MAX = 253_402_300_799;

/** O28: a time in milliseconds; undefined when it is not there. */
export function timeOf(claims: TokenClaims, name: string): number | undefined {
  const value = claimOf(claims, name);
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0 || value > EPOCH_SECONDS_MAX)
    throw refusal('oidc_time_form', name);
  return value * 1000;
}

function neededTime(claims: TokenClaims, name: string): number {
  const at_ms = timeOf(claims, name);
  if (at_ms === undefined) throw refusal('oidc_time_form', `${name} is missing`);
  return at_ms;
}

/** O26 and O27: from our provider, for this client and nobody beside it. */
export function checkParties(claims: TokenClaims, connection: OidcConnection): void {
  const { issuer, clientId } = connection;
  if (claimOf(claims, 'iss') !== issuer) throw refusal('oidc_token_issuer', quoted(claimOf(claims, 'iss')));
  const audience = claimOf(claims, 'aud');
  const list: readonly unknown[] = Array.isArray(audience) ? audience : [audience];
  // A second audience could use the same token against us.
  if (list.length !== 1 || list[0] !== clientId) throw refusal('oidc_audience', list.slice(0, 4).map(quoted).join(' '));
  const party = claimOf(claims, 'azp');
  if (party !== undefined && party !== clientId) throw refusal('oidc_authorized_party', quoted(party));
}

/** O28: not over, begun, and issued after the request. */
function checkTimes(claims: TokenClaims, request: StoredSignIn, now_ms: number): void {
  if (neededTime(claims, 'exp') <= now_ms - CLOCK_SKEW_MS) throw refusal('oidc_expired');
  const notBefore_ms = timeOf(claims, 'nbf');
  if (notBefore_ms !== undefined && notBefore_ms > now_ms + CLOCK_SKEW_MS) throw refusal('oidc_not_yet_valid');
  const issued_ms = neededTime(claims, 'iat');
  if (issued_ms > now_ms + CLOCK_SKEW_MS || issued_ms < request.issuedAt_ms - CLOCK_SKEW_MS)
    throw refusal('oidc_issued_at');
}

/** O30: when the person signed in at the provider; undefined only where nothing was asked. */
function checkSignedIn(
  claims: TokenClaims,
  request: StoredSignIn,
  { connection, now_ms }: { readonly connection: OidcConnection; readonly now_ms: number },
): number | undefined {
  const { authnAge_seconds_max } = connection;
  const signedIn_ms = timeOf(claims, 'auth_time');
  if (signedIn_ms === undefined) {
    if (request.isFresh || authnAge_seconds_max !== undefined) throw refusal('oidc_auth_time_missing');
    return undefined;
  }
  if (signedIn_ms > now_ms + CLOCK_SKEW_MS) throw refusal('oidc_auth_time_future');
  // Many providers ignore prompt and max_age: what they were asked for is not what they did.
  const isStale =
    authnAge_seconds_max !== undefined && signedIn_ms < now_ms - authnAge_seconds_max * 1000 - CLOCK_SKEW_MS;
  const isOlderThanRequest = request.isFresh && signedIn_ms < request.issuedAt_ms - CLOCK_SKEW_MS;
  if (isStale || isOlderThanRequest) throw refusal('oidc_authn_too_old', new Date(signedIn_ms).toISOString());
  return signedIn_ms;
}

/** O31. All algorithms of this package hash with SHA-256, so at_hash is its left half. */
function checkAccessTokenHash(claims: TokenClaims, accessToken: string): void {
  const hash = claimOf(claims, 'at_hash');
  if (hash === undefined) return;
  const digest = createHash('sha256').update(accessToken, 'ascii').digest();
  if (hash !== digest.subarray(0, digest.length / 2).toString('base64url')) throw refusal('oidc_access_token_hash');
}

/** Printable ASCII without blanks at its ends: two spellings of one name must not become two people, or one of two. */
function isIdentifier(value: unknown, characters_max: number): value is string {
  return (
    typeof value === 'string' &&
    value.length <= characters_max &&
    /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value)
  );
}

/** O32. */
export function subjectOf(claims: TokenClaims): string {
  const subject = claimOf(claims, 'sub');
  if (!isIdentifier(subject, SUBJECT_CHARACTERS_MAX)) throw refusal('oidc_subject_form');
  return subject;
}

const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** O33 and O34: the key of the account, and that the person belongs to whom the connection was made for. */
function keyOf(claims: TokenClaims, connection: OidcConnection): string {
  if (connection.hostedDomain !== undefined && claimOf(claims, 'hd') !== connection.hostedDomain)
    throw refusal('oidc_hosted_domain', quoted(claimOf(claims, 'hd')));
  if (PROFILES[connection.profile].key[0] === 'sub') return subjectOf(claims);
  const [tenant, object] = [claimOf(claims, 'tid'), claimOf(claims, 'oid')];
  if (typeof tenant !== 'string' || typeof object !== 'string' || !GUID.test(object))
    throw refusal('oidc_subject_claims', `tid ${quoted(tenant)} oid ${quoted(object)}`);
  if (tenant !== entraTenant(connection.issuer)) throw refusal('oidc_tenant', quoted(tenant));
  return `${tenant}/${object}`;
}

/** O35 and O36: groups as they are in the claim. Undefined means that nothing was said, and never "in no group". */
function groupsOf(claims: TokenClaims, { claims: names }: OidcConnection): readonly string[] | undefined {
  if (names.groups === undefined) return undefined;
  const elsewhere = claimOf(claims, '_claim_names');
  const isElsewhere = typeof elsewhere === 'object' && elsewhere !== null && Object.hasOwn(elsewhere, names.groups);
  const hasGroups = claimOf(claims, 'hasgroups');
  const isOverage = names.groups === 'groups' && hasGroups !== undefined && hasGroups !== false;
  if (isElsewhere || isOverage) throw refusal('oidc_groups_overage');
  const value = claimOf(claims, names.groups);
  if (value === undefined) return undefined;
  // ADFS and others write a single value without a list.
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const isGroup = (one: unknown): one is string =>
    typeof one === 'string' && one !== '' && one.length <= GROUP_CHARACTERS_MAX && one.isWellFormed();
  if (list.length > GROUPS_MAX || !list.every(isGroup)) throw refusal('oidc_groups_form', `${list.length} of them`);
  return [...new Set(list)];
}

/** O37: an identifier that may be absent. Also for the claims of a logout token, with the code that belongs there. */
export function identifierOf(
  claims: TokenClaims,
  name: string,
  code: OidcCode = 'oidc_claim_form',
): string | undefined {
  const value = claimOf(claims, name);
  if (value === undefined) return undefined;
  if (!isIdentifier(value, ID_CHARACTERS_MAX)) throw refusal(code, name);
  return value;
}

function methodsOf(claims: TokenClaims): readonly string[] {
  const value = claimOf(claims, 'amr') ?? [];
  // Some providers write one method without a list, against the standard.
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const isMethod = (one: unknown): one is string => isIdentifier(one, ID_CHARACTERS_MAX);
  if (list.length > AMR_MAX || !list.every(isMethod)) throw refusal('oidc_claim_form', 'amr');
  return list;
}

/** What is only shown never refuses anybody, and never decides anything. */
function displayOf(claims: TokenClaims, name: string): string | undefined {
  const value = claimOf(claims, name);
  const isShowable = typeof value === 'string' && value !== '' && value.length <= DISPLAY_CHARACTERS_MAX;
  return isShowable && value.isWellFormed() && !/\p{Cc}/u.test(value) ? value : undefined;
}

/** A person as the provider vouches for, read from a signed ID token alone. */
export interface SignedInPerson {
  /**
   * The key of the account within tenant and connection: `sub`, or `tid/oid` at Entra. Never the e-mail, which anybody
   * who runs a directory may write as he likes.
   */
  readonly key: string;
  /** `sub` as it stands: logout tokens name it. */
  readonly subject: string;
  /** The provider's session, for back-channel logout. */
  readonly sessionId: string | undefined;
  readonly signedIn_ms: number | undefined;
  /** What the provider says about how the person signed in. It is shown, and trusted for no production access. */
  readonly acr: string | undefined;
  readonly amr: readonly string[];
  /** For display only. */
  readonly email: string | undefined;
  readonly name: string | undefined;
  /** Undefined: the provider said nothing, so nothing may be taken away. Empty: in no group. */
  readonly groups: readonly string[] | undefined;
  /** Every claim, to show to the connection's administrator. */
  readonly claims: ReadonlyMap<string, unknown>;
}

/** O26 to O37: what an ID token says. Its signature has been checked. */
export function readIdToken(
  claims: TokenClaims,
  answer: { readonly request: StoredSignIn; readonly accessToken: string },
  expected: { readonly connection: OidcConnection; readonly clock: Clock },
): SignedInPerson {
  const { connection, clock } = expected;
  const { request } = answer;
  const now_ms = clock.nowMs();
  checkParties(claims, connection);
  checkTimes(claims, request, now_ms);
  if (claimOf(claims, 'nonce') !== request.nonce) throw refusal('oidc_nonce');
  const signedIn_ms = checkSignedIn(claims, request, { connection, now_ms });
  checkAccessTokenHash(claims, answer.accessToken);
  return {
    subject: subjectOf(claims),
    key: keyOf(claims, connection),
    sessionId: identifierOf(claims, 'sid'),
    signedIn_ms,
    acr: identifierOf(claims, 'acr'),
    amr: methodsOf(claims),
    email: displayOf(claims, connection.claims.email),
    name: displayOf(claims, connection.claims.name),
    groups: groupsOf(claims, connection),
    claims: new Map(Object.entries(claims)),
  };
}
