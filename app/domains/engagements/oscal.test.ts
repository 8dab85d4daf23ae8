import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isAppError } from '@auditrax/base';
import {
  CATALOGUE_BYTES_MAX,
  CATALOGUE_DEPTH_MAX,
  CRITERIA_MAX,
  parseCatalogue,
  parseCatalogueBytes,
  type Catalogue,
} from './oscal.ts';

const NIST_MODERATE = resolve('../shared/vectors/oscal/NIST_SP-800-53_rev5_MODERATE_resolved_catalog.json');

// oxlint-disable-next-line typescript/no-explicit-any -- a test breaks documents in every way the type would forbid
type Tree = Record<string, any>;

/** A small catalogue with one of everything; a test breaks one thing in its copy. */
function sample(): Tree {
  return {
    catalog: {
      uuid: '7c5a9f6e-4a0e-4a7e-9d6e-1f2b3c4d5e6f',
      metadata: {
        title: 'House rules',
        'last-modified': '2026-11-22T10:00:00Z',
        version: '1.0',
        'oscal-version': '1.1.2',
        roles: [{ id: 'author', title: 'Author' }],
      },
      params: [{ id: 'days', values: ['30 days'] }],
      groups: [
        {
          id: 'doors',
          title: 'Doors',
          params: [{ id: 'who', label: 'person in charge' }],
          groups: [
            {
              id: 'front',
              title: 'Front',
              controls: [
                {
                  id: 'd-1',
                  title: 'Lock',
                  props: [
                    { name: 'label', value: 'D-01', class: 'zero-padded' },
                    { name: 'label', value: 'D-1' },
                  ],
                  params: [
                    {
                      id: 'how',
                      select: { 'how-many': 'one-or-more', choice: ['by key', 'after {{ insert: param, days }}'] },
                    },
                  ],
                  parts: [
                    {
                      id: 'd-1_smt',
                      name: 'statement',
                      prose: 'The {{ insert: param, who }} locks it:',
                      parts: [
                        {
                          name: 'item',
                          props: [{ name: 'label', value: 'a.' }],
                          prose: 'every {{insert: param, days}}; and',
                        },
                        { name: 'item', props: [{ name: 'label', value: 'b.' }], prose: '{{ insert: param, how }}.' },
                      ],
                    },
                    { name: 'guidance', prose: 'Doors are open by nature.' },
                    { name: 'assessment-method', prose: 'not read' },
                  ],
                  controls: [{ id: 'd-1.1', title: 'Two locks' }],
                },
                { id: 'd-2', title: 'Gone', props: [{ name: 'status', value: 'withdrawn' }] },
              ],
            },
          ],
        },
      ],
      'back-matter': { resources: [{ uuid: 'x', anything: { at: 'all' } }] },
    },
  };
}

function control(tree: Tree): Tree {
  return tree['catalog'].groups[0].groups[0].controls[0];
}

function faultOf(document: unknown): { code: string; field: string | undefined; publicDetail: string | undefined } {
  try {
    parseCatalogue(document);
  } catch (error) {
    if (isAppError(error)) return error;
    throw error;
  }
  throw new Error('the document was accepted');
}

