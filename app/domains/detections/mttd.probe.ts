import { PROBE_SECONDS_MINUTES, type Probe } from '../../claims/probe.ts';
import { checks, verdict } from '../../claims/verdict.ts';

const WINDOW_SECONDS = 86_400;
const LIMIT_MINUTES = 10;
const MINUTE_MS = 60_000;

/** Mean over a day of real receipts, and one fresh event that must be detected now. */
export const mttdProbe: Probe = {
  id: 'detections.mttd',
  claims: ['ops.mttd'],
  everySeconds: PROBE_SECONDS_MINUTES,
  async run(house) {
    const done = checks();
    const fresh = await house.attempt();
    done.expect(fresh.page !== undefined, 'A fresh high-severity event had no page that a channel accepted.');
    const times = await house.detectionTimes(WINDOW_SECONDS);
    done.expect(times.missing === 0, `${times.missing} events of the last day have no accepted page.`);
    done.expect(times.count > 0, 'The last day holds no event to measure.');
    const value = Number((times.mean_ms / MINUTE_MS).toFixed(4));
    done.expect(value < LIMIT_MINUTES, `The mean is ${value} minutes.`);
    return verdict(done, {
      green: `Mean of ${times.count} events of the last day, from the event to the page accepted by its channel; the slowest took ${Math.ceil(times.max_ms / 1000)} s.`,
      measured: { value, limit: LIMIT_MINUTES, unit: 'minutes' },
      evidence: { events: times.count, max_ms: Math.round(times.max_ms), missing: times.missing },
    });
  },
};
