import { sealError } from '../../errors.ts';
import { KEY_BYTES, TAG_BYTES } from '../../gcm.ts';
import type { KeyName, KeyUse, TokenCall, TokenKey, TokenKeyAttributes } from './messages.ts';
import type { ModuleConnection } from './module-connection.ts';
import { sessionKey } from './module-probe.ts';

/** The key that was asked for is not on the token, as far as this connection can see. */
export class KeyAbsent extends Error {
  readonly id: string;

  constructor(id: string) {
    super(`the token has no key ${id}`);
    this.id = id;
  }
}

/** RFC 5649 adds 8 bytes and pads to 8. */
const KWP_GROWTH_BYTES = 24;

type Work<Op extends TokenCall['op']> = (
  connection: ModuleConnection,
  call: Extract<TokenCall, { readonly op: Op }>,
) => unknown;

/** What each call does, on a live connection. Faults of the module pass through; `KeyAbsent` is a look that found none. */
const OPERATIONS: { readonly [Op in Exclude<TokenCall['op'], 'configure'>]: Work<Op> } = {
  facts: (connection) => connection.live.facts,
  mechanisms: (connection) => connection.mechanisms,
  health: (connection) => {
    connection.module.C_GetSessionInfo(connection.live.session);
    const serial = connection.module.C_GetTokenInfo(connection.live.slot).serialNumber.trim();
    if (serial !== connection.live.facts.serial) throw new KeyAbsent('of this token');
    return null;
  },
  findKey: (connection, { name }) => findKey(connection, name),
  createAesKey: createAesKey,
  describeKey: (connection, { key }) => describeKey(connection, key),
  destroyKey: (connection, { key }) => {
    const handle = handleOf(connection, key);
    connection.writing((session) => connection.module.C_DestroyObject(session, handle));
    connection.forget(key);
    return true;
  },
  encryptGcm: (connection, { key, iv, aad, input }) => {
    const handle = handleOf(connection, key);
    const { module, live } = connection;
    module.C_EncryptInit(live.session, gcmOf(connection, { iv, aad }), handle);
    return whole(module.C_Encrypt(live.session, Buffer.from(input), Buffer.alloc(input.length + 2 * TAG_BYTES)));
  },
  decryptGcm: (connection, { key, iv, aad, input }) => {
    const handle = handleOf(connection, key);
    const { module, live } = connection;
    module.C_DecryptInit(live.session, gcmOf(connection, { iv, aad }), handle);
    return whole(module.C_Decrypt(live.session, Buffer.from(input), Buffer.alloc(input.length)));
  },
  wrapKwp: wrapKwp,
  unwrapKwp: unwrapKwp,
};

export function operate(connection: ModuleConnection, call: Exclude<TokenCall, { readonly op: 'configure' }>): unknown {
  return (OPERATIONS[call.op] as Work<typeof call.op>)(connection, call);
}

function handleOf(connection: ModuleConnection, id: string): Buffer {
  const handle = connection.handle(id);
  if (handle === undefined) throw new KeyAbsent(id);
  return handle;
}

function gcmOf(connection: ModuleConnection, input: { readonly iv: Uint8Array; readonly aad: Uint8Array }) {
  if (!connection.mechanisms.gcm) throw sealError('kek_misconfigured', 'this token has no working AES-GCM');
  return connection.gcm(input);
}

function kwpOf(connection: ModuleConnection): { readonly mechanism: number } {
  const mechanism = connection.mechanisms.kwp;
  if (mechanism === undefined) throw sealError('kek_misconfigured', 'this token has no working RFC 5649 key wrap');
  return { mechanism };
}

function findKey(connection: ModuleConnection, name: KeyName): TokenKey {
  const handle = connection.find(name);
  if (handle === undefined) throw new KeyAbsent('label' in name ? `labelled "${name.label}"` : name.id);
  const { id, label } = nameOf(connection, handle);
  connection.remember(id, handle);
  return { id, label };
}

/** The id is the caller's and random: asked a second time after a lost answer, the key that was made is found. */
function createAesKey(
  connection: ModuleConnection,
  call: { readonly label: string; readonly id: string; readonly use: KeyUse },
): TokenKey {
  const existing = connection.find({ id: call.id });
  if (existing !== undefined) return nameOf(connection, existing);
  const { api, module } = connection;
  const isGcm = call.use === 'gcm';
  const flags: readonly (readonly [type: number, value: boolean])[] = [
    [api.CKA_TOKEN, true],
    [api.CKA_PRIVATE, true],
    [api.CKA_SENSITIVE, true],
    [api.CKA_EXTRACTABLE, false],
    [api.CKA_MODIFIABLE, false],
    [api.CKA_ENCRYPT, isGcm],
    [api.CKA_DECRYPT, isGcm],
    [api.CKA_WRAP, !isGcm],
    [api.CKA_UNWRAP, !isGcm],
  ];
  connection.writing((session) =>
    module.C_GenerateKey(session, { mechanism: api.CKM_AES_KEY_GEN }, [
      { type: api.CKA_CLASS, value: api.CKO_SECRET_KEY },
      { type: api.CKA_KEY_TYPE, value: api.CKK_AES },
      { type: api.CKA_VALUE_LEN, value: KEY_BYTES },
      { type: api.CKA_LABEL, value: Buffer.from(call.label, 'utf8') },
      { type: api.CKA_ID, value: Buffer.from(call.id, 'hex') },
      ...flags.map(([type, value]) => ({ type, value })),
    ]),
  );
  return nameOf(connection, handleOf(connection, call.id));
}

