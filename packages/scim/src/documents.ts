import { COUNT_MAX } from './limits.ts';
import { KINDS, SCHEMAS, type Attribute, type ResourceKind, type Schema } from './schema.ts';

const CONFIG_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig';
const TYPE_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:ResourceType';
const SCHEMA_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:Schema';

/** A document as JSON. */
export type Document = Readonly<Record<string, unknown>>;

const metaOf = (base: string, resourceType: string, path: string) => ({
  meta: { resourceType, location: `${base}/${path}` },
});

/** P27 P28: what this server can do (RFC 7643 5), and honestly what it cannot: bulk, sorting, passwords. */
export function serviceProviderConfig(base: string): Document {
  return {
    schemas: [CONFIG_SCHEMA],
    patch: { supported: true },
    bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
    filter: { supported: true, maxResults: COUNT_MAX },
    changePassword: { supported: false },
    sort: { supported: false },
    etag: { supported: true },
    authenticationSchemes: [
      {
        type: 'oauthbearertoken',
        name: 'Bearer token',
        description: 'A token of this one connection, sent as RFC 6750 has it.',
        specUri: 'https://www.rfc-editor.org/info/rfc6750',
        primary: true,
      },
    ],
    ...metaOf(base, 'ServiceProviderConfig', 'ServiceProviderConfig'),
  };
}

/** P27: one kind of resource (RFC 7643 6). */
export function resourceType(base: string, kind: ResourceKind): Document {
  const { core, extensions } = KINDS[kind];
  const others = [...extensions.values()].map(({ schema }) => ({ schema: schema.id, required: false }));
  return {
    schemas: [TYPE_SCHEMA],
    id: kind,
    name: core.name,
    description: core.description,
    endpoint: `/${kind}s`,
    schema: core.id,
    ...(others.length === 0 ? {} : { schemaExtensions: others }),
    ...metaOf(base, 'ResourceType', `ResourceTypes/${kind}`),
  };
}

/** P27: all kinds of resource. */
export function resourceTypes(base: string): readonly Document[] {
  return (Object.keys(KINDS) as ResourceKind[]).map((kind) => resourceType(base, kind));
}

/** An attribute as RFC 7643 7 publishes it. */
function published(attribute: Attribute): Document {
  const { subAttributes, type, caseExact, ...rest } = attribute;
  const isText = type === 'string' || type === 'reference';
  return {
    ...rest,
    type,
    ...(isText ? { caseExact } : {}),
    ...(subAttributes === undefined ? {} : { subAttributes: subAttributes.map(published) }),
  };
}

function schemaOf(base: string, { id, name, description, attributes }: Schema): Document {
  return {
    schemas: [SCHEMA_SCHEMA],
    id,
    name,
    description,
    attributes: attributes.map(published),
    ...metaOf(base, 'Schema', `Schemas/${id}`),
  };
}

/** P27: all schemas, made of the same table that reads and writes. */
export function schemas(base: string): readonly Document[] {
  return Object.values(SCHEMAS).map((each) => schemaOf(base, each));
}

/** One schema by its address, in any case; undefined where there is none. */
export function schema(base: string, id: string): Document | undefined {
  const found = Object.values(SCHEMAS).find((each) => each.id.toLowerCase() === id.toLowerCase());
  return found === undefined ? undefined : schemaOf(base, found);
}