describe('a catalogue becomes a flat list of criteria', () => {
  test('with paths, labels, statements and resolved parameters', () => {
    const read = parseCatalogue(sample());
    expect(read).toMatchObject({ title: 'House rules', version: '1.0', oscalVersion: '1.1.2', withdrawn: 1 });
    expect(read.groups).toEqual([{ index: 0, id: 'front', path: ['Doors', 'Front'], criteria: 2 }]);
    expect(read.criteria[0]).toEqual({
      key: 'd-1',
      label: 'D-1',
      title: 'Lock',
      groupIndex: 0,
      path: ['Doors', 'Front'],
      statement:
        'The [person in charge] locks it:\n  a. every 30 days; and\n  b. [one or more of: by key; after 30 days].',
      guidance: 'Doors are open by nature.',
      parameters: [
        { id: 'who', text: '[person in charge]' },
        { id: 'days', text: '30 days' },
        { id: 'how', text: '[one or more of: by key; after 30 days]' },
      ],
    });
    expect(read.criteria[1]).toMatchObject({
      key: 'd-1.1',
      label: 'd-1.1',
      path: ['Doors', 'Front', 'Lock'],
      statement: '',
    });
  });

  test('its digest depends on the content, not on the spelling', () => {
    const spelled = parseCatalogueBytes(Buffer.from(JSON.stringify(sample(), null, 7)));
    expect(spelled.sha256).toBe(parseCatalogue(sample()).sha256);
    const changed = sample();
    changed['catalog'].metadata.version = '1.1';
    expect(parseCatalogue(changed).sha256).not.toBe(spelled.sha256);
  });

  test('controls may stand in the catalogue itself', () => {
    const tree = sample();
    tree['catalog'].controls = [{ id: 'z-1', title: 'Top' }];
    const read = parseCatalogue(tree);
    expect(read.criteria[0]).toMatchObject({ key: 'z-1', path: [], groupIndex: 0 });
    expect(read.groups.map((group) => group.path)).toEqual([[], ['Doors', 'Front']]);
  });

  test('props, links and a $schema extend it, as the model allows', () => {
    const tree = sample();
    tree['$schema'] = 'https://example.org/schema.json';
    control(tree)['props'].push({
      name: 'anything',
      ns: 'https://example.org/ns',
      value: 'v',
      class: 'c',
      remarks: 'r',
    });
    control(tree)['links'] = [{ href: '#d-2', rel: 'my-own' }];
    expect(parseCatalogue(tree).criteria).toHaveLength(2);
  });
});

