import { PROBE_SECONDS_HOUR, type Probe } from '../../claims/probe.ts';
import { checks, verdict } from '../../claims/verdict.ts';

const LIMIT_DAYS = 90;

/** Ages of the keys that seal, and whether the writer turns away from one that is too old. */
export const dekAgeProbe: Probe = {
  id: 'keys.dek-age',
  claims: ['crypto.dek-rotation'],
  everySeconds: PROBE_SECONDS_HOUR,
  async run(house) {
    const done = checks();
    const ages = await house.drill('key-ages', { tenant: 'a' });
    const facts = ages.kind === 'happened' ? ages.facts : {};
    const count = Number(facts['count'] ?? 0);
    const value = Number(Number(facts['oldest_days'] ?? Number.NaN).toFixed(3));
    done.expect(count > 0, 'No data key in use was found.');
    done.expect(facts['complete'] === true, 'Not every organisation was looked at.');
    done.expect(value <= LIMIT_DAYS, `The oldest data key in use is ${value} days old.`);
    const behind = Number(facts['values_on_old_keys'] ?? Number.NaN);
    done.expect(behind >= 0, 'Values under older keys could not be counted.');
    const aged = await house.drill('seal-with-aged-key', { tenant: 'a' });
    const used = aged.kind === 'happened' ? Number(aged.facts['used']) : Number.NaN;
    const before = aged.kind === 'happened' ? Number(aged.facts['before']) : Number.NaN;
    done.expect(used > before, 'At 91 days of age the key in use would still have sealed something new.');
    return verdict(done, {
      green: `Age of the oldest of ${count} data keys that seal; asked to seal as if 91 days had passed, the writer made a new key first. ${behind === 0 ? 'No stored value names an older key.' : `${behind} stored values still name an older key and are being moved.`}`,
      measured: { value, limit: LIMIT_DAYS, unit: 'days' },
      evidence: { keys: count, tenants: Number(facts['tenants']), values_on_old_keys: behind },
    });
  },
};
