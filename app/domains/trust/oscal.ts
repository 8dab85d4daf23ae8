import type { Json } from '@auditrax/base';
import { namedUuid } from '../../claims/deterministic-uuid.ts';
import { OSCAL_NAMESPACE, OSCAL_VERSION, sampleCatalogue } from '../../claims/oscal-catalogue.ts';
import type { ClaimRow, PageModel } from './model.ts';
import { pageRows } from './model.ts';

type JsonObject = { readonly [key: string]: Json | undefined };

function prop(name: string, value: string): JsonObject {
  return { name, ns: OSCAL_NAMESPACE, value };
}

function observationUuid(row: ClaimRow): string {
  const newest = row.graded.newest!;
  return namedUuid('observation', newest.probeId, row.claim.id, String(newest.observedAt_ms));
}

function observationOf(row: ClaimRow): JsonObject {
  const { claim, graded } = row;
  const newest = graded.newest!;
  const entry = newest.entry?.entryId;
  return {
    uuid: observationUuid(row),
    title: `Run of ${newest.probeId}`,
    description: newest.detail,
    props: [
      prop('probe', newest.probeId),
      prop('outcome', newest.state),
      ...(newest.rehearsedAgainst === undefined ? [] : [prop('rehearsed-against', newest.rehearsedAgainst)]),
      ...(newest.measured === undefined ? [] : [prop('measured', `${newest.measured.value} ${newest.measured.unit}`)]),
    ],
    methods: ['TEST'],
    types: ['control-objective'],
    'relevant-evidence': [
      {
        href: `/security/claims/${claim.id}.json`,
        description: entry === undefined ? 'The record in full.' : `The record in full; log entry ${entry}.`,
      },
    ],
    collected: new Date(newest.observedAt_ms).toISOString(),
    expires: new Date(newest.observedAt_ms + claim.freshness_seconds_max * 1000).toISOString(),
  };
}

/** Only a green state that no stand-in produced satisfies. Unknown is never a pass, so it reads not-satisfied, for another reason. */
function statusOf(row: ClaimRow): JsonObject {
  const { state, standing, detail } = row.graded;
  if (state === 'green' && standing !== 'rehearsed') return { state: 'satisfied', reason: 'pass', remarks: detail };
  return { state: 'not-satisfied', reason: state === 'failing' ? 'fail' : 'other', remarks: detail };
}

function findingOf(row: ClaimRow, model: PageModel): JsonObject {
  const { claim, graded } = row;
  return {
    uuid: namedUuid('finding', claim.id, String(model.revision), model.digest),
    title: claim.id,
    description: claim.sentence,
    props: [prop('grade', graded.grade), prop('state', graded.state), prop('standing', graded.standing)],
    target: { type: 'objective-id', 'target-id': `${claim.id}_obj`, status: statusOf(row) },
    ...(graded.newest === undefined ? {} : { 'related-observations': [{ 'observation-uuid': observationUuid(row) }] }),
  };
}

/**
 * The page as OSCAL assessment results: a claim's state is a finding, a probe's newest run an observation whose
 * `expires` is the end of its freshness. The plan it refers to is the catalogue of claims, in the back matter.
 */
export function assessmentResults(model: PageModel): Json {
  const rows = pageRows(model);
  const observed = rows.filter((row) => row.graded.newest !== undefined);
  const at = new Date(model.generatedAt_ms).toISOString();
  const catalogue = namedUuid('resource', sampleCatalogue().catalog.uuid);
  return {
    'assessment-results': {
      uuid: namedUuid('assessment-results', String(model.revision), model.digest),
      metadata: {
        title: `${model.conditions.organisation.name}: security claims, revision ${model.revision}`,
        'last-modified': at,
        version: String(model.revision),
        'oscal-version': OSCAL_VERSION,
        props: [prop('page-digest', model.digest), prop('valid-until', new Date(model.validUntil_ms).toISOString())],
      },
      'import-ap': {
        href: `#${catalogue}`,
        remarks: 'The probes run by themselves; the catalogue of claims is their plan.',
      },
      results: [
        {
          uuid: namedUuid('result', String(model.revision), model.digest),
          title: 'States of the claims',
          description: 'Each claim graded from the newest recorded run of its check, or from a document in force.',
          start: at,
          end: at,
          'reviewed-controls': {
            'control-selections': [{ 'include-controls': rows.map((row) => ({ 'control-id': row.claim.id })) }],
          },
          ...(observed.length === 0 ? {} : { observations: observed.map(observationOf) }),
          findings: rows.map((row) => findingOf(row, model)),
        },
      ],
      'back-matter': {
        resources: [
          {
            uuid: catalogue,
            title: 'Catalogue of the claims',
            rlinks: [{ href: '/security/catalogue.json', 'media-type': 'application/oscal+json' }],
          },
        ],
      },
    },
  };
}
