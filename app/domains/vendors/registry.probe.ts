import { PROBE_SECONDS_HOUR, type Probe } from '../../claims/probe.ts';
import { fetchPublished, visibleText } from '../../claims/published-check.ts';
import { checks, verdict, type Checks } from '../../claims/verdict.ts';

interface Entry {
  readonly name?: unknown;
  readonly service?: unknown;
  readonly data?: unknown;
  readonly region?: unknown;
  readonly attestations?: unknown;
  readonly in_force?: unknown;
}

function isSaid(value: unknown): value is string {
  return typeof value === 'string' && value.trim().length > 1;
}

function judgeEntry(entry: Entry, page: string, done: Checks): void {
  const name = isSaid(entry.name) ? entry.name : 'An entry';
  for (const field of ['name', 'service', 'data', 'region'] as const) {
    const value = entry[field];
    if (!done.expect(isSaid(value), `${name} has no ${field}.`)) continue;
    done.expect(
      page.includes(String(value).replaceAll(/\s+/g, ' ')),
      `${name}: the page does not show the ${field} of the JSON.`,
    );
  }
  const { attestations } = entry;
  const named = Array.isArray(attestations) && attestations.length > 0 && attestations.every(isSaid);
  if (!done.expect(named, `${name} names no attestation.`)) return;
  for (const one of attestations as string[])
    done.expect(page.includes(one), `${name}: the page does not show ${one}.`);
}

/** Reads the register as an outsider: page and JSON, both against the signature. */
export const registryProbe: Probe = {
  id: 'vendors.registry',
  claims: ['vendor.registry'],
  everySeconds: PROBE_SECONDS_HOUR,
  async run(house) {
    const done = checks();
    const [page, json] = [
      await fetchPublished(house, '/sub-processors'),
      await fetchPublished(house, '/sub-processors.json'),
    ];
    for (const { fault } of [page, json]) done.expect(fault === undefined, fault ?? '');
    if (done.faults.length > 0) return verdict(done, { green: '' });
    const { sub_processors: entries } = json.reply.json() as { sub_processors?: readonly Entry[] };
    const listed = (entries ?? []).filter((entry) => entry.in_force === true);
    done.expect(listed.length > 0, 'The register names nobody.');
    const text = visibleText(page.reply.text());
    for (const entry of entries ?? []) judgeEntry(entry, text, done);
    done.expect(text.includes(`${listed.length} sub-processors`), 'The page counts other entries than the JSON.');
    return verdict(done, {
      green: `${listed.length} sub-processors are listed, each with data, region and attestations; page and JSON say the same and are signed.`,
      evidence: { listed: listed.length },
    });
  },
};
