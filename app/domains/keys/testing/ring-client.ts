import { localKekProvider } from '@auditrax/seal';
import type { KekProvider, KeyRing } from '@auditrax/seal';
import { systemRandom } from '@auditrax/base';
import type { KeysClient } from '../client.ts';
import { createVault } from '../vault.ts';

/**
 * A keys process with several key sources, without the wire: wraps with the active one, unwraps with whichever knows the
 * key. The sources are key rings, which is all that moving between sources needs.
 */
export function clientOverRings(rings: readonly KeyRing[], active: () => number): KeysClient {
  const sources = rings.map((ring) => localKekProvider({ ring, random: systemRandom }));
  const provider: KekProvider = {
    generateDek: (given) => sources[active()]!.generateDek(given),
    wrap: (dek, given) => sources[active()]!.wrap(dek, given),
    async unwrap(wrapped, given) {
      const answers = await Promise.allSettled(sources.map((one) => one.unwrap(wrapped, given)));
      const opened = answers.find((answer) => answer.status === 'fulfilled');
      if (opened === undefined) throw (answers[0] as PromiseRejectedResult).reason;
      return opened.value;
    },
    describe: () => sources[active()]!.describe(),
    health: () => sources[active()]!.health(),
  };
  const vault = createVault({ provider, onRefusal: () => undefined });
  const caller = { peer: 'workspace', requestId: 'test' } as const;
  return {
    generate: ({ tenantId }, name) => vault.generate({ tenantId, ...name }, caller),
    open: async ({ tenantId }, name, wrapped) => ({
      dek: await vault.unwrap(wrapped, { tenantId, ...name }, caller),
      suites: null,
    }),
    unwrap: ({ tenantId }, name, wrapped) => vault.unwrap(wrapped, { tenantId, ...name }, caller),
    rewrap: ({ tenantId }, name, wrapped) => vault.rewrap(wrapped, { tenantId, ...name }, caller),
    describe: async () => {
      const { health, ...described } = await vault.describe();
      return { ...described, healthy: health.ok, healthCode: health.ok ? null : health.code };
    },
  };
}
