import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';

/**
 * A small log written from the texts of RFC 6962 and C2SP signed-note alone, without the product's library, so that the
 * browser's verifier is checked against something it did not write itself.
 */

const sha256 = (...parts: readonly Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();
const leafHash = (leaf: string): Buffer => sha256(Buffer.of(0), Buffer.from(leaf));

function split(count: number): number {
  let half = 1;
  while (half * 2 < count) half *= 2;
  return half;
}

function rootOf(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 1) return hashes[0]!;
  const half = split(hashes.length);
  return sha256(Buffer.of(1), rootOf(hashes.slice(0, half)), rootOf(hashes.slice(half)));
}

function pathOf(hashes: readonly Buffer[], index: number): readonly Buffer[] {
  if (hashes.length === 1) return [];
  const half = split(hashes.length);
  return index < half
    ? [...pathOf(hashes.slice(0, half), index), rootOf(hashes.slice(half))]
    : [...pathOf(hashes.slice(half), index - half), rootOf(hashes.slice(0, half))];
}

export interface SmallLog {
  readonly vkey: string;
  readonly checkpoint: string;
  readonly origin: string;
  readonly size: number;
  /** Of the log; the super-log of the same house is signed with it too. */
  readonly privateKey: KeyObject;
  proof(index: number): { readonly leafHash: string; readonly path: readonly string[] };
}

/** Seals the leaves under a fresh key. */
export function sealSmallLog(origin: string, leaves: readonly string[]): SmallLog {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url');
  const typed = Buffer.concat([Buffer.of(1), raw]);
  const keyId = sha256(Buffer.from(`${origin}\n`), typed).subarray(0, 4);
  const hashes = leaves.map(leafHash);
  const text = `${origin}\n${leaves.length}\n${rootOf(hashes).toString('base64')}\n`;
  const signature = Buffer.concat([keyId, sign(null, Buffer.from(text), privateKey)]).toString('base64');
  return {
    vkey: `${origin}+${keyId.toString('hex')}+${typed.toString('base64')}`,
    checkpoint: `${text}\n\u2014 ${origin} ${signature}\n`,
    origin,
    size: leaves.length,
    privateKey,
    proof: (index) => ({
      leafHash: hashes[index]!.toString('base64'),
      path: pathOf(hashes, index).map((hash) => hash.toString('base64')),
    }),
  };
}
