import type { ProbeRequest, ProbeResponse } from '../claims/probe.ts';
import { failed } from './leaver-program.ts';

/** A directory as its connection's address and token. */
export interface Directory {
  readonly connectionId: string;
  readonly token: string;
}

/** Says something at a connection, with a token or without. */
export type Say = (
  at: { readonly connectionId: string; readonly token: string | undefined },
  message: { readonly path: string; readonly method?: string; readonly json?: object },
) => Promise<ProbeResponse>;

export interface ReturnParts {
  readonly say: Say;
  readonly own: Directory;
  /** Of this directory too, until it was withdrawn. */
  readonly withdrawn: string;
  /** Of another organisation. */
  readonly other: Directory;
  /** The resource of somebody who has left, and what they are called. */
  readonly id: string;
  readonly subject: string;
}

const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';
const patchOf = (operation: object) => ({ schemas: [PATCH], Operations: [operation] });
const BACK = patchOf({ op: 'replace', path: 'active', value: true });
/** Written out: `__proto__` in a literal would set what it is here to smuggle. */
const SMUGGLED = JSON.parse('{"__proto__":{"active":true}}') as object;

interface Try {
  /** In words of people, after "a return". */
  readonly name: string;
  send(parts: ReturnParts): Promise<ProbeResponse>;
}

const change =
  (json: object): Try['send'] =>
  ({ say, own, id }) =>
    say(own, { path: `Users/${id}`, method: 'PATCH', json });

/** Messages that would let somebody in again who has left, by somebody who must not, or in words that mean nothing. */
const CHANGES: readonly Try[] = [
  {
    name: 'without a token',
    send: ({ say, own, id }) => say({ ...own, token: undefined }, { path: `Users/${id}`, method: 'PATCH', json: BACK }),
  },
  {
    name: 'with a withdrawn token',
    send: ({ say, own, withdrawn, id }) =>
      say({ ...own, token: withdrawn }, { path: `Users/${id}`, method: 'PATCH', json: BACK }),
  },
  {
    name: 'with another organisation’s token',
    send: ({ say, own, other, id }) =>
      say({ ...own, token: other.token }, { path: `Users/${id}`, method: 'PATCH', json: BACK }),
  },
  {
    name: 'by another organisation’s directory',
    send: ({ say, other, id }) => say(other, { path: `Users/${id}`, method: 'PATCH', json: BACK }),
  },
  { name: 'by a path of __proto__', send: change(patchOf({ op: 'add', path: '__proto__.active', value: true })) },
  {
    name: 'by a path of constructor',
    send: change(patchOf({ op: 'add', path: 'constructor.prototype.active', value: true })),
  },
  { name: 'by a name of __proto__', send: change(patchOf({ op: 'add', value: SMUGGLED })) },
];

/** Filters that must find nobody: a text that would end early, and a person whom another directory names. */
const SEARCHES: readonly Try[] = [
  {
    name: 'by a filter that ends its own text',
    send: ({ say, own, subject }) => say(own, { path: `Users?filter=${filterOf(`x" or userName eq "${subject}`)}` }),
  },
  {
    name: 'by another organisation’s search',
    send: ({ say, other, subject }) => say(other, { path: `Users?filter=${filterOf(subject)}` }),
  },
];

const filterOf = (text: string): string => encodeURIComponent(`userName eq ${JSON.stringify(text)}`);

export const RETURNS_TRIED = CHANGES.length + SEARCHES.length;

/** What the house said to one try. Throws when it said neither yes nor no. */
async function answered(one: Try, parts: ReturnParts): Promise<ProbeResponse> {
  const reply = await one.send(parts);
  const isSaid = reply.status === 200 || (reply.status >= 400 && reply.status < 500 && reply.status !== 429);
  if (!isSaid) throw failed(`a return ${one.name}`, reply);
  return reply;
}

/**
 * Tries to bring somebody back who has left, in every way in which nobody may. Returns the names of those that were taken
 * or changed anything; `isOut` asks their own directory.
 */
export async function tryToReturn(parts: ReturnParts, isOut: () => Promise<boolean>): Promise<string[]> {
  const taken: string[] = [];
  for (const one of CHANGES) {
    const { status } = await answered(one, parts);
    if (status === 200 || !(await isOut())) taken.push(`a return ${one.name}`);
  }
  for (const one of SEARCHES) {
    const reply = await answered(one, parts);
    if (reply.status === 200 && (reply.json() as { totalResults: number }).totalResults > 0)
      taken.push(`a return ${one.name}`);
  }
  return taken;
}

/** A message of a directory as its server sends it. */
export function messageOf(token: string | undefined, { method = 'GET', json }: Parameters<Say>[1]): ProbeRequest {
  return {
    method,
    isServer: true,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(json === undefined ? {} : { 'content-type': 'application/scim+json' }),
    },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  };
}
