import { leafHash, nodePrimitives, readRotation, verifyInclusion, type KeyRotation } from '@auditrax/tlog';

export interface HandoverRequest {
  readonly origin: string;
  /** What was signed last. */
  readonly size: number;
  /** The entry that names the new key, its place, and its proof in the tree of `size` entries. */
  readonly leaf: Uint8Array;
  readonly index: number;
  readonly proof: readonly Uint8Array[];
}

/**
 * Whether the log's key may change: the entry stands in what the signer last signed, and names exactly the key in use and
 * the newest of the signer's own, with the old one's signature. So the ledger can neither bring in a key of its own nor
 * change one without the log saying so. Undefined when it may not. Enforcer, replaceable as a module.
 */
export async function judgeHandover(input: {
  readonly request: HandoverRequest;
  /** Root of the tree that was signed last. */
  readonly root: Uint8Array;
  readonly oldKey: string;
  readonly newKey: string;
}): Promise<KeyRotation | undefined> {
  const { request, root, oldKey, newKey } = input;
  const { origin, size, leaf, index, proof } = request;
  const rotation = await readRotation(nodePrimitives, { leaf, index, origin });
  if (rotation === undefined || rotation.oldKey.text !== oldKey || rotation.newKey.text !== newKey) return undefined;
  if (size > rotation.until) return undefined;
  const isThere = await verifyInclusion({ index, size, leafHash: leafHash(leaf), proof, root });
  return isThere ? rotation : undefined;
}
