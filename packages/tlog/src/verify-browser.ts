// Browser side: Web Crypto, and our own SHA-256 where very many short inputs are hashed; no import from Node.
import type { Primitives } from './core.ts';
import { sha256Short } from './sha256-core.ts';

export * from './audit-core.ts';
export * from './core.ts';
export * from './epoch-leaf.ts';
export * from './evidence-core.ts';
export * from './policy-core.ts';
export * from './succession-core.ts';

/** Web Crypto wants buffers that are not shared; a copy costs nothing beside the hash. */
function plain(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

/** The same bytes with the type that Web Crypto asks for; what is hashed in bulk is never in shared memory. */
function owned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : plain(bytes);
}

/** Up to here our own SHA-256 is faster than a promise and another thread; beyond, Web Crypto is. */
const SHORT_BYTES_MAX = 1024;
/** Before as many the page gets a turn: an audit of a whole log must not freeze it. */
const PAUSE_AFTER_INPUTS = 2048;

async function digestOf(data: Uint8Array): Promise<Uint8Array> {
  if (data.length <= SHORT_BYTES_MAX) return sha256Short(data);
  return new Uint8Array(await crypto.subtle.digest('SHA-256', owned(data)));
}

async function digestsOf(inputs: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
  if (inputs.length > PAUSE_AFTER_INPUTS) await new Promise((resolve) => setTimeout(resolve));
  return inputs.every((data) => data.length <= SHORT_BYTES_MAX)
    ? inputs.map((data) => sha256Short(data))
    : Promise.all(inputs.map(digestOf));
}

/** The verifier's primitives on Web Crypto. Ed25519 needs a browser of 2025 or later; older ones answer false. */
export const browserPrimitives: Primitives = {
  sha256: async (data) => new Uint8Array(await crypto.subtle.digest('SHA-256', plain(data))),
  sha256Many: digestsOf,
  ed25519Verify: async ({ publicKey, message, signature }) => {
    if (publicKey.length !== 32 || signature.length !== 64) return false;
    try {
      const key = await crypto.subtle.importKey('raw', plain(publicKey), { name: 'Ed25519' }, false, ['verify']);
      return await crypto.subtle.verify({ name: 'Ed25519' }, key, plain(signature), plain(message));
    } catch {
      return false;
    }
  },
};
