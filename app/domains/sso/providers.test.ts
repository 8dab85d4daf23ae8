import { manualClock, parseUuid } from '@auditrax/base';
import { parseOidcConnection } from '@auditrax/oidc';
import { INPUT, ISSUER, jsonAnswer, metadataOf, NOW_MS } from '@auditrax/oidc/testing/forger';
import { expect, it } from 'vitest';
import { createProviders, DOCUMENT_RETRY_MS_MIN } from './providers.ts';

const id = parseUuid('01890000-0000-7000-8000-000000000001')!;

it('a provider whose document cannot be read is not asked at each sign-in', async () => {
  const clock = manualClock(NOW_MS);
  let asked = 0;
  const fetch = () => {
    asked += 1;
    return asked < 2 ? Promise.reject(new Error('away')) : Promise.resolve(jsonAnswer(metadataOf(ISSUER)));
  };
  const providers = createProviders({ fetch, clock });
  const connection = parseOidcConnection(INPUT);
  const reach = (version = 1) => providers.reach(connection, { id, version });
  for (let count = 0; count < 20; count += 1) await expect(reach()).rejects.toMatchObject({ code: 'oidc_unreachable' });
  clock.advance(DOCUMENT_RETRY_MS_MIN - 1);
  await expect(reach()).rejects.toMatchObject({ code: 'oidc_unreachable' });
  expect(asked).toBe(1);
  clock.advance(1);
  expect((await reach()).provider.issuer).toBe(ISSUER);
  expect(asked).toBe(2);
});

it('settings that were changed are tried at once', async () => {
  const clock = manualClock(NOW_MS);
  let asked = 0;
  const fetch = () => {
    asked += 1;
    return Promise.reject(new Error('away'));
  };
  const providers = createProviders({ fetch, clock });
  const connection = parseOidcConnection(INPUT);
  for (const version of [1, 1, 2, 2])
    await expect(providers.reach(connection, { id, version })).rejects.toMatchObject({ code: 'oidc_unreachable' });
  expect(asked).toBe(2);
});
