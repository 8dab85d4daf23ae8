import { createHash } from 'node:crypto';
import { canonicalJson } from '@auditrax/base';
import { refusal } from './errors.ts';
import { TAG_HEADER_CHARACTERS_MAX, TAGS_MAX } from './limits.ts';
import type { ScimResource } from './resource.ts';

/**
 * P29: the version of a resource as a weak entity tag, made of its content without `meta`: the same content has the
 * same tag, and nobody has to count.
 */
export function entityTag(resource: ScimResource): string {
  const content = Object.fromEntries(Object.entries(resource).filter(([name]) => name !== 'meta'));
  const hash = createHash('sha256').update(canonicalJson(content)).digest();
  return `W/"${hash.subarray(0, 16).toString('base64url')}"`;
}

const TAG = /^(?:W\/)?"([\u0021\u0023-\u007e]*)"$/;
const opaque = (tag: string): string | undefined => TAG.exec(tag)?.[1];

/**
 * Whether an `If-Match` or `If-None-Match` names the tag, by the weak comparison that RFC 7644 3.14 has; `*` names every
 * tag. Throws `scim_version_header` on anything malformed: a condition that nobody understands does not hold.
 */
export function namesTag(header: string, tag: string): boolean {
  const parts = header.split(',').map((each) => each.trim());
  if (header.length > TAG_HEADER_CHARACTERS_MAX || parts.length > TAGS_MAX) throw refusal('scim_version_header');
  if (header.trim() === '*') return true;
  const wanted = parts.map(opaque);
  if (wanted.includes(undefined)) throw refusal('scim_version_header');
  return wanted.includes(opaque(tag));
}
