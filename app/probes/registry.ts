import type { PlacedCanaryName, Probe } from '../claims/probe.ts';
import { accessReviewsProbe } from '../domains/access-reviews/access-reviews.probe.ts';
import { roleAndRowProbe } from '../domains/access/role-and-row.probe.ts';
import { stepUpProbe } from '../domains/access/step-up.probe.ts';
import { zeroTrustProbe } from '../domains/access/zero-trust.probe.ts';
import { privilegedLogProbe } from '../domains/audit-trail/privileged-log.probe.ts';
import { mttdProbe } from '../domains/detections/mttd.probe.ts';
import { rewardsProbe, safeHarbourProbe, securityTxtProbe } from '../domains/disclosure/policy.probe.ts';
import { cardNumbersProbe } from '../domains/engagements/card-numbers.probe.ts';
import { passkeysProbe } from '../domains/identity/passkeys.probe.ts';
import { revocationProbe } from '../domains/identity/revocation.probe.ts';
import { dekAgeProbe } from '../domains/keys/dek-age.probe.ts';
import { envelopeProbe } from '../domains/keys/envelope.probe.ts';
import { hsmProbe } from '../domains/keys/hsm.probe.ts';
import { byokProbe, xksProbe } from '../domains/keys/withdrawal.probe.ts';
import { attemptPagedProbe } from '../domains/oncall/attempt-paged.probe.ts';
import { replaysProbe, samlProbe } from '../domains/sso/sign-in.probe.ts';
import { sourceOfTruthProbe } from '../domains/trust/source-of-truth.probe.ts';
import { registryProbe } from '../domains/vendors/registry.probe.ts';
import { tlsCiphersProbe, tlsVersionsProbe } from './edge-tls.probe.ts';
import { oauthProbe } from './oauth.probe.ts';
import { dedicatedDatabaseProbe, dedicatedSchemaProbe, regionProbe } from './placed.probe.ts';
import {
  denyDefaultProbe,
  driverBlockProbe,
  failClosedProbe,
  gatewayBlockProbe,
  rowScopeProbe,
} from './tenancy.probe.ts';

/** Every probe, those that take longest first, so that a run of all ends soonest. */
export const PROBES: readonly Probe[] = [
  stepUpProbe,
  attemptPagedProbe,
  mttdProbe,
  zeroTrustProbe,
  envelopeProbe,
  oauthProbe,
  samlProbe,
  replaysProbe,
  passkeysProbe,
  gatewayBlockProbe,
  failClosedProbe,
  privilegedLogProbe,
  roleAndRowProbe,
  tlsVersionsProbe,
  tlsCiphersProbe,
  cardNumbersProbe,
  driverBlockProbe,
  denyDefaultProbe,
  rowScopeProbe,
  dekAgeProbe,
  registryProbe,
  safeHarbourProbe,
  rewardsProbe,
  securityTxtProbe,
  sourceOfTruthProbe,
];

/** Probes that play with stand-ins: for a house that is tried out, on a machine that has them. */
export const REHEARSALS: readonly Probe[] = [xksProbe, byokProbe, hsmProbe];

/** Probes that compute from what takes hours: nothing is seen before the first of it is complete. */
export const DRILLED: readonly Probe[] = [revocationProbe, accessReviewsProbe];

/** Of these, what takes half a minute each time: nobody waits for it at a start; it follows in the background. */
export const LONG_DRILLS: readonly Probe[] = [accessReviewsProbe];

/** Probes of a canary with a place of its own, for a house that has one. */
export const PLACED: Readonly<Record<PlacedCanaryName, readonly Probe[]>> = {
  c: [dedicatedSchemaProbe],
  d: [dedicatedDatabaseProbe, regionProbe],
};