function nameOf(connection: ModuleConnection, handle: Buffer): TokenKey {
  const { api, module, live } = connection;
  const values = module.C_GetAttributeValue(live.session, handle, [{ type: api.CKA_ID }, { type: api.CKA_LABEL }]);
  return { id: values[0]!.value.toString('hex'), label: values[1]!.value.toString('utf8') };
}

function describeKey(connection: ModuleConnection, id: string): TokenKeyAttributes {
  const handle = handleOf(connection, id);
  const { api, module, live } = connection;
  const { label } = nameOf(connection, handle);
  // One by one: a token that lacks one attribute must not take the others with it.
  const read = (type: number): Buffer | undefined => {
    try {
      return module.C_GetAttributeValue(live.session, handle, [{ type }])[0]?.value;
    } catch (error) {
      if (error instanceof Error && /CKR_ATTRIBUTE_(TYPE_INVALID|SENSITIVE)/.test(error.message)) return undefined;
      throw error;
    }
  };
  const flag = (type: number): boolean | undefined => {
    const value = read(type);
    return value === undefined || value.length === 0 ? undefined : value[0] !== 0;
  };
  const number = (type: number): number | undefined => {
    const value = read(type);
    return value === undefined || value.length < 4 ? undefined : value.readUInt32LE(0);
  };
  // The attribute says that the key cannot be read; asking for the value itself shows it.
  const givesValue = (): boolean => {
    try {
      const value = module.C_GetAttributeValue(live.session, handle, [{ type: api.CKA_VALUE }])[0]?.value;
      value?.fill(0);
      return value !== undefined && value.length > 0;
    } catch (error) {
      if (error instanceof Error && /CKR_/.test(error.message)) return false; // refused, in whatever words
      throw error;
    }
  };
  return {
    id,
    label,
    givesValue: givesValue(),
    isAes: number(api.CKA_KEY_TYPE) === api.CKK_AES,
    value_bytes: number(api.CKA_VALUE_LEN),
    token: flag(api.CKA_TOKEN),
    private: flag(api.CKA_PRIVATE),
    sensitive: flag(api.CKA_SENSITIVE),
    alwaysSensitive: flag(api.CKA_ALWAYS_SENSITIVE),
    extractable: flag(api.CKA_EXTRACTABLE),
    neverExtractable: flag(api.CKA_NEVER_EXTRACTABLE),
    local: flag(api.CKA_LOCAL),
    modifiable: flag(api.CKA_MODIFIABLE),
    encrypt: flag(api.CKA_ENCRYPT),
    decrypt: flag(api.CKA_DECRYPT),
    wrap: flag(api.CKA_WRAP),
    unwrap: flag(api.CKA_UNWRAP),
  };
}

/** The bytes become a passing key of the token only to be wrapped: C_WrapKey takes no bytes. */
function wrapKwp(connection: ModuleConnection, call: { readonly key: string; readonly input: Uint8Array }): Buffer {
  const mechanism = kwpOf(connection);
  const handle = handleOf(connection, call.key);
  const { api, module, live } = connection;
  const brought = module.C_CreateObject(live.session, [
    ...sessionKey(api, api.CKK_GENERIC_SECRET),
    { type: api.CKA_VALUE, value: Buffer.from(call.input) },
  ]);
  try {
    const out = Buffer.alloc(call.input.length + KWP_GROWTH_BYTES);
    return whole(module.C_WrapKey(live.session, mechanism, handle, brought, out));
  } finally {
    module.C_DestroyObject(live.session, brought);
  }
}

function unwrapKwp(connection: ModuleConnection, call: { readonly key: string; readonly input: Uint8Array }): Buffer {
  const mechanism = kwpOf(connection);
  const handle = handleOf(connection, call.key);
  const { api, module, live } = connection;
  const opened = module.C_UnwrapKey(
    live.session,
    mechanism,
    handle,
    Buffer.from(call.input),
    sessionKey(api, api.CKK_GENERIC_SECRET),
  );
  try {
    return whole(module.C_GetAttributeValue(live.session, opened, [{ type: api.CKA_VALUE }])[0]!.value);
  } finally {
    module.C_DestroyObject(live.session, opened);
  }
}

/** A copy of exactly these bytes: a view would carry the whole of its buffer over to the other process. */
function whole(bytes: Buffer): Buffer {
  return Buffer.from(bytes);
}
