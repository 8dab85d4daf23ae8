import { AppError, isAppError, type Uuid } from '@auditrax/base';
import { applyMetadata, certificateExpiry, parseConnection, parseIdpMetadata } from '@auditrax/saml';
import type { SystemDoor, TenantContext } from '@auditrax/tenancy';
import type { AuditInput } from '../../platform/audit/index.ts';
import type { GuardedFetch } from '../../platform/outward/guarded-fetch.ts';
import { findTenant } from '../identity/index.ts';
import { forUpdate } from './asking.ts';
import { checkCertificates, hexOf, insertCertificate } from './certificates.ts';
import { checkOf } from './attempts.ts';
import type { ConnectionDeps } from './deps.ts';
import { notFound } from './errors.ts';
import { warnOfOwnEnd } from './own-key-steps.ts';
import * as queries from './queries.ts';
import { openConnection, openSettings, readCertificates } from './read.ts';

/** ADFS shows a new certificate about twenty days ahead; a day is early enough. */
const LOOK_EVERY_MS = 86_400_000;
/** A provider that is away is asked again sooner. */
const LOOK_AGAIN_MS = 3_600_000;
/** Of one cell in one round; the rest is due in the next. */
const LOOKS_AT_ONCE_MAX = 32;
const CODE = /^[a-z0-9_]{1,64}$/;

export type RefreshDeps = ConnectionDeps & { readonly fetch: GuardedFetch };

/** What one look at a provider's metadata brought. */
export interface Look {
  /** Code of what went wrong; null when the document was read, or there is none. */
  readonly trouble: string | null;
  /** One sentence about it, for the administrator. */
  readonly sentence: string | null;
  readonly pending: number;
  readonly activated: number;
}

const NOTHING: Look = { trouble: null, sentence: null, pending: 0, activated: 0 };
const ISSUER = { service: 'issuer' } as const;

/** Codes of the guarded fetch and of this room, for people; checks of packages/saml bring their own sentence. */
const SENTENCES: Readonly<Record<string, string>> = {
  outward_address_refused: 'The address does not lead to a public machine that may be dialled.',
  outward_redirected: 'The address leads on to another one, which is not followed.',
  outward_too_large: 'The document is larger than any provider’s.',
  outward_late: 'The provider does not answer in time.',
  outward_busy: 'Too much is under way here; it is tried again.',
  outward_unreachable: 'The provider cannot be reached, or its certificate cannot be verified.',
  connection_metadata_answer: 'The address answers with something else than the document.',
  connection_address_changed: 'The provider publishes another address for sign-ins. Compare it, and change it here.',
};

function troubleOf(error: unknown): Look {
  const code = isAppError(error) && CODE.test(error.code) ? error.code : 'internal';
  const sentence = checkOf(code)?.sentence ?? SENTENCES[code] ?? 'Something failed here; it is tried again.';
  return { ...NOTHING, trouble: code, sentence };
}

