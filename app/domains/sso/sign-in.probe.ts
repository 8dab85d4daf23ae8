import { AppError } from '@auditrax/base';
import { PROBE_SECONDS_HOUR, type Probe, type ProbeHouse, type ProbeResponse } from '../../claims/probe.ts';
import { checks, verdict, type Checks } from '../../claims/verdict.ts';
import { OIDC_REPLAYS } from '../../rehearsal/oidc-profiles.ts';
import { SAML_REPLAYS } from '../../rehearsal/saml-profiles.ts';

/** What a refusal is. Anything else is no refusal: a limit that was met, or a provider that was not reached. */
const REFUSED: ReadonlySet<number> = new Set([400, 401, 403, 409]);
const SESSION = /^__Host-auditrax=[A-Za-z0-9_-]{16,}/m;
const BINDING = /^__Host-auditrax-sso=[A-Za-z0-9_-]{16,}/m;

/** Somebody's browser, on its way to the provider. */
interface Underway {
  readonly connection: string;
  /** The provider's address, with what was asked. */
  readonly departure: string;
  /** The cookie that binds this sign-in to this browser. */
  readonly binding: string;
}

/** One run is one client: running it often must not run into the limit on sign-ins. */
class Visitor {
  readonly house: ProbeHouse;
  readonly #source: number;
  constructor(house: ProbeHouse) {
    this.house = house;
    this.#source = 1 + house.random.bytes(1)[0]!;
  }

