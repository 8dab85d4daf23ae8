import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '@auditrax/base';
import type { OutsideFolders, RegionFolders } from '../platform/backup/archive.ts';
import { readSecretFile } from './key-means.ts';

/** Regions of a house with servers of its own: two, so that what is promised about regions can be tried. */
export const OWN_REGIONS = { home: 'north', other: 'south' } as const;
/** Folder of our own server in the other region; that of home has always been called otherwise. */
export const OTHER_FOLDER = `postgres-${OWN_REGIONS.other}`;
/** Below the state folder: evidence files of home, and of our own other region. */
export const HOME_OBJECTS = 'workspace/objects';
export const OTHER_OBJECTS = `${HOME_OBJECTS}-${OWN_REGIONS.other}`;
/** The one region of a house whose server the operator named, but no regions. */
export const UNNAMED_REGION = 'home';
/** Each is a server that is opened, migrated and watched; a hundred is another kind of house. */
const REGIONS_MAX = 32;

const REGIONS = z
  .record(
    z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, 'a region is named in lower case letters, digits and hyphens'),
    z.strictObject({
      url: z.string(),
      migrateUrl: z.string(),
      /** Folder on a disk of that region, for evidence files. */
      objects: z.string().startsWith('/', 'must be an absolute path').optional(),
    }),
  )
  .refine((regions) => Object.keys(regions).length >= 1, 'names no region')
  .refine((regions) => Object.keys(regions).length <= REGIONS_MAX, `names more than ${REGIONS_MAX} regions`);

export type RegionUrls = z.infer<typeof REGIONS>;

/**
 * Reads the regions of an operator's own servers: `{"<region>": {"url": …, "migrateUrl": …, "objects": …}}`, the home
 * region among them; `objects` is the folder of evidence files and belongs to every other region. The file holds passwords, so it must be its owner's alone. Throws `bad_setting`, never quoting an address.
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

/** What this house itself keeps in other regions than home: its server's folder first, and that of evidence files. */
export function regionFolders(statePath: string): RegionFolders[] {
  const found = existsSync(join(statePath, OTHER_FOLDER, 'data'));
  if (!found) return [];
  const folders = [OTHER_FOLDER, OTHER_OBJECTS].filter((folder) => existsSync(join(statePath, folder)));
  return [{ region: OWN_REGIONS.other, folders }];
}

/** Folders of evidence files that the operator has in other regions, by region. Throws `bad_setting`. */
export function outsideFolders(regionsFile: string | undefined): OutsideFolders {
  if (regionsFile === undefined) return new Map();
  const regions = Object.entries(readRegions(regionsFile));
  return new Map(regions.flatMap(([region, { objects }]) => (objects === undefined ? [] : [[region, objects]])));
}
