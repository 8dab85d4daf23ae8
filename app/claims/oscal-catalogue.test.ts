import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CLAIM_IDS } from './ids.ts';
import { sampleCatalogue } from './oscal-catalogue.ts';

// Patterns of the OSCAL 1.1.x metaschema: uuid and token datatypes.
const UUID = /^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[45][0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}$/;
const TOKEN = /^(\p{L}|_)(\p{L}|\p{N}|[.\-_])*$/u;

describe('the built-in catalogue', () => {
  const { catalog } = sampleCatalogue();
  const controls = catalog.groups.flatMap((group) => group.controls);

  it('has each claim once, in the order of the page', () => {
    expect(controls.map((control) => control.id)).toEqual([...CLAIM_IDS]);
  });

  it('keeps the datatypes of OSCAL: uuid, tokens unique in the document, titles, dates with a zone', () => {
    expect(catalog.uuid).toMatch(UUID);
    expect(catalog.metadata['last-modified']).toMatch(/Z$/);
    const ids = catalog.groups.flatMap((group) => [
      group.id,
      ...group.controls.flatMap((one) => [one.id, ...one.parts.map((part) => part.id)]),
    ]);
    for (const id of ids) expect(id).toMatch(TOKEN);
    expect(new Set(ids).size).toBe(ids.length);
    for (const control of controls) {
      expect(control.title.length, control.id).toBeGreaterThan(5);
      expect(control.title.length, control.id).toBeLessThanOrEqual(92);
      expect(
        control.parts.every((part) => part.prose.trim() !== ''),
        control.id,
      ).toBe(true);
    }
  });

  it('is the same bytes every time', () => {
    expect(JSON.stringify(sampleCatalogue())).toBe(JSON.stringify(sampleCatalogue()));
  });

  it('uses no key that NIST’s own catalogue does not use', (ctx) => {
    const file = new URL(
      '../../../shared/vectors/oscal/NIST_SP-800-53_rev5_MODERATE_resolved_catalog.json',
      import.meta.url,
    );
    if (!existsSync(file)) {
      if (process.env['CI'] === 'true') throw new Error('the OSCAL catalogue of NIST is missing');
      return ctx.skip('the OSCAL catalogue of NIST is not beside the repository');
    }
    const keysOf = (value: unknown, found: Set<string>): Set<string> => {
      if (Array.isArray(value)) for (const item of value) keysOf(item, found);
      else if (value !== null && typeof value === 'object') {
        for (const [key, item] of Object.entries(value)) keysOf(item, found.add(key));
      }
      return found;
    };
    const theirs = keysOf(JSON.parse(readFileSync(file, 'utf8')), new Set());
    const ours = keysOf(JSON.parse(JSON.stringify(sampleCatalogue())), new Set());
    // `published` is in the metadata model of the standard, and merely unused in that file.
    expect([...ours].filter((key) => !theirs.has(key) && key !== 'published')).toEqual([]);
  });
});
