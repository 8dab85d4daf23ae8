import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom } from '@auditrax/base';
import type { Clock } from '@auditrax/base';
import { initKeyRing, localKekProvider, sealError } from '@auditrax/seal';
import type { KekProvider, SealErrorCode } from '@auditrax/seal';
import type { OpenStore } from '../key-stores.ts';
import type { KeptSource } from '../source-book.ts';

/** A key store of a tenant in this process: real wraps under keys of its own, and a switch to take the key away. */
export interface OwnKeyStore {
  readonly openStore: OpenStore;
  /** Set it and every call is refused with this code. */
  readonly refusal: { code: SealErrorCode | undefined };
  /** Makes it answer with other keys than it was asked for. */
  readonly lying: { on: boolean };
  /** Makes it say that its key is still to be made. */
  readonly unmade: { on: boolean };
  readonly calls: { count: number };
  close(): Promise<void>;
}

/** How each kind of source names its key; the drivers' own tests are about the real names. */
function refOf(source: KeptSource, sourceId: string): string {
  if (source.kind === 'aws-kms') return `aws-kms:${source.keyArn}`;
  return source.kind === 'xks' ? `xks:${sourceId}` : `pkcs11:serial/${source.keyLabel}`;
}

export async function ownKeyStore(clock: Clock): Promise<OwnKeyStore> {
  const folder = await mkdtemp(join(tmpdir(), 'own-store-'));
  const random = systemRandom;
  const place = { path: join(folder, 'ring.json'), rootKey: random.bytes(32), clock, random };
  const { ring } = await initKeyRing({ ...place, wrappedKeysInStore: 0 });
  const inner = localKekProvider({ ring, random });
  const refusal: OwnKeyStore['refusal'] = { code: undefined };
  const lying = { on: false };
  const unmade = { on: false };
  const calls = { count: 0 };
  const asked = (): void => {
    calls.count += 1;
    if (refusal.code !== undefined) throw sealError(refusal.code, `the store of the test says ${refusal.code}`);
  };
  const openStore: OpenStore = async ({ source, sourceId }) => {
    const kekRef = refOf(source, sourceId);
    const renamed = <T extends { kekRef: string }>(made: T): T => ({ ...made, kekRef });
    const provider: KekProvider = {
      generateDek: async (context) => (asked(), renamed(await inner.generateDek(context))),
      wrap: async (dek, context) => (asked(), renamed(await inner.wrap(dek, context))),
      async unwrap({ wrapped }, context) {
        asked();
        const innerRef = `local:${(await ring.kekOfTenant(context.tenantId)).kekId}`;
        const dek = await inner.unwrap({ wrapped, kekRef: innerRef }, context);
        if (lying.on && context.purpose !== 'trial') dek[0]! ^= 1;
        return dek;
      },
      describe: async () => ({ provider: source.kind, hardware: false, fingerprint: 'f', keyCount: 1, details: {} }),
      health: async () => {
        calls.count += 1;
        return refusal.code === undefined ? { ok: true } : { ok: false, code: refusal.code, message: 'told so' };
      },
    };
    return { provider, isStandIn: true, isUnmade: async () => unmade.on, close: () => undefined };
  };
  return { openStore, refusal, lying, unmade, calls, close: () => rm(folder, { recursive: true, force: true }) };
}
