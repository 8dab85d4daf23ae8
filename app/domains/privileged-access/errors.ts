import { AppError } from '@auditrax/base';

export type PrivilegedAccessCode =
  | 'production_request_settled'
  | 'production_same_person'
  | 'production_proof_old'
  | 'production_review_refused'
  | 'production_glass_unjudged';

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<PrivilegedAccessCode, { status: number; title: string }>> = {
  production_request_settled: { status: 409, title: 'This request waits no more' },
  production_same_person: { status: 409, title: 'Another operator has to confirm this' },
  production_proof_old: { status: 409, title: 'Your company has to vouch for you again' },
  production_glass_unjudged: { status: 409, title: 'An earlier emergency was judged by nobody' },
  production_review_refused: { status: 409, title: 'You cannot review this' },
};

export function refuse(code: PrivilegedAccessCode, message: string): AppError<PrivilegedAccessCode> {
  return new AppError<PrivilegedAccessCode>(code, message, { publicDetail: message });
}

export const notFound = () => new AppError<'not_found'>('not_found', 'no such grant');
