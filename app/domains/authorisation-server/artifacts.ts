import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto';
import type { Json, Uuid } from '@auditrax/base';
import { findBySecret } from '../identity/index.ts';
import type { AuthorisationDeps } from './deps.ts';
import * as queries from './queries.ts';

type Deps = Pick<AuthorisationDeps, 'system' | 'random' | 'clock'>;
type Payload = Readonly<Record<string, Json>>;

const IV_BYTES = 12;
const TAG_BYTES = 16;

export interface Artifact {
  readonly payload: Payload;
  readonly tenantId: Uuid;
  readonly consumedAt: Date | null;
  readonly expiresAt: Date;
}

const hashOf = (kind: queries.ArtifactKind, value: string): Buffer =>
  createHash('sha256').update(`auditrax-api-${kind}-v1\0${value}`).digest();

const keyOf = (kind: queries.ArtifactKind, value: string): Buffer =>
  Buffer.from(hkdfSync('sha256', value, '', `auditrax-api-artifact-${kind}-v1`, 32));

/** A payload belongs to one tenant and kind: a row that was moved about does not open. */
const boundTo = (kind: queries.ArtifactKind, tenantId: Uuid): Buffer => Buffer.from(`${tenantId} ${kind}`, 'utf8');

/** A member of what stands behind a value; the empty text when it is none. */
export function textIn(payload: Payload, name: string): string {
  const value = payload[name];
  return typeof value === 'string' ? value : '';
}

/** Keeps what stands behind a value. False: the value is there already. */
export async function keepArtifact(
  deps: Deps,
  at: { readonly tenantId: Uuid; readonly kind: queries.ArtifactKind; readonly value: string },
  of: { readonly payload: Payload; readonly seconds: number; readonly grantId?: Uuid | undefined },
): Promise<boolean> {
  const iv = deps.random.bytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', keyOf(at.kind, at.value), iv).setAAD(boundTo(at.kind, at.tenantId));
  const text = cipher.update(JSON.stringify(of.payload), 'utf8');
  const kept = await deps.system.at(at.tenantId).system(
    queries.insertArtifact({
      value_hash: hashOf(at.kind, at.value),
      tenant_id: at.tenantId,
      kind: at.kind,
      grant_id: of.grantId ?? null,
      payload: Buffer.concat([iv, text, cipher.final(), cipher.getAuthTag()]),
      consumed_at: null,
      expires_at: new Date(deps.clock.nowMs() + of.seconds * 1000),
    }),
  );
  return kept.length > 0;
}

function open(row: queries.ArtifactRow, value: string): Artifact {
  const bytes = Buffer.from(row.payload);
  const end = bytes.length - TAG_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', keyOf(row.kind, value), bytes.subarray(0, IV_BYTES), {
    authTagLength: TAG_BYTES,
  })
    .setAAD(boundTo(row.kind, row.tenant_id))
    .setAuthTag(bytes.subarray(end));
  const text = Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, end)), decipher.final()]).toString('utf8');
  const payload = JSON.parse(text) as Payload;
  return { payload, tenantId: row.tenant_id, consumedAt: row.consumed_at, expiresAt: row.expires_at };
}

interface Named {
  readonly tenantId: Uuid;
  readonly kind: queries.ArtifactKind;
  readonly value: string;
}

/** What stands behind a value of this tenant, used up or not; undefined: nothing. */
export async function findArtifact(deps: Deps, { tenantId, kind, value }: Named): Promise<Artifact | undefined> {
  const [row] = await deps.system.at(tenantId).system(queries.artifactOf(tenantId, hashOf(kind, value)));
  return row === undefined ? undefined : open(row, value);
}

/** The same before the tenant is known: by the value alone, which nobody guesses. */
export async function findArtifactAnywhere(
  deps: Deps,
  { kind, value }: Omit<Named, 'tenantId'>,
): Promise<Artifact | undefined> {
  const row = await findBySecret(deps.system, queries.artifactAnywhere(hashOf(kind, value)));
  // One that a move has left behind says whose it is; whether it still counts, the tenant's own place says.
  return row === undefined ? undefined : findArtifact(deps, { tenantId: row.tenant_id, kind, value });
}

/** Uses a value up. False: it was before, or is not there. */
export async function consumeArtifact(deps: Deps, { tenantId, kind, value }: Named): Promise<boolean> {
  const at = new Date(deps.clock.nowMs());
  const used = await deps.system.at(tenantId).system(queries.consumeArtifact(tenantId, hashOf(kind, value), at));
  return used.length > 0;
}

export async function deleteArtifact(deps: Deps, { tenantId, kind, value }: Named): Promise<void> {
  await deps.system.at(tenantId).system(queries.deleteArtifact(tenantId, hashOf(kind, value)));
}
