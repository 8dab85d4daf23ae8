/** The 81 promises of the public security page, by id. Browser-safe: only names. Order is the order of the page. */
export const CLAIM_IDS = [
  'page.source-of-truth', 'page.quarterly-review',
  'cert.iso27001', 'cert.iso27017', 'cert.iso27018', 'cert.iso42001', 'cert.soc2', 'cert.gdpr', 'cert.uk-gdpr',
  'cert.kenya-dpa', 'cert.pci-saq-a', 'cert.nda-pack',
  'crypto.tls13-only', 'crypto.weak-ciphers', 'crypto.envelope', 'crypto.dek-rotation', 'crypto.kek-hsm', 'crypto.byok',
  'crypto.xks',
  'access.zero-trust', 'access.oauth-oidc', 'access.saml', 'access.idps', 'access.webauthn', 'access.step-up',
  'access.rbac-abac', 'access.privileged-log', 'access.ai-log',
  'tenant.row-scope', 'tenant.deny-default', 'tenant.dedicated-schema', 'tenant.dedicated-db', 'tenant.region',
  'tenant.driver-block', 'tenant.gateway-block', 'tenant.fail-closed', 'tenant.pages-on-call',
  'vendor.registry', 'vendor.terms', 'vendor.annual-review', 'vendor.ai-zero-retention', 'vendor.telemetry-clean',
  'vendor.notice',
  'ops.scan-gate', 'ops.dependency-audit', 'ops.critical-sla', 'ops.sast-dast', 'ops.quality-gate', 'ops.secret-scan',
  'ops.rotation-drill', 'ops.siem', 'ops.mttd', 'ops.tabletop',
  'pentest.twice-yearly', 'pentest.on-change', 'pentest.scope', 'pentest.letters',
  'incident.plan', 'incident.notice', 'incident.rto', 'incident.rpo', 'incident.status-page', 'incident.pir',
  'bounty.safe-harbour', 'bounty.rewards', 'bounty.security-txt',
  'continuity.multi-az', 'continuity.warm-standby', 'continuity.backup-encrypted', 'continuity.backup-immutable',
  'continuity.restore-test', 'continuity.plans',
  'people.background', 'people.training', 'people.agreements', 'people.least-privilege', 'people.revocation',
  'questionnaire.packs', 'questionnaire.turnaround',
  'contact.security', 'contact.status',
] as const;

export type ClaimId = (typeof CLAIM_IDS)[number];

/** Narrows text from outside (a URL, a command line) to a claim id. */
export function parseClaimId(text: string): ClaimId | undefined {
  return CLAIM_IDS.find((id) => id === text);
}
