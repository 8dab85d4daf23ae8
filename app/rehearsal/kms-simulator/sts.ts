import type { Callers } from './callers.ts';
import type { Caller } from './policy.ts';
import { refusal } from './refusal.ts';

const DURATION_SECONDS = 3_600;
const DURATION_SECONDS_MIN = 900;
const DURATION_SECONDS_MAX = 43_200;
const NAMESPACE = 'https://sts.amazonaws.com/doc/2011-06-15/';

function element(name: string, inner: string): string {
  return `<${name}>${inner}</${name}>`;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function assumeRole(form: URLSearchParams, caller: Caller, callers: Callers): string {
  const arn = form.get('RoleArn') ?? '';
  const name = form.get('RoleSessionName') ?? '';
  const duration_seconds = Number(form.get('DurationSeconds') ?? DURATION_SECONDS);
  if (!/^[\w+=,.@-]{2,64}$/.test(name)) throw refusal('ValidationException', 'RoleSessionName is missing or wrong.');
  if (!(duration_seconds >= DURATION_SECONDS_MIN && duration_seconds <= DURATION_SECONDS_MAX)) {
    throw refusal('ValidationException', 'DurationSeconds is out of range.');
  }
  const role = callers.role(arn);
  const trusted = role && [caller.arn, `arn:aws:iam::${caller.account}:root`].includes(role.trusts);
  if (!trusted || (role.externalId !== undefined && form.get('ExternalId') !== role.externalId)) {
    throw refusal(
      'AccessDenied',
      `User: ${caller.arn} is not authorized to perform: sts:AssumeRole on resource: ${arn}`,
    );
  }
  const session = callers.startSession(role, name, duration_seconds);
  const credentials = [
    element('AccessKeyId', session.accessKeyId),
    element('SecretAccessKey', session.secretAccessKey),
    element('SessionToken', session.sessionToken),
    element('Expiration', new Date(session.endsMs).toISOString()),
  ].join('');
  const user = element('Arn', session.arn) + element('AssumedRoleId', `AROASIMULATED:${name}`);
  return element('Credentials', credentials) + element('AssumedRoleUser', user);
}

/** The two operations of STS that a client of another account needs, as XML. */
export function answerSts(
  form: URLSearchParams,
  who: { readonly caller: Caller; readonly callers: Callers; readonly requestId: string },
): string {
  const action = form.get('Action') ?? '';
  const { caller } = who;
  const results: Readonly<Record<string, () => string>> = {
    AssumeRole: () => assumeRole(form, caller, who.callers),
    GetCallerIdentity: () =>
      element('Arn', caller.arn) + element('UserId', 'AIDASIMULATED') + element('Account', caller.account),
  };
  const result = Object.hasOwn(results, action) ? results[action] : undefined;
  if (!result) throw refusal('ValidationException', 'The simulator does not know this action of STS.');
  const metadata = element('ResponseMetadata', element('RequestId', who.requestId));
  const inner = element(`${action}Result`, result()) + metadata;
  return `<${action}Response xmlns="${NAMESPACE}">${inner}</${action}Response>`;
}

export function stsError(name: string, message: string, requestId: string): string {
  const error = element('Type', 'Sender') + element('Code', name) + element('Message', escape(message));
  const inner = element('Error', error) + element('RequestId', requestId);
  return `<ErrorResponse xmlns="${NAMESPACE}">${inner}</ErrorResponse>`;
}
