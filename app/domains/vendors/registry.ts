import { AppError } from '@auditrax/base';
import { z } from 'zod';

/** Customers hear of a change at least this long before it takes effect. A promise of the public page. */
export const NOTICE_DAYS_MIN = 30;
/** More sub-processors than this is a mistake in the file, not a register. */
const ENTRIES_MAX = 200;
const DAY_MS = 86_400_000;

const day = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}$/)
  .refine((text) => !Number.isNaN(Date.parse(`${text}T00:00:00Z`)), 'is no day of the calendar');
const line = z.string().trim().min(2).max(300);

/** One sub-processor, as the organisation's data file names it. */
export const subProcessor = z.strictObject({
  name: line,
  service: line,
  data: line,
  region: line,
  attestations: z.array(line).min(1).max(20),
  /** First day on which it may see customer data. */
  inForceFrom: day,
  /** The day on which customers were told; absent only for those named when the register was first published. */
  announcedOn: day.optional(),
});

/** The organisation's register. Unknown fields are refused, so that a misspelt date is not silently none. */
export const vendorRegistry = z.strictObject({
  version: z.number().int().positive(),
  firstPublishedOn: day,
  noticeDays: z.number().int(),
  subProcessors: z.array(subProcessor).min(1).max(ENTRIES_MAX),
});

export type SubProcessor = z.infer<typeof subProcessor>;
export type VendorRegistry = z.infer<typeof vendorRegistry>;

function dayMs(text: string): number {
  return Date.parse(`${text}T00:00:00Z`);
}

/**
 * Faults of a register, in public words; empty when it keeps the promise. An entry that is new since the register was
 * first published must have been announced, and come into force no sooner than 30 days after that.
 */
export function checkRegistry(registry: VendorRegistry): string[] {
  const faults: string[] = [];
  if (registry.noticeDays < NOTICE_DAYS_MIN)
    faults.push(`noticeDays is ${registry.noticeDays}; at least ${NOTICE_DAYS_MIN} are promised`);
  const names = new Set<string>();
  for (const one of registry.subProcessors) {
    const name = one.name.toLowerCase();
    if (names.has(name)) faults.push(`${one.name} is listed twice`);
    names.add(name);
    const isFirst = one.announcedOn === undefined;
    if (isFirst && one.inForceFrom > registry.firstPublishedOn)
      faults.push(`${one.name} was added later and names no day of announcement`);
    if (!isFirst && dayMs(one.inForceFrom) - dayMs(one.announcedOn!) < registry.noticeDays * DAY_MS) {
      faults.push(`${one.name} comes into force less than ${registry.noticeDays} days after its announcement`);
    }
  }
  return faults;
}

/**
 * Reads an organisation's register. Throws `vendor_registry_invalid` naming the field, so that a process with a bad
 * register does not start and nothing unchecked is published.
 */
export function parseRegistry(input: unknown): VendorRegistry {
  const parsed = vendorRegistry.safeParse(input);
  if (!parsed.success) {
    const first = parsed.error.issues[0]!;
    throw new AppError('vendor_registry_invalid', `${first.path.join('.')}: ${first.message}`, {
      field: first.path.join('.'),
    });
  }
  const faults = checkRegistry(parsed.data);
  if (faults.length > 0) throw new AppError('vendor_registry_invalid', faults.join('; '));
  return parsed.data;
}
