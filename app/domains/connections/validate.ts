import { isAppError, type AppError } from '@auditrax/base';
import { OIDC_CHECKS, parseOidcConnection, type OidcCode } from '@auditrax/oidc';
import { parseConnection, SAML_CHECKS, type SamlCode } from '@auditrax/saml';
import type { ConnectionAddresses } from './addresses.ts';
import { refuse } from './errors.ts';
import { oidcInput, samlInput } from './read.ts';
import type { ConnectionState, ConnectionValues, Profile } from './settings-contract.ts';

export const NAME_CHARACTERS_MAX = 80;
const ATTRIBUTE_CHARACTERS_MAX = 256;
const URL_CHARACTERS_MAX = 2048;
/** What the packages say behind their number and sentence, in brackets. */
const REASON = /\((.*)\)$/s;

/** Where the packages call a setting otherwise than the form does. */
const FIELDS: Readonly<Record<string, string>> = {
  'claims.groups': 'groupsClaim',
  clientAuthentication: 'clientAuthentication',
};

/** A refusal of a package as one of ours: the field, the sentence of the check, and what it found. */
function translated(error: AppError): AppError {
  const [, sentence] = { ...OIDC_CHECKS, ...SAML_CHECKS }[error.code as OidcCode | SamlCode] ?? [];
  if (sentence === undefined) return error;
  const reason = REASON.exec(error.message)?.[1];
  const field = error.field === undefined ? undefined : (FIELDS[error.field] ?? error.field);
  return refuse('connection_setting_invalid', reason === undefined ? sentence : `${sentence} ${reason}`, field);
}

function plain(text: string | null, field: string): void {
  if (text === null) return;
  const isPlain = text !== '' && text === text.trim() && !/[\p{Cc}\p{Cs}]/u.test(text);
  if (!isPlain || text.length > ATTRIBUTE_CHARACTERS_MAX)
    throw refuse('connection_setting_invalid', 'Empty, padded, too long or with control characters.', field);
}

function httpsAddress(text: string | null, field: string): void {
  if (text === null) return;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isGood = url?.protocol === 'https:' && url.username === '' && url.password === '' && url.hash === '';
  if (!isGood || text.length > URL_CHARACTERS_MAX || /\s/.test(text))
    throw refuse(
      'connection_setting_invalid',
      'This has to be an https address without a user name or a fragment.',
      field,
    );
}

/** A name as people read it on the sign-in page. Throws `connection_setting_invalid`. */
export function checkName(name: string): void {
  const isPlain = name !== '' && name === name.trim() && !/[\p{Cc}\p{Cs}]/u.test(name);
  if (!isPlain || name.length > NAME_CHARACTERS_MAX)
    throw refuse(
      'connection_setting_invalid',
      `1 to ${NAME_CHARACTERS_MAX} characters, no blanks at the ends.`,
      'name',
    );
}

/** Providers whose NameID is an address whatever its Format says: an attribute has to say who somebody is. */
const ADDRESS_NAMEID: ReadonlySet<Profile> = new Set(['google']);

const KNOWN_BY_IT =
  'People are known by it. Set up another connection and take everybody there by a change of provider.';

/** Of the values, those that say whose names for people count: the provider's own, and what it names them by. */
const namesOf = (values: ConnectionValues | null): Readonly<Record<string, string | null>> => {
  if (values === null) return {};
  if (values.kind === 'oidc') return { issuer: values.issuer };
  return { idpEntityId: values.idpEntityId, subjectAttribute: values.subjectAttribute };
};

/**
 * What people are known by. Fixed once the connection was on: under another one everybody would be somebody new, or, where
 * the value of one is the former value of another, somebody else. So is the provider: whoever may change settings must not
 * have one of their own say, under the names that another gave, that they are a colleague. Throws
 * `connection_setting_invalid`.
 */
export function checkSubject(
  values: ConnectionValues,
  given: { readonly profile: Profile; readonly state: ConnectionState; readonly before: ConnectionValues | null },
): void {
  if (given.state !== 'draft') {
    const was = namesOf(given.before);
    for (const [field, name] of Object.entries(namesOf(values)))
      if (was[field] !== name) throw refuse('connection_setting_invalid', KNOWN_BY_IT, field);
    return;
  }
  if (values.kind !== 'saml') return;
  const { subjectAttribute } = values;
  const no = (why: string) => refuse('connection_setting_invalid', why, 'subjectAttribute');
  if (subjectAttribute === null && ADDRESS_NAMEID.has(given.profile))
    throw no('This provider names people by an address. Name an attribute with an id that never changes.');
  if (subjectAttribute !== null && [values.emailAttribute, values.nameAttribute].includes(subjectAttribute))
    throw no('Addresses and names change, and are given to others: name an attribute with an id that never does.');
}

/**
 * Whether a connection with these values could be used. Throws `connection_setting_invalid` with the form's `field`.
 * `isRehearsal`: plain http to this machine is let pass, as packages/oidc has it.
 */
export function checkValues(
  values: ConnectionValues,
  given: { readonly profile: Profile; readonly addresses: ConnectionAddresses; readonly isRehearsal: boolean },
): void {
  try {
    if (values.kind === 'oidc') {
      const input = oidcInput(given.profile, values, given.addresses);
      parseOidcConnection(input, { rehearsal: given.isRehearsal });
      return;
    }
    parseConnection(samlInput(values, given.addresses, []));
  } catch (error) {
    if (isAppError(error)) throw translated(error);
    throw error;
  }
  if (!given.isRehearsal) httpsAddress(values.ssoUrl, 'ssoUrl');
  if (!given.isRehearsal) httpsAddress(values.metadataUrl, 'metadataUrl');
  plain(values.subjectAttribute, 'subjectAttribute');
  plain(values.groupsAttribute, 'groupsAttribute');
  plain(values.emailAttribute, 'emailAttribute');
  plain(values.nameAttribute, 'nameAttribute');
}