async function fetchDocument(deps: RefreshDeps, url: string): Promise<Uint8Array> {
  const headers = { accept: 'application/samlmetadata+xml, application/xml;q=0.9, text/xml;q=0.8' };
  const response = await deps.fetch(url, { method: 'GET', headers });
  if (response.status !== 200) throw new AppError('connection_metadata_answer', `status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

const entry = (context: TenantContext, id: Uuid, deed: Pick<AuditInput, 'type' | 'public'>): AuditInput => ({
  ...deed,
  actor: ISSUER,
  resource: ['connection', id],
  outcome: 'allowed',
  requestId: context.requestId,
});

/**
 * Reads the provider's metadata: a new certificate waits as pending, unless the document is signed by a key that is trusted
 * already. Nothing is retired by it, and no address is changed: those are acts of a person.
 */
async function readMetadata(deps: RefreshDeps, context: TenantContext, row: queries.ConnectionRow): Promise<Look> {
  const loaded = await openConnection(deps, { context }, row);
  const { values } = await openSettings(deps, { context }, row);
  if (loaded.settings?.kind !== 'saml' || values?.kind !== 'saml' || values.metadataUrl === null) return NOTHING;
  const connection = parseConnection(loaded.settings.input);
  const bytes = await fetchDocument(deps, values.metadataUrl);
  const metadata = parseIdpMetadata(bytes, connection.certificates, deps.clock);
  const change = applyMetadata(connection, metadata);
  const fresh = change.certificates.filter(({ fingerprint }) =>
    [...change.pending, ...change.activated].includes(fingerprint),
  );
  const origin = {
    connectionId: row.id,
    source: 'metadata',
    decidedBy: null,
    vouchedBy: change.activated.length > 0 ? metadata.signedBy : undefined,
  } as const;
  await deps.tenant.transaction(context, async (tx) => {
    await forUpdate(tx, row.id);
    const known = await readCertificates(deps, { context, tx }, row.id);
    // Somebody may have retired the key that vouched, or pasted the new one, while the document was fetched.
    const isStill = known.some(
      ({ fingerprint, state }) => hexOf(fingerprint) === metadata.signedBy && state === 'active',
    );
    for (const certificate of fresh) {
      if (known.some(({ fingerprint }) => hexOf(fingerprint) === certificate.fingerprint)) continue;
      const state = certificate.state === 'active' && isStill ? 'active' : 'pending';
      checkCertificates([...known, { ...certificate, state }]);
      await insertCertificate(deps, tx, { certificate: { ...certificate, state }, origin });
      const facts = { certificate: certificate.fingerprint, state };
      await deps.recordAudit(tx, entry(context, row.id, { type: 'connection.certificate-found', public: facts }));
    }
  });
  const found = { ...NOTHING, pending: change.pending.length, activated: change.activated.length };
  if (change.ssoUrl === undefined) return found;
  const trouble = 'connection_address_changed';
  return { ...found, trouble, sentence: SENTENCES[trouble]! };
}

/** Says once at 60, 30 and 7 days, and at the end, that a certificate ends which no other one covers. */
async function warnOfEnds(deps: ConnectionDeps, context: TenantContext, connectionId: Uuid): Promise<void> {
  const kept = await readCertificates(deps, { context }, connectionId);
  const ends = certificateExpiry(checkCertificates(kept), deps.clock);
  for (const { fingerprint, stage, isCovered, days } of ends) {
    const one = kept.find((certificate) => hexOf(certificate.fingerprint) === fingerprint)!;
    if (stage === undefined || isCovered || (one.warned_days !== null && one.warned_days <= stage)) continue;
    await deps.tenant.transaction(context, async (tx) => {
      await tx.query(queries.noteWarning(context, { id: one.id, days: stage }));
      const facts = { certificate: fingerprint, dueDays: stage, daysLeft: days };
      await deps.recordAudit(
        tx,
        entry(context, connectionId, { type: 'connection.certificate-ending', public: facts }),
      );
    });
  }
}

/** One look at one connection. What goes wrong at the provider is told; throws `not_found` and what the database throws. */
export async function lookAtConnection(deps: RefreshDeps, context: TenantContext, connectionId: Uuid): Promise<Look> {
  const [row] = await deps.tenant.scoped(context, queries.connectionById(context, connectionId));
  if (row === undefined) throw notFound();
  const look = await readMetadata(deps, context, row).catch(troubleOf);
  // Whatever the provider answers: a certificate ends all the same.
  if (row.state === 'active') {
    await warnOfEnds(deps, context, connectionId);
    await warnOfOwnEnd(deps, context, row);
  }
  const now_ms = deps.clock.nowMs();
  const noted = {
    connection_id: connectionId,
    looked_at: new Date(now_ms),
    look_at: new Date(now_ms + (look.trouble === null ? LOOK_EVERY_MS : LOOK_AGAIN_MS)),
    trouble: look.trouble,
  };
  await deps.system.at(context.tenantId).system(queries.noteLook(noted));
  return look;
}

async function lookAround(deps: RefreshDeps, cell: SystemDoor, requestId: string): Promise<number> {
  const due = await cell.system(queries.dueLooks(new Date(deps.clock.nowMs()), LOOKS_AT_ONCE_MAX));
  let failure: unknown;
  for (const { connection_id, tenant_id } of due) {
    try {
      const tenant = await findTenant(deps, tenant_id, requestId);
      if (tenant === undefined) throw notFound();
      await lookAtConnection(deps, tenant.context, connection_id);
    } catch (error) {
      // Closed, or a row without a connection: nobody comes in by it, and there is nothing to look at any more.
      const isGone = isAppError(error, 'not_found');
      const look_at = isGone ? null : new Date(deps.clock.nowMs() + LOOK_AGAIN_MS);
      await cell.system(queries.planLook({ connection_id, look_at }));
      if (!isGone) failure = error;
    }
  }
  if (failure !== undefined) throw failure;
  return due.length;
}

/**
 * Looks at every SAML connection that is due, in every cell: its provider's metadata, and the ends of its certificates.
 * Returns how many. One cell's failure is thrown after the others had their turn.
 */
export async function tendConnections(deps: RefreshDeps, requestId: string): Promise<number> {
  const rounds = await Promise.allSettled(
    deps.system.everywhere().map((cell) => lookAround(deps, cell.system, requestId)),
  );
  const failure = rounds.find((round) => round.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  return rounds.reduce((sum, round) => sum + (round.status === 'fulfilled' ? round.value : 0), 0);
}
