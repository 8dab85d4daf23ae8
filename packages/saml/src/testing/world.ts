import { createPublicKey } from 'node:crypto';
import { isAppError, manualClock } from '@auditrax/base';
import {
  acceptResponse,
  parseConnection,
  type AcceptedResponse,
  type ConnectionInput,
  type StoredRequest,
} from '../index.ts';
import { base64, WORLD } from './generator.ts';
import { makeTestKey, type TestKey } from './keys.ts';

/** Keys of a test's provider, of the one it changes to, of an attacker, and of this side. */
export interface TestWorld {
  readonly idp: TestKey;
  readonly next: TestKey;
  readonly attacker: TestKey;
  readonly sp: TestKey & { readonly publicKey: string };
}

export async function makeTestWorld(): Promise<TestWorld> {
  const [idp, next, attacker, sp] = await Promise.all(
    ['idp', 'next', 'attacker', 'sp'].map((name) => makeTestKey(name)),
  );
  const publicKey = createPublicKey(sp!.certificate).export({ type: 'spki', format: 'pem' }) as string;
  return { idp: idp!, next: next!, attacker: attacker!, sp: { ...sp!, publicKey } };
}

export const REQUEST: StoredRequest = {
  id: WORLD.requestId,
  relayState: WORLD.relayState,
  issuedAt_ms: WORLD.now_ms - 10_000,
  forceAuthn: false,
};

export interface Attempt {
  readonly connection?: Partial<ConnectionInput>;
  readonly request?: Partial<StoredRequest> | null;
  readonly relayState?: string | null;
  readonly now_ms?: number;
  readonly decryptionKeys?: readonly string[];
  readonly once?: (id: string, forget_ms: number) => Promise<boolean>;
  /** Sent as it is instead of the base64 of the text. */
  readonly field?: string;
}

/** Brings one response to the door of a connection that trusts the world's provider. */
export function attempt(world: TestWorld, xml: string, options: Attempt = {}): Promise<AcceptedResponse> {
  const connection = parseConnection({
    idpEntityId: WORLD.idp,
    ssoUrl: WORLD.sso,
    spEntityId: WORLD.sp,
    acsUrl: WORLD.acs,
    certificates: [{ pem: world.idp.certificate, state: 'active' }],
    ...options.connection,
  });
  return acceptResponse(
    {
      samlResponse: options.field ?? base64(xml),
      relayState: options.relayState === null ? undefined : (options.relayState ?? WORLD.relayState),
      request: options.request === null ? undefined : { ...REQUEST, ...options.request },
      connection,
      decryptionKeys: options.decryptionKeys ?? [],
    },
    { clock: manualClock(options.now_ms ?? WORLD.now_ms), once: options.once ?? (() => Promise.resolve(true)) },
  );
}

/** `accepted as <name>`, or the code of the refusal; anything that is no refusal of ours is thrown on. */
export async function verdict(world: TestWorld, xml: string, options: Attempt = {}): Promise<string> {
  try {
    return `accepted as ${(await attempt(world, xml, options)).subject.nameId}`;
  } catch (error) {
    if (isAppError(error) && error.code.startsWith('saml_')) return error.code;
    throw error;
  }
}
