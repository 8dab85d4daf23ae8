import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { sampleCatalogue } from '../../claims/oscal-catalogue.ts';
import { assessmentResults } from './oscal.ts';
import { freshRuns, sampleModel } from './testing/sample-model.ts';

// Datatypes, required fields and allowed values of OSCAL 1.1.x assessment-results, written down from the metaschema for
// the part that is used here; strict, so that an unknown key is an error.
const uuid = z
  .string()
  .regex(/^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[45][0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}$/);
const dateTime = z.string().regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z$/);
const token = z.string().regex(/^(\p{L}|_)(\p{L}|\p{N}|[.\-_])*$/u);
const text = z.string().regex(/^\S(.*\S)?$/su);
const props = z.array(z.strictObject({ name: token, ns: z.url(), value: text })).min(1);

const observation = z.strictObject({
  uuid,
  title: text,
  description: text,
  props,
  methods: z.array(z.enum(['EXAMINE', 'INTERVIEW', 'TEST', 'UNKNOWN'])).min(1),
  types: z.array(token).min(1),
  'relevant-evidence': z.array(z.strictObject({ href: text, description: text })).min(1),
  collected: dateTime,
  expires: dateTime,
});

const finding = z.strictObject({
  uuid,
  title: text,
  description: text,
  props,
  target: z.strictObject({
    type: z.enum(['statement-id', 'objective-id']),
    'target-id': token,
    status: z.strictObject({
      state: z.enum(['satisfied', 'not-satisfied']),
      reason: z.enum(['pass', 'fail', 'other']),
      remarks: text,
    }),
  }),
  'related-observations': z
    .array(z.strictObject({ 'observation-uuid': uuid }))
    .min(1)
    .optional(),
});

const document = z.strictObject({
  'assessment-results': z.strictObject({
    uuid,
    metadata: z.strictObject({
      title: text,
      'last-modified': dateTime,
      version: text,
      'oscal-version': z.string().regex(/^1\.1\.\d+$/),
      props,
    }),
    'import-ap': z.strictObject({ href: text, remarks: text }),
    results: z
      .array(
        z.strictObject({
          uuid,
          title: text,
          description: text,
          start: dateTime,
          end: dateTime,
          'reviewed-controls': z.strictObject({
            'control-selections': z
              .array(z.strictObject({ 'include-controls': z.array(z.strictObject({ 'control-id': token })).min(1) }))
              .min(1),
          }),
          observations: z.array(observation).min(1).optional(),
          findings: z.array(finding).min(1),
        }),
      )
      .length(1),
    'back-matter': z.strictObject({
      resources: z
        .array(
          z.strictObject({
            uuid,
            title: text,
            rlinks: z.array(z.strictObject({ href: text, 'media-type': text })).min(1),
          }),
        )
        .min(1),
    }),
  }),
});

function resultsOf(runs = freshRuns()) {
  const root = document.parse(assessmentResults(sampleModel(runs)))['assessment-results'];
  return { root, result: root.results[0]! };
}

describe('OSCAL assessment results', () => {
  const { root, result } = resultsOf();

  it('O1: have what the model requires, and no key that it does not know', () => {
    expect(() => document.parse(assessmentResults(sampleModel()))).not.toThrow();
    expect(result['reviewed-controls']['control-selections'][0]!['include-controls']).toHaveLength(81);
  });

  it('O2: observations say how, when, and until when they count', () => {
    expect(result.observations!.length).toBeGreaterThanOrEqual(22);
    for (const one of result.observations!) expect(one.expires > one.collected).toBe(true);
  });

  it('O3: findings aim at objectives of the catalogue and cite observations that exist', () => {
    const objectives = new Set(
      sampleCatalogue().catalog.groups.flatMap((group) =>
        group.controls.flatMap((one) => one.parts.map((part) => part.id)),
      ),
    );
    const observations = new Set(result.observations!.map((one) => one.uuid));
    expect(result.findings).toHaveLength(81);
    for (const one of result.findings) {
      expect(objectives.has(one.target['target-id'])).toBe(true);
      for (const related of one['related-observations'] ?? [])
        expect(observations.has(related['observation-uuid'])).toBe(true);
    }
  });

  it('O4: no UUID is used twice, and the reference to the plan resolves', () => {
    const resources = root['back-matter'].resources;
    const all = [
      root.uuid,
      result.uuid,
      ...[...result.observations!, ...result.findings, ...resources].map((one) => one.uuid),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(root['import-ap'].href).toBe(`#${resources[0]!.uuid}`);
  });

  it('O5: with no run at all there is no observation and nothing is satisfied', () => {
    const bare = resultsOf([]).result;
    expect(bare.observations).toBeUndefined();
    expect(bare.findings.some((one) => one.target.status.state === 'satisfied')).toBe(false);
  });

  it('O6: what only a stand-in has shown does not satisfy', () => {
    const rehearsed = resultsOf(freshRuns().map((one) => ({ ...one, rehearsedAgainst: 'a simulator' }))).result;
    expect(rehearsed.findings.some((one) => one.target.status.state === 'satisfied')).toBe(false);
    expect(result.findings.some((one) => one.target.status.state === 'satisfied')).toBe(true);
  });
});
