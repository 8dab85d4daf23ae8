import { AppError } from '@auditrax/base';
import { z } from 'zod';

/** How long a researcher is asked to wait before going public, unless agreed otherwise. A promise of the page. */
export const DISCLOSURE_DAYS_DEFAULT = 90;
/** Least and most that is paid, in US dollars. A promise of the page. */
export const REWARD_USD_MIN = 200;
export const REWARD_USD_MAX = 25_000;

/** The three undertakings and the four conditions, by name, so that a program can check that none was dropped. */
export const UNDERTAKINGS = ['no-legal-action', 'no-account-suspension', 'no-law-enforcement-report'] as const;
export const CONDITIONS = ['good-faith', 'no-customer-data', 'no-disruption-or-deception', 'reasonable-time'] as const;
export const SEVERITIES = ['low', 'medium', 'high', 'critical'] as const;

const words = z.string().trim().min(10).max(600);

/** The organisation's disclosure policy, as data. */
export const disclosurePolicy = z.strictObject({
  version: z.number().int().positive(),
  publishedOn: z.string().regex(/^\d{4}-\d{2}-\d{2}$/),
  disclosureDaysDefault: z.number().int(),
  undertakings: z.array(z.strictObject({ id: z.enum(UNDERTAKINGS), text: words })),
  conditions: z.array(z.strictObject({ id: z.enum(CONDITIONS), text: words })),
  rewards: z.array(
    z.strictObject({
      severity: z.enum(SEVERITIES),
      usdMin: z.number().int(),
      usdMax: z.number().int(),
      example: words,
    }),
  ),
  inScope: z.array(words).min(1),
  outOfScope: z.array(words).min(1),
});

export type DisclosurePolicy = z.infer<typeof disclosurePolicy>;

function sameIds(found: readonly { id: string }[], wanted: readonly string[]): boolean {
  return found.length === wanted.length && wanted.every((id) => found.some((one) => one.id === id));
}

function rewardFaults(policy: DisclosurePolicy): string[] {
  const faults: string[] = [];
  const { rewards } = policy;
  if (rewards.map((one) => one.severity).join() !== SEVERITIES.join())
    faults.push('rewards: one row for each severity, low to critical');
  if (rewards[0]?.usdMin !== REWARD_USD_MIN) faults.push(`rewards: the floor is US$ ${REWARD_USD_MIN}`);
  if (rewards.at(-1)?.usdMax !== REWARD_USD_MAX) faults.push(`rewards: the ceiling is US$ ${REWARD_USD_MAX}`);
  rewards.forEach((one, at) => {
    if (one.usdMax < one.usdMin) faults.push(`rewards: ${one.severity} ends below its start`);
    const before = rewards[at - 1];
    if (before !== undefined && one.usdMin !== before.usdMax + 1)
      faults.push(`rewards: gap or overlap between ${before.severity} and ${one.severity}`);
  });
  return faults;
}

/** Faults of a policy against the three undertakings, four conditions, 90 days and reward range; empty when it keeps them. */
export function checkPolicy(policy: DisclosurePolicy): string[] {
  const faults = rewardFaults(policy);
  if (!sameIds(policy.undertakings, UNDERTAKINGS)) faults.push('undertakings: all three, once each');
  if (!sameIds(policy.conditions, CONDITIONS)) faults.push('conditions: all four, once each');
  if (policy.disclosureDaysDefault !== DISCLOSURE_DAYS_DEFAULT)
    faults.push(`disclosureDaysDefault: ${DISCLOSURE_DAYS_DEFAULT} days`);
  return faults;
}

/** Reads an organisation's policy. Throws `disclosure_policy_invalid` naming the field. */
export function parsePolicy(input: unknown): DisclosurePolicy {
  const parsed = disclosurePolicy.safeParse(input);
  if (!parsed.success) {
    const first = parsed.error.issues[0]!;
    throw new AppError('disclosure_policy_invalid', `${first.path.join('.')}: ${first.message}`, {
      field: first.path.join('.'),
    });
  }
  const faults = checkPolicy(parsed.data);
  if (faults.length > 0) throw new AppError('disclosure_policy_invalid', faults.join('; '));
  return parsed.data;
}
