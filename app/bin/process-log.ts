// What the processes say, kept in the state folder: the terminal is for people.
import { closeSync, existsSync, openSync, fstatSync, renameSync, writeSync } from 'node:fs';

/** A file of this size is still opened by every editor; with its predecessors it is weeks of warnings. */
export const LOG_FILE_BYTES_MAX = 16 * 1024 * 1024;
/** `house.log.1` … `.3`: a flood of refusals may push out old lines, and never fill the disk. */
const FORMER_FILES = 3;
/** Levels of lines that are nobody's fault: refusals are the product at work, and stand in the audit log. */
const ROUTINE_LEVELS: readonly unknown[] = ['info', 'warn'];

export interface ProcessLog {
  write(line: string): void;
  close(): void;
}

/** Appends lines to `path`, each written at once so that a crash loses none; turns the file over when it is full. */
export function openProcessLog(path: string, bytesMax: number = LOG_FILE_BYTES_MAX): ProcessLog {
  const open = () => openSync(path, 'a', 0o600);
  let file = open();
  let bytes = fstatSync(file).size;
  const turnOver = () => {
    closeSync(file);
    for (let age = FORMER_FILES - 1; age >= 0; age -= 1) {
      const from = age === 0 ? path : `${path}.${age}`;
      if (existsSync(from)) renameSync(from, `${path}.${age + 1}`);
    }
    file = open();
    bytes = 0;
  };
  return {
    write(line) {
      if (bytes >= bytesMax) turnOver();
      bytes += writeSync(file, `${line}\n`);
    },
    close: () => closeSync(file),
  };
}

/** True for a structured line of a process below the level of an error. A stack trace or a foreign word is not routine. */
export function isRoutine(line: string): boolean {
  const start = line.indexOf('{');
  if (start < 0) return false;
  try {
    return ROUTINE_LEVELS.includes((JSON.parse(line.slice(start)) as { level?: unknown }).level);
  } catch {
    return false;
  }
}
