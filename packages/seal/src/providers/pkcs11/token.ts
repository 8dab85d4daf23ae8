import type { Random } from '@auditrax/base';
import { isAppError, systemRandom } from '@auditrax/base';
import { sealError } from '../../errors.ts';
import { TAG_BYTES } from '../../gcm.ts';
import type { KekHealth } from '../../kek.ts';
import { GCM_IV_BYTES, KWP_BLOCK_BYTES, TOKEN_INPUT_BYTES_MAX } from './messages.ts';
import type {
  KeyName,
  KeyUse,
  TokenCall,
  TokenFacts,
  TokenKey,
  TokenKeyAttributes,
  TokenMechanisms,
} from './messages.ts';
import { SessionPool } from './session-pool.ts';

const KEY_ID_BYTES = 16;
/** Two: one session may be in a slow call while the other serves; more only on hardware that gains by it. */
const SESSIONS_DEFAULT = 2;
const SESSIONS_MAX = 16;
/** Half a second of a busy SoftHSM, several of a network HSM. */
const QUEUE_MAX_DEFAULT = 256;
/** A network HSM that fails over answers within it; a house that waits longer is down. */
const DEADLINE_MS_DEFAULT = 5_000;

export interface TokenOptions {
  /** Absolute path of the vendor's module, such as `/usr/lib/softhsm/libsofthsm2.so`. */
  readonly modulePath: string;
  readonly tokenLabel: string;
  /** Needed only where two tokens have one label. */
  readonly tokenSerial?: string;
  /** The user's PIN; it travels to the child over its channel and is never in arguments or environment. */
  readonly pin: string;
  /** All of the child's environment: what the module reads, such as SOFTHSM2_CONF. Default: nothing. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Sessions, each in a child of its own. Default 2, at most 16. */
  readonly sessions?: number;
  /** Calls that may wait; one more is `kek_throttled`. Default 256. */
  readonly queue_max?: number;
  /** For each call, waiting included. Default 5000. */
  readonly deadline_ms?: number;
  readonly random?: Random;
}

export interface GcmUse {
  /** CKA_ID in hex. */
  readonly keyId: string;
  /** 12 or 16 bytes; never twice for one key. */
  readonly iv: Uint8Array;
  readonly aad: Uint8Array;
}

/**
 * A token of a PKCS#11 module. Calls are served in the order of their arrival, one at a time in each session, and every
 * one of them may throw `kek_unavailable` (lost token, crash, deadline; asking again is safe), `kek_throttled`,
 * `kek_denied` (PIN or use refused), `kek_misconfigured` (module, label, mechanism) and, where a key is named,
 * `kek_gone`. A lost token is found again by itself, without a restart.
 */
export interface Pkcs11Token {
  facts(): Promise<TokenFacts>;
  mechanisms(): Promise<TokenMechanisms>;
  /** Undefined only when a token that is surely there has no such key. */
  findKey(name: KeyName): Promise<TokenKey | undefined>;
  /**
   * Makes an AES-256 key on the token: sensitive, not extractable, not modifiable, for one use. `id` is its CKA_ID in
   * hex (default: 16 random bytes); a key of that id that exists already is returned as it is.
   */
  createAesKey(wanted: { readonly label: string; readonly use: KeyUse; readonly id?: string }): Promise<TokenKey>;
  describeKey(keyId: string): Promise<TokenKeyAttributes>;
  /** Ciphertext followed by its 16-byte tag. Throws `nonce_length`, `input_too_long` too. */
  encryptGcm(use: GcmUse, plaintext: Uint8Array): Promise<Buffer>;
  /** Throws `authentication_failed` only when the token lives and refuses these bytes; `truncated`. */
  decryptGcm(use: GcmUse, sealed: Uint8Array): Promise<Buffer>;
  /** RFC 5649 of whole 8-byte blocks, two at least (`key_length`); binds no context of its own. */
  wrapKwp(keyId: string, bytes: Uint8Array): Promise<Buffer>;
  unwrapKwp(keyId: string, wrapped: Uint8Array): Promise<Buffer>;
  /** For good. False when there was no such key. */
  destroyKey(keyId: string): Promise<boolean>;
  /** Whether the token answers now; never throws. */
  health(): Promise<KekHealth>;
  /** Ids of the children, for diagnosis. */
  readonly processIds: readonly number[];
  close(): void;
}

