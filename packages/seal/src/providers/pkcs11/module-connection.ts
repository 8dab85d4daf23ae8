import { createRequire } from 'node:module';
import type * as pkcs11js from 'pkcs11js';
import type { AppError } from '@auditrax/base';
import { sealError } from '../../errors.ts';
import type { SealErrorCode } from '../../errors.ts';
import { faultError, isPinRefusal, moduleFault } from './module-errors.ts';
import type { KeyName, ModuleSettings, TokenFacts, TokenMechanisms } from './messages.ts';
import { probeMechanisms } from './module-probe.ts';

export type Api = typeof pkcs11js;

/** The PKCS#11 binding is a compiled part: it is loaded on first use, so that its absence is a typed error. */
export function loadBinding(): Api {
  try {
    return createRequire(import.meta.url)('pkcs11js') as Api;
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND' ? 'is not compiled' : 'cannot be loaded';
    throw sealError('kek_misconfigured', `the PKCS#11 binding ${why}: the start compiles it, with g++`, cause);
  }
}

/** A token that is away is not asked again for this long: each attempt may block for the module's own timeout. */
const RECONNECT_PAUSE_MS = 250;
/**
 * A slot whose token is missing is looked at so often, so far apart, before its absence is told: SoftHSM, for one, lists a
 * token as absent for a moment while other processes log in to it.
 */
const LOOKS_MAX = 3;
const LOOK_PAUSE_MS = 40;
/** More keys than one name can honestly have; two are an error already. */
const FIND_MAX = 2;

/** PKCS#11 2.40, CK_SLOT_INFO: the slot is implemented by a hardware device. */
const CKF_HW_SLOT = 0x4;

interface Live {
  readonly slot: Buffer;
  readonly session: Buffer;
  readonly facts: TokenFacts;
}

/**
 * One connection to one token, in the child: module, slot, session, login and the handles that were looked up under
 * them. All of it is dropped together, because after a lost token none of it can be trusted: SoftHSM, for one, goes on
 * answering "there is no such key" in its old session when the token is back.
 */
export class ModuleConnection {
  readonly api: Api;
  readonly #module: pkcs11js.PKCS11;
  readonly #settings: ModuleSettings;
  readonly #handles = new Map<string, Buffer>();
  #live: Live | undefined;
  #mechanisms: TokenMechanisms | undefined;
  #gcmLayout = 0;
  #refused: { readonly error: unknown; readonly untilMs: number } | undefined;

  constructor(settings: ModuleSettings) {
    this.api = loadBinding();
    this.#settings = settings;
    this.#module = new this.api.PKCS11();
    try {
      this.#module.load(settings.modulePath);
    } catch (cause) {
      const why = cause instanceof Error ? `: ${cause.message.split('\n')[0]}` : '';
      throw sealError('kek_misconfigured', `${settings.modulePath} cannot be loaded as a PKCS#11 module${why}`, cause);
    }
  }

  get module(): pkcs11js.PKCS11 {
    return this.#module;
  }

