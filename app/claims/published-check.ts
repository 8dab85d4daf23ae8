import { createHash, createPublicKey, verify } from 'node:crypto';
import type { ProbeHouse, ProbeResponse } from './probe.ts';

/** A revision may be replaced between two fetches; then everything is fetched again. */
const TRIES_MAX = 3;

export interface PublishedPage {
  readonly reply: ProbeResponse;
  /** Undefined when the page is served as current and its bytes are those that were signed. */
  readonly fault: string | undefined;
}

function verified(manifest: string, signature: string, pageKey: string): Record<string, string> | undefined {
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: pageKey }, format: 'jwk' });
  if (!verify(null, Buffer.from(manifest, 'utf8'), key, Buffer.from(signature.trim(), 'base64url'))) return undefined;
  return (JSON.parse(manifest) as { files: Record<string, string> }).files;
}

async function fetchOnce(house: ProbeHouse, path: string): Promise<PublishedPage & { readonly altered: boolean }> {
  const reply = await house.fetch(path);
  const say = (fault: string | undefined, altered = false) => ({ reply, fault, altered });
  if (reply.status !== 200) return say(`${path} answered ${reply.status}.`);
  if (reply.headers['x-auditrax-state'] !== 'current') return say(`${path} is not served as current.`);
  const [manifest, signature] = await Promise.all([
    house.fetch('/security/manifest.json'),
    house.fetch('/security/manifest.sig'),
  ]);
  if (manifest.status !== 200 || signature.status !== 200) return say('The signed manifest is not served.');
  const files = verified(manifest.text(), signature.text(), house.pageKey);
  if (files === undefined) return say('The manifest is not signed with the page key.', true);
  const digest = createHash('sha256').update(reply.bytes).digest('hex');
  return files[path] === digest ? say(undefined) : say(`${path} is not what was signed.`, true);
}

/** A public page as an outsider reads it, checked against the signature with the key that was given outside. */
export async function fetchPublished(house: ProbeHouse, path: string): Promise<PublishedPage> {
  let page = await fetchOnce(house, path);
  for (let tries = 1; page.altered && tries < TRIES_MAX; tries += 1) page = await fetchOnce(house, path);
  return page;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };

/** What a person reads on a page of ours: tags gone, entities resolved, blanks folded. */
export function visibleText(html: string): string {
  return html
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/&(amp|lt|gt|quot|#39);/g, (_all, name: string) => ENTITIES[name]!)
    .replaceAll(/\s+/g, ' ');
}
