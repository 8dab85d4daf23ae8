/** An RFC 9457 problem as the services answer it. `network` when no answer came. */
export interface Problem {
  readonly status: number | 'network';
  readonly code: string;
  readonly title: string;
  readonly detail: string | null;
  readonly requestId: string | null;
  /** Path of the field at fault, for bad input. */
  readonly field: string | null;
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
  };
}

/** What an error means for the reader's data and what to do next, in plain words. */
export function explain(error: unknown): { title: string; meaning: string; next: string; requestId: string | null } {
  if (!(error instanceof ProblemError)) {
    return { title: 'This page met an error of its own', meaning: 'Nothing was sent, so nothing was changed.', next: 'Reload the page. If it happens again, report it with the words below.', requestId: null };
  }
  const { problem } = error;
  const { requestId } = problem;
  switch (problem.status) {
    case 'network':
      return { title: 'No answer from the server', meaning: 'It is not known whether the last change arrived. It is either done and in the audit trail, or not done at all.', next: 'Check the connection, reload, and look before you repeat it.', requestId };
    case 401:
      return { title: 'You are signed out', meaning: 'Nothing was changed by this attempt.', next: 'Sign in again.', requestId };
    case 403:
      return { title: problem.title, meaning: problem.detail ?? 'Your role does not allow this. Nothing was changed; the attempt is in the audit trail.', next: 'Ask the lead auditor.', requestId };
    case 404:
      return { title: 'Not found', meaning: 'There is nothing here that you may see. Nothing was changed.', next: 'Check the address, or go back to the list.', requestId };
    case 409:
    case 412:
      return { title: problem.title, meaning: problem.detail ?? 'It has changed since you loaded it. Your change was not stored.', next: 'Reload, compare, and do it again if it is still right.', requestId };
    case 429:
      return { title: 'Too many attempts', meaning: 'Nothing was changed.', next: 'Wait a minute, then try again.', requestId };
    case 503:
      return { title: 'A part of the system is down', meaning: 'Nothing was lost: a change is either fully done and in the audit trail, or not done.', next: 'Wait a moment and try again. What you typed is still here.', requestId };
    default:
      return { title: problem.title, meaning: problem.detail ?? (typeof problem.status === 'number' && problem.status >= 500 ? 'A change is either fully done and in the audit trail, or not done.' : 'Nothing was stored.'), next: typeof problem.status === 'number' && problem.status >= 500 ? 'Try again. If it stays, report it with the id below.' : 'Mend what is named and send it again.', requestId };
  }
}
