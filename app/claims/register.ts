import { certificationClaims } from './certifications.ts';
import { contactClaims } from './contact.ts';
import { continuityClaims } from './continuity.ts';
import { disclosureClaims } from './disclosure.ts';
import { encryptionClaims } from './encryption.ts';
import { identityAccessClaims } from './identity-access.ts';
import type { ClaimId } from './ids.ts';
import { incidentClaims } from './incident.ts';
import type { Claim } from './model.ts';
import { operationalSecurityClaims } from './operational-security.ts';
import { pageClaims } from './page.ts';
import { peopleClaims } from './people.ts';
import { pentestClaims } from './pentest.ts';
import { questionnaireClaims } from './questionnaires.ts';
import { subProcessorClaims } from './sub-processors.ts';
import { tenantIsolationClaims } from './tenant-isolation.ts';

/** Every claim of the public page, in its order. The tests hold it to 81 and to the ids of `ids.ts`. */
export const allClaims: readonly Claim[] = [
  ...pageClaims,
  ...certificationClaims,
  ...encryptionClaims,
  ...identityAccessClaims,
  ...tenantIsolationClaims,
  ...subProcessorClaims,
  ...operationalSecurityClaims,
  ...pentestClaims,
  ...incidentClaims,
  ...disclosureClaims,
  ...continuityClaims,
  ...peopleClaims,
  ...questionnaireClaims,
  ...contactClaims,
];

const byId: ReadonlyMap<ClaimId, Claim> = new Map(allClaims.map((claim) => [claim.id, claim]));

/** Total over ClaimId: the register test proves that every id has its claim. */
export function claimById(id: ClaimId): Claim {
  const claim = byId.get(id);
  if (claim === undefined) throw new RangeError(`claim ${id} is not in the register`);
  return claim;
}

/** Claims that a probe decides. */
export const probedClaims: readonly Claim[] = allClaims.filter((claim) => claim.probe !== undefined);
