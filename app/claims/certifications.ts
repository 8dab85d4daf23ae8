import { FRESHNESS_SECONDS } from './model.ts';
import type { Claim } from './model.ts';

const NO_DOCUMENT = 'No document is on file in this installation, so nothing can be checked against its issuer.';
const DOCUMENT_RED =
  'The document on file expires, leaves this service out of its scope, or is withdrawn by its issuer.';

const attested = {
  section: 'certifications',
  kind: 'attested',
  owner: 'Compliance lead',
  module: 'app/domains/certificates',
  enforcers: [],
} as const;

/** Claims that rest on somebody else's document, and two that the system enforces itself. */
export const certificationClaims: readonly Claim[] = [
  {
    ...attested,
    id: 'cert.iso27001',
    sentence:
      'The information security management system is certified to ISO/IEC 27001:2022, watched by an audit each year and certified anew every third.',
    figure: 'yearly; every 3 years',
    freshness_seconds_max: FRESHNESS_SECONDS.year,
    assertedBecause: NO_DOCUMENT,
    wouldTurnRed: DOCUMENT_RED,
  },
  {
    ...attested,
    id: 'cert.iso27017',
    sentence: 'Controls particular to running in a cloud are certified to ISO/IEC 27017:2015.',
    freshness_seconds_max: FRESHNESS_SECONDS.year,
    assertedBecause: NO_DOCUMENT,
    wouldTurnRed: DOCUMENT_RED,
  },
  {
    ...attested,
    id: 'cert.iso27018',
    sentence: 'The handling of personal data in public clouds is certified to ISO/IEC 27018:2019.',
    freshness_seconds_max: FRESHNESS_SECONDS.year,
    assertedBecause: NO_DOCUMENT,
    wouldTurnRed: DOCUMENT_RED,
  },
  {
    ...attested,
    id: 'cert.iso42001',
    sentence:
      'A management system for AI after ISO/IEC 42001:2023 is being built; its certification audit was set for the third quarter of 2026.',
    figure: 'audit in Q3 2026',
    freshness_seconds_max: FRESHNESS_SECONDS.year,
    assertedBecause: 'In progress: no certificate is on file.',
    wouldTurnRed:
      'It is called certified without a certificate. The audit date itself, once passed, is shown as overdue until a certificate is on file.',
  },
  {
    ...attested,
    id: 'cert.soc2',
    sentence:
      'An independent auditor reports each year (SOC 2, Type II) on the criteria for security, for availability and for confidentiality.',
    figure: 'yearly',
    freshness_seconds_max: FRESHNESS_SECONDS.year,
    assertedBecause: NO_DOCUMENT,
    wouldTurnRed: DOCUMENT_RED,
  },
  {
    ...attested,
    id: 'cert.gdpr',
    sentence:
      'Personal data of people in the EU is handled under the GDPR, by a published and versioned privacy notice and processing agreement.',
    freshness_seconds_max: FRESHNESS_SECONDS.year,
    assertedBecause: 'Neither a privacy notice nor a processing agreement is on file in this installation.',
    wouldTurnRed: 'Either document is missing, or the version in force is not the version shown.',
  },
  {
    ...attested,
    id: 'cert.uk-gdpr',
    sentence: 'The same notice and agreement cover people in the United Kingdom under the UK GDPR.',
    freshness_seconds_max: FRESHNESS_SECONDS.year,
    assertedBecause: 'Neither a privacy notice nor a processing agreement is on file in this installation.',
    wouldTurnRed: 'Either document is missing or does not name the United Kingdom.',
  },
  {
    ...attested,
    id: 'cert.kenya-dpa',
    sentence:
      'The organisation is on the Kenyan data commissioner’s register, both as controller and as processor, as the Act of 2019 asks.',
    freshness_seconds_max: FRESHNESS_SECONDS.year,
    assertedBecause: 'No registration certificate of the ODPC is on file in this installation.',
    wouldTurnRed: DOCUMENT_RED,
  },
  {
    id: 'cert.pci-saq-a',
    section: 'certifications',
    sentence:
      'Card numbers stay out: no form asks for one, and text that carries one is refused; payment is left to Stripe (the scope of PCI DSS SAQ A).',
    exceptions: ['There is no billing in this build, so the hosted checkout itself is asserted.'],
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    owner: 'Compliance lead',
    module: 'app/platform/http',
    enforcers: [
      { file: 'app/domains/evidence/card-number.ts', export: 'refuseCardNumber', necessary: true },
      { file: 'app/domains/evidence/card-number.ts', export: 'findCardNumber', necessary: true },
    ],
    probe: 'engagements.card-numbers',
    wouldTurnRed:
      'A text field accepts a number that has an issuer’s prefix and passes the Luhn check, or a form asks for one.',
  },
  {
    id: 'cert.nda-pack',
    section: 'certifications',
    sentence:
      'Reports, certificates, test letters and answered questionnaires are handed to customers who have signed a confidentiality agreement, and to nobody else.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    owner: 'Compliance lead',
    module: 'app/domains/documents',
    enforcers: [],
    assertedBecause: 'There is no document room in this build; nothing is handed out, so nothing can be tried.',
    wouldTurnRed: 'A reader without a signature on the current agreement gets a document.',
  },
];
