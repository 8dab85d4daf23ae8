import { createHmac, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { manualClock } from '@auditrax/base';
import type { JWK } from 'jose';
import { beforeEach, describe, expect, it } from 'vitest';
import { createTokenMinter, createTokenVerifier, tokenHash, type TokenClaims, type TokenVerifier } from './token.ts';

const START_MS = 1_800_000_000_000;
const pair = generateKeyPairSync('ed25519');
const jwk: JWK = { ...(pair.publicKey.export({ format: 'jwk' }) as JWK), kid: 'k1' };
const claims: Omit<TokenClaims, 'iss' | 'iat' | 'exp'> = {
  aud: 'workspace',
  azp: 'gateway',
  sub: 'person',
  txn: 't1',
  scope: 'write',
  tctx: { tenant: 'a' },
  rctx: {},
};
let clock: ReturnType<typeof manualClock>;
let verifier: TokenVerifier;

beforeEach(() => {
  clock = manualClock(START_MS);
  verifier = createTokenVerifier({ keys: () => [jwk], issuer: 'issuer', audience: 'workspace', clock });
});

const minter = () => createTokenMinter({ key: pair.privateKey, kid: 'k1', issuer: 'issuer', clock });
const ask = (compact: string | undefined, change: { peer?: string; needed?: 'read' | 'write' | 'privileged' } = {}) =>
  verifier.verify({ compact, peer: 'gateway', needed: 'read', ...change });
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A compact token made by hand, so that the minter's own care does not hide the verifier's lack of it. */
function craft(header: object, payload: object, signWith?: KeyObject | 'hmac'): string {
  const input = `${part(header)}.${part(payload)}`;
  const signature =
    signWith === undefined
      ? ''
      : signWith === 'hmac'
        ? createHmac('sha256', pair.publicKey.export({ format: 'der', type: 'spki' }))
            .update(input)
            .digest('base64url')
        : sign(null, Buffer.from(input), signWith).toString('base64url');
  return `${input}.${signature}`;
}

const header = { alg: 'EdDSA', typ: 'txntoken+jwt', kid: 'k1' };
const seconds = START_MS / 1000;
const payload = { ...claims, iss: 'issuer', iat: seconds, exp: seconds + 30 };

describe('transaction tokens', () => {
  it('W20 come back as they were minted, and name themselves by hash', async () => {
    const { compact, expiresAtMs, hash } = await minter().mint(claims);
    expect(expiresAtMs).toBe(START_MS + 30_000);
    const verdict = await ask(compact);
    expect(verdict).toMatchObject({ ok: true, hash, claims: { ...claims, iss: 'issuer' } });
    expect(hash).toBe(tokenHash(compact));
  });

  it('W20 a handmade token of the right shape passes (so the refusals below refuse for their reason)', async () => {
    expect(await ask(craft(header, payload, pair.privateKey))).toMatchObject({ ok: true });
  });

  it('W27 end with what they are about, by the last full second before', async () => {
    const { compact, expiresAtMs } = await minter().mint(claims, START_MS + 2_700);
    expect(expiresAtMs).toBe(START_MS + 2_000);
    expect((await minter().mint(claims, START_MS + 90_000)).expiresAtMs).toBe(START_MS + 30_000);
    clock.advance(1_999);
    expect(await ask(compact)).toMatchObject({ ok: true });
    clock.advance(1);
    expect(await ask(compact)).toEqual({ ok: false, reason: 'expired' });
  });

  it('W21 are answered from memory while they live, and no longer', async () => {
    const { compact } = await minter().mint(claims);
    await ask(compact);
    expect(ask(compact)).not.toBeInstanceOf(Promise);
    clock.advance(29_999);
    expect(ask(compact)).toMatchObject({ ok: true });
    clock.advance(1);
    expect(ask(compact)).toEqual({ ok: false, reason: 'expired' });
    expect(await ask(compact)).toEqual({ ok: false, reason: 'expired' });
  });

  it('W22 are refused from another peer, also when already known', async () => {
    const { compact } = await minter().mint(claims);
    expect(await ask(compact, { peer: 'sentinel' })).toEqual({ ok: false, reason: 'peer' });
    expect(await ask(compact)).toMatchObject({ ok: true });
    expect(await ask(compact, { peer: 'sentinel' })).toEqual({ ok: false, reason: 'peer' });
  });

  it('W23 are refused for another audience', async () => {
    const { compact } = await minter().mint({ ...claims, aud: 'issuer' });
    expect(await ask(compact)).toEqual({ ok: false, reason: 'audience' });
    const both = craft(header, { ...payload, aud: ['issuer', 'workspace'] }, pair.privateKey);
    expect(await ask(both)).toEqual({ ok: false, reason: 'malformed' });
  });

  it('W24 cover their class and less, never more', async () => {
    const { compact } = await minter().mint(claims);
    expect(await ask(compact, { needed: 'write' })).toMatchObject({ ok: true });
    expect(await ask(compact, { needed: 'privileged' })).toEqual({ ok: false, reason: 'class' });
  });

  it.each([
    ['no algorithm', craft({ ...header, alg: 'none' }, payload)],
    ['an HMAC keyed with the public key', craft({ ...header, alg: 'HS256' }, payload, 'hmac')],
    ['a key inside the header', craft({ alg: 'EdDSA', typ: 'txntoken+jwt', jwk: jwk }, payload, pair.privateKey)],
    ['an unknown key id', craft({ ...header, kid: 'k2' }, payload, pair.privateKey)],
    ['another signer', craft(header, payload, generateKeyPairSync('ed25519').privateKey)],
    ['another type', craft({ ...header, typ: 'JWT' }, payload, pair.privateKey)],
    ['another issuer', craft(header, { ...payload, iss: 'gateway' }, pair.privateKey)],
    ['no expiry', craft(header, { ...payload, exp: undefined }, pair.privateKey)],
    ['a life beyond the limit', craft(header, { ...payload, exp: seconds + 3600 }, pair.privateKey)],
    ['a start in the future', craft(header, { ...payload, iat: seconds + 20, exp: seconds + 40 }, pair.privateKey)],
    ['an unknown class', craft(header, { ...payload, scope: 'root' }, pair.privateKey)],
    ['nothing', undefined],
    ['an overlong text', 'a'.repeat(9000)],
    [
      'a payload changed after signing',
      craft(header, payload, pair.privateKey).replace(/\.[^.]+\./, `.${part({ ...payload, sub: 'other' })}.`),
    ],
  ])('W25 refuses %s', async (_what, compact) => {
    expect(await ask(compact)).toMatchObject({ ok: false });
  });
});