/** A token that connects at its first call: for a house that must start although its HSM is away. */
export function pkcs11Token(options: TokenOptions): Pkcs11Token {
  const pool = new SessionPool({
    module: {
      modulePath: options.modulePath,
      tokenLabel: options.tokenLabel,
      tokenSerial: options.tokenSerial,
      pin: options.pin,
    },
    environment: options.environment ?? {},
    sessions: Math.min(Math.max(options.sessions ?? SESSIONS_DEFAULT, 1), SESSIONS_MAX),
    queue_max: options.queue_max ?? QUEUE_MAX_DEFAULT,
    deadline_ms: options.deadline_ms ?? DEADLINE_MS_DEFAULT,
  });
  const random = options.random ?? systemRandom;
  return {
    facts: async () => (await pool.call({ op: 'facts' })) as TokenFacts,
    mechanisms: async () => (await pool.call({ op: 'mechanisms' })) as TokenMechanisms,
    findKey: async (name) => ((await pool.call({ op: 'findKey', name })) as TokenKey | null) ?? undefined,
    createAesKey: async ({ label, use, id }) => {
      const chosen = id ?? Buffer.from(random.bytes(KEY_ID_BYTES)).toString('hex');
      return (await pool.call({ op: 'createAesKey', label, use, id: chosen })) as TokenKey;
    },
    describeKey: async (key) => (await pool.call({ op: 'describeKey', key })) as TokenKeyAttributes,
    encryptGcm: async (use, plaintext) => bytesOf(pool, gcmCall({ op: 'encryptGcm', use }, plaintext)),
    decryptGcm: async (use, sealed) => {
      if (sealed.length < TAG_BYTES) throw sealError('truncated', `a sealed message has at least ${TAG_BYTES} bytes`);
      return bytesOf(pool, gcmCall({ op: 'decryptGcm', use }, sealed));
    },
    wrapKwp: async (key, bytes) => bytesOf(pool, { op: 'wrapKwp', key, input: wholeBlocks(bytes) }),
    unwrapKwp: async (key, wrapped) => bytesOf(pool, { op: 'unwrapKwp', key, input: checked(wrapped) }),
    destroyKey: async (key) => (await pool.call({ op: 'destroyKey', key })) as boolean,
    health: () => healthOf(pool),
    get processIds() {
      return pool.processIds;
    },
    close: () => pool.close(),
  };
}

/** A token that answers: throws, with everything closed, what the first connection throws. */
export async function openToken(options: TokenOptions): Promise<Pkcs11Token> {
  const token = pkcs11Token(options);
  try {
    await token.facts();
    return token;
  } catch (error) {
    token.close();
    throw error;
  }
}

function gcmCall(what: { op: 'encryptGcm' | 'decryptGcm'; use: GcmUse }, input: Uint8Array): TokenCall {
  const { keyId, iv, aad } = what.use;
  if (!GCM_IV_BYTES.includes(iv.length)) throw sealError('nonce_length', `an IV has 12 or 16 bytes, not ${iv.length}`);
  return { op: what.op, key: keyId, iv, aad: checked(aad), input: checked(input) };
}

function checked(bytes: Uint8Array): Uint8Array {
  if (bytes.length > TOKEN_INPUT_BYTES_MAX) {
    throw sealError('input_too_long', `a token takes at most ${TOKEN_INPUT_BYTES_MAX} bytes, not ${bytes.length}`);
  }
  return bytes;
}

/** Where tokens agree on RFC 5649: a rest of a block is padded by some of them in a way of their own. */
function wholeBlocks(bytes: Uint8Array): Uint8Array {
  if (bytes.length % KWP_BLOCK_BYTES !== 0 || bytes.length < 2 * KWP_BLOCK_BYTES) {
    throw sealError('key_length', `what is wrapped has whole blocks of ${KWP_BLOCK_BYTES} bytes, not ${bytes.length}`);
  }
  return checked(bytes);
}

async function bytesOf(pool: SessionPool, call: TokenCall): Promise<Buffer> {
  const bytes = (await pool.call(call)) as Uint8Array;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

async function healthOf(pool: SessionPool): Promise<KekHealth> {
  try {
    await pool.call({ op: 'health' });
    return { ok: true };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : '';
    return { ok: false, code: isAppError(cause) ? cause.code : 'unknown', message };
  }
}
