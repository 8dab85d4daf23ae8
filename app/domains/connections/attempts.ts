import { isAppError, uuidV7, type Json, type Uuid } from '@auditrax/base';
import { OIDC_CHECKS, type OidcCode } from '@auditrax/oidc';
import { SAML_CHECKS, type SamlCode } from '@auditrax/saml';
import type { TenantContext } from '@auditrax/tenancy';
import { z } from 'zod';
import type { ConnectionDeps, ReadDeps } from './deps.ts';
import { notFound } from './errors.ts';
import * as queries from './queries.ts';

/** Kept of each purpose, so that sign-ins of strangers cannot push an administrator's test out. */
export const ATTEMPTS_KEPT: Readonly<Record<Attempt['purpose'], number>> = { test: 10, 'sign-in': 30 };
/** Claims of a person with a thousand groups are larger; what is shown is to be read by somebody. */
const CLAIMS_MAX = 100;
const VALUE_CHARS_MAX = 4_096;
const NAME_CHARS_MAX = 512;
const DETAIL_CHARS_MAX = 600;

/** What is kept, sealed, of one attempt. */
const report = z.strictObject({
  /** Null when it was accepted. */
  failure: z.strictObject({ code: z.string(), check: z.string().nullable(), sentence: z.string() }).nullable(),
  /** What exactly was found, for administrators. */
  detail: z.string().nullable(),
  /** The immutable subject that an account would be keyed on. */
  subject: z.string().nullable(),
  /** As the provider sent them; null when nothing could be believed. Null groups: the provider said nothing of groups. */
  groups: z.array(z.string()).nullable(),
  claims: z.array(z.strictObject({ name: z.string(), value: z.string() })).nullable(),
  requestId: z.string(),
});
export type AttemptReport = z.output<typeof report>;

/** How one sign-in by a connection went. */
export interface Attempt {
  readonly connectionId: Uuid;
  /** `test`: begun by an administrator, and nobody is signed in by it. */
  readonly purpose: 'test' | 'sign-in';
  /** Of the settings that were used, from `LoadedConnection`. */
  readonly version: number;
  /** What refused it: an error of `@auditrax/oidc` or `@auditrax/saml`, or one of the room that knows accounts. */
  readonly refusal?: unknown;
  readonly subject?: string | undefined;
  readonly groups?: readonly string[] | undefined;
  /** Everything that the signed answer says; values of any kind are shown as text. */
  readonly claims?: ReadonlyMap<string, unknown> | undefined;
  /** Needed for a test: the administrator who began it, for the entry in the log. */
  readonly startedBy?: { readonly personId: Uuid; readonly sessionId: Uuid } | undefined;
}

const CHECKS: Readonly<Record<string, readonly [string, string]>> = { ...OIDC_CHECKS, ...SAML_CHECKS };

/** Number and sentence of the check with this code; undefined for codes of other rooms. */
export function checkOf(code: string): { readonly check: string; readonly sentence: string } | undefined {
  const row = Object.hasOwn(CHECKS, code) ? CHECKS[code as OidcCode | SamlCode] : undefined;
  return row === undefined ? undefined : { check: row[0], sentence: row[1] };
}

/** Cut to what is shown, and without what could break a line of it. */
function shown(text: string, characters_max: number): string {
  const plain = text.toWellFormed().replaceAll(/\p{Cc}/gu, ' ');
  return plain.length > characters_max ? `${plain.slice(0, characters_max)}…` : plain;
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing'));

function failureOf(error: unknown): Pick<AttemptReport, 'failure' | 'detail'> {
  if (error === undefined) return { failure: null, detail: null };
  // What is no refusal is a fault of this side; its text may hold anything.
  if (!isAppError(error))
    return { failure: { code: 'internal', check: null, sentence: 'Something failed here.' }, detail: null };
  const known = checkOf(error.code);
  const sentence = known?.sentence ?? error.publicDetail ?? 'The sign-in was refused here.';
  return {
    failure: { code: error.code, check: known?.check ?? null, sentence },
    detail: shown(error.message, DETAIL_CHARS_MAX),
  };
}

/** What is kept of an attempt. */
export function reportOf(attempt: Attempt, requestId: string): AttemptReport {
  // Of somebody who only signs in no more is kept than is needed to help them.
  const said: Pick<Attempt, 'groups' | 'claims'> = attempt.purpose === 'test' ? attempt : {};
  const claims = said.claims === undefined ? undefined : [...said.claims].slice(0, CLAIMS_MAX);
  return {
    ...failureOf(attempt.refusal),
    subject: attempt.subject === undefined ? null : shown(attempt.subject, NAME_CHARS_MAX),
    groups: said.groups?.slice(0, CLAIMS_MAX).map((group) => shown(group, NAME_CHARS_MAX)) ?? null,
    claims:
      claims?.map(([name, value]) => ({
        name: shown(name, NAME_CHARS_MAX),
        value: shown(textOf(value), VALUE_CHARS_MAX),
      })) ?? null,
    requestId,
  };
}

/**
 * Keeps how a sign-in went among the connection's recent attempts, sealed. A test becomes an entry of the log as well; how
 * people sign in and are refused is recorded by whoever signs them in. Throws `not_found`.
 */
export async function recordAttempt(deps: ConnectionDeps, context: TenantContext, attempt: Attempt): Promise<Uuid> {
  const { connectionId, purpose, version, startedBy } = attempt;
  const id = uuidV7(deps.clock, deps.random);
  const kept = reportOf(attempt, context.requestId);
  const outcome = kept.failure === null ? 'accepted' : 'refused';
  const field = 'identity.connection_attempt.report' as const;
  const sealed = await deps.sealer.seal({ context, field, rowId: id, value: JSON.stringify(kept) });
  await deps.tenant.transaction(context, async (tx) => {
    if ((await tx.query(queries.connectionById(context, connectionId))).length === 0) throw notFound();
    const row = { id, connectionId, purpose, outcome, version, report: sealed } as const;
    await tx.query(queries.insertAttempt(context, { ...row, tried_at: new Date(deps.clock.nowMs()) }));
    await tx.query(queries.forgetAttempts(context, { connectionId, purpose, kept: ATTEMPTS_KEPT[purpose] }));
    if (purpose !== 'test') return;
    await deps.recordAudit(tx, {
      type: 'connection.tested',
      actor: startedBy === undefined ? { service: 'issuer' } : { ...startedBy },
      resource: ['connection', connectionId],
      outcome: outcome === 'accepted' ? 'allowed' : 'failed',
      requestId: context.requestId,
      public: kept.failure === null ? { ok: true } : { ok: false, code: kept.failure.code },
    });
  });
  return id;
}

/** One of the connection's recent attempts. */
export interface KeptAttempt extends Omit<queries.AttemptRow, 'report'> {
  readonly report: AttemptReport;
}

/** The connection's recent attempts, newest first. */
export async function recentAttempts(
  deps: ReadDeps,
  context: TenantContext,
  connectionId: Uuid,
): Promise<KeptAttempt[]> {
  const limit = ATTEMPTS_KEPT.test + ATTEMPTS_KEPT['sign-in'];
  const rows = await deps.tenant.scoped(context, queries.attemptsOf(context, { connectionId, limit }));
  const field = 'identity.connection_attempt.report' as const;
  const values = rows.map(({ id, report: sealed }) => ({ field, rowId: id, sealed }));
  const texts = await deps.sealer.openTexts({ context, values });
  return rows.map((row, index) => ({ ...row, report: report.parse(JSON.parse(texts[index]!) as Json) }));
}
