import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { Json } from '@auditrax/base';
import { importJWK, SignJWT, type JWK } from 'jose';
import {
  PROBE_SECONDS_HOUR,
  type CanaryProgram,
  type Probe,
  type ProbeHouse,
  type ProbeResponse,
  type ProbeResult,
} from '../claims/probe.ts';
import { checks, verdict, type Checks } from '../claims/verdict.ts';
import { oidcProbe } from '../domains/sso/sign-in.probe.ts';
import { allowAs, Person, sender } from './leaver-holding.ts';
import {
  allowProgram,
  callAsProgram,
  failed,
  form,
  newKey,
  proofOf,
  pushRequest,
  renewTokens,
  sendProven,
  type HeldProgram,
  type Parts,
} from './leaver-program.ts';

/** Any route of the workspace, the only place that programs reach. */
const WORK_PATH = '/api/engagements';
const SOURCE = 200;
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
/** A limit that was met, or a fault on the way, is no refusal. */
const REFUSED: ReadonlySet<number> = new Set([400, 401, 403]);

interface Ground {
  readonly house: ProbeHouse;
  readonly parts: Parts;
  readonly place: CanaryProgram;
  readonly done: Checks;
}

function expectRefused(done: Checks, { status }: ProbeResponse, what: string): void {
  done.expect(status >= 300, `${what} was accepted.`);
  done.expect(status < 300 || REFUSED.has(status), `${what} was answered ${status}.`);
}

/** Requests that may ask nobody anything. */
async function bentRequests({ parts, place, done }: Ground): Promise<void> {
  const key = await newKey();
  const verifier = randomBytes(32).toString('base64url');
  const push = (bent: Readonly<Record<string, string | undefined>>) =>
    pushRequest(parts, place, { key, verifier, bent });
  const right = await push({});
  if (right.status !== 201) throw failed('pushing a request', right);
  const elsewhere = await push({ redirect_uri: 'http://127.0.0.1/elsewhere' });
  expectRefused(done, elsewhere, 'A request that leads to an address that is not registered');
  expectRefused(
    done,
    await push({ code_challenge: undefined, code_challenge_method: undefined }),
    'A request without a challenge',
  );
}

/** A token that somebody has copied, and a proof that somebody has seen. */
async function stolenToken({ parts, done }: Ground, held: HeldProgram): Promise<void> {
  const { accessToken } = held;
  const authorization = `DPoP ${accessToken}`;
  const send = (headers: Readonly<Record<string, string>>) =>
    parts.send(WORK_PATH, { isServer: true, headers: { authorization, ...headers } });
  expectRefused(done, await send({}), 'A stolen token without a proof');
  expectRefused(done, await send({ authorization: `Bearer ${accessToken}` }), 'A stolen token as a bearer');
  const thief = await callAsProgram(parts, { ...held, key: await newKey() }, WORK_PATH);
  expectRefused(done, thief, 'A stolen token with a proof by another key');
  const url = `${parts.edge.origin}${WORK_PATH}`;
  const proven = { key: held.key, method: 'GET', url, accessToken };
  const nonce = (await send({ dpop: await proofOf(proven) })).headers['dpop-nonce'];
  const dpop = await proofOf({ ...proven, nonce });
  const first = await send({ dpop });
  if (first.status !== 200) throw failed('calling with a proof', first);
  expectRefused(done, await send({ dpop }), 'A proof that was used before');
}

/** An agent's own assertion (RFC 7523). */
async function assertionOf({ house, place }: Ground, key: JWK): Promise<string> {
  const now = Math.floor(house.clock.nowMs() / 1000);
  return new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(place.agentId)
    .setSubject(place.agentId)
    .setAudience(`${house.origin}/oauth/${place.organisation}`)
    .setIssuedAt(now)
    .setExpirationTime(now + 60)
    .sign(await importJWK(key, 'ES256'));
}

