import { isSetAlgorithm, SET_ALGORITHMS, type SetAlgorithm } from './algorithms.ts';
import { parseIssuer } from './address.ts';
import { refusal } from './errors.ts';
import { isPlainText } from './json.ts';
import { AUDIENCE_CHARACTERS_MAX, ID_CHARACTERS_MAX, SUBJECT_ISSUERS_MAX, SUBJECT_MEMBERS_MAX } from './limits.ts';

/** What an administrator or a stored row says about a stream that we receive; nothing in it is trusted yet. */
export interface ReceiverStreamInput {
  /** The transmitter, exactly as it writes itself. */
  readonly issuer: string;
  /** Who we are on this stream. A different one for each stream, so that no token can be carried to another. */
  readonly audience: string;
  readonly algorithm?: string;
  /** As the transmitter named it; events about the stream itself must carry it. */
  readonly streamId?: string;
  /** Providers whose people this transmitter may speak of; without it only itself. */
  readonly subjectIssuers?: readonly string[];
  /** Both sides agreed that an opaque id is the person's immutable subject. Without it, it finds nobody. */
  readonly opaqueSubjects?: 'account';
  /** `critical_subject_members` of the transmitter's configuration. */
  readonly criticalMembers?: readonly string[];
}

/** A checked stream. Only {@link parseReceiverStream} makes one. */
export interface ReceiverStream {
  readonly issuer: string;
  readonly audience: string;
  readonly algorithm: SetAlgorithm;
  readonly streamId: string | undefined;
  readonly subjectIssuers: readonly string[];
  readonly isOpaqueAccount: boolean;
  readonly criticalMembers: readonly string[];
}

const invalid = (field: string, detail: string) => refusal('signals_setting_invalid', `${field}: ${detail}`, { field });

/**
 * E1: checks the settings of a stream. Throws `signals_setting_invalid` with the `field`. `rehearsal` allows http to
 * 127.0.0.1, and to nothing else.
 */
export function parseReceiverStream(
  input: ReceiverStreamInput,
  options: { readonly rehearsal?: boolean } = {},
): ReceiverStream {
  const isRehearsal = options.rehearsal ?? false;
  const { algorithm = 'RS256', audience, streamId, opaqueSubjects, criticalMembers = [] } = input;
  const issuer = parseIssuer(input.issuer, 'issuer', isRehearsal);
  const { subjectIssuers = [issuer] } = input;
  if (!isSetAlgorithm(algorithm)) throw invalid('algorithm', Object.keys(SET_ALGORITHMS).join(', '));
  if (!isPlainText(audience, AUDIENCE_CHARACTERS_MAX)) throw invalid('audience', 'empty, too long or not plain');
  if (streamId !== undefined && !isPlainText(streamId, ID_CHARACTERS_MAX)) throw invalid('streamId', 'not an id');
  if (subjectIssuers.length > SUBJECT_ISSUERS_MAX) throw invalid('subjectIssuers', `more than ${SUBJECT_ISSUERS_MAX}`);
  if (criticalMembers.length > SUBJECT_MEMBERS_MAX || !criticalMembers.every((name) => isPlainText(name, 64)))
    throw invalid('criticalMembers', 'not a list of names');
  return {
    issuer,
    audience,
    algorithm,
    streamId,
    subjectIssuers: subjectIssuers.map((text) => parseIssuer(text, 'subjectIssuers', isRehearsal)),
    isOpaqueAccount: opaqueSubjects === 'account',
    criticalMembers,
  };
}
