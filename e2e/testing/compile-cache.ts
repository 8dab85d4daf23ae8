// Compiled code for the houses of tests. A new state folder has none, and seven processes that compile everything cost
// more than all else that a start does: the first house of a tree leaves its code behind, and later ones begin with it.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { throwAwayHome } from '../../app/platform/db/testing.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Where `startHouse` keeps it below the state folder. */
const FOLDER = 'compile-cache';
const SOURCES = ['app', 'packages', 'xks-proxy', 'witness'];

/**
 * Named after this Node and the sources as they are, so that an older tree's code does not pile up. The runtime compares
 * each entry with its source in any case.
 */
function templatePath(home: string): string {
  const hash = createHash('sha256').update(`${process.version}\0${ROOT}\0`);
  for (const source of SOURCES) {
    const names = readdirSync(join(ROOT, source), { recursive: true, encoding: 'utf8' });
    for (const name of names.filter((one) => one.endsWith('.ts')).toSorted()) {
      const { size, mtimeMs } = statSync(join(ROOT, source, name));
      hash.update(`${source}/${name} ${size} ${mtimeMs}\n`);
    }
  }
  return join(home, `tpl-code-${hash.digest('hex').slice(0, 16)}`);
}

function copyTree(from: string, to: string): void {
  // The runtime replaces an entry and never writes into one, so the copies may share their bytes.
  execFileSync('cp', ['-al', from, to]);
}

/** Gives a state folder that has no compiled code yet what an earlier house left. Another user's is let alone. */
export function bringCompiledCode(state: string): void {
  const own = join(state, FOLDER);
  if (existsSync(own) || statSync(state, { throwIfNoEntry: false })?.uid !== process.getuid!()) return;
  const template = templatePath(throwAwayHome());
  if (existsSync(template)) copyTree(template, own);
}

/** Keeps the compiled code of a house that has started, unless an earlier one's is there. */
export function keepCompiledCode(state: string): void {
  const home = throwAwayHome();
  const template = templatePath(home);
  if (existsSync(template)) return;
  const building = mkdtempSync(join(home, `run-${process.pid}-code-`));
  try {
    copyTree(join(state, FOLDER), join(building, 'code'));
    renameSync(join(building, 'code'), template);
  } catch {
    // Another process was first, or /tmp cannot link: the next house compiles by itself.
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
}
