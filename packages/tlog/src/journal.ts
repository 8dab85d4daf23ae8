import { hash } from 'node:crypto';
import { open, readFile, rename, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@auditrax/base';

export type JournalCode = 'journal_corrupt' | 'journal_foreign';

/** What a signer or a witness last put its name under. */
export interface SignedState {
  readonly size: number;
  /** base64. */
  readonly root: string;
}

/** At this many lines the journal is rewritten with its last one, so that it opens quickly. */
const LINES_MAX = 20_000;
const CHECK_CHARS = 16;

function checkOf(text: string): string {
  return hash('sha256', text, 'hex').slice(0, CHECK_CHARS);
}

function formatLine(origin: string, state: SignedState): string {
  const text = `${origin} ${state.size} ${state.root}`;
  return `${text} ${checkOf(text)}\n`;
}

/**
 * Last whole line. A torn last line is what a crash between write and fsync leaves: nothing was signed for it, so it is
 * dropped. Any other fault means the file was meddled with, and the log must not be signed from memory we do not have.
 */
function lastState(
  content: string,
  origin: string,
): { state: SignedState | undefined; whole_bytes: number; lines: number } {
  const end = content.lastIndexOf('\n') + 1;
  const lines = content.slice(0, end).split('\n').slice(0, -1);
  let state: SignedState | undefined;
  for (const line of lines) {
    const match = /^(\S+) ([0-9]+) ([A-Za-z0-9+/]{43}=) ([0-9a-f]{16})$/.exec(line);
    if (!match || checkOf(line.slice(0, -CHECK_CHARS - 1)) !== match[4]) {
      throw new AppError<JournalCode>('journal_corrupt', `the journal of ${origin} has a damaged line`);
    }
    if (match[1] !== origin)
      throw new AppError<JournalCode>('journal_foreign', `the journal of ${origin} belongs to ${match[1]}`);
    const next = { size: Number(match[2]), root: match[3]! };
    if (state !== undefined && next.size < state.size) {
      throw new AppError<JournalCode>('journal_corrupt', `the journal of ${origin} goes backwards`);
    }
    state = next;
  }
  return { state, whole_bytes: Buffer.byteLength(content.slice(0, end)), lines: lines.length };
}

/** The journal of one log: append-only lines, each on disk before a signature over it leaves the process. */
export interface LogJournal {
  current(): SignedState | undefined;
  /** Durable when it resolves. */
  append(state: SignedState): Promise<void>;
  close(): Promise<void>;
}

export function journalPath(directory: string, origin: string): string {
  return join(directory, `${hash('sha256', origin, 'hex')}.journal`);
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function replaceFile(path: string, directory: string, content: string): Promise<void> {
  const temporary = `${path}.new`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
  await syncDirectory(directory);
}

/** Opens or creates the journal of `origin`. Throws `journal_corrupt` or `journal_foreign`. */
export async function openJournal(directory: string, origin: string): Promise<LogJournal> {
  const path = journalPath(directory, origin);
  const content = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const found = lastState(content, origin);
  let state = found.state;
  if (found.lines >= LINES_MAX && state !== undefined) await replaceFile(path, directory, formatLine(origin, state));
  const handle: FileHandle = await open(path, 'a', 0o600);
  if (found.lines < LINES_MAX) await handle.truncate(found.whole_bytes);
  await handle.sync();
  await syncDirectory(directory);
  return {
    current: () => state,
    append: async (next) => {
      await handle.appendFile(formatLine(origin, next));
      await handle.datasync();
      state = next;
    },
    close: () => handle.close(),
  };
}
