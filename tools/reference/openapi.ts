import { STATUS_CODES } from 'node:http';
import type { RouteContract } from '@auditrax/base/route';
import { z, type ZodType } from 'zod';
import { SESSION_COOKIES } from '../../app/platform/edge/index.ts';
import { problemSchema } from '../../app/platform/http/problems.ts';

export type JsonObject = { [name: string]: unknown };

export interface OpenApi extends JsonObject {
  readonly openapi: string;
  readonly paths: { readonly [path: string]: { readonly [method: string]: JsonObject } };
  readonly components: { readonly schemas: JsonObject; readonly [kind: string]: JsonObject };
}

/** Takes the definitions out of a schema: inside a document, `#` is the document and not the schema. */
function hoist(schema: JsonObject, name: string, schemas: JsonObject): JsonObject {
  const { $defs = {}, $schema: _dialect, ...rest } = schema;
  const rename = (text: string) => {
    if (text === '#') return `#/components/schemas/${name}`;
    return text.replace(/^#\/\$defs\//, `#/components/schemas/${name}.`);
  };
  let refersToItself = false;
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => {
        if (key !== '$ref' || typeof inner !== 'string') return [key, walk(inner)];
        refersToItself ||= inner === '#';
        return [key, rename(inner)];
      }),
    );
  };
  for (const [key, definition] of Object.entries($defs as JsonObject)) schemas[`${name}.${key}`] = walk(definition);
  const body = walk(rest) as JsonObject;
  if (!refersToItself) return body;
  schemas[name] = body;
  return { $ref: `#/components/schemas/${name}` };
}

interface Place {
  readonly name: string;
  readonly io: 'input' | 'output';
  readonly schemas: JsonObject;
}

function schemaOf(schema: ZodType, { name, io, schemas }: Place): JsonObject {
  return hoist(z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as JsonObject, name, schemas);
}

function parametersOf(route: RouteContract, schemas: JsonObject): JsonObject[] {
  const found: JsonObject[] = [];
  for (const where of ['params', 'query'] as const) {
    const schema = route[where];
    if (schema === undefined) continue;
    const object = schemaOf(schema, { name: `${route.operation}.${where}`, io: 'input', schemas });
    const required = (object['required'] ?? []) as string[];
    for (const [name, inner] of Object.entries((object['properties'] ?? {}) as JsonObject)) {
      const isPath = where === 'params';
      found.push({ name, in: isPath ? 'path' : 'query', required: isPath || required.includes(name), schema: inner });
    }
  }
  if (route.access.kind === 'session' && route.access.stepUp === true)
    found.push({ $ref: '#/components/parameters/StepUp' });
  return found;
}

function bodyOf(route: RouteContract, schemas: JsonObject): JsonObject {
  if (route.body === undefined) return {};
  const content =
    route.body === 'stream'
      ? { 'application/octet-stream': {} }
      : {
          'application/json': {
            schema: schemaOf(route.body, { name: `${route.operation}.body`, io: 'input', schemas }),
          },
        };
  const limit = route.bodyBytesMax === undefined ? {} : { description: `At most ${route.bodyBytesMax} bytes.` };
  return { requestBody: { required: true, ...limit, content } };
}

function repliesOf(route: RouteContract, schemas: JsonObject): JsonObject {
  const replies = Object.entries(route.replies).map(([status, reply]) => {
    const content =
      reply === 'stream'
        ? { 'application/octet-stream': {} }
        : {
            'application/json': {
              schema: schemaOf(reply, { name: `${route.operation}.${status}`, io: 'output', schemas }),
            },
          };
    return [status, { description: STATUS_CODES[status] ?? status, content }];
  });
  return { responses: { ...Object.fromEntries(replies), default: { $ref: '#/components/responses/Problem' } } };
}

