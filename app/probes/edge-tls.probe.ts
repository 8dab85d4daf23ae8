import {
  PROBE_SECONDS_MINUTES,
  type ListeningSocket,
  type Probe,
  type ProbeHouse,
  type TlsVersion,
} from '../claims/probe.ts';
import { checks, verdict, type Checks } from '../claims/verdict.ts';

const OLD_VERSIONS: readonly TlsVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2'];

/** Each outside the AEAD suites of TLS 1.3, each offered alone. */
const WEAK_OFFERS: readonly { readonly version: TlsVersion; readonly suite: string }[] = [
  { version: 'TLSv1.2', suite: 'ECDHE-ECDSA-AES128-SHA' },
  { version: 'TLSv1.2', suite: 'ECDHE-ECDSA-AES256-SHA384' },
  { version: 'TLSv1.2', suite: 'ECDHE-ECDSA-NULL-SHA' },
  { version: 'TLSv1.2', suite: 'ECDHE-ECDSA-AES128-GCM-SHA256' },
  { version: 'TLSv1', suite: 'ECDHE-ECDSA-AES128-SHA' },
  { version: 'TLSv1.3', suite: 'TLS_AES_128_CCM_8_SHA256' },
];
/** So many offers must have been possible at all, or the check has not looked. */
const OFFERS_MIN = 4;
const AEAD_SUITES: ReadonlySet<string> = new Set([
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
]);
/** Offered by a client that could do without the first: the listener chooses. */
const BOTH_GROUPS = 'X25519MLKEM768:X25519';
const HYBRID_GROUP = 'X25519MLKEM768';
/** Seven processes, each with its own. */
const SOCKETS_MIN = 7;

/** A socket bound to every address is dialled at loopback. */
function addressOf({ host, port }: ListeningSocket): { host: string; port: number } {
  if (host === '0.0.0.0') return { host: '127.0.0.1', port };
  return { host: /^0(:0)*$/.test(host) ? '::1' : host, port };
}

interface Targets {
  readonly targets: readonly { host: string; port: number }[];
  /** A sentence about what was left out; empty when nothing was. */
  readonly note: string;
}

async function secureSockets(house: ProbeHouse, done: Checks): Promise<Targets> {
  const { sockets, leftOut } = await house.sockets();
  const secure = sockets.filter((socket) => socket.exception === undefined);
  done.expect(secure.length >= SOCKETS_MIN, `Only ${secure.length} sockets of the house were found open.`);
  for (const socket of sockets.filter((one) => one.exception !== undefined)) {
    done.expect(socket.loopbackOnly, `The ${socket.exception} listener is reachable from outside this machine.`);
  }
  const note =
    leftOut === 0
      ? ''
      : ` Another house runs here under the same users; ${leftOut} sockets that may be its own were left out.`;
  return { targets: secure.map(addressOf), note };
}

/** Every kind of client there is. */
const CLIENTS_MIN = 4;

async function tryOutwards(house: ProbeHouse, done: Checks): Promise<readonly string[]> {
  const outcomes = await house.outwards();
  done.expect(outcomes.length >= CLIENTS_MIN, `Only ${outcomes.length} kinds of client could be tried outwards.`);
  for (const { client, kind } of outcomes) {
    done.expect(kind === 'refused', `A client (${client}) met a peer that speaks TLS 1.2 at most: ${kind}.`);
  }
  return outcomes.map(({ client }) => client);
}

async function tryVersions(house: ProbeHouse, target: { host: string; port: number }, done: Checks): Promise<void> {
  const name = `Port ${target.port}`;
  for (const version of OLD_VERSIONS) {
    const outcome = await house.dial({ ...target, minVersion: version, maxVersion: version });
    done.expect(outcome.kind === 'refused', `${name} answered an offer of ${version} with: ${outcome.kind}.`);
  }
  const today = await house.dial({ ...target, minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' });
  done.expect(today.kind === 'connected', `${name} did not agree on TLS 1.3.`);
  done.expect(!(await house.plaintext(target)).startsWith('HTTP/'), `${name} answers plain HTTP.`);
}

/** Dials every socket that the kernel shows for the house's processes, with each version before TLS 1.3. */
export const tlsVersionsProbe: Probe = {
  id: 'edge.tls-versions',
  claims: ['crypto.tls13-only'],
  everySeconds: PROBE_SECONDS_MINUTES,
  async run(house) {
    const done = checks();
    for (const version of OLD_VERSIONS) {
      const control = await house.dialControl({ minVersion: version, maxVersion: version });
      done.expect(control.kind === 'connected', `The dialler itself cannot offer ${version}.`);
    }
    const { targets, note } = await secureSockets(house, done);
    await Promise.all(targets.map((target) => tryVersions(house, target, done)));
    const clients = await tryOutwards(house, done);
    return verdict(done, {
      green: `${targets.length} open sockets refused TLS 1.0, 1.1, 1.2 and plain HTTP, and agreed on TLS 1.3; the listeners that are excepted are bound to loopback only. Outwards, ${clients.length} kinds of client gave up a peer that speaks TLS 1.2 at most.${note}`,
      evidence: { sockets: targets.length, versions: [...OLD_VERSIONS], clients: [...clients] },
    });
  },
};

async function possibleOffers(house: ProbeHouse): Promise<typeof WEAK_OFFERS> {
  const tried = await Promise.all(
    WEAK_OFFERS.map(async (offer) => {
      const { version, suite } = offer;
      const control = await house.dialControl({ minVersion: version, maxVersion: version, ciphers: suite });
      return control.kind === 'connected' ? [offer] : [];
    }),
  );
  return tried.flat();
}

/** Offers each socket one weak suite at a time, and nothing else. */
export const tlsCiphersProbe: Probe = {
  id: 'edge.tls-ciphers',
  claims: ['crypto.weak-ciphers'],
  everySeconds: PROBE_SECONDS_MINUTES,
  async run(house) {
    const done = checks();
    const offers = await possibleOffers(house);
    done.expect(offers.length >= OFFERS_MIN, `The dialler itself can offer only ${offers.length} weak suites.`);
    const { targets, note } = await secureSockets(house, done);
    const tryOne = async (target: { host: string; port: number }): Promise<void> => {
      for (const { version, suite } of offers) {
        const outcome = await house.dial({ ...target, minVersion: version, maxVersion: version, ciphers: suite });
        done.expect(
          outcome.kind === 'refused',
          `Port ${target.port} answered an offer of ${suite} with: ${outcome.kind}.`,
        );
      }
      const today = await house.dial({ ...target, minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' });
      done.expect(
        today.kind === 'connected' && AEAD_SUITES.has(today.cipher),
        `Port ${target.port} did not choose a strong suite.`,
      );
      for (const groups of [HYBRID_GROUP, BOTH_GROUPS]) {
        const hybrid = await house.dial({ ...target, minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3', groups });
        done.expect(
          hybrid.kind === 'connected' && hybrid.group === HYBRID_GROUP,
          `Port ${target.port} did not agree on ${HYBRID_GROUP} with a client that knows it.`,
        );
      }
    };
    await Promise.all(targets.map(tryOne));
    return verdict(done, {
      green: `${targets.length} open sockets refused ${offers.length} weak suites, each offered alone, and chose an authenticated-encryption suite of TLS 1.3 and the group ${HYBRID_GROUP}.${note}`,
      evidence: { sockets: targets.length, suites: offers.map((offer) => offer.suite), group: HYBRID_GROUP },
    });
  },
};