  get live(): Live {
    if (this.#live === undefined) throw sealError('kek_unavailable', 'the token is not connected');
    return this.#live;
  }

  get mechanisms(): TokenMechanisms {
    this.#mechanisms ??= this.#probe();
    return this.#mechanisms;
  }

  /** Connects unless connected; true when it just did. Throws what `faultError` says, `kek_unavailable`. */
  ensure(): boolean {
    if (this.#live !== undefined) return false;
    if (this.#refused !== undefined && Date.now() < this.#refused.untilMs) throw this.#refused.error;
    try {
      this.#live = this.#open(LOOKS_MAX);
    } catch (error) {
      this.drop();
      const fault = moduleFault(error);
      const told = fault === undefined ? error : faultError(fault, 'a login');
      // A refused PIN is never sent twice by this process: an HSM locks itself after a few.
      const untilMs = isPinRefusal(error) ? Infinity : Date.now() + RECONNECT_PAUSE_MS;
      this.#refused = { error: told, untilMs };
      throw told;
    }
    this.#refused = undefined;
    return true;
  }

  /** Forgets everything; the next `ensure` starts from nothing. Never throws. */
  drop(): void {
    this.#handles.clear();
    this.#live = undefined;
    try {
      this.#module.C_Finalize();
    } catch {
      // What is lost need not be ended properly.
    }
  }

  /** The GCM parameter: two layouts of it are in use among modules, the probe found which one this module reads. */
  gcm(input: { readonly iv: Uint8Array; readonly aad: Uint8Array }): pkcs11js.Mechanism {
    const parameter = {
      type: this.#gcmLayout,
      iv: Buffer.from(input.iv),
      ivBits: input.iv.length * 8,
      aad: Buffer.from(input.aad),
      tagBits: 128,
    };
    return { mechanism: this.api.CKM_AES_GCM, parameter };
  }

  /** Handles of the secret keys of that name, as the token sees them now. Throws `kek_misconfigured` for two. */
  find(name: KeyName): Buffer | undefined {
    const { session } = this.live;
    const { api } = this;
    const named =
      'label' in name
        ? { type: api.CKA_LABEL, value: Buffer.from(name.label, 'utf8') }
        : { type: api.CKA_ID, value: Buffer.from(name.id, 'hex') };
    this.#module.C_FindObjectsInit(session, [{ type: api.CKA_CLASS, value: api.CKO_SECRET_KEY }, named]);
    let found: Buffer[];
    try {
      found = this.#module.C_FindObjects(session, FIND_MAX);
    } finally {
      this.#module.C_FindObjectsFinal(session);
    }
    if (found.length > 1) {
      throw sealError(
        'kek_misconfigured',
        `the token has several keys named ${JSON.stringify(name)}: rename all but one`,
      );
    }
    return found[0];
  }

  /** The handle of a key, from memory while the connection lasts. */
  handle(id: string): Buffer | undefined {
    const held = this.#handles.get(id);
    if (held !== undefined) return held;
    const found = this.find({ id });
    if (found !== undefined) this.#handles.set(id, found);
    return found;
  }

  remember(id: string, handle: Buffer): void {
    this.#handles.set(id, handle);
  }

  forget(id: string): void {
    this.#handles.delete(id);
  }

  /** True when something that was seen on this connection is still to be found: then an absence is a real one. */
  hasWitness(exceptId: string | undefined): boolean {
    for (const id of this.#handles.keys()) {
      if (id !== exceptId) return this.find({ id }) !== undefined;
    }
    return false;
  }

  /** True when token and key answer now, by their old handles: what failed, failed because of its bytes. */
  isAlive(id: string): boolean {
    const held = this.#handles.get(id);
    if (this.#live === undefined || held === undefined) return false;
    const { slot, session, facts } = this.#live;
    try {
      if (this.#module.C_GetTokenInfo(slot).serialNumber.trim() !== facts.serial) return false;
      const [attribute] = this.#module.C_GetAttributeValue(session, held, [{ type: this.api.CKA_ID }]);
      return attribute?.value.toString('hex') === id;
    } catch {
      return false;
    }
  }

  /** Runs `work` in a session that may write; such sessions are scarce on hardware and live for one operation. */
  writing<T>(work: (session: Buffer) => T): T {
    const session = this.#module.C_OpenSession(this.live.slot, this.api.CKF_SERIAL_SESSION | this.api.CKF_RW_SESSION);
    try {
      return work(session);
    } finally {
      this.#module.C_CloseSession(session);
    }
  }

  #open(looks: number): Live {
    const { api } = this;
    this.#module.C_Initialize({ flags: api.CKF_OS_LOCKING_OK });
    const found = this.#slot();
    if (found === undefined) {
      if (looks <= 1) throw this.#absent();
      this.drop();
      // This process does one thing at a time, and its caller has a deadline: it may as well stand still.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_PAUSE_MS);
      return this.#open(looks - 1);
    }
    const { slot, facts } = found;
    const session = this.#module.C_OpenSession(slot, api.CKF_SERIAL_SESSION);
    try {
      this.#module.C_Login(session, api.CKU_USER, this.#settings.pin);
    } catch (error) {
      if (moduleFault(error)?.name !== 'CKR_USER_ALREADY_LOGGED_IN') throw error;
    }
    return { slot, session, facts };
  }

  #present(): { slot: Buffer; facts: TokenFacts }[] {
    return this.#module.C_GetSlotList(true).flatMap((slot) => {
      try {
        return [{ slot, facts: this.#facts(slot) }];
      } catch {
        // A broken token in another slot is not ours to complain about; if it is ours, it is missing.
        return [];
      }
    });
  }

  #slot(): { slot: Buffer; facts: TokenFacts } | undefined {
    const { tokenLabel, tokenSerial } = this.#settings;
    const matching = this.#present().filter(
      ({ facts }) => facts.label === tokenLabel && (tokenSerial === undefined || facts.serial === tokenSerial),
    );
    if (matching.length > 1) {
      throw sealError('kek_misconfigured', `several tokens are labelled "${tokenLabel}": name the serial number too`);
    }
    return matching[0];
  }

  #absent(): AppError<SealErrorCode> {
    const labels = this.#present().map(({ facts }) => `"${facts.label}"`);
    const found = labels.length === 0 ? '' : `; found ${labels.join(', ')}`;
    return sealError('kek_unavailable', `no token labelled "${this.#settings.tokenLabel}" is present${found}`);
  }

  #facts(slot: Buffer): TokenFacts {
    const token = this.#module.C_GetTokenInfo(slot);
    const library = this.#module.C_GetInfo();
    return {
      label: token.label.trim(),
      serial: token.serialNumber.trim(),
      manufacturer: token.manufacturerID.trim(),
      model: token.model.trim(),
      firmware: `${token.firmwareVersion.major}.${token.firmwareVersion.minor}`,
      library: `${library.libraryDescription.trim()} ${library.libraryVersion.major}.${library.libraryVersion.minor}`,
      hardwareSlot: (this.#module.C_GetSlotInfo(slot).flags & CKF_HW_SLOT) !== 0,
    };
  }

  #probe(): TokenMechanisms {
    const { slot, session } = this.live;
    const listed = this.#module.C_GetMechanismList(slot);
    const found = probeMechanisms({ api: this.api, module: this.#module, session, listed });
    this.#gcmLayout = found.gcmLayout ?? 0;
    return { gcm: found.gcmLayout !== undefined, kwp: found.kwp, listed };
  }
}
