import { createHash } from 'node:crypto';
import type { Json } from '@auditrax/base';
import { canonicalJson } from '@auditrax/base';
import { PROBE_SECONDS_HOUR, type Probe, type ProbeHouse } from '../../claims/probe.ts';
import { fetchPublished, visibleText } from '../../claims/published-check.ts';
import { checks, verdict, type Checks } from '../../claims/verdict.ts';

/** Written down here once more, apart from the code that makes the page: what the public was promised. */
const PROMISED_UNDERTAKINGS = ['no-account-suspension', 'no-law-enforcement-report', 'no-legal-action'];
const PROMISED_CONDITIONS = ['good-faith', 'no-customer-data', 'no-disruption-or-deception', 'reasonable-time'];
const PROMISED_DAYS = 90;
const PROMISED_USD = { floor: 200, ceiling: 25_000 };
const SEVERITIES = ['low', 'medium', 'high', 'critical'];
const EXPIRES_DAYS = { least: 30, most: 366 };
const DAY_MS = 86_400_000;

interface Policy {
  readonly version: number;
  readonly disclosure_days_default: number;
  readonly openpgp_fingerprint: string | null;
  readonly undertakings: readonly { readonly id: string; readonly text: string }[];
  readonly conditions: readonly { readonly id: string; readonly text: string }[];
  readonly rewards: readonly { readonly severity: string; readonly usd_min: number; readonly usd_max: number }[];
}

async function readPolicy(house: ProbeHouse, done: Checks): Promise<{ policy: Policy; page: string } | undefined> {
  const page = await fetchPublished(house, '/disclosure');
  const json = await fetchPublished(house, '/disclosure.json');
  for (const { fault } of [page, json]) done.expect(fault === undefined, fault ?? '');
  if (done.faults.length > 0) return undefined;
  return { policy: json.reply.json() as Policy, page: visibleText(page.reply.text()) };
}

function idsOf(items: readonly { readonly id: string }[]): string {
  return items
    .map((item) => item.id)
    .toSorted()
    .join();
}

/** A promise whose words changed under the same version number was changed behind the readers' backs. */
async function unchangedUnderItsVersion(
  house: ProbeHouse,
  evidence: { version: number; digest: string },
  done: Checks,
): Promise<void> {
  const runs = await house.observations('disclosure.safe-harbour');
  const before = runs.find((run) => run.state === 'green')?.evidence as
    | { version?: number; digest?: string }
    | undefined;
  if (before?.version !== evidence.version) return;
  done.expect(before.digest === evidence.digest, 'The words have changed without a new version of the policy.');
}

/** Undertakings, conditions and the ninety days, on the page and in the JSON. */
export const safeHarbourProbe: Probe = {
  id: 'disclosure.safe-harbour',
  claims: ['bounty.safe-harbour'],
  everySeconds: PROBE_SECONDS_HOUR,
  async run(house) {
    const done = checks();
    const read = await readPolicy(house, done);
    if (read === undefined) return verdict(done, { green: '' });
    const { policy, page } = read;
    done.expect(idsOf(policy.undertakings) === PROMISED_UNDERTAKINGS.join(), 'An undertaking is missing or new.');
    done.expect(idsOf(policy.conditions) === PROMISED_CONDITIONS.join(), 'A condition is missing or new.');
    for (const { id, text } of [...policy.undertakings, ...policy.conditions]) {
      done.expect(
        text.length > 0 && page.includes(text.replaceAll(/\s+/g, ' ')),
        `The page does not say what the JSON says of ${id}.`,
      );
    }
    done.expect(
      policy.disclosure_days_default === PROMISED_DAYS,
      `The policy asks for ${policy.disclosure_days_default} days.`,
    );
    done.expect(page.includes(`${PROMISED_DAYS} days`), 'The page does not name the ninety days.');
    const words = { undertakings: policy.undertakings, conditions: policy.conditions } as unknown as Json;
    const evidence = {
      version: policy.version,
      digest: createHash('sha256').update(canonicalJson(words)).digest('hex'),
    };
    await unchangedUnderItsVersion(house, evidence, done);
    return verdict(done, {
      green:
        'Three undertakings, four conditions and the ninety days stand on the page and in the JSON, word for word alike and signed.',
      evidence,
    });
  },
};