  async begin(connection: string): Promise<Underway> {
    const reply = await this.house.fetch(`/sso/${connection}/start`, { source: this.#source });
    const { location: departure } = reply.headers;
    const binding = BINDING.exec(reply.headers['set-cookie'] ?? '')?.[0];
    if (reply.status !== 303 || departure === undefined || binding === undefined)
      throw new AppError(`sign_in_not_begun_${reply.status}`, 'the connection led nowhere');
    return { connection, departure, binding };
  }

  /** Comes back to the redirect address of OpenID Connect. */
  callback({ connection, binding }: Underway, parameters: URLSearchParams): Promise<ProbeResponse> {
    const path = `/sso/${connection}/callback?${parameters.toString()}`;
    return this.house.fetch(path, { cookie: binding, source: this.#source });
  }

  /** Posts the form of SAML. */
  post({ connection, binding }: Underway, form: URLSearchParams): Promise<ProbeResponse> {
    return this.house.fetch(`/sso/${connection}/acs`, {
      method: 'POST',
      body: form.toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      cookie: binding,
      source: this.#source,
    });
  }

  /** Who was signed in by a right answer; their session is closed again. Throws when nobody was. */
  async personOf(reply: ProbeResponse): Promise<string> {
    const cookie = SESSION.exec(reply.headers['set-cookie'] ?? '')?.[0];
    if (reply.status !== 303 || cookie === undefined)
      throw new AppError(`right_answer_refused_${reply.status}`, 'a right answer signed nobody in');
    const session = await this.house.fetch('/api/identity/session', { cookie, source: this.#source });
    const { person } = session.json() as { person?: { id?: string } };
    const closed = await this.house.fetch('/api/identity/sign-out', { method: 'POST', cookie, source: this.#source });
    if (closed.status !== 200) throw new AppError(`session_not_closed_${closed.status}`, 'a session was left open');
    if (person?.id === undefined) throw new AppError('session_of_nobody', 'a session without a person');
    return person.id;
  }
}

function expectRefused(done: Checks, reply: ProbeResponse, what: string): void {
  const isOpened = SESSION.test(reply.headers['set-cookie'] ?? '');
  done.expect(!isOpened, `${what} signed somebody in.`);
  done.expect(isOpened || REFUSED.has(reply.status), `${what} was answered ${reply.status}.`);
}

interface Attack<Answer> {
  readonly what: string;
  readonly answer: (underway: Underway) => Answer;
}

type Provider = Parameters<Parameters<ProbeHouse['identityProvider']>[1]>[0];

const now_seconds = ({ clock }: ProbeHouse): number => Math.floor(clock.nowMs() / 1000);

/** Answers of OpenID Connect that are right but for one thing. */
function oidcAttacks(house: ProbeHouse, provider: Provider): readonly Attack<URLSearchParams>[] {
  const saying = (what: string, claims: Readonly<Record<string, unknown>>): Attack<URLSearchParams> => ({
    what,
    answer: ({ departure }) => provider.answer(departure, { claims }).parameters,
  });
  const signed = (what: string, how: 'stranger' | 'none' | 'mac' | 'changed'): Attack<URLSearchParams> => ({
    what,
    answer: ({ departure }) => provider.answer(departure, { signed: how }).parameters,
  });
  const now = now_seconds(house);
  return [
    {
      what: 'An answer in another provider’s name',
      answer: ({ departure }) => {
        const { parameters } = provider.answer(departure);
        parameters.set('iss', 'https://another.invalid');
        return parameters;
      },
    },
    saying('A token of another issuer', { iss: 'https://another.invalid' }),
    saying('A token with another nonce', { nonce: 'of-another-sign-in' }),
    saying('A token without a nonce', { nonce: undefined }),
    saying('A token for another client', { aud: 'another-client' }),
    saying('A token for two clients', { aud: [provider.clientId, 'another-client'], azp: provider.clientId }),
    saying('An expired token', { iat: now - 7200, exp: now - 3600 }),
    saying('A token from before the request', { iat: now - 7200 }),
    signed('A token signed by a stranger', 'stranger'),
    signed('A token that is not signed', 'none'),
    signed('A token authenticated with the public key', 'mac'),
    signed('A token changed after it was signed', 'changed'),
  ];
}

/** What is right by itself, and comes a second time, in another browser or for another connection. */
async function oidcElsewhere({ visitor, provider, done }: Ground, connections: readonly string[]): Promise<string> {
  const [one, other] = connections as [string, string];
  const first = await visitor.begin(one);
  const { code, parameters } = provider.answer(first.departure);
  const person = await visitor.personOf(await visitor.callback(first, parameters));
  expectRefused(done, await visitor.callback(first, parameters), 'An answer that had been given before');
  const second = await visitor.begin(one);
  const replayed = provider.answer(second.departure, { code }).parameters;
  expectRefused(done, await visitor.callback(second, replayed), 'A code of an earlier sign-in');
  const [mine, theirs] = [await visitor.begin(one), await visitor.begin(one)];
  const planted = provider.answer(mine.departure).parameters;
  expectRefused(done, await visitor.callback(theirs, planted), 'An answer to another browser’s request');
  const here = await visitor.begin(one);
  const carried = provider.answer(here.departure).parameters;
  const there = { ...here, connection: other };
  expectRefused(done, await visitor.callback(there, carried), 'An answer to another connection’s request');
  return person;
}

interface Ground {
  readonly visitor: Visitor;
  readonly provider: Provider;
  readonly done: Checks;
}

const STAND_IN = 'a provider played by the house itself, on this machine’s loopback';
const ELSEWHERE = ['given twice', 'another browser', 'another connection', 'the address of another person'];

/** Signs in by OpenID Connect at a stand-in, and tries every answer that is nearly right. */
export const oidcProbe: Probe = {
  id: 'sso.oidc',
  claims: ['access.oauth-oidc'],
  everySeconds: PROBE_SECONDS_HOUR,
  run: (house) =>
    house.identityProvider('oidc', async (provider, connections) => {
      const done = checks();
      const visitor = new Visitor(house);
      const person = await oidcElsewhere({ visitor, provider, done }, connections);
      const attacks = oidcAttacks(house, provider);
      for (const { what, answer } of attacks) {
        const underway = await visitor.begin(connections[0]!);
        expectRefused(done, await visitor.callback(underway, answer(underway)), what);
      }
      // Whoever runs a directory may write any address into it (nOAuth).
      const underway = await visitor.begin(connections[0]!);
      const { parameters } = provider.answer(underway.departure, { claims: { sub: 'canary-namesake' } });
      const namesake = await visitor.personOf(await visitor.callback(underway, parameters));
      done.expect(namesake !== person, 'Somebody with the address of another person was taken for them.');
      const result = verdict(done, {
        green: `A right answer signed a person in. ${attacks.length} answers that were wrong in one thing (issuer, nonce, audience, time, signature, algorithm) signed nobody in, nor did an answer or code given twice, in another browser or at another connection; an account with another person’s address was somebody else. The provider was a stand-in.`,
        evidence: { refused: [...attacks.map(({ what }) => what), ...ELSEWHERE] },
      });
      return { ...result, rehearsedAgainst: STAND_IN };
    }),
};

/** Answers of SAML that are right but for one thing. */
function samlAttacks(provider: Provider): readonly Attack<URLSearchParams>[] {
  const bent = (what: string, bend: Parameters<Provider['assert']>[1]): Attack<URLSearchParams> => ({
    what,
    answer: ({ departure }) => provider.assert(departure, bend),
  });
  return [
    bent('An unsigned assertion', { signed: 'none' }),
    bent('An assertion signed by a stranger', { signed: 'stranger' }),
    bent('An assertion signed with SHA-1', { signed: 'sha1' }),
    bent('An assertion changed after it was signed', {
      changed: (text) => text.replace('>canary-person<', '>canary-administrator<'),
    }),
    bent('A forged assertion before the signed one', { changed: (text, forge) => `${unsigned(forge(text))}${text}` }),
    bent('A forged assertion around the signed one', {
      changed: (text, forge) =>
        forge(text).replace('</ds:Signature>', `<ds:Object>${unsigned(text)}</ds:Object></ds:Signature>`),
    }),
    bent('An assertion for another audience', { audience: 'https://another.invalid/metadata' }),
    bent('An assertion for another recipient', { recipient: 'https://another.invalid/acs' }),
    bent('An assertion of another issuer', { issuer: 'https://another.invalid/saml' }),
    bent('An answer to another request', { inResponseTo: '_0123456789abcdef0123456789abcdef01234567' }),
    bent('An expired assertion', { end_seconds: -3600 }),
  ];
}

const unsigned = (text: string): string => text.replace(/<ds:Signature .*<\/ds:Signature>/s, '');

async function samlElsewhere({ visitor, provider, done }: Ground, connections: readonly string[]): Promise<string> {
  const [one, other] = connections as [string, string];
  const first = await visitor.begin(one);
  const form = provider.assert(first.departure);
  const person = await visitor.personOf(await visitor.post(first, form));
  expectRefused(done, await visitor.post(first, form), 'An answer that had been given before');
  const second = await visitor.begin(one);
  const replayed = provider.assert(second.departure);
  replayed.set('SAMLResponse', form.get('SAMLResponse')!);
  expectRefused(done, await visitor.post(second, replayed), 'An assertion of an earlier sign-in');
  const [mine, theirs] = [await visitor.begin(one), await visitor.begin(one)];
  const planted = provider.assert(mine.departure);
  expectRefused(done, await visitor.post(theirs, planted), 'An answer to another browser’s request');
  const there = await visitor.begin(other);
  const carried = provider.assert((await visitor.begin(one)).departure);
  carried.set('RelayState', provider.assert(there.departure).get('RelayState')!);
  expectRefused(done, await visitor.post(there, carried), 'An answer to another connection’s request');
  return person;
}

/** The same by SAML. */
export const samlProbe: Probe = {
  id: 'sso.saml',
  claims: ['access.saml'],
  everySeconds: PROBE_SECONDS_HOUR,
  run: (house) =>
    house.identityProvider('saml', async (provider, connections) => {
      const done = checks();
      const visitor = new Visitor(house);
      const person = await samlElsewhere({ visitor, provider, done }, connections);
      const attacks = samlAttacks(provider);
      for (const { what, answer } of attacks) {
        const underway = await visitor.begin(connections[0]!);
        expectRefused(done, await visitor.post(underway, answer(underway)), what);
      }
      const underway = await visitor.begin(connections[0]!);
      const form = provider.assert(underway.departure, { nameId: 'canary-namesake' });
      const namesake = await visitor.personOf(await visitor.post(underway, form));
      done.expect(namesake !== person, 'Somebody with the address of another person was taken for them.');
      const result = verdict(done, {
        green: `A right answer signed a person in. ${attacks.length} answers that were wrong in one thing (signature, wrapping, audience, recipient, issuer, request, time) signed nobody in, nor did an assertion given twice, in another browser or at another connection; an account with another person’s address was somebody else. The provider was a stand-in.`,
        evidence: { refused: [...attacks.map(({ what }) => what), ...ELSEWHERE] },
      });
      return { ...result, rehearsedAgainst: STAND_IN };
    }),
};

/** Signs in once by each of the replays, as each provider's documents say that it speaks. */
export const replaysProbe: Probe = {
  id: 'sso.providers',
  claims: ['access.idps'],
  everySeconds: PROBE_SECONDS_HOUR,
  run: (house) =>
    house.identityProvider('replays', async (provider, connections) => {
      const done = checks();
      const visitor = new Visitor(house);
      const [oidc, saml] = [Object.entries(OIDC_REPLAYS), Object.entries(SAML_REPLAYS)];
      done.expect(connections.length === oidc.length + saml.length, 'Not every provider has a connection.');
      const tryOne = async (
        name: string,
        connection: string,
        answer: (underway: Underway) => Promise<ProbeResponse>,
      ) => {
        const signedIn = visitor.begin(connection).then(async (underway) => visitor.personOf(await answer(underway)));
        const person = await signedIn.catch((error: unknown) =>
          error instanceof AppError ? error : Promise.reject(error),
        );
        done.expect(
          typeof person === 'string',
          `${name} signed nobody in (${typeof person === 'string' ? '' : person.code}).`,
        );
      };
      for (const [at, [name, replay]] of oidc.entries())
        await tryOne(`${name} by OpenID Connect`, connections[at]!, (underway) =>
          visitor.callback(underway, provider.answerAs(replay, underway.departure).parameters),
        );
      for (const [at, [name, replay]] of saml.entries())
        await tryOne(`${name} by SAML`, connections[oidc.length + at]!, (underway) =>
          visitor.post(underway, provider.assertAs(replay, underway.departure)),
        );
      const result = verdict(done, {
        green: `Each of the six signed a person in by OpenID Connect and by SAML, as fixtures written after their documents; no tenant of theirs has been tried. Run live in the tests of a build are SimpleSAMLphp, LemonLDAP::NG and oidc-provider.`,
        evidence: { oidc: oidc.map(([name]) => name), saml: saml.map(([name]) => name) },
      });
      return {
        ...result,
        rehearsedAgainst: 'fixtures of the six, played by the house itself on this machine’s loopback',
      };
    }),
};
