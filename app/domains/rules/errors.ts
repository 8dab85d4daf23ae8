export type RulesCode = 'rules_invalid' | 'rules_version_stale' | 'rules_unusable' | 'offices_full';

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<RulesCode, { status: number; title: string }>> = {
  rules_invalid: { status: 422, title: 'The access rules are not valid' },
  rules_version_stale: { status: 409, title: 'Somebody else changed the access rules in the meantime' },
  rules_unusable: { status: 503, title: 'The access rules in force cannot be read' },
  offices_full: { status: 422, title: 'Too many offices' },
};
