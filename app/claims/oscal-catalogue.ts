import { namedUuid } from './deterministic-uuid.ts';
import { SECTIONS } from './model.ts';
import type { Claim, SectionId } from './model.ts';
import { allClaims } from './register.ts';

/** OSCAL version whose JSON shapes are written here and in the assessment results. */
export const OSCAL_VERSION = '1.1.3';
/** Moves only when a sentence, a limit or the set of claims moves; then the catalogue's UUID moves too. */
export const CATALOGUE_VERSION = '2026.11.22';
const CATALOGUE_PUBLISHED = '2026-11-22T00:00:00Z';

interface OscalProp {
  readonly name: string;
  readonly ns?: string;
  readonly value: string;
}

interface OscalPart {
  readonly id: string;
  readonly name: string;
  readonly prose: string;
}

interface OscalControl {
  readonly id: string;
  readonly class: string;
  readonly title: string;
  readonly props: readonly OscalProp[];
  readonly parts: readonly OscalPart[];
}

interface OscalGroup {
  readonly id: string;
  readonly class: string;
  readonly title: string;
  readonly controls: readonly OscalControl[];
}

/** The part of OSCAL's catalogue model that is written here. */
export interface OscalCatalog {
  readonly catalog: {
    readonly uuid: string;
    readonly metadata: {
      readonly title: string;
      readonly published: string;
      readonly 'last-modified': string;
      readonly version: string;
      readonly 'oscal-version': string;
      readonly props: readonly OscalProp[];
    };
    readonly groups: readonly OscalGroup[];
  };
}

/** Namespace of the properties that OSCAL does not define. An identifier, not an address to be fetched. */
export const OSCAL_NAMESPACE = 'https://auditrax.io/ns/oscal';

/** The short title of a claim: its first clause, since OSCAL wants a title and a sentence has none. */
function titleOf(claim: Claim): string {
  const clause = claim.sentence.split(/[:;,.]\s/)[0]!.replace(/\.$/, '');
  return clause.length <= 90 ? clause : `${clause.slice(0, clause.lastIndexOf(' ', 90))} …`;
}

function controlOf(claim: Claim): OscalControl {
  const method = claim.kind === 'attested' ? 'EXAMINE' : 'TEST';
  return {
    id: claim.id,
    class: 'claim',
    title: titleOf(claim),
    props: [
      { name: 'label', value: claim.id },
      { name: 'proof-kind', ns: OSCAL_NAMESPACE, value: claim.kind },
      { name: 'owner-role', ns: OSCAL_NAMESPACE, value: claim.owner },
      ...(claim.figure === undefined ? [] : [{ name: 'figure', ns: OSCAL_NAMESPACE, value: claim.figure }]),
    ],
    parts: [
      { id: `${claim.id}_smt`, name: 'statement', prose: [claim.sentence, ...(claim.exceptions ?? [])].join(' ') },
      { id: `${claim.id}_gdn`, name: 'guidance', prose: `It does not hold when: ${claim.wouldTurnRed}` },
      {
        id: `${claim.id}_obj`,
        name: 'assessment-objective',
        prose: `Determine by ${method.toLowerCase()} whether: ${claim.sentence}`,
      },
    ],
  };
}

function groupOf(id: SectionId, title: string): OscalGroup {
  return {
    id: `s-${id}`,
    class: 'section',
    title,
    controls: allClaims.filter((claim) => claim.section === id).map(controlOf),
  };
}

/**
 * The built-in catalogue: the 81 claims of Auditrax's own security page as OSCAL controls, a group for each section.
 * The sample engagement audits it. Deterministic: the same register gives the same bytes.
 */
export function sampleCatalogue(): OscalCatalog {
  return {
    catalog: {
      uuid: namedUuid('catalogue', CATALOGUE_VERSION),
      metadata: {
        title: 'What Auditrax claims on its security page',
        published: CATALOGUE_PUBLISHED,
        'last-modified': CATALOGUE_PUBLISHED,
        version: CATALOGUE_VERSION,
        'oscal-version': OSCAL_VERSION,
        props: [{ name: 'source', ns: OSCAL_NAMESPACE, value: 'app/claims' }],
      },
      groups: SECTIONS.map((section) => groupOf(section.id, section.title)),
    },
  };
}
