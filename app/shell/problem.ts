/** An RFC 9457 problem as the services answer it. `network` when no answer came. */
export interface Problem {
  readonly status: number | 'network';
  readonly code: string;
  readonly title: string;
  readonly detail: string | null;
  readonly requestId: string | null;
  /** Path of the field at fault, for bad input. */
  readonly field: string | null;
  /** What would have to be held: a scope of production access. */
  readonly needs: string | null;
}

/** Thrown by every call of the API that was not answered with success. */
export class ProblemError extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.title);
    this.name = 'ProblemError';
    this.problem = problem;
  }
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** Reads a problem document; anything else than one still becomes a problem with the status and the request id. */
export function problemFrom(status: number, body: unknown, headerRequestId: string | null): Problem {
  const fields = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  return {
    status,
    code: text(fields['code']) ?? `http_${status}`,
    title: text(fields['title']) ?? `The server answered ${status}`,
    detail: text(fields['detail']),
    requestId: text(fields['requestId']) ?? headerRequestId,
    field: text(fields['field']),
    needs: text(fields['needs']),
  };
}

/** For what is looked at again and again: not after a refusal that somebody has to mend first, each of which is recorded. */
export function pollEvery(ms: number): (query: { readonly state: { readonly error: Error | null } }) => number | false {
  return ({ state: { error } }) => (error instanceof ProblemError && error.problem.status === 403 ? false : ms);
}

export interface Explanation {
  readonly title: string;
  readonly meaning: string;
  readonly next: string;
  readonly requestId: string | null;
}

type Words = readonly [title: string | null, meaning: string | null, next: string];

const DONE_OR_NOT = 'A change is either fully done and in the audit trail, or not done.';
const CHANGED: Words = [
  null,
  'It has changed since you loaded it. Your change was not stored.',
  'Reload, compare, and do it again if it is still right.',
];

/** Per status: title, what it means for the data, what to do. Null: the server's own words, which it chose to show. */
const words: Readonly<Record<string, Words>> = {
  network: [
    'No answer from the server',
    `It is not known whether the last change arrived. ${DONE_OR_NOT}`,
    'Check the connection, reload, and look before you repeat it.',
  ],
  401: ['You are signed out', 'Nothing was changed by this attempt.', 'Sign in again.'],
  403: [
    null,
    'Your role does not allow this. Nothing was changed; the attempt is in the audit trail.',
    'Ask the lead auditor.',
  ],
  404: [
    'Not found',
    'There is nothing here that you may see. Nothing was changed.',
    'Check the address, or go back to the list.',
  ],
  409: CHANGED,
  412: CHANGED,
  429: ['Too many attempts', 'Nothing was changed.', 'Wait a minute, then try again.'],
  503: [
    'A part of the system is down',
    'Nothing was lost: a change is either fully done and in the audit trail, or not done.',
    'Wait a moment and try again. What you typed is still here.',
  ],
};
const WITHDRAWN: Words = [
  'Your organisation’s own key is withdrawn',
  'What is sealed cannot be read or written until the key is back. Nothing is lost.',
  'Under Keys a lead auditor sees what the key store says. It opens again within seconds once the key is back.',
];
const STORE_SILENT: Words = [
  'Your organisation’s key store does not answer',
  'What is sealed cannot be read or written until it answers. Nothing is lost.',
  'Under Keys a lead auditor sees what is known. Try again in a moment.',
];
/** Per code, before the status: who has to mend it is not the operator of this installation. */
const byCode: Readonly<Record<string, Words>> = {
  session_ended: [
    'Your session was ended',
    'It asked too often for things that belong to other organisations. Nothing was shown or changed.',
    'Sign in again. If that was not you, tell your lead auditor.',
  ],
  company_sign_in_required: [
    'Sign in by your company again',
    'Your company has not confirmed for almost four hours that you work there. Nothing was changed by this attempt.',
    'Use your organisation’s own sign-in; a passkey alone does not do.',
  ],
  production_access_required: [
    null,
    'Nothing was shown or changed.',
    'Ask for production access, or for more of it, and come back.',
  ],
  kek_denied: WITHDRAWN,
  kek_disabled: WITHDRAWN,
  kek_gone: WITHDRAWN,
  kek_throttled: STORE_SILENT,
  kek_unavailable: STORE_SILENT,
};
const OURS: Words = [null, DONE_OR_NOT, 'Try again. If it stays, report it with the id below.'];
const THEIRS: Words = [null, 'Nothing was stored.', 'Mend what is named and send it again.'];

/** What an error means for the reader's data and what to do next, in plain words. */
export function explain(error: unknown): Explanation {
  if (!(error instanceof ProblemError)) {
    return {
      title: 'This page met an error of its own',
      meaning: `It is a fault of this page, not of your data. ${DONE_OR_NOT}`,
      next: 'Reload the page and look before you repeat anything. If it stays, report it with the words below.',
      requestId: null,
    };
  }
  const { status, code, title: serverTitle, detail, requestId } = error.problem;
  const known = Object.hasOwn(byCode, code) ? byCode[code] : words[status];
  const [title, meaning, next] = known ?? (typeof status === 'number' && status >= 500 ? OURS : THEIRS);
  return {
    title: title ?? serverTitle,
    // With a title of our own the meaning is ours too; otherwise the server's detail is the better word.
    meaning: (title === null ? detail : null) ?? meaning ?? DONE_OR_NOT,
    next,
    requestId,
  };
}
