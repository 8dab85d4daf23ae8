// What a passkey approves is shown on a screen, pictured and talked about: no secret of any operation is in it.
import type { Json, RouteContract } from '@auditrax/base';
import { hideSecrets, secretsOfRoute } from '@auditrax/base/secret';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { EDGE_ROUTES, secretsOfEdge } from '../app/bin/rooms.ts';

/** Every secret that an operation with a passkey takes. */
const SECRETS: Readonly<Record<string, readonly string[]>> = {
  'connections.change': ['values.secret'],
  'keys.change-source': ['source.secretAccessKey', 'source.clientKey'],
  'keys.import-material': ['source.secretAccessKey'],
  'siem.change': ['target.token'],
  'siem.create': ['target.token'],
  'signal-receiver.connect': ['authorization'],
  'signal-receiver.set-up': ['authorization'],
  'signals.create': ['push.token'],
};
/** What is called like a secret and is none. */
const PUBLIC: Readonly<Record<string, string>> = {
  'authorisation-server.register-client publicKey': 'the public half',
  'keys.import-material importToken':
    'of the key store: worth nothing without the right to import, and shown on the page',
  'keys.import-material encryptedKeyMaterial':
    'packed for the key store alone; that it is this one is what is approved',
};
const READS_SECRET = /token|secret|passw|passphrase|authorization|credential|material|(public|private|client)key$/i;

const steppingUp = EDGE_ROUTES.filter(({ access }) => access.kind === 'session' && access.stepUp === true);

/** Written apart from the walk that is tested: by the JSON Schema that zod makes of the contract. */
function textsIn({ body }: RouteContract): string[] {
  if (body === undefined || body === 'stream') return [];
  interface Node {
    readonly type?: string;
    readonly properties?: Readonly<Record<string, Node>>;
    readonly items?: Node;
    readonly anyOf?: readonly Node[];
    readonly oneOf?: readonly Node[];
  }
  const walk = (node: Node, path: string): string[] => [
    ...(node.type === 'string' ? [path] : []),
    ...Object.entries(node.properties ?? {}).flatMap(([name, one]) =>
      walk(one, path === '' ? name : `${path}.${name}`),
    ),
    ...(node.items === undefined ? [] : walk(node.items, `${path}.*`)),
    ...[...(node.anyOf ?? []), ...(node.oneOf ?? [])].flatMap((one) => walk(one, path)),
  ];
  const schema = z.toJSONSchema(body, { io: 'input', unrepresentable: 'any', reused: 'inline' }) as Node;
  return [...new Set(walk(schema, ''))];
}

/** A body in which every text stands, whatever the alternatives are. */
function filled(places: readonly string[], text: (place: string) => string): Record<string, Json> {
  const root: Record<string, unknown> = {};
  for (const place of places) {
    const names = place.split('.').map((name) => (name === '*' ? '0' : name));
    let at = root;
    for (const [index, name] of names.entries()) {
      if (index === names.length - 1) at[name] = text(place);
      else at = (at[name] ??= names[index + 1] === '0' ? ([] as unknown) : {}) as Record<string, unknown>;
    }
  }
  return root as Record<string, Json>;
}

describe('what is approved with a passkey', () => {
  it('holds secrets exactly where this list says so', () => {
    expect(steppingUp.length).toBeGreaterThan(30);
    const found = steppingUp.flatMap((route) => {
      const places = [...new Set(secretsOfRoute(route).map((place) => place.join('.')))];
      return places.length === 0 ? [] : [[route.operation, places.toSorted()] as const];
    });
    const listed = Object.entries(SECRETS).map(([operation, places]) => [operation, places.toSorted()]);
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(listed));
  });

  it.each(steppingUp.map((route) => [route.operation, route] as const))('%s shows none of them', (operation, route) => {
    const places = textsIn(route);
    for (const place of places)
      if (READS_SECRET.test(place) && PUBLIC[`${operation} ${place}`] === undefined)
        expect(SECRETS[operation] ?? [], `${place} reads like a secret`).toContain(place);
    const text = (place: string) => `canary-of-${place}-`.padEnd(64, 'x');
    const { value, hidden } = hideSecrets(filled(places, text), secretsOfEdge(operation));
    const shown = JSON.stringify(value);
    const secrets = SECRETS[operation] ?? [];
    for (const place of places) expect(shown.includes(text(place)), place).toBe(!secrets.includes(place));
    expect(hidden.toSorted()).toEqual(secrets.toSorted());
  });
});
