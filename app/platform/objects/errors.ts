import { AppError } from '@auditrax/base';

/**
 * Errors of the object store. What does not open throws the codes of `@auditrax/seal` instead.
 *
 * - `storage_full`: nothing was written; the floor of free space stays free.
 * - `upload_interrupted`, `upload_length_mismatch`: the bytes that arrived were not those announced. Whole parts that
 *   arrived before are kept; ask `received`, go on from there.
 * - `upload_offset_mismatch`: the offset is not the position to go on from.
 * - `object_moving`: the tenant is being moved to another store; reading goes on, writing will in a moment.
 * - `object_store_unavailable`: the store of the tenant's region is not there; no other one is used instead.
 */
export type ObjectErrorCode =
  | 'object_missing'
  | 'object_moving'
  | 'object_store_unavailable'
  | 'object_too_large'
  | 'storage_full'
  | 'upload_busy'
  | 'upload_complete'
  | 'upload_incomplete'
  | 'upload_interrupted'
  | 'upload_length_mismatch'
  | 'upload_offset_mismatch';

export function objectError(
  code: ObjectErrorCode,
  message: string,
  options: { publicDetail?: string; cause?: unknown } = {},
): AppError<ObjectErrorCode> {
  return new AppError<ObjectErrorCode>(code, message, options);
}

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<ObjectErrorCode, { readonly status: number; readonly title: string }>> = {
  object_missing: { status: 404, title: 'Not found' },
  object_moving: { status: 503, title: 'This organisation is being moved; try again in a moment' },
  object_store_unavailable: { status: 503, title: 'The storage of this region cannot be reached' },
  object_too_large: { status: 413, title: 'The file is too large' },
  storage_full: { status: 507, title: 'There is not enough free space to store this file' },
  upload_busy: { status: 409, title: 'This upload is being written by another request' },
  upload_complete: { status: 409, title: 'This upload is already complete' },
  upload_incomplete: { status: 409, title: 'Parts of this upload are still missing' },
  upload_interrupted: { status: 400, title: 'The upload was interrupted; continue from the last received byte' },
  upload_length_mismatch: { status: 400, title: 'The upload does not have the announced length' },
  upload_offset_mismatch: { status: 409, title: 'The upload has to continue from another position' },
};
