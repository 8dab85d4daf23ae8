import { PROBE_SECONDS_MINUTES, type Probe } from '../../claims/probe.ts';
import { checks, verdict } from '../../claims/verdict.ts';

const WINDOW_SECONDS = 3_600;
const LIMIT_SECONDS = 60;

/** An attempt of its own, followed to the channel's receipt, and the attempts of the last hour. */
export const attemptPagedProbe: Probe = {
  id: 'oncall.attempt-paged',
  claims: ['tenant.pages-on-call'],
  everySeconds: PROBE_SECONDS_MINUTES,
  async run(house) {
    const done = checks();
    const fresh = await house.attempt();
    done.expect(fresh.seen !== undefined, 'A fresh attempt left no entry in the log.');
    done.expect(fresh.page !== undefined, 'A fresh attempt had no page that a channel accepted.');
    const outcomes = [...house.recentAttempts(WINDOW_SECONDS), fresh];
    const unpaged = outcomes.filter((outcome) => outcome.page === undefined).length;
    done.expect(unpaged === 0, `${unpaged} attempts of the last hour have no accepted page.`);
    const slowest_ms = outcomes.reduce((most, outcome) => Math.max(most, outcome.page_latency_ms ?? 0), 0);
    const value = Number((slowest_ms / 1000).toFixed(3));
    done.expect(value <= LIMIT_SECONDS, `The slowest page took ${value} s.`);
    return verdict(done, {
      green: `Slowest of ${outcomes.length} attempts in the last hour, from the attempt to the page accepted by its channel.`,
      measured: { value, limit: LIMIT_SECONDS, unit: 'seconds' },
      evidence: { attempts: outcomes.length, slowest_ms },
    });
  },
};