/** An agent asks for a token out of the program's. */
async function takeOver(
  ground: Ground,
  subjectToken: string,
  { scope, key }: { readonly scope: string; readonly key: JWK },
): Promise<ProbeResponse> {
  const { parts, place } = ground;
  const parameters = {
    grant_type: EXCHANGE,
    subject_token: subjectToken,
    subject_token_type: ACCESS_TOKEN,
    scope,
    client_id: place.agentId,
    client_assertion_type: ASSERTION,
  };
  // The assertion counts once, and the proof may have to be made twice, for the nonce: each time a new one.
  const send: Parts['send'] = async (path, request) => {
    const client_assertion = await assertionOf(ground, key);
    const body = `${String(request.body)}&${new URLSearchParams({ client_assertion }).toString()}`;
    return parts.send(path, { ...request, body });
  };
  const at = `/oauth/${place.organisation}/token`;
  return sendProven({ ...parts, send }, at, { key: place.agentKey, request: form(parameters) });
}

/** Work that is handed on: what is right works, and nothing wider, nor by somebody else. */
async function handedOn(ground: Ground, held: HeldProgram): Promise<void> {
  const { parts, place, done } = ground;
  const agentKey = place.agentKey as JWK;
  const right = await takeOver(ground, held.accessToken, { scope: 'read', key: agentKey });
  if (right.status !== 200) throw failed('handing work on', right);
  const accessToken = (right.json() as { access_token: string }).access_token;
  const agent = { ...held, accessToken, key: agentKey };
  const call = await callAsProgram(parts, agent, WORK_PATH);
  done.expect(call.status === 200, `An agent’s right token was answered ${call.status}.`);
  const wider = await takeOver(ground, held.accessToken, { scope: 'read write', key: agentKey });
  expectRefused(done, wider, 'An agent that asked for more than was handed on');
  const impostor = await takeOver(ground, held.accessToken, { scope: 'read', key: await newKey() });
  expectRefused(done, impostor, 'An agent with another key');
  const lent = await callAsProgram(parts, { ...held, accessToken }, WORK_PATH);
  expectRefused(done, lent, 'An agent’s token with the program’s key');
}

/** A refresh token that two have: the second use ends everything, for both. */
async function usedTwice({ parts, done }: Ground, held: HeldProgram): Promise<void> {
  const stolen = { ...held };
  const renewed = await renewTokens(parts, held);
  if (renewed.status !== 200) throw failed('renewing tokens', renewed);
  expectRefused(done, await renewTokens(parts, stolen), 'A refresh token that was used before');
  expectRefused(
    done,
    await callAsProgram(parts, held, WORK_PATH),
    'A token of a permission that a thief had a part of',
  );
}

const TRIED = [
  'an address that is not registered',
  'no challenge',
  'no proof',
  'a bearer',
  'another key',
  'a proof used before',
  'a wider scope for an agent',
  'an agent with another key',
  'an agent’s token with the program’s key',
  'a refresh token used before',
] as const;

/** Is a program of a canary, does what it may, and tries what it may not. */
export async function attackPrograms(house: ProbeHouse): Promise<ProbeResult> {
  const done = checks();
  const place = await house.program();
  const { authenticator, cookie } = await house.enrol('a', 'auditor', SOURCE);
  const person = new Person(house, { authenticator, cookie });
  const parts: Parts = { edge: house, send: sender(house) };
  const ground: Ground = { house, parts, place, done };
  await bentRequests(ground);
  const held = await allowProgram(parts, { ...place, scope: 'read' }, (question) =>
    allowAs(person, question, [place.agentId]),
  );
  const call = await callAsProgram(parts, held, WORK_PATH);
  done.expect(call.status === 200, `A right token was answered ${call.status}.`);
  await stolenToken(ground, held);
  await handedOn(ground, held);
  await usedTwice(ground, held);
  return verdict(done, {
    green: `A program that a person had allowed worked, and so did its agent. ${TRIED.length} ways to have more than was allowed were refused: ${TRIED.join(', ')}.`,
    evidence: { refused: [...TRIED], place: createHash('sha256').update(place.clientId).digest('base64url') },
  });
}

/** Both halves of what is said about OAuth: people who come in by it, and programs that get access by it. */
export const oauthProbe: Probe = {
  ...oidcProbe,
  everySeconds: PROBE_SECONDS_HOUR,
  async run(house) {
    const people = await oidcProbe.run(house);
    const programs = await attackPrograms(house);
    const told = [people, programs];
    const red = told.filter(({ state }) => state === 'red');
    return {
      ...people,
      state: red.length === 0 ? 'green' : 'red',
      detail: (red.length === 0 ? told : red).map(({ detail }) => detail).join(' '),
      evidence: { people: people.evidence ?? null, programs: programs.evidence ?? null } as Json,
    };
  },
};