/** The reward table: one row a severity, no gap, no overlap, the promised ends. */
export const rewardsProbe: Probe = {
  id: 'disclosure.rewards',
  claims: ['bounty.rewards'],
  everySeconds: PROBE_SECONDS_HOUR,
  async run(house) {
    const done = checks();
    const read = await readPolicy(house, done);
    if (read === undefined) return verdict(done, { green: '' });
    const { rewards } = read.policy;
    done.expect(
      rewards.map((row) => row.severity).join() === SEVERITIES.join(),
      'The severities are not low, medium, high, critical.',
    );
    done.expect(rewards[0]?.usd_min === PROMISED_USD.floor, `The table does not begin at US$ ${PROMISED_USD.floor}.`);
    done.expect(
      rewards.at(-1)?.usd_max === PROMISED_USD.ceiling,
      `The table does not end at US$ ${PROMISED_USD.ceiling}.`,
    );
    for (const [at, row] of rewards.entries()) {
      done.expect(row.usd_min <= row.usd_max, `${row.severity} ends below its beginning.`);
      const before = rewards[at - 1];
      if (before !== undefined)
        done.expect(row.usd_min === before.usd_max + 1, `There is a gap or an overlap below ${row.severity}.`);
      for (const amount of [row.usd_min, row.usd_max]) {
        done.expect(
          read.page.includes(`US$ ${amount.toLocaleString('en-US')}`),
          `The page does not show US$ ${amount} for ${row.severity}.`,
        );
      }
    }
    return verdict(done, {
      green:
        'The table runs from US$ 200 to US$ 25,000 over four severities without gap or overlap, on the page and in the JSON.',
    });
  },
};

function fieldsOf(text: string): Map<string, string[]> {
  const fields = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const mark = line.indexOf(': ');
    if (line.startsWith('#') || mark < 0) continue;
    const name = line.slice(0, mark).toLowerCase();
    fields.set(name, [...(fields.get(name) ?? []), line.slice(mark + 2)]);
  }
  return fields;
}

/** RFC 9116 in both places. */
export const securityTxtProbe: Probe = {
  id: 'disclosure.security-txt',
  claims: ['bounty.security-txt'],
  everySeconds: PROBE_SECONDS_HOUR,
  async run(house) {
    const done = checks();
    const known = await fetchPublished(house, '/.well-known/security.txt');
    const root = await fetchPublished(house, '/security.txt');
    for (const { fault } of [known, root]) done.expect(fault === undefined, fault ?? '');
    const read = await readPolicy(house, done);
    if (read === undefined) return verdict(done, { green: '' });
    const text = known.reply.text();
    done.expect(text === root.reply.text(), 'The two places serve different files.');
    done.expect(
      (known.reply.headers['content-type'] ?? '').startsWith('text/plain'),
      'It is not served as plain text.',
    );
    const fields = fieldsOf(text);
    done.expect((fields.get('contact')?.length ?? 0) > 0, 'It names no contact.');
    const expires = fields.get('expires') ?? [];
    const left_days = (Date.parse(expires[0] ?? '') - house.clock.nowMs()) / DAY_MS;
    done.expect(expires.length === 1, 'It does not say once when it expires.');
    done.expect(
      left_days >= EXPIRES_DAYS.least && left_days <= EXPIRES_DAYS.most,
      'It expires in under 30 days or over a year.',
    );
    done.expect(
      (fields.get('canonical') ?? []).includes(`${house.origin}/.well-known/security.txt`),
      'It does not name its own place.',
    );
    const fingerprint = read.policy.openpgp_fingerprint;
    const wanted = fingerprint === null ? undefined : `openpgp4fpr:${fingerprint.toLowerCase()}`;
    done.expect(fields.get('encryption')?.[0] === wanted, 'It names another key than the policy.');
    return verdict(done, {
      green: `Both places serve the same signed file; it expires in ${Math.floor(left_days)} days and ${wanted === undefined ? 'names no key, since none is on file' : 'names the key of the policy'}.`,
    });
  },
};
