import { timingSafeEqual } from 'node:crypto';
import type { Random, Uuid } from '@auditrax/base';
import { isAppError } from '@auditrax/base';
import { sealError } from '../../errors.ts';
import { KEY_BYTES } from '../../gcm.ts';
import type { DekContext, KekDescription, KekHealth, KekProvider, WrappedDek } from '../../kek.ts';
import type { TokenKeyBook } from './key-book.ts';
import type { KeyUse, TokenFacts, TokenKeyAttributes } from './messages.ts';
import { parseTokenWrapped, tokenUnwrapDek, tokenWrapDek } from './token-wrap.ts';
import type { Pkcs11Token } from './token.ts';

const PKCS11_PREFIX = 'pkcs11:';
const KEY_LABEL = /^[A-Za-z0-9._-]{1,64}$/;

export interface Pkcs11KekOptions {
  readonly token: Pkcs11Token;
  readonly random: Random;
  readonly book: TokenKeyBook;
  /** Which of a tenant's keys; see `kekLabel`. */
  readonly keyLabel?: string;
  /**
   * Whether `wrap` may make the key of a label that was never used. One that has been in use and is missing is a loss to be
   * told, never to be papered over with a new key that opens nothing.
   */
  readonly mayCreate?: boolean;
}

/** A provider over a token, with what belongs to the life of its keys. */
export interface Pkcs11KekProvider extends KekProvider {
  /** Destroys the key for good; what it wrapped is lost. False when there was none. Throws `kek_foreign`. */
  destroyKek(kekRef: string, tenantId: Uuid): Promise<boolean>;
  /** True when `wrap` would make the tenant's key first: it is not there, and never was. Makes nothing. */
  isUnmade(tenantId: Uuid): Promise<boolean>;
  /** The attributes of the tenant's key as the token tells them now. Throws `kek_gone`. */
  describeKek(tenantId: Uuid): Promise<TokenKeyAttributes>;
}

interface Kek {
  readonly id: string;
  readonly kekRef: string;
  readonly use: KeyUse;
  readonly attributes: TokenKeyAttributes;
}

/**
 * The label that a tenant's key has on the token: `ax-<tenant id>`, or `ax-<tenant id>-<keyLabel>`. Every label lies in
 * the tenant's own name, so that no tenant can name the key of another one, or of another program on the same token.
 * Throws `kek_misconfigured`.
 */
export function kekLabel(tenantId: Uuid, keyLabel?: string): string {
  if (keyLabel === undefined) return `ax-${tenantId}`;
  if (!KEY_LABEL.test(keyLabel)) {
    throw sealError('kek_misconfigured', 'keyLabel: 1 to 64 letters, digits, dots, hyphens or underscores');
  }
  return `ax-${tenantId}-${keyLabel}`;
}

/**
 * Key-encryption keys on a PKCS#11 token: one AES-256 key per tenant that the token has made and does not give away,
 * checked by its attributes before it wraps anything. Errors are those of `KekProvider` and `Pkcs11Token`, and
 * `kek_unknown` (a record of another token), `kek_foreign` (the key of another tenant), `kek_gone`.
 */
export function pkcs11KekProvider(options: Pkcs11KekOptions): Pkcs11KekProvider {
  const keys = new TokenKeks(options);
  const { token, random, book } = options;
  const wrap = async (dek: Uint8Array, context: DekContext): Promise<WrappedDek> => {
    const kek = await keys.ofTenant(context.tenantId);
    refuseWeak(kek);
    if (kek.use === 'gcm') await book.take(kek.kekRef);
    const wrapped = await keys.told(kek, () =>
      tokenWrapDek({ token, keyId: kek.id, use: kek.use, context, random }, dek),
    );
    return { wrapped, kekRef: kek.kekRef };
  };
  return {
    wrap,
    async generateDek(context) {
      const dek = Buffer.from(random.bytes(KEY_BYTES));
      return { ...(await wrap(dek, context)), dek };
    },
    async unwrap({ wrapped, kekRef }, context) {
      const parts = parseTokenWrapped(wrapped);
      const kek = await keys.named(kekRef, context.tenantId);
      if (parts.keyId !== kek.id) {
        throw sealError('kek_unknown', `the record names key ${kekRef}, the wrapped bytes name ${parts.keyId}`);
      }
      const use = { token, keyId: kek.id, use: parts.use, context };
      return keys.told(kek, () => tokenUnwrapDek(use, parts));
    },
    describe: () => describe(token, keys.known),
    health: () => health(options, keys.known),
    async destroyKek(kekRef, tenantId) {
      try {
        const kek = await keys.named(kekRef, tenantId);
        keys.forget(kek);
        return await token.destroyKey(kek.id);
      } catch (error) {
        if (isAppError(error, 'kek_gone')) return false;
        throw error;
      }
    },
    isUnmade: (tenantId) => keys.isUnmade(tenantId),
    async describeKek(tenantId) {
      const { id } = await keys.ofTenant(tenantId);
      return token.describeKey(id);
    },
  };
}

