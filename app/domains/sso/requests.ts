import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto';
import { fromBase64Url, toBase64Url, type Json, type Uuid } from '@auditrax/base';
import type { KnownTenant } from '../identity/index.ts';
import type { SsoDeps } from './deps.ts';
import { refuse } from './errors.ts';
import * as queries from './queries.ts';

/** Somebody who has to find a second factor first needs minutes; who needs more begins again. */
export const REQUEST_SECONDS_MAX = 600;
const SECRET_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const STATE_CHARACTERS_MAX = 200;

/** Pages of ours where a sign-in ends, by number: an address never travels through a provider. */
export const RETURNS = { home: 0, connection: 1, passkeys: 2 } as const;
export type Return = keyof typeof RETURNS;

/** A session that ends when the sign-in has opened another one in its place. */
export interface Previous {
  readonly tenantId: string;
  readonly sessionId: string;
  readonly personId: string;
}

/** What is kept of a sign-in under way, beside what its answer is checked against. */
export interface Pending {
  readonly purpose: queries.Purpose;
  readonly returnTo: Return;
  /** Who began it, where it was begun in a session. */
  readonly by: { readonly memberId: Uuid; readonly sessionId: Uuid } | undefined;
  readonly linkHash: Uint8Array | undefined;
  /** `StoredSignIn` of OpenID Connect or `StoredRequest` of SAML, and the session that ends when this one begins. */
  readonly payload: { readonly request: Json; readonly previous: Previous | null };
}

const digest = (bytes: Uint8Array | string): Buffer => createHash('sha256').update(bytes).digest();

/** The secret of a browser's cookie; undefined when it is none of ours. */
function secretOf(cookie: string | undefined): Buffer | undefined {
  const bytes = cookie === undefined ? undefined : fromBase64Url(cookie);
  return bytes?.length === SECRET_BYTES ? Buffer.from(bytes) : undefined;
}

/**
 * The browser's secret: the one it has, so that two sign-ins in two windows do not end each other, or a new one. Nobody
 * else can have put it there: the cookie's name binds it to this host.
 */
export function browserSecret(deps: Pick<SsoDeps, 'random'>, cookie: string | undefined): string {
  return toBase64Url(secretOf(cookie) ?? deps.random.bytes(SECRET_BYTES));
}

/** Of this request alone: the same browser's next one has another. */
function keyOf(secret: Uint8Array, stateHash: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, stateHash, 'auditrax-sso-request-v1', 32));
}

/** A payload belongs to one tenant, connection and purpose: a row that was moved about does not open. */
function boundTo(row: Pick<queries.RequestRow, 'tenant_id' | 'connection_id' | 'purpose'>): Buffer {
  return Buffer.from(`${row.tenant_id} ${row.connection_id} ${row.purpose}`, 'utf8');
}

/** Keeps a sign-in under its state, bound to the browser. */
export async function keepRequest(
  deps: Pick<SsoDeps, 'system' | 'clock' | 'random'>,
  pending: Pending,
  at: { readonly tenantId: Uuid; readonly connectionId: Uuid; readonly state: string; readonly secret: string },
): Promise<void> {
  const secret = secretOf(at.secret)!;
  const stateHash = digest(at.state);
  const row = { tenant_id: at.tenantId, connection_id: at.connectionId, purpose: pending.purpose };
  const iv = deps.random.bytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', keyOf(secret, stateHash), iv).setAAD(boundTo(row));
  const text = cipher.update(JSON.stringify(pending.payload), 'utf8');
  await deps.system.at(at.tenantId).system(
    queries.insertRequest({
      ...row,
      state_hash: stateHash,
      browser_hash: digest(secret),
      payload: Buffer.concat([iv, text, cipher.final(), cipher.getAuthTag()]),
      return_to: RETURNS[pending.returnTo],
      member_id: pending.by?.memberId ?? null,
      session_id: pending.by?.sessionId ?? null,
      link_hash: pending.linkHash ?? null,
      expires_at: new Date(deps.clock.nowMs() + REQUEST_SECONDS_MAX * 1000),
    }),
  );
}

function open(row: queries.RequestRow, secret: Uint8Array): Pending['payload'] {
  const bytes = Buffer.from(row.payload);
  const iv = bytes.subarray(0, IV_BYTES);
  const end = bytes.length - TAG_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', keyOf(secret, row.state_hash), iv, { authTagLength: TAG_BYTES })
    .setAAD(boundTo(row))
    .setAuthTag(bytes.subarray(end));
  const text = Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, end)), decipher.final()]).toString('utf8');
  return JSON.parse(text) as Pending['payload'];
}

/**
 * Takes a sign-in out of the store, before anything of its answer is verified: an answer can be tried once, also one that
 * is late, of another browser, or at another connection's address. Throws `sso_request_unusable`, always the same.
 */
export async function takeRequest(
  deps: Pick<SsoDeps, 'system' | 'clock'>,
  tenant: KnownTenant,
  answer: { readonly connectionId: Uuid; readonly state: string | undefined; readonly browser: string | undefined },
): Promise<Pending> {
  const { state, connectionId } = answer;
  const no = (why: string) => refuse('sso_request_unusable', why);
  if (state === undefined || state === '' || state.length > STATE_CHARACTERS_MAX) throw no('no state');
  const { tenantId } = tenant.context;
  const [row] = await deps.system.at(tenantId).system(queries.takeRequest(digest(state)));
  if (row === undefined) throw no('no sign-in of this state');
  const secret = secretOf(answer.browser);
  if (secret === undefined || !digest(secret).equals(row.browser_hash)) throw no('begun in another browser');
  if (row.tenant_id !== tenantId || row.connection_id !== connectionId) throw no('begun for another connection');
  if (row.expires_at.getTime() <= deps.clock.nowMs()) throw no('too late');
  const returnTo = (Object.keys(RETURNS) as Return[]).find((name) => RETURNS[name] === row.return_to) ?? 'home';
  const by =
    row.member_id === null || row.session_id === null
      ? undefined
      : { memberId: row.member_id, sessionId: row.session_id };
  return { purpose: row.purpose, returnTo, by, linkHash: row.link_hash ?? undefined, payload: open(row, secret) };
}
