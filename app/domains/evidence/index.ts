/** The door of the room: other rooms and the composition roots import from here only. */
export { cardNumberScanner, findCardNumber, refuseCardNumber } from './card-number.ts';
export type { CardNumberFound, CardNumberOverride, CardNetwork } from './card-number.ts';
export { routes as evidenceContract } from './contract.ts';
export { problems as evidenceProblems } from './errors.ts';
export type { EvidenceDeps } from './ports.ts';
export { evidenceRoutes } from './routes.ts';
export { sealedFields as evidenceSealedFields } from './sealed-fields.ts';
export { evidenceService, type EvidenceService } from './service.ts';
