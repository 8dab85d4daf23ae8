import { AppError } from '@auditrax/base';
import { QUOTED_CHARACTERS_MAX } from './limits.ts';

/** RFC 7644 3.12, the words that a client may act on. */
export type ScimType =
  | 'invalidFilter'
  | 'tooMany'
  | 'uniqueness'
  | 'mutability'
  | 'invalidSyntax'
  | 'invalidPath'
  | 'noTarget'
  | 'invalidValue'
  | 'invalidVers'
  | 'sensitive';

interface Row {
  /** Of the check in SPEC.md. */
  readonly check: `P${number}`;
  readonly status: number;
  readonly scimType?: ScimType;
  /** Shown to the provider, whose administrator reads it in the log of provisioning. */
  readonly sentence: string;
}

const row = (check: Row['check'], kind: ScimType | number, sentence: string): Row =>
  typeof kind === 'number' ? { check, status: kind, sentence } : { check, status: 400, scimType: kind, sentence };

/** Every reason for which something is refused: number of the check in SPEC.md, status, `scimType`, sentence. */
export const SCIM_CHECKS = {
  scim_message_too_large: row('P1', 413, 'The message is larger than any provider sends.'),
  scim_message_json: row('P1', 'invalidSyntax', 'The message is not a JSON object in UTF-8.'),
  scim_message_depth: row(
    'P1',
    'invalidSyntax',
    'The message nests deeper or has more values than any provider sends.',
  ),
  scim_name_repeated: row('P3', 'invalidSyntax', 'A name is there twice; capitals make no difference.'),
  scim_schemas: row('P4', 'invalidSyntax', 'The schemas of the message are missing or of another kind.'),
  scim_value_type: row('P4', 'invalidValue', 'A value is of another type than its attribute.'),
  scim_value_bounds: row(
    'P4',
    'invalidValue',
    'A text or a list is longer than it may be, or has characters that no text has.',
  ),
  scim_value_required: row('P4', 'invalidValue', 'A required attribute is missing or empty.'),
  scim_user_name: row(
    'P6',
    'invalidValue',
    'The userName has characters that only look like others, or none that can be seen.',
  ),
  scim_leaving_unread: row(
    'P17',
    'invalidValue',
    'The message speaks of `active` in a place that is not read; send it as an attribute of the person.',
  ),
  scim_patch_form: row('P8', 'invalidSyntax', 'The message is not a PATCH with a list of operations.'),
  scim_patch_too_many: row(
    'P8',
    'tooMany',
    'The PATCH has more operations than any provider sends, or costs more than one may.',
  ),
  scim_path: row('P9', 'invalidPath', 'A path is malformed or names no attribute of this resource.'),
  scim_remove_value: row(
    'P12',
    'invalidValue',
    'A remove carries a value, which this kind of provider is not known to send.',
  ),
  scim_no_target: row('P13', 'noTarget', 'A path is missing, or selects no value.'),
  scim_primary: row('P15', 'invalidValue', 'More than one value is said to be the primary one.'),
  scim_mutability: row('P16', 'mutability', 'An attribute cannot be changed or removed.'),
  scim_version: row('P19', 412, 'The resource has changed since it was read.'),
  scim_version_header: row('P29', 'invalidVers', 'The header with the version is malformed.'),
  scim_filter: row('P20', 'invalidFilter', 'The filter is malformed, too long, or compares what cannot be compared.'),
  scim_filter_attribute: row('P20', 'invalidFilter', 'The filter names an attribute that this resource does not have.'),
  scim_query: row('P24', 'invalidValue', 'A parameter of the query is there twice, malformed or too long.'),
  scim_sort: row('P25', 'invalidValue', 'Sorting is not supported; see ServiceProviderConfig.'),
  scim_bulk: row('P28', 501, 'Bulk operations are not supported; see ServiceProviderConfig.'),
  scim_token: row('P31', 401, 'The token is missing or not valid.'),
  scim_not_found: row('P30', 404, 'There is no such resource.'),
  scim_member_unknown: row('P30', 'invalidValue', 'A member of the group is no person of this connection.'),
  scim_full: row('P30', 403, 'The connection has as many resources as it may have.'),
  scim_off: row('P30', 403, 'The connection is switched off: nobody comes in by it, but whoever leaves is put out.'),
  scim_rate: row('P30', 429, 'There are too many messages; wait a minute.'),
  scim_taken: row('P30', 'uniqueness', 'Another resource has this name or id already.'),
} as const satisfies Readonly<Record<string, Row>>;

/** The exact check that refused; each has a row in {@link SCIM_CHECKS}. */
export type ScimCode = keyof typeof SCIM_CHECKS;

export type ScimError = AppError<ScimCode>;

/**
 * An error that names the failed check. `field` is a path and is shown to the provider; `detail` may quote names, never
 * values, and is for the log.
 */
export function refusal(code: ScimCode, options: { detail?: string; field?: string; cause?: unknown } = {}): ScimError {
  const { check, sentence } = SCIM_CHECKS[code];
  const { detail, field } = options;
  const where = field === undefined || field === '' ? '' : ` At ${quoted(field)}.`;
  return new AppError(code, `${check}: ${sentence}${where}${detail === undefined ? '' : ` (${detail})`}`, {
    ...options,
    publicDetail: `${sentence}${where}`,
  });
}

/** Foreign text in an error: bounded, and without line breaks or control characters that could forge a log line. */
export function quoted(text: string): string {
  const short = text.length > QUOTED_CHARACTERS_MAX ? `${text.slice(0, QUOTED_CHARACTERS_MAX)}…` : text;
  return JSON.stringify(short.toWellFormed());
}

export const ERROR_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:Error';

/** An error in SCIM's own form (RFC 7644 3.12), with the status to answer with. */
export interface ScimErrorAnswer {
  readonly status: number;
  readonly body: {
    readonly schemas: readonly string[];
    readonly status: string;
    readonly scimType?: ScimType;
    readonly detail: string;
  };
}

/** Status 409 for what is taken, which the RFC has beside `uniqueness`; the rest is in the table. */
export function scimError(error: ScimError): ScimErrorAnswer {
  const found: Row = SCIM_CHECKS[error.code];
  const status = error.code === 'scim_taken' ? 409 : found.status;
  const detail = error.publicDetail ?? found.sentence;
  const scimType = found.scimType === undefined ? {} : { scimType: found.scimType };
  return { status, body: { schemas: [ERROR_SCHEMA], status: String(status), ...scimType, detail } };
}
