import { setTimeout as sleep } from 'node:timers/promises';
import {
  PROBE_SECONDS_HOUR,
  REHEARSAL_MS_MAX,
  type DrillOutcome,
  type Probe,
  type ProbeHouse,
} from '../../claims/probe.ts';
import { checks, verdict, type Checks } from '../../claims/verdict.ts';
import type { Rehearsal } from '../../rehearsal/index.ts';
import type { OwnKeySource } from './source-contract.ts';

/** The promise: nothing opens any more this long after a withdrawal. It is felt much earlier, and that is what is tried. */
const PROMISED_SECONDS = 300;
/** Five seconds until the key store is asked again, five until the holders ask, and a busy machine. */
const FELT_MS_MAX = 12_000;
const RETURN_MS_MAX = 3_000;
const LOOK_AGAIN_MS = 250;

interface Owner {
  readonly source: OwnKeySource;
  setEnabled(isEnabled: boolean): void;
}

function opens(outcome: DrillOutcome): boolean {
  return outcome.kind === 'happened' && outcome.facts['opened'] === true;
}

/** Reads until `wanted`; milliseconds it took, or undefined when it did not come in time. */
async function until(
  house: ProbeHouse,
  wanted: (outcome: DrillOutcome) => boolean,
  limitMs: number,
): Promise<number | undefined> {
  const started = house.clock.nowMs();
  for (;;) {
    const outcome = await house.keySource('read');
    const tookMs = house.clock.nowMs() - started;
    if (wanted(outcome)) return tookMs;
    if (tookMs > limitMs) return undefined;
    await sleep(LOOK_AGAIN_MS);
  }
}

/** The owner takes the key away while the workspace holds data keys, and gives it back. */
async function withdraw(house: ProbeHouse, owner: Owner, done: Checks): Promise<{ feltMs: number; backMs: number }> {
  const begun = await house.keySource('begin', owner.source);
  const code = begun.kind === 'refused' ? begun.code : '';
  if (!done.expect(begun.kind === 'happened', `The key source was not accepted (${code}).`))
    return { feltMs: 0, backMs: 0 };
  const facts = begun.kind === 'happened' ? begun.facts : {};
  done.expect(facts['assurance'] === 'simulator', 'A stand-in is shown as something better than a stand-in.');
  done.expect(opens(await house.keySource('read')), 'What was sealed under the tenant’s own key does not open.');
  owner.setEnabled(false);
  const isShut = (outcome: DrillOutcome) => outcome.kind === 'refused' && outcome.code === 'kek_disabled';
  const felt = await until(house, isShut, FELT_MS_MAX);
  done.expect(
    felt !== undefined,
    `The key is withdrawn, and a record still opens ${FELT_MS_MAX / 1000} seconds later.`,
  );
  owner.setEnabled(true);
  const back = await until(house, opens, RETURN_MS_MAX);
  done.expect(back !== undefined, 'The key was given back, and the record does not open again.');
  return { feltMs: felt ?? FELT_MS_MAX, backMs: back ?? RETURN_MS_MAX };
}

/** Ends the rehearsal whatever happened in it. */
async function drill(
  house: ProbeHouse,
  ownerOf: (rehearsal: Rehearsal) => Owner,
  done: Checks,
): Promise<{ feltMs: number; backMs: number }> {
  return house.rehearse(async (rehearsal) => {
    try {
      return await withdraw(house, ownerOf(rehearsal), done);
    } finally {
      await house.keySource('end');
    }
  });
}

function inSeconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

function told(times: { feltMs: number; backMs: number }): string {
  return `unreadable ${inSeconds(times.feltMs)} s after its owner had disabled the key (promised: ${PROMISED_SECONDS} s), readable again ${inSeconds(times.backMs)} s after it was given back`;
}

/** A canary’s data key under a KMS key of the tenant: disabled, enabled. Against the protocol simulator, never AWS. */
export const byokProbe: Probe = {
  id: 'keys.byok',
  claims: ['crypto.byok'],
  everySeconds: PROBE_SECONDS_HOUR,
  limit_ms: REHEARSAL_MS_MAX,
  async run(house) {
    const done = checks();
    const times = await drill(
      house,
      ({ kms }) => ({
        source: kms.source,
        setEnabled: (isEnabled) => kms.simulator.setEnabled(kms.source.keyArn, isEnabled),
      }),
      done,
    );
    const result = verdict(done, {
      green: `A value sealed for a canary tenant under a KMS key of its own was ${told(times)}.`,
      evidence: { felt_ms: times.feltMs, back_ms: times.backMs },
    });
    return { ...result, rehearsedAgainst: 'a protocol simulator of AWS KMS, written for this house' };
  },
};

/** The same with a key behind an external key store proxy, and its HSM played by SoftHSM. */
export const xksProbe: Probe = {
  id: 'keys.xks',
  claims: ['crypto.xks'],
  everySeconds: PROBE_SECONDS_HOUR,
  limit_ms: REHEARSAL_MS_MAX,
  async run(house) {
    const done = checks();
    const times = await drill(
      house,
      ({ store }) => ({
        source: store.source,
        setEnabled: (isEnabled) => store.setKeyEnabled(isEnabled),
      }),
      done,
    );
    const result = verdict(done, {
      green: `A value sealed for a canary tenant under a key behind an XKS proxy was ${told(times)}.`,
      evidence: { felt_ms: times.feltMs, back_ms: times.backMs },
    });
    return { ...result, rehearsedAgainst: 'auditrax-xks-proxy in front of SoftHSM, on this machine' };
  },
};
