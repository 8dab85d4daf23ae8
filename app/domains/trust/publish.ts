import { createHash, createPublicKey, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { AppError, canonicalJson, fromBase64Url, toBase64Url } from '@auditrax/base';
import type { Json } from '@auditrax/base';
import { publishedMessage } from '../../platform/edge/published-signature.ts';
import { sampleCatalogue } from '../../claims/oscal-catalogue.ts';
import { atomFeed } from './atom.ts';
import { claimPage, historyOf } from './claim-page.ts';
import type { ClaimRow, PageModel } from './model.ts';
import { pageRows, publicBody, publicClaim } from './model.ts';
import { assessmentResults } from './oscal.ts';
import { securityPage } from './public.ts';

/** One published file; `path` is absolute at the edge. Content is UTF-8 text. */
export interface PublishedFile {
  readonly path: string;
  readonly mediaType:
    | 'text/html; charset=utf-8'
    | 'text/plain; charset=utf-8'
    | 'application/json'
    | 'application/atom+xml'
    | 'application/oscal+json';
  readonly content: string;
}

/** What another room adds to the revision; it gets the model for the frame around its pages. */
export type RoomPages = (model: PageModel) => readonly PublishedFile[];

export interface Revision {
  readonly revision: number;
  /** Unix milliseconds. */
  readonly validUntil_ms: number;
  readonly digest: string;
  readonly files: readonly PublishedFile[];
}

export const MANIFEST_PATH = '/security/manifest.json';
export const SIGNATURE_PATH = '/security/manifest.sig';
export const PAGE_KEY_PATH = '/security/page-key.pem';

/** JSON as it is published: canonical, so that its digest can be worked out again from its value alone. */
export function jsonFile(
  path: string,
  value: Json,
  mediaType: 'application/json' | 'application/oscal+json' = 'application/json',
): PublishedFile {
  return { path, mediaType, content: canonicalJson(value) };
}

function claimFiles(row: ClaimRow, model: PageModel): PublishedFile[] {
  const path = `/security/claims/${row.claim.id}`;
  const history = historyOf(row, model).map((one) => ({
    observed_at: new Date(one.observedAt_ms).toISOString(),
    state: one.state,
    detail: one.detail,
    duration_ms: one.duration_ms,
    measured: one.measured === undefined ? undefined : { ...one.measured },
    rehearsed_against: one.rehearsedAgainst,
    evidence: one.evidence,
    log_entry: one.entry?.entryId,
    log_index: one.entry?.index,
  }));
  const proof = row.graded.newest?.entry?.proof;
  return [
    { path, mediaType: 'text/html; charset=utf-8', content: claimPage(row, model) },
    jsonFile(`${path}.json`, {
      ...publicClaim(row),
      revision: model.revision,
      page_digest: model.digest,
      valid_until: new Date(model.validUntil_ms).toISOString(),
      history,
    }),
    ...(proof === undefined
      ? []
      : [{ path: `${path}.tlog-proof`, mediaType: 'text/plain; charset=utf-8', content: proof } as const]),
  ];
}

function sha256Hex(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

function assertEd25519(key: KeyObject): void {
  if (key.asymmetricKeyType !== 'ed25519')
    throw new AppError(
      'page_key_wrong_type',
      `pages are signed with Ed25519, not ${key.asymmetricKeyType ?? 'a secret'}`,
    );
}

/**
 * Every file of one revision: the page and its twins, each claim's page, what other rooms add, and a manifest (path →
 * SHA-256 in hex) with a detached Ed25519 signature over its canonical bytes. Deterministic: the same model, rooms and
 * key give the same bytes. Throws `revision_path_twice` when two files want one path.
 */
export function renderRevision(input: { model: PageModel; rooms: readonly RoomPages[]; pageKey: KeyObject }): Revision {
  const { model, pageKey } = input;
  assertEd25519(pageKey);
  const files: PublishedFile[] = [
    { path: '/security', mediaType: 'text/html; charset=utf-8', content: securityPage(model) },
    jsonFile('/security.json', { ...publicBody(model), digest: model.digest }),
    jsonFile('/security/oscal.json', assessmentResults(model), 'application/oscal+json'),
    jsonFile('/security/catalogue.json', sampleCatalogue() as unknown as Json, 'application/oscal+json'),
    { path: '/security/atom.xml', mediaType: 'application/atom+xml', content: atomFeed(model) },
    ...pageRows(model).flatMap((row) => claimFiles(row, model)),
    ...input.rooms.flatMap((room) => room(model)),
    {
      path: PAGE_KEY_PATH,
      mediaType: 'text/plain; charset=utf-8',
      content: createPublicKey(pageKey).export({ type: 'spki', format: 'pem' }) as string,
    },
  ];
  const paths = new Set(files.map((file) => file.path));
  if (paths.size !== files.length) throw new AppError('revision_path_twice', 'two files want one path');
  const manifest = canonicalJson({
    format: 'auditrax-manifest/1',
    revision: model.revision,
    digest: model.digest,
    valid_until: new Date(model.validUntil_ms).toISOString(),
    files: Object.fromEntries(files.map((file) => [file.path, sha256Hex(file.content)])),
  });
  const signature = toBase64Url(sign(null, Buffer.from(manifest, 'utf8'), pageKey));
  return {
    revision: model.revision,
    validUntil_ms: model.validUntil_ms,
    digest: model.digest,
    files: [
      ...files,
      { path: MANIFEST_PATH, mediaType: 'application/json', content: manifest },
      { path: SIGNATURE_PATH, mediaType: 'text/plain; charset=utf-8', content: signature },
    ],
  };
}

/** A revision as the gateway takes it (`PUT /internal/published`). */
export interface SignedPublication {
  readonly revision: number;
  /** Unix milliseconds. */
  readonly validUntil: number;
  readonly files: PublishedFile[];
  /** Ed25519 over the gateway's own message, base64url. */
  readonly signature: string;
}

/** Signs the hand-over of a revision, so that the gateway needs to trust nobody between it and the publisher. */
export function signPublication(revision: Revision, pageKey: KeyObject): SignedPublication {
  assertEd25519(pageKey);
  const publication = {
    revision: revision.revision,
    validUntil: revision.validUntil_ms,
    files: revision.files.map((file) => ({ ...file })),
  };
  return { ...publication, signature: toBase64Url(sign(null, publishedMessage(publication), pageKey)) };
}

/** Verdict on one served file. */
export type ManifestVerdict = 'ok' | 'bad-signature' | 'not-listed' | 'altered';

/**
 * Checks a served file against a manifest and a key that came from elsewhere. Never throws on hostile input.
 * `manifest` and `signature` are the served texts.
 */
export function verifyPublished(input: {
  manifest: string;
  signature: string;
  pageKey: KeyObject;
  path: string;
  content: string;
}): ManifestVerdict {
  const signature = fromBase64Url(input.signature.trim());
  if (signature === undefined || input.pageKey.asymmetricKeyType !== 'ed25519') return 'bad-signature';
  if (!verify(null, Buffer.from(input.manifest, 'utf8'), input.pageKey, signature)) return 'bad-signature';
  const listed = (JSON.parse(input.manifest) as { files: Record<string, string> }).files;
  if (!Object.hasOwn(listed, input.path)) return 'not-listed';
  return listed[input.path] === sha256Hex(input.content) ? 'ok' : 'altered';
}
