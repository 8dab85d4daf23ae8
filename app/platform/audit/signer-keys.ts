import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { AppError } from '@auditrax/base';

export type LogKeyCode = 'log_key_missing' | 'log_key_terms_corrupt';

/** The key pairs of a house's logs, numbered from 1 in the order in which they were made. One signs all logs. */
export interface LogKeys {
  newest(): number;
  /** Undefined once it was destroyed. */
  privateKey(number: number): KeyObject | undefined;
  /** Public half; stays when the private one is destroyed. */
  publicKey(number: number): KeyObject;
  /** Makes the next key; on disk when this returns. */
  make(): number;
  /** Destroys a private half for good. */
  destroy(number: number): void;
}

const FIRST_KEY = 1;

function privateName(number: number): string {
  return number === FIRST_KEY ? 'log-key.pem' : `log-key-${number}.pem`;
}
function publicName(number: number): string {
  return `log-key-${number}.pub.pem`;
}

/** On disk under its own name, or not there: a half-written key is never found. */
function writeDurably(folder: string, name: string, content: string | Buffer): void {
  const temporary = join(folder, `${name}.new`);
  writeFileSync(temporary, content, { mode: 0o600, flush: true });
  renameSync(temporary, join(folder, name));
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function newPair(): { pem: string | Buffer; publicPem: string | Buffer } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    pem: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }),
  };
}

/**
 * The keys in a folder of the signer alone (0700). The first is made only when `isNew`: a new key under an old journal
 * would look like a takeover. Throws `log_key_missing`.
 */
export function openLogKeys(folder: string, { isNew }: { isNew: boolean }): LogKeys {
  const pattern = /^log-key(?:-([1-9][0-9]*))?(?:\.pub)?\.pem$/;
  const numbers = readdirSync(folder).flatMap((name) => {
    const match = pattern.exec(name);
    return match === null ? [] : [Number(match[1] ?? FIRST_KEY)];
  });
  let newest = Math.max(0, ...numbers);
  const make = (): number => {
    const { pem, publicPem } = newPair();
    writeDurably(folder, privateName(newest + 1), pem);
    writeDurably(folder, publicName(newest + 1), publicPem);
    newest += 1;
    return newest;
  };
  if (newest === 0) {
    if (!isNew) throw missing(join(folder, privateName(FIRST_KEY)));
    make();
  }
  if (!existsSync(join(folder, privateName(newest)))) throw missing(join(folder, privateName(newest)));
  const privateKey = (number: number): KeyObject | undefined => {
    const path = join(folder, privateName(number));
    return existsSync(path) ? createPrivateKey(readFileSync(path)) : undefined;
  };
  const publicKey = (number: number): KeyObject => {
    const own = privateKey(number);
    if (own !== undefined) return createPublicKey(own);
    const path = join(folder, publicName(number));
    if (!existsSync(path)) throw missing(path);
    return createPublicKey(readFileSync(path));
  };
  return {
    newest: () => newest,
    privateKey,
    publicKey,
    make,
    destroy: (number) => {
      const publicPem = publicKey(number).export({ type: 'spki', format: 'pem' });
      writeDurably(folder, publicName(number), publicPem);
      rmSync(join(folder, privateName(number)), { force: true });
    },
  };
}

function missing(path: string): AppError<LogKeyCode> {
  return new AppError<LogKeyCode>(
    'log_key_missing',
    `the log's signing key ${path} is gone: restore it from a backup; a new one would break every proof already given out`,
  );
}

/** Which key signs which checkpoints of one log. */
export interface KeyTerm {
  readonly key: number;
  /** It signs checkpoints of more than so many entries. */
  readonly from: number;
  /** The one before it signs up to so many entries, this one included. */
  readonly until: number;
}

const LINE = /^(\S+) ([1-9][0-9]*) ([0-9]+) ([0-9]+)$/;

/** The terms of one log, in a file beside its journal; each on disk before it counts. */
export class KeyTerms {
  readonly #path: string;
  readonly #name: string;
  readonly #folder: string;
  readonly #origin: string;
  #terms: readonly KeyTerm[];

  /** `path` is the journal's; a log without a file has had `first` from its beginning. Throws `log_key_terms_corrupt`. */
  constructor(folder: string, { journal, origin, first }: { journal: string; origin: string; first: number }) {
    this.#folder = folder;
    this.#name = journal.slice(folder.length + 1).replace(/\.journal$/, '.keys');
    this.#path = join(folder, this.#name);
    this.#origin = origin;
    this.#terms = existsSync(this.#path) ? this.#read() : [{ key: first, from: 0, until: 0 }];
  }

  all(): readonly KeyTerm[] {
    return this.#terms;
  }

  newest(): KeyTerm {
    return this.#terms.at(-1)!;
  }

  /** Numbers of the keys that sign a checkpoint of `size` entries, the oldest first. */
  signingAt(size: number): number[] {
    return this.#terms
      .filter(({ from }, at) => {
        const next = this.#terms[at + 1];
        return size > from && (next === undefined || size <= next.until);
      })
      .map(({ key }) => key);
  }

  /** Durable when it returns. */
  save(terms: readonly KeyTerm[]): void {
    const lines = terms.map(({ key, from, until }) => `${this.#origin} ${key} ${from} ${until}\n`);
    writeDurably(this.#folder, this.#name, lines.join(''));
    this.#terms = terms;
  }

  isSaved(): boolean {
    return existsSync(this.#path);
  }

  #read(): KeyTerm[] {
    const lines = readFileSync(this.#path, 'utf8').split('\n').slice(0, -1);
    const terms = lines.map((line) => {
      const match = LINE.exec(line);
      if (match === null || match[1] !== this.#origin) throw this.#corrupt();
      return { key: Number(match[2]), from: Number(match[3]), until: Number(match[4]) };
    });
    const isInOrder = terms.every((term, at) => at === 0 || (term.key > terms[at - 1]!.key && term.until > term.from));
    if (terms.length === 0 || !isInOrder) throw this.#corrupt();
    return terms;
  }

  #corrupt(): AppError<LogKeyCode> {
    return new AppError<LogKeyCode>(
      'log_key_terms_corrupt',
      `${this.#path} does not say which key signs ${this.#origin}: restore the signer's folder from a backup`,
    );
  }
}
