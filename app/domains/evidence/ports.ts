import type { EngagementDeps } from '../engagements/index.ts';
import type { ObjectStore } from '../../platform/objects/index.ts';

export type EvidenceDeps = Pick<
  EngagementDeps,
  | 'door'
  | 'sealer'
  | 'policy'
  | 'rules'
  | 'clock'
  | 'random'
  | 'recordAudit'
  | 'attempts'
  | 'refuseCardNumber'
  | 'formatId'
> & { readonly store: ObjectStore };
