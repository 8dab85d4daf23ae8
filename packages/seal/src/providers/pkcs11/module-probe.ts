import { createCipheriv, randomBytes } from 'node:crypto';
import type * as pkcs11js from 'pkcs11js';
import { gcmEncrypt, GCM_NONCE_BYTES, KEY_BYTES, TAG_BYTES } from '../../gcm.ts';
import { KWP_BLOCK_BYTES } from './messages.ts';
import { moduleFault } from './module-errors.ts';

interface Probe {
  readonly api: typeof pkcs11js;
  readonly module: pkcs11js.PKCS11;
  readonly session: Buffer;
  readonly listed: readonly number[];
}

/** CKM_AES_KEY_WRAP_KWP (PKCS#11 3.0) is RFC 5649 by definition; _PAD is so on some tokens and PKCS padding on others. */
export const CKM_AES_KEY_WRAP_KWP = 0x210b;
const KWP_IV = Buffer.from('a65959a6', 'hex');
/** Whole blocks: SoftHSM pads to the block before it wraps and writes the padded length, so 27 bytes come back as 32. */
const KWP_SAMPLE_BYTES = 64;

/**
 * Tries what the token lists, on throw-away session keys. `gcmLayout` is the pkcs11js number of the parameter layout
 * that the module reads as OpenSSL does, undefined when GCM does not work; `kwp` the mechanism that is RFC 5649 indeed.
 */
export function probeMechanisms(probe: Probe): { gcmLayout: number | undefined; kwp: number | undefined } {
  return { gcmLayout: probeGcm(probe), kwp: probeKwp(probe) };
}

function probeGcm(probe: Probe): number | undefined {
  const { api } = probe;
  if (!probe.listed.includes(api.CKM_AES_GCM)) return undefined;
  return [api.CK_PARAMS_AES_GCM, api.CK_PARAMS_AES_GCM_v240].find(
    (layout) => attempt(() => gcmAsOpenssl(probe, layout)) ?? attempt(() => gcmAsItself(probe, layout)) ?? false,
  );
}

function probeKwp(probe: Probe): number | undefined {
  return [CKM_AES_KEY_WRAP_KWP, probe.api.CKM_AES_KEY_WRAP_PAD].find(
    (mechanism) => probe.listed.includes(mechanism) && (attempt(() => kwpAsOpenssl(probe, mechanism)) ?? false),
  );
}

/** Undefined when the token would not do it. */
function attempt(work: () => boolean): boolean | undefined {
  try {
    return work();
  } catch (error) {
    if (moduleFault(error) === undefined) throw error;
    return undefined;
  }
}

/** The same key here and there: the token's bytes are OpenSSL's bytes. */
function gcmAsOpenssl(probe: Probe, layout: number): boolean {
  const key = randomBytes(KEY_BYTES);
  const handle = bringKey(probe, { value: key, keyType: probe.api.CKK_AES });
  try {
    const [nonce, aad, sample] = [randomBytes(GCM_NONCE_BYTES), randomBytes(21), randomBytes(KEY_BYTES)];
    const mechanism = gcmMechanism(probe, { layout, nonce, aad });
    return encrypt(probe, { mechanism, handle }, sample).equals(gcmEncrypt({ key, nonce, aad }, sample));
  } finally {
    probe.module.C_DestroyObject(probe.session, handle);
  }
}

/** Where no key may be brought in: it opens what it sealed, and not with other associated data. */
function gcmAsItself(probe: Probe, layout: number): boolean {
  const { api, module, session } = probe;
  const handle = module.C_GenerateKey(session, { mechanism: api.CKM_AES_KEY_GEN }, [
    { type: api.CKA_VALUE_LEN, value: KEY_BYTES },
    ...sessionKey(api, api.CKK_AES),
  ]);
  try {
    const [nonce, sample] = [randomBytes(GCM_NONCE_BYTES), randomBytes(KEY_BYTES)];
    const mechanism = (aad: string) => gcmMechanism(probe, { layout, nonce, aad: Buffer.from(aad) });
    const sealed = encrypt(probe, { mechanism: mechanism('one'), handle }, sample);
    module.C_DecryptInit(session, mechanism('one'), handle);
    const opened = module.C_Decrypt(session, sealed, Buffer.alloc(sealed.length));
    module.C_DecryptInit(session, mechanism('two'), handle);
    const other = attempt(() => module.C_Decrypt(session, sealed, Buffer.alloc(sealed.length)).length > 0);
    return sealed.length === sample.length + TAG_BYTES && opened.equals(sample) && other === undefined;
  } finally {
    module.C_DestroyObject(session, handle);
  }
}

function kwpAsOpenssl(probe: Probe, mechanism: number): boolean {
  const { api, module, session } = probe;
  const key = randomBytes(KEY_BYTES);
  const sample = randomBytes(KWP_SAMPLE_BYTES);
  const wrapping = bringKey(probe, { value: key, keyType: api.CKK_AES });
  const wrapped = bringKey(probe, { value: sample, keyType: api.CKK_GENERIC_SECRET });
  try {
    const out = Buffer.alloc(KWP_SAMPLE_BYTES + 3 * KWP_BLOCK_BYTES);
    const bytes = module.C_WrapKey(session, { mechanism }, wrapping, wrapped, out);
    const cipher = createCipheriv('id-aes256-wrap-pad', key, KWP_IV);
    return bytes.equals(Buffer.concat([cipher.update(sample), cipher.final()]));
  } finally {
    module.C_DestroyObject(session, wrapped);
    module.C_DestroyObject(session, wrapping);
  }
}

/** Attributes of a key that lives as long as its session and is nobody's secret for longer. */
export function sessionKey(api: typeof pkcs11js, keyType: number): pkcs11js.Template {
  return [
    { type: api.CKA_CLASS, value: api.CKO_SECRET_KEY },
    { type: api.CKA_KEY_TYPE, value: keyType },
    { type: api.CKA_TOKEN, value: false },
    { type: api.CKA_SENSITIVE, value: false },
    { type: api.CKA_EXTRACTABLE, value: true },
  ];
}

function bringKey(probe: Probe, key: { readonly value: Buffer; readonly keyType: number }): Buffer {
  const { api } = probe;
  const uses =
    key.keyType === api.CKK_AES
      ? [api.CKA_ENCRYPT, api.CKA_DECRYPT, api.CKA_WRAP, api.CKA_UNWRAP].map((type) => ({ type, value: true }))
      : [];
  return probe.module.C_CreateObject(probe.session, [
    ...sessionKey(api, key.keyType),
    ...uses,
    { type: api.CKA_VALUE, value: key.value },
  ]);
}

function gcmMechanism(
  probe: Probe,
  input: { readonly layout: number; readonly nonce: Buffer; readonly aad: Buffer },
): pkcs11js.Mechanism {
  const { layout, nonce, aad } = input;
  return {
    mechanism: probe.api.CKM_AES_GCM,
    parameter: { type: layout, iv: nonce, ivBits: nonce.length * 8, aad, tagBits: TAG_BYTES * 8 } as pkcs11js.IParams,
  };
}

function encrypt(
  probe: Probe,
  use: { readonly mechanism: pkcs11js.Mechanism; readonly handle: Buffer },
  sample: Buffer,
): Buffer {
  probe.module.C_EncryptInit(probe.session, use.mechanism, use.handle);
  return probe.module.C_Encrypt(probe.session, sample, Buffer.alloc(sample.length + 2 * TAG_BYTES));
}