/** The keys that this process has looked up and checked. Single flight: two first calls make one key. */
class TokenKeks {
  readonly #options: Pkcs11KekOptions;
  readonly #byLabel = new Map<string, Promise<Kek>>();
  readonly #byId = new Map<string, Kek>();

  constructor(options: Pkcs11KekOptions) {
    this.#options = options;
  }

  get known(): readonly Kek[] {
    return [...this.#byId.values()];
  }

  ofTenant(tenantId: Uuid): Promise<Kek> {
    const label = kekLabel(tenantId, this.#options.keyLabel);
    const held = this.#byLabel.get(label);
    if (held !== undefined) return held;
    const looked = this.#look(label);
    this.#byLabel.set(label, looked);
    looked.catch(() => this.#byLabel.delete(label));
    return looked;
  }

  /** The key of a record, by its id; the token's serial number may be another one after a move to new hardware. */
  async named(kekRef: string, tenantId: Uuid): Promise<Kek> {
    const [, serial, id] = /^pkcs11:([^/]+)\/([0-9a-f]{2,128})$/.exec(kekRef) ?? [];
    if (serial === undefined || id === undefined) {
      throw sealError('kek_unknown', `the record names key ${kekRef}, which is none of a PKCS#11 token`);
    }
    const kek = this.#byId.get(id) ?? (await this.#byRecord(id, serial));
    const own = kekLabel(tenantId);
    if (kek.attributes.label !== own && !kek.attributes.label.startsWith(`${own}-`)) {
      throw sealError('kek_foreign', `key ${kekRef} is not one of tenant ${tenantId}: the token labels it otherwise`);
    }
    return kek;
  }

  async isUnmade(tenantId: Uuid): Promise<boolean> {
    const { token, book, keyLabel } = this.#options;
    const label = kekLabel(tenantId, keyLabel);
    return (await token.findKey({ label })) === undefined && (await book.keyOf(label)) === undefined;
  }

  forget(kek: Kek): void {
    this.#byId.delete(kek.id);
    this.#byLabel.delete(kek.attributes.label);
  }

  /** Runs a call with a key; a key that is gone is looked up anew the next time. */
  async told<T>(kek: Kek, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (isAppError(error, 'kek_gone')) this.forget(kek);
      throw error;
    }
  }

  async #byRecord(id: string, serial: string): Promise<Kek> {
    const { token } = this.#options;
    const facts = await token.facts();
    const found = await token.findKey({ id });
    if (found !== undefined) return this.#checked(id, facts);
    if (facts.serial === serial) throw sealError('kek_gone', `token ${serial} has no key ${id} any more`);
    throw sealError(
      'kek_unknown',
      `the record names key ${id} of token ${serial}; the configured token is ${facts.serial} ("${facts.label}") and has no such key`,
    );
  }

  async #look(label: string): Promise<Kek> {
    const { token, book } = this.#options;
    const facts = await token.facts();
    const [found, former] = [await token.findKey({ label }), await book.keyOf(label)];
    if (found === undefined && former !== undefined) {
      throw sealError(
        'kek_gone',
        `token ${facts.serial} ("${facts.label}") has lost key ${former}, labelled "${label}"`,
      );
    }
    const kek = await this.#checked(found?.id ?? (await this.#make(label, facts)), facts);
    if (former !== undefined && !former.endsWith(`/${kek.id}`)) {
      throw sealError('kek_unknown', `label "${label}" named key ${former} and names ${kek.kekRef} now`);
    }
    await book.note(label, kek.kekRef);
    return kek;
  }

