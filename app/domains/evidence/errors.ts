import type { CardNumberCode } from './card-number.ts';

/** The codes of the object store (positions, lengths, interruptions) come on top; see `platform/objects`. */
export type EvidenceCode =
  | 'file_name_refused'
  | 'media_type_refused'
  | 'evidence_period_invalid'
  | 'upload_closed'
  | 'upload_part_wrong'
  | 'upload_digest_wrong'
  | 'uploads_open_full'
  | CardNumberCode;

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<EvidenceCode, { status: number; title: string }>> = {
  file_name_refused: { status: 422, title: 'This file name cannot be used' },
  media_type_refused: { status: 422, title: 'This is not a media type' },
  evidence_period_invalid: { status: 422, title: 'The dates do not fit together' },
  upload_closed: { status: 409, title: 'This upload is over' },
  upload_part_wrong: { status: 400, title: 'The part does not have the expected length' },
  upload_digest_wrong: { status: 422, title: 'The file is not the one that was announced' },
  uploads_open_full: { status: 429, title: 'Too many unfinished uploads' },
  card_number_refused: { status: 422, title: 'This reads as a payment card number' },
};
