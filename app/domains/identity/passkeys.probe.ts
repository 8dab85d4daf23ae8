import {
  PROBE_SECONDS_HOUR,
  type PasskeyPerson,
  type Probe,
  type ProbeHouse,
  type ProbeResponse,
} from '../../claims/probe.ts';
import { checks, verdict, type Checks } from '../../claims/verdict.ts';

const SIGN_IN = '/api/identity/passkey/sign-in';

interface Ceremony {
  readonly challengeId: string;
  readonly options: never;
}

/** One run is one client: running it often must not run into the limit on sign-ins. */
interface Client {
  readonly house: ProbeHouse;
  readonly source: number;
}

interface Assertion {
  readonly response: { readonly signature: string };
}

async function begin({ house, source }: Client): Promise<Ceremony> {
  const reply = await house.fetch(`${SIGN_IN}/options`, { method: 'POST', source });
  if (reply.status !== 200)
    throw Object.assign(new Error('no options'), { name: `options_${reply.status}_${reply.problem() ?? ''}` });
  return reply.json() as Ceremony;
}

function answer({ house, source }: Client, challengeId: string, response: object): Promise<ProbeResponse> {
  return house.fetch(SIGN_IN, { method: 'POST', json: { challengeId, response } as never, source });
}

function opened(reply: ProbeResponse): boolean {
  return reply.status === 200 || /__Host-auditrax=[A-Za-z0-9_-]{16,}/.test(reply.headers['set-cookie'] ?? '');
}

/** A signature over everything that was signed, but by one bit another. */
function withBadSignature(assertion: object): object {
  const { response } = assertion as Assertion;
  const bytes = Buffer.from(response.signature, 'base64url');
  const last = bytes.length - 1;
  bytes[last] = bytes[last]! ^ 0x01;
  return { ...assertion, response: { ...response, signature: bytes.toString('base64url') } };
}

type Bend = (person: PasskeyPerson, options: never) => object;

type Behaviour = Partial<PasskeyPerson['authenticator']['behaviour']>;

/** How a device, or a page around it, may be bent: in making a passkey and in using one. */
const BENT: readonly { readonly what: string; readonly behaviour: Behaviour }[] = [
  { what: 'made for another site', behaviour: { origin: 'https://example.org' } },
  { what: 'made for another relying party', behaviour: { rpId: 'example.org' } },
  { what: 'without user verification', behaviour: { userVerified: false } },
];

function behaving<T>({ authenticator }: PasskeyPerson, behaviour: Behaviour, act: () => T): T {
  const usual = { ...authenticator.behaviour };
  Object.assign(authenticator.behaviour, behaviour);
  try {
    return act();
  } finally {
    Object.assign(authenticator.behaviour, usual);
  }
}

const WRONG: readonly { readonly what: string; readonly bend: Bend }[] = [
  ...BENT.map(({ what, behaviour }) => ({
    what,
    bend: ((person, options) =>
      behaving(person, behaviour, () => person.authenticator.authenticate(options))) satisfies Bend,
  })),
  {
    what: 'with a changed signature',
    bend: ({ authenticator }, options) => withBadSignature(authenticator.authenticate(options)),
  },
];

/** The signed-in person adds a further passkey, made in ways in which none may be made. */
async function registerWrongly({ house, source }: Client, person: PasskeyPerson, done: Checks): Promise<void> {
  const { cookie } = person;
  for (const { what, behaviour } of BENT) {
    const begun = await house.fetch('/api/identity/passkey/options', { method: 'POST', cookie, source });
    if (!done.expect(begun.status === 200, `A further passkey could not be begun (${begun.status}).`)) return;
    const { challengeId, options } = begun.json() as Ceremony;
    const response = behaving(person, behaviour, () => person.authenticator.register(options));
    const json = { challengeId, response } as never;
    const reply = await house.fetch('/api/identity/passkey', { method: 'POST', cookie, source, json });
    done.expect(reply.problem() === 'passkey_refused', `A new passkey ${what} was answered ${reply.status}.`);
  }
}

/** Enrols a passkey for a canary person, signs in with it, and tries everything that is nearly that. */
export const passkeysProbe: Probe = {
  id: 'identity.passkeys',
  claims: ['access.webauthn'],
  everySeconds: PROBE_SECONDS_HOUR,
  async run(house) {
    const done = checks();
    const client = { house, source: 1 + house.random.bytes(1)[0]! };
    const person = await house.enrol('b', 'auditor', client.source);
    const right = await begin(client);
    const signedIn = await answer(client, right.challengeId, person.authenticator.authenticate(right.options));
    done.expect(opened(signedIn), `A right answer opened no session (${signedIn.status} ${signedIn.problem() ?? ''}).`);
    // Signed anew, so that nothing but the used challenge is wrong with it.
    const again = await answer(client, right.challengeId, person.authenticator.authenticate(right.options));
    done.expect(!opened(again), 'A challenge was good for a second answer.');
    const [one, other] = [await begin(client), await begin(client)];
    const crossed = await answer(client, other.challengeId, person.authenticator.authenticate(one.options));
    done.expect(!opened(crossed), 'An answer to one challenge was taken for another.');
    for (const { what, bend } of WRONG) {
      const { challengeId, options } = await begin(client);
      done.expect(
        !opened(await answer(client, challengeId, bend(person, options))),
        `An answer ${what} opened a session.`,
      );
    }
    await registerWrongly(client, person, done);
    return verdict(done, {
      green: `A passkey was enrolled and signed in; answers to a used and to another challenge and ${WRONG.length} more that were nearly right opened no session; ${BENT.length} new passkeys that were nearly right were not taken. No route takes a password.`,
      evidence: { refused: ['used challenge', 'another challenge', ...WRONG.map((wrong) => wrong.what)] },
    });
  },
};
