import { isAppError, type Uuid } from '@auditrax/base';
import { certificateExpiry, parseCertificate, parseIdpMetadata, SAML_CHECKS, type SamlCode } from '@auditrax/saml';
import type { TenantContext } from '@auditrax/tenancy';
import { countStandIns } from '../identity/index.ts';
import { addressesOf } from './addresses.ts';
import { recentAttempts } from './attempts.ts';
import { hexOf } from './certificates.ts';
import type { ConnectionDetail, ConnectionSummary, ShownCertificate, ShownValues } from './contract.ts';
import { originOf, type ConnectionDeps } from './deps.ts';
import { notFound, refuse } from './errors.ts';
import * as queries from './queries.ts';
import { openOwnKeys, openSettings, readCertificates, readGroups, type KeptCertificate } from './read.ts';
import type { StoredSettings } from './settings-contract.ts';

const DAY_MS = 86_400_000;

/** Settings without what is never told again. */
function shownValues({ values }: StoredSettings): ShownValues | null {
  if (values?.kind !== 'oidc') return values;
  const { secret: _secret, ...rest } = values;
  return rest;
}

function shownCertificate(deps: ConnectionDeps, context: TenantContext, one: KeptCertificate): ShownCertificate {
  const { subject, notBefore_ms, notAfter_ms } = parseCertificate(one.pem, one.state);
  return {
    id: deps.formatId('cer', context, one.id),
    fingerprint: hexOf(one.fingerprint),
    subject,
    notBefore: new Date(notBefore_ms).toISOString(),
    notAfter: new Date(notAfter_ms).toISOString(),
    daysLeft: Math.floor((notAfter_ms - deps.clock.nowMs()) / DAY_MS),
    state: one.state,
    source: one.source,
    seenAt: one.seen_at.toISOString(),
    decidedBy: one.decided_by === null ? null : deps.formatId('mem', context, one.decided_by),
    decidedAt: one.decided_at?.toISOString() ?? null,
    vouchedBy: one.vouched_by === null ? null : hexOf(one.vouched_by),
  };
}

/** Days until nobody can sign in for want of a certificate; null while there is none. */
function daysLeft(deps: ConnectionDeps, certificates: readonly KeptCertificate[]): number | null {
  const parsed = certificates.map(({ pem, state }) => parseCertificate(pem, state));
  return certificateExpiry(parsed, deps.clock).find(({ isCovered }) => !isCovered)?.days ?? null;
}

async function summarize(
  deps: ConnectionDeps,
  context: TenantContext,
  given: { readonly row: queries.ConnectionRow; readonly settings: StoredSettings; readonly groups: number },
): Promise<{ readonly summary: ConnectionSummary; readonly certificates: KeptCertificate[] }> {
  const { row, settings, groups } = given;
  const certificates = row.kind === 'saml' ? await readCertificates(deps, { context }, row.id) : [];
  const tested = queries.acceptedTest(context, { connectionId: row.id, version: row.version });
  const summary = {
    id: deps.formatId('con', context, row.id),
    kind: row.kind,
    profile: row.profile,
    name: settings.name,
    state: row.state,
    complete: settings.values !== null,
    tested: (await deps.tenant.scoped(context, tested)).length > 0,
    groups,
    daysLeft: daysLeft(deps, certificates),
    pending: certificates.filter(({ state }) => state === 'pending').length,
  };
  return { summary, certificates };
}

/** Every connection of the tenant, in the order they were made. */
export async function listConnections(deps: ConnectionDeps, context: TenantContext): Promise<ConnectionSummary[]> {
  const rows = await deps.tenant.scoped(context, queries.listConnections(context));
  const counts = await deps.tenant.scoped(context, queries.countGroups(context));
  const shown: ConnectionSummary[] = [];
  for (const row of rows) {
    const settings = await openSettings(deps, { context }, row);
    const groups = counts.find(({ connection_id }) => connection_id === row.id)?.n ?? 0;
    shown.push((await summarize(deps, context, { row, settings, groups })).summary);
  }
  return shown;
}

