import { at, engagements, id, members } from './gallery-data.ts';

/** Canned answers of the rules room. */
const OWN_OFFICE = `@id("own-office")
forbid (principal is Person, action, resource is Engagement)
when { principal.role == "auditor" }
unless { principal has office && resource has office && principal.office == resource.office };
`;
const DAY = 86_400_000;
const offices = [
  { id: id('off', 1), label: 'Harbour' },
  { id: id('off', 2), label: 'Inland' },
];

export const rulesView = {
  version: 3,
  text: OWN_OFFICE,
  versions: [
    { version: 3, text: OWN_OFFICE, writtenBy: members[0]!.id, writtenAt: at(-2 * DAY), restores: 1 },
    { version: 2, text: '', writtenBy: members[0]!.id, writtenAt: at(-5 * DAY), restores: null },
    { version: 1, text: OWN_OFFICE, writtenBy: members[0]!.id, writtenAt: at(-9 * DAY), restores: null },
  ],
  offices,
  people: [{ memberId: members[1]!.id, officeId: offices[0]!.id }],
  engagements: engagements.map((row, index) => ({
    id: row.id,
    title: row.title,
    officeId: offices[index]?.id ?? null,
  })),
};

export const noRules = { ...rulesView, version: 0, text: '', versions: [], offices: [], people: [] };

const allows = { id: 'engagements.auditors-rows', effect: 'permit', applied: true, failed: [] };

/** One line with a fault, everything else fine: as the server answers a trial. */
export function trialOf(text: string): unknown {
  if (text.includes('resource.stat '))
    return {
      problems: [
        {
          line: 3,
          column: 8,
          message: 'Attribute `stat` on entity type `Engagement` not found',
          help: 'Did you mean `state`?',
        },
      ],
      rows: [],
    };
  return {
    problems: [],
    rows: engagements.map((row, index) => ({
      id: row.id,
      title: row.title,
      before: true,
      after: index === 0,
      why: [
        allows,
        index === 0
          ? {
              id: 'rules.own-office',
              effect: 'forbid',
              applied: false,
              failed: ['not: principal has office && resource has office && principal.office == resource.office'],
            }
          : { id: 'rules.own-office', effect: 'forbid', applied: true, failed: [] },
      ],
    })),
  };
}

/** Auditors lose what is not of their office; nothing changes for the others. */
export function effectOf(memberId: string): unknown {
  const isAuditor = members.find((one) => one.id === memberId)?.role === 'auditor';
  const before = members.find((one) => one.id === memberId)?.role === 'client' ? 1 : engagements.length;
  const loses = isAuditor ? 3 : 0;
  const effect = { counted: engagements.length, cut: false, before, after: before - loses, loses, gains: 0 };
  return { problems: [], effect };
}