  async #make(label: string, facts: TokenFacts): Promise<string> {
    const { token, mayCreate } = this.#options;
    if (mayCreate !== true) {
      throw sealError('kek_gone', `token ${facts.serial} ("${facts.label}") has no key labelled "${label}"`);
    }
    const { gcm, kwp } = await token.mechanisms();
    if (!gcm && kwp === undefined) {
      throw sealError('kek_misconfigured', `token ${facts.serial} has neither AES-GCM nor RFC 5649 key wrap`);
    }
    return (await token.createAesKey({ label, use: gcm ? 'gcm' : 'kwp' })).id;
  }

  async #checked(id: string, facts: TokenFacts): Promise<Kek> {
    const attributes = await this.#options.token.describeKey(id);
    const use: KeyUse = attributes.encrypt === true ? 'gcm' : 'kwp';
    const kek: Kek = { id, kekRef: `${PKCS11_PREFIX}${facts.serial}/${id}`, use, attributes };
    this.#byId.set(id, kek);
    return kek;
  }
}

/** What the token must say of a key before anything is wrapped by it; unwrapping what exists is never refused for it. */
const REQUIRED: readonly (readonly [name: keyof TokenKeyAttributes, value: boolean])[] = [
  ['givesValue', false],
  ['isAes', true],
  ['token', true],
  ['private', true],
  ['sensitive', true],
  ['alwaysSensitive', true],
  ['extractable', false],
  ['neverExtractable', true],
];

function refuseWeak({ kekRef, use, attributes }: Kek): void {
  const wrong = REQUIRED.filter(([name, value]) => attributes[name] !== value).map(([name]) => name);
  if (attributes.value_bytes !== undefined && attributes.value_bytes !== KEY_BYTES) wrong.push('value_bytes');
  const mayUse =
    use === 'gcm'
      ? attributes.decrypt === true && attributes.wrap !== true
      : attributes.wrap === true && attributes.unwrap === true && attributes.decrypt !== true;
  if (wrong.length === 0 && mayUse) return;
  const what = wrong.length === 0 ? 'its uses (encrypt and decrypt, or wrap and unwrap, not both)' : wrong.join(', ');
  throw sealError('kek_misconfigured', `key ${kekRef} is not fit to protect data keys: check ${what}`);
}

async function describe(token: Pkcs11Token, known: readonly Kek[]): Promise<KekDescription> {
  const [facts, mechanisms] = [await token.facts(), await token.mechanisms()];
  return {
    provider: 'pkcs11',
    hardware: facts.hardwareSlot,
    fingerprint: `${PKCS11_PREFIX}${facts.serial}`,
    keyCount: known.length,
    details: {
      token: facts.label,
      serial: facts.serial,
      manufacturer: facts.manufacturer,
      model: facts.model,
      firmware: facts.firmware,
      module: facts.library,
      mechanism: mechanisms.gcm ? 'AES-256-GCM' : 'AES-256-KWP',
      neverExtractable: known.length > 0 && known.every(({ attributes }) => attributes.neverExtractable === true),
    },
  };
}

/** A known key opens what it sealed once; sealing anew at every look would use up its IVs. */
const SAMPLES = new WeakMap<Kek, { readonly wrapped: Buffer; readonly dek: Buffer }>();

async function health(options: Pkcs11KekOptions, known: readonly Kek[]): Promise<KekHealth> {
  const [kek] = known;
  if (kek === undefined) return options.token.health();
  const { token, random, book } = options;
  const id = '00000000-0000-4000-8000-000000000000' as Uuid;
  const use = {
    token,
    keyId: kek.id,
    use: kek.use,
    context: { tenantId: id, purpose: 'health', dekId: id, version: 1 },
  };
  try {
    let sample = SAMPLES.get(kek);
    if (sample === undefined) {
      if (kek.use === 'gcm') await book.take(kek.kekRef);
      const dek = Buffer.from(random.bytes(KEY_BYTES));
      sample = { dek, wrapped: await tokenWrapDek({ ...use, random }, dek) };
      SAMPLES.set(kek, sample);
    }
    const opened = await tokenUnwrapDek(use, parseTokenWrapped(sample.wrapped));
    if (!timingSafeEqual(opened, sample.dek)) {
      throw sealError('authentication_failed', `key ${kek.kekRef} does not open what it sealed`);
    }
    return { ok: true };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : '';
    return { ok: false, code: isAppError(cause) ? cause.code : 'unknown', message };
  }
}
