import { AppError } from '@auditrax/base';
import { z } from 'zod';
import { CLAIM_IDS } from '../../claims/ids.ts';

const day = z.string().regex(/^\d{4}-\d{2}-\d{2}$/);
const line = z.string().trim().min(2).max(300);
const claimId = z.enum(CLAIM_IDS);

/**
 * What a self-hosting organisation changes: data, not code. Its sub-processors and its disclosure policy are files of
 * their own rooms. Unknown fields are refused.
 */
export const organisationSchema = z.strictObject({
  name: line,
  /** Shown beside the name; "sample organisation" for the demo, so that nobody takes it for a real one. */
  label: line.optional(),
  securityMailbox: z.email(),
  statusSite: line.optional(),
  /** Upper-case hex. Absent: no key is on file, and no page pretends that there is one. */
  openPgpFingerprint: z
    .string()
    .regex(/^(?:[0-9A-F]{40}|[0-9A-F]{64})$/)
    .optional(),
  /** Third parties' documents by claim. */
  documents: z.partialRecord(
    claimId,
    z
      .array(
        z.strictObject({
          title: line,
          issuer: line,
          validFrom: day,
          validUntil: day,
          sha256: z.string().regex(/^[0-9a-f]{64}$/),
        }),
      )
      .max(50),
  ),
  /** Last day by which a certificate in progress was to be had. */
  targetDates: z.partialRecord(claimId, day),
});

export type Organisation = z.infer<typeof organisationSchema>;

/** Reads an organisation's file. Throws `organisation_invalid` naming the field. */
export function parseOrganisation(input: unknown): Organisation {
  const parsed = organisationSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  const first = parsed.error.issues[0]!;
  throw new AppError('organisation_invalid', `${first.path.join('.')}: ${first.message}`, {
    field: first.path.join('.'),
  });
}
