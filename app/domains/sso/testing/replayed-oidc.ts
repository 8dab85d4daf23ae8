// Six providers (app/rehearsal/oidc-profiles.ts) behind one way out, signed by keys of a test.
import { createHash, randomUUID } from 'node:crypto';
import {
  ACCESS_TOKEN,
  ACCESS_TOKEN_HASH,
  jsonAnswer,
  makeRsaKey,
  signedToken,
  type SigningKey,
} from '@auditrax/oidc/testing/forger';
import type { GuardedFetch } from '../../../platform/outward/guarded-fetch.ts';
import { claimsOf, OIDC_REPLAYS, type OidcReplay } from '../../../rehearsal/oidc-profiles.ts';

/** Over the claims of one answer; undefined takes one away. */
export type Said = Readonly<Record<string, unknown>>;

/** All of them behind one way out: discovery, keys, and token endpoints that check code and verifier. */
export class ReplayedProviders {
  readonly #keys = new Map<string, SigningKey>();
  readonly #codes = new Map<string, { readonly challenge: string; readonly idToken: string }>();
  readonly #byHost: readonly OidcReplay[] = Object.values(OIDC_REPLAYS);

  #keyOf({ issuer }: OidcReplay): SigningKey {
    const key = this.#keys.get(issuer) ?? makeRsaKey(`key-of-${this.#keys.size}`);
    this.#keys.set(issuer, key);
    return key;
  }

  readonly fetch: GuardedFetch = (url, init) => Promise.resolve(this.#answer(url, init.body));

  #answer(url: string, body: string | undefined): Response {
    for (const replay of this.#byHost) {
      const { discovery, issuer, jwk } = replay;
      if (url === `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`) return jsonAnswer(discovery);
      if (url === discovery['jwks_uri']) return jsonAnswer({ keys: [{ ...this.#keyOf(replay).jwk, ...jwk }] });
      if (url === discovery['token_endpoint']) return this.#tokens(new URLSearchParams(body));
    }
    return new Response('not found', { status: 404 });
  }

  #tokens(form: URLSearchParams): Response {
    const code = form.get('code') ?? '';
    const held = this.#codes.get(code);
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    this.#codes.delete(code);
    if (held === undefined || held.challenge !== challenge) return jsonAnswer({ error: 'invalid_grant' }, 400);
    const tokens = { access_token: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 300 };
    return jsonAnswer({ ...tokens, id_token: held.idToken });
  }

  /** Where the browser comes back to, after the provider was asked at `departure`. */
  answerTo(replay: OidcReplay, departure: string, said: Said = {}): string {
    const asked = new URL(departure).searchParams;
    const seconds = Math.floor(Date.now() / 1000);
    const now = { seconds, nonce: asked.get('nonce'), accessTokenHash: ACCESS_TOKEN_HASH };
    const claims = { ...claimsOf(replay, now), ...said };
    const code = randomUUID();
    const idToken = signedToken(this.#keyOf(replay), claims, { typ: undefined, ...replay.header });
    this.#codes.set(code, { challenge: asked.get('code_challenge') ?? '', idToken });
    const back = new URL(asked.get('redirect_uri')!);
    back.search = new URLSearchParams({ code, state: asked.get('state')!, ...replay.answer }).toString();
    return back.href;
  }
}
