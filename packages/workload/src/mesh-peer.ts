import type { PeerNames } from './peer-names.ts';

/** Names and values one after the other, as they came: `rawHeaders` of Node, in which nothing is joined or dropped. */
type RawHeaders = readonly string[];

/** The headers by which a mesh's proxy names the peer. Nobody but that proxy may be believed about them. */
export const MESH_HEADERS = { istio: 'x-forwarded-client-cert', linkerd: 'l5d-client-id' } as const;
export type Mesh = keyof typeof MESH_HEADERS;

/** A proxy writes a few hundred; a longer one is not its own. */
const VALUE_CHARACTERS_MAX = 4_096;

export interface MeshPeerOptions {
  readonly names: PeerNames;
  /** This service: the proxy says whom the certificate was shown to, and it must be us. */
  readonly self: string;
}

/**
 * The service that a mesh's proxy names as the peer of a request; undefined for nobody. The caller answers for it that
 * the request came from that proxy. A header that is there twice, in any case, or tells of more than one hop, is not
 * what a proxy that replaces the header writes: then the peer is nobody.
 */
export function meshPeer(mesh: Mesh, headers: RawHeaders, options: MeshPeerOptions): string | undefined {
  const value = onlyValue(headers, MESH_HEADERS[mesh]);
  if (value === undefined || value.length > VALUE_CHARACTERS_MAX) return undefined;
  return mesh === 'istio' ? fromEnvoy(value, options) : options.names.serviceOf(value);
}

function onlyValue(headers: RawHeaders, name: string): string | undefined {
  const values = headers.filter((_text, at) => at % 2 === 1 && headers[at - 1]!.toLowerCase() === name);
  return values.length === 1 ? values[0] : undefined;
}

/** Keys that Envoy writes (HTTP header manipulation, x-forwarded-client-cert); each at most once in an element. */
const KEYS: ReadonlySet<string> = new Set(['By', 'Hash', 'Cert', 'Chain', 'Subject', 'URI', 'DNS']);

/** One element, of one hop: `By=…;Hash=…;Subject="…";URI=…`. */
function fromEnvoy(value: string, { names, self }: MeshPeerOptions): string | undefined {
  const fields = elementOf(value);
  const by = fields?.get('By');
  const uri = fields?.get('URI');
  if (by === undefined || uri === undefined || by !== names.idOf(self)) return undefined;
  return names.serviceOf(uri);
}

/**
 * The fields of the only element. Undefined for a second element (a comma outside quotes: a hop in front, which whoever
 * sent the request may have written), for a key that is unknown or there twice, and for quotes that do not close.
 */
function elementOf(value: string): ReadonlyMap<string, string> | undefined {
  const fields = new Map<string, string>();
  const field = /(?<key>[A-Za-z]+)=(?:"(?<quoted>(?:[^"\\]|\\.)*)"|(?<plain>[^",;=]*))(?<end>;|$)/y;
  while (field.lastIndex < value.length) {
    const groups = field.exec(value)?.groups;
    if (groups === undefined) return undefined;
    const { key, quoted, plain } = groups;
    if (!KEYS.has(key!) || fields.has(key!)) return undefined;
    fields.set(key!, quoted ?? plain!);
    if (groups['end'] === ';' && field.lastIndex === value.length) return undefined;
  }
  return fields;
}
