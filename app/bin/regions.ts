import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '@auditrax/base';
import { readSecretFile } from './key-means.ts';

/** Regions of a house with servers of its own: two, so that what is promised about regions can be tried. */
export const OWN_REGIONS = { home: 'north', other: 'south' } as const;
/** Folder of our own server in the other region; that of home has always been called otherwise. */
export const OTHER_FOLDER = `postgres-${OWN_REGIONS.other}`;
/** The one region of a house whose server the operator named, but no regions. */
export const UNNAMED_REGION = 'home';
/** Each is a server that is opened, migrated and watched; a hundred is another kind of house. */
const REGIONS_MAX = 32;

const REGIONS = z
  .record(
    z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, 'a region is named in lower case letters, digits and hyphens'),
    z.strictObject({ url: z.string(), migrateUrl: z.string() }),
  )
  .refine((regions) => Object.keys(regions).length >= 1, 'names no region')
  .refine((regions) => Object.keys(regions).length <= REGIONS_MAX, `names more than ${REGIONS_MAX} regions`);

export type RegionUrls = z.infer<typeof REGIONS>;

/**
 * Reads the regions of an operator's own servers: `{"<region>": {"url": …, "migrateUrl": …}}`, the home region among
 * them. The file holds passwords, so it must be its owner's alone. Throws `bad_setting`, never quoting an address.
 */
export function readRegions(file: string): RegionUrls {
  const refuse = (why: string, cause?: unknown): AppError =>
    new AppError('bad_setting', `AUDITRAX_REGIONS_FILE: ${file} ${why}`, cause === undefined ? {} : { cause });
  const text = readSecretFile(file, 'AUDITRAX_REGIONS_FILE');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refuse('is not JSON'); // the parser's own words quote the text, passwords and all
  }
  const parsed = REGIONS.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const { path } = issue;
  // A refused name of a region is told by what is inside the issue.
  const message = issue.code === 'invalid_key' ? issue.issues[0]!.message : issue.message;
  throw refuse(`${path.length === 0 ? '' : `${path.join('.')}: `}${message}`);
}

/** Folders of this house's own servers in other regions than home. */
export function regionFolders(statePath: string): { readonly region: string; readonly folder: string }[] {
  const found = existsSync(join(statePath, OTHER_FOLDER, 'data'));
  return found ? [{ region: OWN_REGIONS.other, folder: OTHER_FOLDER }] : [];
}
