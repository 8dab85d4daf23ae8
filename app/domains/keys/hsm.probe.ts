import { timingSafeEqual } from 'node:crypto';
import { isAppError, uuidV4 } from '@auditrax/base';
import type { TokenKeyBook } from '@auditrax/seal/pkcs11';
import { openToken, pkcs11KekProvider } from '@auditrax/seal/pkcs11';
import { PROBE_SECONDS_HOUR, REHEARSAL_MS_MAX, type Probe } from '../../claims/probe.ts';
import { checks, verdict } from '../../claims/verdict.ts';

/** The token lives for one run: nothing of it has to be remembered. */
const NOTHING_KEPT: TokenKeyBook = {
  keyOf: () => Promise.resolve(undefined),
  note: () => Promise.resolve(),
  take: () => Promise.resolve(),
};

/** A key-encryption key made on a token: what the token says of it, and what it does for the wrong asker. */
export const hsmProbe: Probe = {
  id: 'keys.hsm',
  claims: ['crypto.kek-hsm'],
  everySeconds: PROBE_SECONDS_HOUR,
  limit_ms: REHEARSAL_MS_MAX,
  run: (house) =>
    house.rehearse(async ({ hsm }) => {
      const done = checks();
      const { random } = house;
      const token = await openToken({ ...hsm.options, sessions: 1 });
      try {
        const provider = pkcs11KekProvider({ token, random, book: NOTHING_KEPT, mayCreate: true });
        const context = { tenantId: uuidV4(random), purpose: 'fields', dekId: uuidV4(random), version: 1 };
        const { dek, ...wrapped } = await provider.generateDek(context);
        const opened = await provider.unwrap(wrapped, context);
        done.expect(timingSafeEqual(dek, opened), 'A data key wrapped by the token did not come back the same.');
        const key = await provider.describeKek(context.tenantId);
        const inside = key.sensitive && key.alwaysSensitive && key.neverExtractable && key.extractable === false;
        done.expect(inside === true, 'The token says that the key can leave it.');
        done.expect(!key.givesValue, 'The token handed out the key itself when it was asked for it.');
        const refused = async (work: Promise<unknown>): Promise<boolean> =>
          work.then(
            () => false,
            (error: unknown) => isAppError(error),
          );
        const other = { ...context, tenantId: uuidV4(random) };
        done.expect(await refused(provider.unwrap(wrapped, other)), 'One tenant’s data key is unwrapped for another.');
        const bent = { ...wrapped, wrapped: Buffer.from(wrapped.wrapped) };
        bent.wrapped[bent.wrapped.length - 1]! ^= 1;
        done.expect(await refused(provider.unwrap(bent, context)), 'A changed wrapped key is unwrapped.');
        const keyId = wrapped.kekRef.slice(wrapped.kekRef.lastIndexOf('/') + 1);
        done.expect(
          await refused(token.wrapKwp(keyId, random.bytes(16))),
          'The key may wrap other keys of the token, and so carry them out.',
        );
        const { hardware, details } = await provider.describe();
        done.expect(!hardware, 'A software token is shown as hardware.');
        const result = verdict(done, {
          green:
            'A key made on the token wraps and unwraps, is read back as sensitive and never extractable, is not handed out when its value is asked for, and is refused for another tenant, for a changed wrap and for any other use.',
          evidence: { mechanism: details['mechanism'] ?? '', model: details['model'] ?? '' },
        });
        return { ...result, rehearsedAgainst: 'SoftHSM, a token in software' };
      } finally {
        token.close();
      }
    }),
};
