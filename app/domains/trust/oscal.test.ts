import { describe, expect, it } from 'vitest';
import { sampleCatalogue } from '../../claims/oscal-catalogue.ts';
import { assessmentResults } from './oscal.ts';
import { freshRuns, sampleModel } from './testing/sample-model.ts';

// Datatypes and required fields of OSCAL 1.1.x assessment-results, written down from the metaschema.
const UUID = /^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[45][0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}$/;
const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z$/;
const TOKEN = /^(\p{L}|_)(\p{L}|\p{N}|[.\-_])*$/u;
const NON_BLANK = /^\S(.*\S)?$/su;

interface Loose { readonly [key: string]: any }

function checkProps(owner: Loose): void {
  for (const prop of owner['props'] ?? []) {
    expect(prop.name).toMatch(TOKEN);
    expect(prop.value).toMatch(NON_BLANK);
  }
}

describe('OSCAL assessment results', () => {
  const root = assessmentResults(sampleModel()) as Loose;
  const document = root['assessment-results'] as Loose;
  const result = document['results'][0] as Loose;

  it('O1: has what the model requires, and no key that it does not know', () => {
    expect(Object.keys(root)).toEqual(['assessment-results']);
    expect(Object.keys(document).toSorted()).toEqual(['back-matter', 'import-ap', 'metadata', 'results', 'uuid']);
    expect(document['uuid']).toMatch(UUID);
    for (const key of ['title', 'version', 'oscal-version']) expect(document['metadata'][key]).toMatch(NON_BLANK);
    expect(document['metadata']['last-modified']).toMatch(DATE_TIME);
    expect(document['results']).toHaveLength(1);
    for (const key of ['title', 'description']) expect(result[key]).toMatch(NON_BLANK);
    expect(result['start']).toMatch(DATE_TIME);
    expect(result['reviewed-controls']['control-selections']).toHaveLength(1);
    checkProps(document['metadata']);
  });

  it('O2: observations say how, when, and until when they count', () => {
    expect(result['observations'].length).toBeGreaterThanOrEqual(22);
    for (const one of result['observations']) {
      expect(one.uuid).toMatch(UUID);
      expect(one.description).toMatch(NON_BLANK);
      expect(one.methods).toEqual(['TEST']);
      expect(one.collected).toMatch(DATE_TIME);
      expect(one.expires > one.collected).toBe(true);
      checkProps(one);
    }
  });

  it('O3: findings aim at objectives of the catalogue and cite observations that exist', () => {
    const objectives = new Set(sampleCatalogue().catalog.groups.flatMap((group) => group.controls.flatMap((one) => one.parts.map((part) => part.id))));
    const observations = new Set(result['observations'].map((one: Loose) => one['uuid']));
    expect(result['findings']).toHaveLength(81);
    for (const one of result['findings']) {
      expect(one.uuid).toMatch(UUID);
      expect(one.title).toMatch(NON_BLANK);
      expect(objectives.has(one.target['target-id'])).toBe(true);
      expect(one.target.type).toBe('objective-id');
      expect(['satisfied', 'not-satisfied']).toContain(one.target.status.state);
      expect(['pass', 'fail', 'other']).toContain(one.target.status.reason);
      for (const related of one['related-observations'] ?? []) expect(observations.has(related['observation-uuid'])).toBe(true);
      checkProps(one);
    }
  });

  it('O4: no UUID is used twice, and the reference to the plan resolves', () => {
    const all = [document['uuid'], result['uuid'], ...result['observations'].map((one: Loose) => one['uuid']), ...result['findings'].map((one: Loose) => one['uuid']), ...document['back-matter']['resources'].map((one: Loose) => one['uuid'])];
    expect(new Set(all).size).toBe(all.length);
    expect(document['import-ap']['href']).toBe(`#${document['back-matter']['resources'][0]['uuid']}`);
  });

  it('O5: with no run at all there is no observation and nothing is satisfied', () => {
    const bare = (assessmentResults(sampleModel([])) as Loose)['assessment-results']['results'][0] as Loose;
    expect(bare['observations']).toBeUndefined();
    expect(bare['findings'].some((one: Loose) => one['target'].status.state === 'satisfied')).toBe(false);
  });

  it('O6: what only a stand-in has shown does not satisfy', () => {
    const rehearsed = (assessmentResults(sampleModel(freshRuns().map((one) => ({ ...one, rehearsedAgainst: 'a simulator' })))) as Loose)['assessment-results']['results'][0] as Loose;
    expect(rehearsed['findings'].some((one: Loose) => one['target'].status.state === 'satisfied')).toBe(false);
  });
});
