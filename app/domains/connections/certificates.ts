import { isAppError, uuidV7, type Uuid } from '@auditrax/base';
import {
  parseCertificate,
  parseCertificates,
  SAML_CHECKS,
  type CertificateState,
  type SamlCertificate,
  type SamlCode,
} from '@auditrax/saml';
import type { ScopedTransaction } from '@auditrax/tenancy';
import type { ConnectionDeps } from './deps.ts';
import { notFound, refuse } from './errors.ts';
import * as queries from './queries.ts';
import { readCertificates, type KeptCertificate } from './read.ts';
import { entryOf, forUpdate, type Asker } from './asking.ts';

export const hexOf = (bytes: Buffer): string => bytes.toString('hex');

/** A package's refusal of certificates, in the words of its check. */
function translated(error: unknown): unknown {
  const [, sentence] = isAppError(error) && error.code in SAML_CHECKS ? SAML_CHECKS[error.code as SamlCode] : [];
  return sentence === undefined ? error : refuse('connection_certificate_refused', sentence, 'certificates');
}

/** Throws `connection_certificate_refused` for too many, two alike, or one that cannot be used. */
export function checkCertificates(
  certificates: readonly { pem: string; state: CertificateState }[],
): SamlCertificate[] {
  try {
    return parseCertificates(certificates);
  } catch (error) {
    throw translated(error);
  }
}

function readPasted(pem: string): SamlCertificate {
  try {
    return parseCertificate(pem, 'active');
  } catch (error) {
    throw translated(error);
  }
}

/** Throws `connection_certificate_refused` for one that cannot be used. */
export function checkPasted(pems: readonly string[]): void {
  for (const pem of pems) readPasted(pem);
}

/** Where a new certificate comes from, and who vouches for it. */
export interface Origin {
  readonly connectionId: Uuid;
  readonly source: 'pasted' | 'metadata';
  readonly decidedBy: Uuid | null;
  /** Fingerprint of the trusted key that signed the metadata. */
  readonly vouchedBy: string | undefined;
}

/** Stores a certificate that is not known yet; the caller writes the entry about its connection. */
export async function insertCertificate(
  deps: ConnectionDeps,
  tx: ScopedTransaction,
  { certificate, origin }: { readonly certificate: SamlCertificate; readonly origin: Origin },
): Promise<void> {
  const id = uuidV7(deps.clock, deps.random);
  const now = new Date(deps.clock.nowMs());
  const field = 'identity.connection_certificate.pem' as const;
  const { context } = tx;
  const row = {
    id,
    connection_id: origin.connectionId,
    fingerprint: Buffer.from(certificate.fingerprint, 'hex'),
    pem: await deps.sealer.seal({ context, field, rowId: id, value: certificate.pem, tx }),
    state: certificate.state,
    source: origin.source,
    not_after: new Date(certificate.notAfter_ms),
    seen_at: now,
    decided_by: origin.decidedBy,
    decided_at: certificate.state === 'active' ? now : null,
    vouched_by: origin.vouchedBy === undefined ? null : Buffer.from(origin.vouchedBy, 'hex'),
  };
  await tx.query(queries.insertCertificate(context, row));
}

/**
 * Trusts pasted certificates on the word of the person who saves them; one that waited is approved by it. Returns how many
 * were not trusted before. Throws `connection_certificate_refused`.
 */
export async function trustPasted(
  deps: ConnectionDeps,
  tx: ScopedTransaction,
  given: { readonly row: queries.ConnectionRow; readonly pems: readonly string[]; readonly by: Uuid },
): Promise<number> {
  const { row, pems, by } = given;
  if (pems.length === 0) return 0;
  if (row.kind !== 'saml')
    throw refuse('connection_certificate_refused', 'Only SAML has certificates.', 'certificates');
  const known = await readCertificates(deps, { context: tx.context, tx }, row.id);
  const pasted = new Map(pems.map(readPasted).map((one) => [one.fingerprint, one]));
  const isPasted = (one: KeptCertificate) => pasted.has(hexOf(one.fingerprint));
  const waiting = known.filter((one) => one.state !== 'active' && isPasted(one));
  const fresh = [...pasted.values()].filter(
    (one) => !known.some(({ fingerprint }) => hexOf(fingerprint) === one.fingerprint),
  );
  checkCertificates([...known.map((one) => (isPasted(one) ? { ...one, state: 'active' as const } : one)), ...fresh]);
  const decided = { state: 'active', decided_by: by, decided_at: new Date(deps.clock.nowMs()) } as const;
  for (const { id } of waiting) await tx.query(queries.decideCertificate(tx.context, { id, ...decided }));
  const origin = { connectionId: row.id, source: 'pasted', decidedBy: by, vouchedBy: undefined } as const;
  for (const certificate of fresh) await insertCertificate(deps, tx, { certificate, origin });
  return waiting.length + fresh.length;
}

/**
 * Approves a certificate that waits, or retires one: what a retired one signs is refused from the next sign-in on. Throws
 * `not_found`, `connection_state`, `connection_certificate_refused`.
 */
export async function decideCertificate(
  deps: ConnectionDeps,
  who: Asker,
  input: { readonly connectionId: Uuid; readonly id: Uuid; readonly to: 'active' | 'retired' },
): Promise<void> {
  const context = who.caller.tenant;
  const { connectionId, id, to } = input;
  await deps.tenant.transaction(context, async (tx) => {
    await forUpdate(tx, connectionId);
    const all = await readCertificates(deps, { context, tx }, connectionId);
    const found = all.find((one) => one.id === id);
    if (found === undefined) throw notFound();
    if (found.state === to) throw refuse('connection_state', `It is ${to} already.`);
    checkCertificates(all.map((one) => (one.id === id ? { ...one, state: to } : one)));
    const decided = { id, state: to, decided_by: who.caller.personId, decided_at: new Date(deps.clock.nowMs()) };
    await tx.query(queries.decideCertificate(context, decided));
    const facts = { certificate: hexOf(found.fingerprint) };
    await deps.recordAudit(
      tx,
      to === 'active'
        ? entryOf(who, connectionId, { type: 'connection.certificate-approved', public: facts })
        : entryOf(who, connectionId, { type: 'connection.certificate-retired', public: facts }),
    );
  });
}
