import { createHash } from 'node:crypto';
import { canonicalJson, type Uuid } from '@auditrax/base';
import { z } from 'zod';
import type { RulesInForce } from '../rules/index.ts';
import { itemKind } from './contract.ts';
import type { AccessReviewDeps, ReviewedTenant } from './deps.ts';
import { refuse } from './errors.ts';
import type { Holder } from './holders.ts';
import type { ReviewRow } from './queries.ts';

const FORMAT = 'auditrax-access-review-1';
const FIELD = 'identity.access_review.snapshot';
const uuid = z.uuid().transform((id) => id as Uuid);
const instant = z.iso.datetime();

const frozenItem = z.strictObject({
  n: z.number().int().min(1),
  kind: itemKind,
  target: uuid,
  holder: uuid.nullable(),
  role: z.enum(['lead', 'auditor', 'client', 'operator']).nullable(),
  scope: z.enum(['read', 'write']).nullable(),
  methods: z.array(z.string()),
  passkeys: z.number().int(),
  connections: z.array(uuid),
  holds: z.array(uuid),
  of: uuid.nullable(),
  /** Name of a list in `access`. */
  access: z.string(),
  /** Absent in snapshots from before it was frozen. */
  office: uuid.nullable().optional(),
  createdAt: instant,
  expiresAt: instant.nullable(),
  lastUsedAt: instant.nullable(),
  provedAt: instant.nullable(),
  production: z.strictObject({ mayAsk: z.boolean(), lastAt: instant.nullable() }).optional(),
});
export type FrozenItem = z.output<typeof frozenItem>;

const frozen = z.strictObject({
  format: z.literal(FORMAT),
  tenant: uuid,
  review: uuid,
  openedAt: instant,
  /** SHA-256 of the policy text by which `access` was worked out. */
  policy: z.string(),
  /**
   * The organisation's own rules in force, which only take away from `access` on engagements: the hash of their text. With the
   * text and each item's role and office anybody works out what is left. Absent in snapshots from before it was frozen.
   */
  rules: z.strictObject({ version: z.number().int().min(0), sha256: z.string().nullable() }).optional(),
  /** Every operation that asks for a session, with its class. */
  operations: z.record(z.string(), z.string()),
  /** Operations that the policies allow, by a short hash of the list: people of one role share one. */
  access: z.record(z.string(), z.array(z.string())),
  items: z.array(frozenItem),
});
export type Snapshot = z.output<typeof frozen>;

export const sha256 = (text: string): Buffer => createHash('sha256').update(text, 'utf8').digest();

const iso = (at: Date | null): string | null => at?.toISOString() ?? null;

/** Characters of a hash that tell lists of one snapshot apart. */
const LIST_NAME_CHARACTERS = 16;

/** What stands there now as canonical JSON (RFC 8785): the bytes that are hashed, kept and handed out. */
export function freeze(
  deps: Pick<AccessReviewDeps, 'judge' | 'policyHash'>,
  of: {
    readonly tenant: ReviewedTenant;
    readonly review: Uuid;
    readonly openedAt: Date;
    readonly rules: Pick<RulesInForce, 'version' | 'sha256'>;
  },
  holders: readonly Holder[],
): { readonly text: string; readonly hash: Buffer } {
  const access: Record<string, readonly string[]> = {};
  const listName = (operations: readonly string[]): string => {
    const name = sha256(canonicalJson([...operations]))
      .toString('hex')
      .slice(0, LIST_NAME_CHARACTERS);
    access[name] = operations;
    return name;
  };
  const items = holders.map(
    ({ operations, createdAt, expiresAt, lastUsedAt, provedAt, production, ...facts }, index) => ({
      n: index + 1,
      ...facts,
      access: listName(operations),
      createdAt: createdAt.toISOString(),
      expiresAt: iso(expiresAt),
      lastUsedAt: iso(lastUsedAt),
      provedAt: iso(provedAt),
      ...(production && { production: { mayAsk: production.mayAsk, lastAt: iso(production.lastAt) } }),
    }),
  );
  const snapshot = {
    format: FORMAT,
    tenant: of.tenant.context.tenantId,
    review: of.review,
    openedAt: of.openedAt.toISOString(),
    policy: deps.policyHash,
    rules: { version: of.rules.version, sha256: of.rules.sha256 },
    operations: Object.fromEntries(deps.judge.operations.map((one) => [one.operation, one.class])),
    access,
    items,
  };
  const text = canonicalJson(snapshot);
  return { text, hash: sha256(text) };
}

/** The bytes that were frozen. Throws `access_review_tampered` when they are not what the row, and so the log, says. */
export async function snapshotText(
  deps: Pick<AccessReviewDeps, 'sealer'>,
  tenant: Pick<ReviewedTenant, 'context'>,
  row: Pick<ReviewRow, 'id' | 'snapshot' | 'snapshot_hash'>,
): Promise<string> {
  const place = { context: tenant.context, field: FIELD, rowId: row.id } as const;
  const text = await deps.sealer.openText({ ...place, sealed: row.snapshot });
  if (!sha256(text).equals(row.snapshot_hash)) throw refuse('access_review_tampered', 'the snapshot has another hash');
  return text;
}

export async function openSnapshot(...given: Parameters<typeof snapshotText>): Promise<Snapshot> {
  return frozen.parse(JSON.parse(await snapshotText(...given)));
}

export function sealSnapshot(
  deps: Pick<AccessReviewDeps, 'sealer'>,
  tenant: ReviewedTenant,
  of: { readonly review: Uuid; readonly text: string },
): Promise<Buffer> {
  return deps.sealer.seal({ context: tenant.context, field: FIELD, rowId: of.review, value: of.text });
}

/**
 * What has come to an access since it was frozen, in words that a program compares: more operations, another role, further
 * keys, programs and connections, other rules of the organisation's own, another office. Empty: nothing; what has gone is no growth.
 */
export function growthOf(
  snapshot: Pick<Snapshot, 'access' | 'rules'>,
  item: FrozenItem,
  { holder: now, rules }: { readonly holder: Holder; readonly rules: Pick<RulesInForce, 'version'> },
): string[] {
  const before = new Set(snapshot.access[item.access]);
  const news = (was: readonly Uuid[], is: readonly Uuid[], word: string) =>
    is.filter((id) => !was.includes(id)).map((id) => `${word} ${id}`);
  return [
    ...now.operations.filter((operation) => !before.has(operation)).map((operation) => `operation ${operation}`),
    ...(now.role === item.role ? [] : [`role ${now.role}`]),
    // Rules and offices only take away; whether others take away less is not for a program to say.
    ...(item.role !== null && snapshot.rules !== undefined && rules.version !== snapshot.rules.version
      ? ['rules']
      : []),
    ...(item.office !== undefined && now.office !== item.office ? ['office'] : []),
    ...(item.kind === 'invitation' && now.kind === 'member' ? ['accepted'] : []),
    ...news(item.holds, now.holds, 'holds'),
    ...news(item.connections, now.connections, 'connection'),
  ].toSorted();
}

/** Of what has come since: bound into each decision, so that it is about what was shown. */
export const growthHash = (growth: readonly string[]): Buffer => sha256(canonicalJson([...growth]));
