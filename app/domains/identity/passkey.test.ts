import { systemRandom } from '@auditrax/base';
import { describe, expect, it } from 'vitest';
import type { DoorSettings, PasskeyRecord } from './passkey.ts';
import { assertionOptions, registrationOptions, verifyAssertion, verifyRegistration } from './passkey.ts';
import { createSoftwareAuthenticator } from '../../probes/software-authenticator.ts';

const door: DoorSettings = { rpId: 'localhost', rpName: 'Auditrax', origins: ['https://localhost:8443'] };
const ORIGIN = 'https://localhost:8443';
const userId = new Uint8Array(16).fill(7);

async function registered(algorithm?: -7 | -8) {
  const device = createSoftwareAuthenticator({ origin: ORIGIN });
  const challenge = systemRandom.bytes(32);
  const options = await registrationOptions({ door, challenge, userId, label: 'Lead auditor', existing: [] });
  if (algorithm !== undefined) options.pubKeyCredParams = [{ type: 'public-key', alg: algorithm }];
  const verdict = await verifyRegistration({ response: device.register(options), challenge, door });
  if (!verdict.ok) throw new Error(verdict.reason);
  return { device, passkey: verdict.passkey };
}

async function assertion(device: ReturnType<typeof createSoftwareAuthenticator>, passkey: PasskeyRecord) {
  const challenge = systemRandom.bytes(32);
  const response = device.authenticate(await assertionOptions({ door, challenge, allowed: [passkey] }));
  return { response, challenge, door, passkey };
}

describe('registration', () => {
  it.each([-7, -8] as const)('accepts a verified passkey (COSE algorithm %i) and its assertions', async (algorithm) => {
    const { device, passkey } = await registered(algorithm);
    expect(await verifyAssertion(await assertion(device, passkey))).toEqual({ ok: true, counter: 1 });
  });

  it.each([
    ['user-verification', { userVerified: false }],
    ['origin', { origin: 'https://localhost:9999' }],
    ['relying-party', { rpId: 'evil.example' }],
    ['cross-origin', { crossOrigin: true }],
  ])('refuses: %s', async (reason, behaviour) => {
    const device = createSoftwareAuthenticator({ origin: ORIGIN, ...behaviour });
    const challenge = systemRandom.bytes(32);
    const response = device.register(await registrationOptions({ door, challenge, userId, label: 'x', existing: [] }));
    expect(await verifyRegistration({ response, challenge, door })).toEqual({ ok: false, reason });
  });

  it('refuses an answer to another challenge', async () => {
    const device = createSoftwareAuthenticator({ origin: ORIGIN });
    const options = await registrationOptions({
      door,
      challenge: systemRandom.bytes(32),
      userId,
      label: 'x',
      existing: [],
    });
    expect(
      await verifyRegistration({ response: device.register(options), challenge: systemRandom.bytes(32), door }),
    ).toEqual({ ok: false, reason: 'challenge' });
  });
});

describe('assertion', () => {
  it.each([
    ['user-verification', { userVerified: false }],
    ['user-verification', { userPresent: false }],
    ['origin', { origin: 'http://localhost:8080' }],
    ['relying-party', { rpId: 'evil.example' }],
    ['cross-origin', { crossOrigin: true }],
  ])('refuses: %s', async (reason, behaviour) => {
    const { device, passkey } = await registered();
    Object.assign(device.behaviour, behaviour);
    expect(await verifyAssertion(await assertion(device, passkey))).toEqual({ ok: false, reason });
  });

  it('refuses a replayed answer under a new challenge', async () => {
    const { device, passkey } = await registered();
    const used = await assertion(device, passkey);
    expect(await verifyAssertion({ ...used, challenge: systemRandom.bytes(32) })).toEqual({
      ok: false,
      reason: 'challenge',
    });
  });

  it('refuses a counter that did not grow: the key exists twice', async () => {
    const { device, passkey } = await registered();
    const copy = device.clone();
    const verdict = await verifyAssertion(await assertion(device, passkey));
    const counter = verdict.ok ? verdict.counter : 0;
    expect(await verifyAssertion(await assertion(copy, { ...passkey, counter }))).toEqual({
      ok: false,
      reason: 'counter',
    });
  });

  it('refuses a signature by another key under the same id', async () => {
    const { device, passkey } = await registered();
    const other = await registered();
    expect(
      await verifyAssertion(await assertion(device, { ...passkey, publicKey: other.passkey.publicKey })),
    ).toMatchObject({ ok: false });
  });

  it('refuses when one bit of the signed data changes', async () => {
    const { device, passkey } = await registered();
    const used = await assertion(device, passkey);
    const data = Buffer.from(used.response.response.authenticatorData, 'base64url');
    data[36]! ^= 2;
    used.response.response.authenticatorData = data.toString('base64url');
    expect(await verifyAssertion(used)).toMatchObject({ ok: false });
  });

  it.each(['', 'AA', '!!', 'A'.repeat(2000)])('refuses garbage instead of throwing: %s', async (garbage) => {
    const { device, passkey } = await registered();
    for (const field of ['clientDataJSON', 'authenticatorData', 'signature'] as const) {
      const used = await assertion(device, passkey);
      used.response.response[field] = garbage;
      expect(await verifyAssertion(used)).toMatchObject({ ok: false });
    }
  });
});