describe('the published NIST moderate baseline is read whole', () => {
  test('287 controls in 18 families, each with a statement and no open insert', (context) => {
    if (!existsSync(NIST_MODERATE)) {
      if (process.env['CI'] === 'true') throw new Error(`missing test data: ${NIST_MODERATE}`);
      context.skip('the shared vectors are not on this machine');
    }
    const read: Catalogue = parseCatalogueBytes(readFileSync(NIST_MODERATE));
    expect(read.criteria).toHaveLength(287); // the count that NIST SP 800-53B gives for this baseline
    expect(read.groups).toHaveLength(18);
    expect(read.groups.reduce((total, group) => total + group.criteria, 0)).toBe(287);
    expect(read.criteria.filter((criterion) => criterion.statement === '')).toEqual([]);
    expect(read.criteria.filter((criterion) => /\{\{/.test(criterion.statement + criterion.guidance))).toEqual([]);
    expect(read.criteria.find((criterion) => criterion.key === 'ac-2.1')).toMatchObject({
      label: 'AC-2(1)',
      path: ['Access Control', 'Account Management'],
      statement: 'Support the management of system accounts using [automated mechanisms].',
    });
  });
});

const BROKEN: readonly (readonly [string, (tree: Tree) => void, string])[] = [
  ['no catalogue', (t) => delete t['catalog'], '$.catalog'],
  ['catalogue of the wrong type', (t) => (t['catalog'] = []), '$.catalog'],
  ['no uuid', (t) => delete t['catalog'].uuid, '$.catalog.uuid'],
  ['a bad uuid', (t) => (t['catalog'].uuid = 'nil'), '$.catalog.uuid'],
  ['no metadata', (t) => delete t['catalog'].metadata, '$.catalog.metadata'],
  ['no title', (t) => delete t['catalog'].metadata.title, '$.catalog.metadata.title'],
  ['a blank title', (t) => (t['catalog'].metadata.title = '  '), '$.catalog.metadata.title'],
  [
    'a date without offset',
    (t) => (t['catalog'].metadata['last-modified'] = '2026-11-22T10:00:00'),
    '$.catalog.metadata["last-modified"]',
  ],
  [
    'another major version',
    (t) => (t['catalog'].metadata['oscal-version'] = '2.0.0'),
    '$.catalog.metadata["oscal-version"]',
  ],
  ['an unknown field', (t) => (t['catalog'].extra = 1), '$.catalog.extra'],
  [
    'an unknown field of a control',
    (t) => (control(t)['Statement'] = 'x'),
    '$.catalog.groups[0].groups[0].controls[0].Statement',
  ],
  ['an empty array', (t) => (control(t)['parts'] = []), '$.catalog.groups[0].groups[0].controls[0].parts'],
  ['a control without id', (t) => delete control(t)['id'], '$.catalog.groups[0].groups[0].controls[0].id'],
  ['an id that is no token', (t) => (control(t)['id'] = '1 2'), '$.catalog.groups[0].groups[0].controls[0].id'],
  ['a control without title', (t) => delete control(t)['title'], '$.catalog.groups[0].groups[0].controls[0].title'],
  ['a title that is a number', (t) => (control(t)['title'] = 7), '$.catalog.groups[0].groups[0].controls[0].title'],
  [
    'a repeated control',
    (t) => (control(t)['controls'][0].id = 'd-1'),
    '$.catalog.groups[0].groups[0].controls[0].controls[0].id',
  ],
  [
    'a repeated parameter',
    (t) => (control(t)['params'][0].id = 'days'),
    '$.catalog.groups[0].groups[0].controls[0].params[0].id',
  ],
  [
    'an unknown parameter',
    (t) => (control(t)['parts'][0].prose = '{{ insert: param, nope }}'),
    '$.catalog.groups[0].groups[0].controls[0].parts[0].prose',
  ],
  [
    'an insert of another kind',
    (t) => (control(t)['parts'][0].prose = '{{ insert: control, d-2 }}'),
    '$.catalog.groups[0].groups[0].controls[0].parts[0].prose',
  ],
  [
    'a parameter that contains itself',
    (t) => (control(t)['params'][0].select.choice = ['{{ insert: param, how }}']),
    '$.catalog.groups[0].groups[0].controls[0].params[0]',
  ],
  [
    'an unknown how-many',
    (t) => (control(t)['params'][0].select['how-many'] = 'some'),
    '$.catalog.groups[0].groups[0].controls[0].params[0].select["how-many"]',
  ],
  [
    'a property without value',
    (t) => delete control(t)['props'][0].value,
    '$.catalog.groups[0].groups[0].controls[0].props[0].value',
  ],
  ['a lone surrogate', (t) => (control(t)['title'] = 'a\ud800'), '$.catalog.groups[0].groups[0].controls[0].title'],
  ['a NUL character', (t) => (control(t)['title'] = 'a\0'), '$.catalog.groups[0].groups[0].controls[0].title'],
  ['an infinite number', (t) => (t['catalog']['back-matter'].n = Infinity), '$.catalog["back-matter"].n'],
];

describe('a broken catalogue is refused with the path of the fault', () => {
  test.each(BROKEN)('%s', (_name, breakIt, path) => {
    const tree = sample();
    breakIt(tree);
    expect(faultOf(tree)).toMatchObject({ code: 'oscal_invalid', field: path });
  });

  test.each([null, 1, 'text', [], true, undefined, { profile: {} }, {}])('%j is no catalogue', (document) => {
    expect(faultOf(document)).toMatchObject({ code: 'oscal_invalid' });
  });

  test('a profile is named as what it is', () => {
    expect(faultOf({ profile: {} }).publicDetail).toMatch(/profile/);
  });

  test('a catalogue without a control in force makes no engagement', () => {
    const tree = sample();
    delete tree['catalog'].groups;
    expect(faultOf(tree)).toMatchObject({ code: 'oscal_invalid', field: '$.catalog' });
  });

  test('bytes that are not UTF-8 or not JSON', () => {
    expect(() => parseCatalogueBytes(Buffer.from([0x7b, 0xff, 0x7d]))).toThrow(/UTF-8/);
    expect(() => parseCatalogueBytes(Buffer.from('{"catalog":'))).toThrow(/not JSON/);
  });

  test('whatever one value is replaced by, the answer is a catalogue or a named fault, never a crash', () => {
    const paths: (string | number)[][] = [];
    const collect = (value: unknown, path: (string | number)[]): void => {
      paths.push(path);
      if (typeof value !== 'object' || value === null) return;
      for (const key of Object.keys(value))
        collect((value as Tree)[key], [...path, Array.isArray(value) ? Number(key) : key]);
    };
    collect(sample(), []);
    fc.assert(
      fc.property(fc.constantFrom(...paths.slice(1)), fc.jsonValue(), (path, replacement) => {
        const tree = sample();
        const parent = path.slice(0, -1).reduce<Tree>((node, key) => node[key], tree);
        parent[path.at(-1)!] = replacement;
        try {
          parseCatalogue(tree);
        } catch (error) {
          expect(isAppError(error, 'oscal_invalid', 'oscal_too_large')).toBe(true);
          expect(error).toHaveProperty('field', expect.stringMatching(/^\$/));
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a hostile catalogue costs little', () => {
  test('a million levels of nesting end in an error', () => {
    const depth = 1_000_000;
    const document = JSON.parse(`{"catalog":${'['.repeat(depth)}${']'.repeat(depth)}}`) as unknown;
    expect(faultOf(document)).toMatchObject({ code: 'oscal_too_large' });
  });

  test('groups nested just over the limit are refused, and a deep legal one is read', () => {
    const nest = (levels: number): Tree => {
      const tree = sample();
      for (let i = 0; i < levels; i += 1) tree['catalog'].groups = [{ title: `g${i}`, groups: tree['catalog'].groups }];
      return tree;
    };
    expect(parseCatalogue(nest(15)).criteria).toHaveLength(2);
    expect(faultOf(nest(CATALOGUE_DEPTH_MAX))).toMatchObject({ code: 'oscal_too_large' });
  });

  test('one control more than allowed is refused by name', () => {
    const tree = sample();
    tree['catalog'].groups[0].controls = Array.from({ length: CRITERIA_MAX + 1 }, (_, i) => ({
      id: `c-${i}`,
      title: 't',
    }));
    expect(faultOf(tree)).toMatchObject({
      code: 'oscal_too_large',
      field: `$.catalog.groups[0].controls[${CRITERIA_MAX}]`,
    });
  });

  test('selections that double at each level do not grow without end', () => {
    const tree = sample();
    tree['catalog'].params = Array.from({ length: 40 }, (_, i) => ({
      id: `p${i}`,
      select: { choice: [`{{ insert: param, p${i + 1} }}`, `{{ insert: param, p${i + 1} }}`] },
    }));
    tree['catalog'].params.push({ id: 'p40', label: 'boom' }, { id: 'days', label: 'd' });
    control(tree)['parts'][0].prose = '{{ insert: param, p0 }}';
    expect(faultOf(tree)).toMatchObject({ code: 'oscal_too_large' });
  });

  test('more bytes than allowed are refused before they are parsed', () => {
    expect(() => parseCatalogueBytes(Buffer.alloc(CATALOGUE_BYTES_MAX + 1, 0x20))).toThrow(/larger than/);
  });

  test('a name from the prototype is a field like any other', () => {
    const tree = JSON.parse(
      JSON.stringify(sample()).replace('"version":"1.0"', '"version":"1.0","__proto__":{"x":1}'),
    ) as unknown;
    expect(faultOf(tree)).toMatchObject({ field: '$.catalog.metadata.__proto__' });
  });

  test('a flood in a key stays short in the error', () => {
    const tree = sample();
    tree['catalog']['k'.repeat(100_000)] = 1;
    expect(faultOf(tree).publicDetail!.length).toBeLessThan(400);
  });
});
