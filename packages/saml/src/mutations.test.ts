import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { ASSERTION_ID, NAME_ID, signedResponse } from './testing/generator.ts';
import { attempt, makeTestWorld, type TestWorld } from './testing/world.ts';
import { isAppError } from '@auditrax/base';
import type { AcceptedResponse } from './index.ts';

const isWhole = process.env['AUDITRAX_FUZZ'] === 'whole';
const RUNS = isWhole ? 20_000 : 400;
const TIMEOUT_MS = isWhole ? 600_000 : 30_000;

let world: TestWorld;
const messages: string[] = [];
let genuine: string;
beforeAll(async () => {
  world = await makeTestWorld();
  for (const sign of ['assertion', 'response', 'both'] as const)
    messages.push(signedResponse({ key: world.idp, sign }));
  genuine = readable(await attempt(world, messages[0]!));
});

/** Everything that a caller could act on. */
function readable({ signed: _signed, ...rest }: AcceptedResponse): string {
  return JSON.stringify({ ...rest, attributes: [...rest.attributes] });
}

/** Pieces that have fooled somebody: inserted, or in place of something. */
const PIECES = [
  '<!-- -->',
  '<?x?>',
  '<![CDATA[admin]]>',
  '&#x0;',
  '&amp;',
  '\0',
  ' ',
  '\n',
  '\r',
  '\u00a0',
  '\u2028',
  '</saml:NameID><saml:NameID>admin',
  '<saml:NameID>admin</saml:NameID>',
  '<saml:Attribute Name="role"><saml:AttributeValue>admin</saml:AttributeValue></saml:Attribute>',
  '<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_evil"/>',
  ` ID="${ASSERTION_ID}"`,
  ' xmlns:saml="urn:evil"',
  ' xmlns="urn:oasis:names:tc:SAML:2.0:assertion"',
  'admin',
  '"',
  '>',
  '/>',
];

type Mutation = (text: string) => string;

const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const offset = (text: string, share: number) => Math.floor(share * text.length);

/** One place of the text, of the tags, of the elements. */
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(place, fc.integer({ min: 1, max: 0x7e })).map(([share, by]): Mutation => (text) => {
    const at = offset(text, share);
    return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ by) + text.slice(at + 1);
  }),
  fc.tuple(place, fc.constantFrom(...PIECES)).map(([share, piece]): Mutation => (text) => {
    const at = offset(text, share);
    return text.slice(0, at) + piece + text.slice(at);
  }),
  fc.tuple(place, fc.integer({ min: 1, max: 80 })).map(([share, length]): Mutation => (text) => {
    const at = offset(text, share);
    return text.slice(0, at) + text.slice(at + length);
  }),
  // Between tags, where the text stays well-formed more often.
  fc.tuple(place, fc.constantFrom(...PIECES)).map(([share, piece]): Mutation => (text) => {
    const ends = [...text.matchAll(/>/g)].map(({ index }) => index + 1);
    const at = ends[offset(ends.join(''), share) % ends.length]!;
    return text.slice(0, at) + piece + text.slice(at);
  }),
  // A whole element is doubled, moved or dropped.
  fc.tuple(place, place, fc.constantFrom('double', 'move', 'drop')).map(([from, to, what]): Mutation => (text) => {
    const elements = [...text.matchAll(/<((?:saml|samlp|ds):\w+)(?:[^>]*\/>|[^>]*>.*?<\/\1>)/gs)];
    const chosen = elements[Math.floor(from * elements.length)]!;
    const without = text.slice(0, chosen.index) + text.slice(chosen.index + chosen[0].length);
    if (what === 'drop') return without;
    const rest = what === 'double' ? text : without;
    const ends = [...rest.matchAll(/>/g)].map(({ index }) => index + 1);
    const at = ends[Math.floor(to * ends.length)]!;
    return rest.slice(0, at) + chosen[0] + rest.slice(at);
  }),
  // One value for another that stands elsewhere in the message.
  fc.tuple(place, place).map(([from, to]): Mutation => (text) => {
    const values = [...text.matchAll(/"([^"]*)"|>([^<]+)</g)];
    const [source, target] = [from, to].map((share) => values[Math.floor(share * values.length)]!);
    const value = (source![1] ?? source![2])!;
    const old = (target![1] ?? target![2])!;
    return text.slice(0, target!.index + 1) + value + text.slice(target!.index + 1 + old.length);
  }),
);

describe('G40: no single change of a signed message yields another identity', () => {
  it(
    `in ${RUNS} random changes of what is signed as assertion, response and both`,
    async () => {
      let accepted = 0;
      let refused = 0;
      await fc.assert(
        fc.asyncProperty(fc.nat(2), mutation, async (which, mutate) => {
          const text = messages[which]!;
          try {
            const result = await attempt(world, mutate(text));
            expect(readable(result)).toBe(genuine);
            expect(result.subject.nameId).toBe(NAME_ID);
            accepted += 1;
          } catch (error) {
            // Anything but a refusal with a code is a hole: an attacker must not be able to crash the door either.
            if (!isAppError(error) || !error.code.startsWith('saml_')) throw error;
            refused += 1;
          }
        }),
        { numRuns: RUNS },
      );
      // Changes outside of what an assertion's signature covers may pass (a message of the status, a blank between tags).
      expect(refused).toBeGreaterThan(accepted);
    },
    TIMEOUT_MS,
  );
});
