import { randomBytes } from 'node:crypto';

/** Randomness is handed in. The system source is a CSPRNG; the seeded one is for tests and the sample only. */
export interface Random {
  /** Returns `length_bytes` fresh bytes. */
  bytes(length_bytes: number): Uint8Array;
}

export const systemRandom: Random = { bytes: (length_bytes) => randomBytes(length_bytes) };
