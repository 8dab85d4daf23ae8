import { cpus, loadavg } from 'node:os';
import { manualClock } from '@auditrax/base';
import { acceptResponse, parseConnection } from '@auditrax/saml';
import { base64, signedResponse, WORLD } from '@auditrax/saml/testing/generator';
import { makeTestKey } from '@auditrax/saml/testing/keys';
import { REQUEST } from '@auditrax/saml/testing/world';
import { verifyMessage, type Unverified } from '@auditrax/saml/verify';
import type { BenchResult } from '../app/bin/commands/bench.ts';
import { measureAccessReviews } from './access-reviews.ts';
import { measureRevocation } from './identity-revocation.ts';
import { measureLeavers } from './leavers.ts';

/** Interleaved: each round measures both sides, so that a busy moment hits both. */
const ROUNDS = 30;
const CALLS = 10;
/** The compiler of JavaScript needs some calls before it is done. */
const WARM_UP_ROUNDS = 5;

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const start = process.cpuUsage();
  for (let call = 0; call < CALLS; call += 1) await work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000 / CALLS;
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1] ?? Number.NaN;
}

/**
 * A whole acceptance of a response of which both the response and the assertion are signed (RSA 2048, the dearest usual
 * shape), against the library's verification of the same message alone, in one run. The difference is the gate.
 */
async function measureAcceptance(progress: (line: string) => void): Promise<BenchResult> {
  const key = await makeTestKey('bench');
  const connection = parseConnection({
    idpEntityId: WORLD.idp,
    ssoUrl: WORLD.sso,
    spEntityId: WORLD.sp,
    acsUrl: WORLD.acs,
    certificates: [{ pem: key.certificate, state: 'active' }],
  });
  const clock = manualClock(WORLD.now_ms);
  const samlResponse = base64(signedResponse({ key, sign: 'both' }));
  const message: Unverified = {
    base64: samlResponse,
    isResponseSigned: true,
    isAssertionSigned: true,
    namedFingerprint: key.fingerprint,
  };
  const keys = { certificates: connection.certificates, decryptionKeys: [] };
  const ports = { clock, once: () => Promise.resolve(true) };
  const input = { samlResponse, relayState: WORLD.relayState, request: REQUEST, connection, decryptionKeys: [] };
  const accept = () => acceptResponse(input, ports);
  const library = () => verifyMessage(message, keys, clock);
  const accepted = await accept();
  if (accepted.signed !== 'both') throw new Error('the measured message is not the one that was meant');
  progress(`${WARM_UP_ROUNDS} rounds to warm up, ${ROUNDS} interleaved rounds of ${CALLS} calls a side`);
  const rounds: { accept: number; library: number }[] = [];
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1)
    rounds.push({ accept: await milliseconds(accept), library: await milliseconds(library) });
  const measured = rounds.slice(WARM_UP_ROUNDS);
  const accept_ms = median(measured.map((round) => round.accept));
  const library_ms = median(measured.map((round) => round.library));
  const gate_ms = median(measured.map((round) => round.accept - round.library));
  return {
    figures: {
      saml_accept_cpu_ms: Number(accept_ms.toFixed(3)),
      saml_library_cpu_ms: Number(library_ms.toFixed(3)),
      gate_cpu_ms: Number(gate_ms.toFixed(3)),
      gate_share: Number((gate_ms / accept_ms).toFixed(3)),
    },
    conditions: {
      response_bytes: Buffer.byteLength(samlResponse, 'base64'),
      signed: accepted.signed,
      rounds: ROUNDS,
      calls: ROUNDS * CALLS,
      cpu: cpus()[0]?.model ?? 'unknown',
      load_1min: loadavg()[0],
      node: process.version,
    },
  };
}

/** What a sign-in by SAML costs, what `measureRevocation` says of sessions, how long somebody who left is still in, and a review of access. */
export async function run(progress: (line: string) => void): Promise<BenchResult> {
  const all = [
    await measureAcceptance(progress),
    await measureRevocation(progress),
    await measureLeavers(progress),
    await measureAccessReviews(progress),
  ];
  return {
    figures: Object.assign({}, ...all.map(({ figures }) => figures)) as BenchResult['figures'],
    conditions: Object.assign({}, ...all.map(({ conditions }) => conditions)) as BenchResult['conditions'],
  };
}