function operationOf(route: RouteContract, schemas: JsonObject): JsonObject {
  const parameters = parametersOf(route, schemas);
  return {
    operationId: route.operation,
    tags: [route.operation.split('.')[0]!],
    security: route.access.kind === 'public' ? [] : [{ session: [] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...bodyOf(route, schemas),
    ...repliesOf(route, schemas),
  };
}

/** OpenAPI 3.1 of what the edge forwards, made of the very schemas that the services validate with. */
export function openApi(routes: readonly RouteContract[], version: string): OpenApi {
  const schemas: JsonObject = {};
  schemas['Problem'] = schemaOf(problemSchema, { name: 'Problem', io: 'output', schemas });
  const paths: Record<string, Record<string, JsonObject>> = {};
  for (const route of routes) {
    const path = route.path.replaceAll(/:([A-Za-z]+)/g, '{$1}');
    (paths[path] ??= {})[route.method.toLowerCase()] = operationOf(route, schemas);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Auditrax',
      version,
      description: 'What the edge forwards. Unsafe methods are accepted from the site’s own origin only.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas,
      parameters: {
        StepUp: {
          name: 'x-step-up',
          in: 'header',
          required: true,
          description: 'base64url JSON of `{challengeId, assertion}`: a passkey’s confirmation of exactly this action.',
          schema: { type: 'string', maxLength: 8192 },
        },
      },
      responses: {
        Problem: {
          description: 'RFC 9457; the codes are in errors.md.',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
      securitySchemes: { session: { type: 'apiKey', in: 'cookie', name: SESSION_COOKIES.edge } },
    },
  };
}

const METHODS = new Set(['get', 'put', 'post', 'delete', 'patch']);

/** What is wrong with a document, by structure: an empty list for one that tools can read. */
export function openApiFindings(document: OpenApi): string[] {
  const findings: string[] = [];
  const seen = new Set<string>();
  if (!/^3\.1\.\d+$/.test(document.openapi)) findings.push(`openapi is ${document.openapi}`);
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const id = String(operation['operationId']);
      const place = `${method} ${path}`;
      if (!METHODS.has(method)) findings.push(`${place}: no such method`);
      if (seen.has(id)) findings.push(`${place}: operationId ${id} is used twice`);
      seen.add(id);
      findings.push(...parameterFindings(place, operation), ...operationFindings(document, { place, operation }));
    }
  }
  return [...findings, ...referenceFindings(document)];
}

function parameterFindings(place: string, operation: JsonObject): string[] {
  const declared = ((operation['parameters'] ?? []) as JsonObject[])
    .filter((parameter) => parameter['in'] === 'path')
    .map((parameter) => String(parameter['name']));
  const wanted = [...place.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name!);
  return [
    ...wanted.filter((name) => !declared.includes(name)).map((name) => `${place}: {${name}} is not declared`),
    ...declared.filter((name) => !wanted.includes(name)).map((name) => `${place}: ${name} is not in the path`),
  ];
}

function operationFindings(
  document: OpenApi,
  { place, operation }: { readonly place: string; readonly operation: JsonObject },
): string[] {
  const replies = Object.keys(operation['responses'] ?? {});
  const schemes = Object.keys(document.components['securitySchemes'] ?? {});
  const asked = ((operation['security'] ?? [{ 'none stated': [] }]) as JsonObject[]).flatMap((one) => Object.keys(one));
  return [
    ...(replies.some((status) => /^(?:2\d\d|303)$/.test(status)) ? [] : [`${place}: no reply of success`]),
    ...(replies.includes('default') ? [] : [`${place}: no reply for errors`]),
    ...asked.filter((name) => !schemes.includes(name)).map((name) => `${place}: security scheme ${name} is unknown`),
  ];
}

function referenceFindings(document: OpenApi): string[] {
  const findings: string[] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if (key === '$ref' && typeof inner === 'string') {
        const steps = inner.split('/').slice(1);
        const target = steps.reduce<unknown>((at, step) => (Object(at) as JsonObject)[step], document);
        if (!inner.startsWith('#/') || target === undefined) findings.push(`${inner} leads nowhere`);
      } else walk(inner);
    }
  };
  walk(document);
  return findings;
}
