import { AppError } from '@auditrax/base';

export type AccessReviewCode =
  | 'access_review_open'
  | 'access_review_state'
  | 'access_review_own'
  | 'access_review_decided'
  | 'access_review_changed'
  | 'access_review_decision'
  | 'access_review_mandatory'
  | 'access_review_last_manager'
  | 'access_review_tampered';

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<AccessReviewCode, { status: number; title: string }>> = {
  access_review_open: { status: 409, title: 'A review is under way already' },
  access_review_state: { status: 409, title: 'This review takes no more decisions' },
  access_review_own: { status: 403, title: 'Nobody decides about their own access' },
  access_review_decided: { status: 409, title: 'Somebody else has decided this meanwhile' },
  access_review_changed: { status: 409, title: 'This access has changed since you looked at it' },
  access_review_decision: { status: 422, title: 'This decision does not fit' },
  access_review_mandatory: { status: 409, title: 'The operator’s own access is reviewed each quarter, always' },
  access_review_last_manager: { status: 409, title: 'Nobody else manages this organisation' },
  access_review_tampered: { status: 500, title: 'The snapshot of this review is not what was frozen' },
};

/** An error of this room; `detail` is said to the person. */
export function refuse(code: AccessReviewCode, message: string, detail?: string): AppError<AccessReviewCode> {
  return new AppError<AccessReviewCode>(code, message, detail === undefined ? {} : { publicDetail: detail });
}
