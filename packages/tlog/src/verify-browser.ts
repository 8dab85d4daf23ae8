// Browser side: Web Crypto only, no import from Node.
import type { Primitives } from './core.ts';

export * from './core.ts';

/** Web Crypto wants buffers that are not shared; a copy costs nothing beside the hash. */
function plain(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

/** The verifier's primitives on Web Crypto. Ed25519 needs a browser of 2025 or later; older ones answer false. */
export const browserPrimitives: Primitives = {
  sha256: async (data) => new Uint8Array(await crypto.subtle.digest('SHA-256', plain(data))),
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