/** This side's certificates: the current ones, the next ones, and since when older ones are on their way out. */
async function shownOwnKeys(
  deps: ConnectionDeps,
  context: TenantContext,
  row: queries.ConnectionRow,
): Promise<ConnectionDetail['ownKeys']> {
  if (row.own_keys === null) return null;
  const { signing, encryption, next, previous } = await openOwnKeys(deps, { context }, row);
  const { notBefore_ms, notAfter_ms } = parseCertificate(signing.certificate, 'active');
  const endOf = (pem: string) => new Date(parseCertificate(pem, 'active').notAfter_ms).toISOString();
  return {
    signing: signing.certificate,
    encryption: encryption.certificate,
    since: previous?.replacedAt ?? new Date(notBefore_ms).toISOString(),
    endsAt: new Date(notAfter_ms).toISOString(),
    daysLeft: Math.floor((notAfter_ms - deps.clock.nowMs()) / DAY_MS),
    next:
      next === undefined
        ? null
        : {
            signing: next.signing.certificate,
            encryption: next.encryption.certificate,
            madeAt: next.madeAt,
            endsAt: endOf(next.signing.certificate),
          },
    previous: previous === undefined ? null : { replacedAt: previous.replacedAt },
  };
}

async function lastLook(deps: ConnectionDeps, context: TenantContext, row: queries.ConnectionRow) {
  if (row.kind !== 'saml') return null;
  const [index] = await deps.system.at(context.tenantId).system(queries.indexById(row.id));
  return { lookedAt: index?.looked_at?.toISOString() ?? null, trouble: index?.trouble ?? null };
}

/** Everything about one connection but its secrets. Throws `not_found`. */
export async function readConnection(
  deps: ConnectionDeps,
  context: TenantContext,
  id: Uuid,
): Promise<ConnectionDetail> {
  const [row] = await deps.tenant.scoped(context, queries.connectionById(context, id));
  if (row === undefined) throw notFound();
  const settings = await openSettings(deps, { context }, row);
  const groups = await readGroups(deps, { context }, id);
  const { summary, certificates } = await summarize(deps, context, { row, settings, groups: groups.length });
  const attempts = await recentAttempts(deps, context, id);
  return {
    ...summary,
    version: row.version,
    standIns: await countStandIns(deps, context, id),
    justInTime: settings.justInTime,
    values: shownValues(settings),
    addresses: addressesOf(originOf(deps), id),
    groupMap: groups.map(({ group, name, role }) => ({ group, name, role })),
    certificates: certificates.map((one) => shownCertificate(deps, context, one)),
    ownKeys: await shownOwnKeys(deps, context, row),
    metadata: await lastLook(deps, context, row),
    attempts: attempts.map(({ tried_at, purpose, outcome, version, report }) => ({
      at: tried_at.toISOString(),
      purpose,
      outcome,
      current: version === row.version,
      ...report,
    })),
  };
}

/** What a pasted metadata document says. Nothing of it is trusted by that. Throws `connection_setting_invalid`. */
export function describeMetadata({ clock }: Pick<ConnectionDeps, 'clock'>, document: string) {
  try {
    const { entityId, sso, certificates } = parseIdpMetadata(Buffer.from(document, 'utf8'), [], clock);
    return {
      idpEntityId: entityId,
      ssoUrl: sso.find(({ binding }) => binding === 'redirect')?.url ?? null,
      certificates: certificates.map(({ pem, fingerprint, notAfter_ms }) => ({
        pem,
        fingerprint,
        notAfter: new Date(notAfter_ms).toISOString(),
      })),
    };
  } catch (error) {
    const [, sentence] = isAppError(error) && error.code in SAML_CHECKS ? SAML_CHECKS[error.code as SamlCode] : [];
    if (sentence === undefined) throw error;
    throw refuse('connection_setting_invalid', sentence, 'document');
  }
}
