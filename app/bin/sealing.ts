import { join } from 'node:path';
import type { Json } from '@auditrax/base';
import type { TenantDoor } from '@auditrax/tenancy';
import {
  createKeysClient,
  createKeySourcesClient,
  createRotation,
  createSealer,
  foreignKeyRecorder,
  watchLeases,
  type Rotation,
  type Sealer,
  isKeyStoreFault,
} from '../domains/keys/index.ts';
import {
  createLateApprovals,
  createSubjectKeys,
  installRecorder,
  recordAudit,
  type RecordAudit,
} from '../platform/audit/index.ts';
import { discoverSealedColumns, discoverSealedFields, type SealedColumn } from '../platform/db/sealed-fields.ts';
import type { Floor } from './floor.ts';
import { ROOT } from './root.ts';

/** What the rooms say about their sealed values. */
export interface SealedRegistry {
  /** Name to number. */
  readonly fields: Readonly<Record<string, number>>;
  /** Where they are stored. */
  readonly columns: readonly SealedColumn[];
}

/** Every room's registry of sealed fields. Read it before privileges are dropped. */
export async function readSealedRegistry(): Promise<SealedRegistry> {
  const app = join(ROOT, 'app');
  return { fields: await discoverSealedFields(app), columns: await discoverSealedColumns(app) };
}

/** How long backups are kept, where the supervisor said it. */
export function backupRetention(options: Readonly<Record<string, Json>>): { readonly backupRetention_days?: number } {
  const days = options['backupRetention_days'];
  return typeof days === 'number' ? { backupRetention_days: days } : {};
}

/** The sealer of a process, the rotation of its keys, and the recorder of its audit entries, whose withheld values it seals. */
export function openSealing(
  floor: Floor,
  service: 'workspace' | 'issuer',
  parts: { readonly tenant: TenantDoor } & SealedRegistry,
): { readonly sealer: Sealer; readonly rotation: Rotation; readonly recordAudit: RecordAudit } {
  const { clock, random, client } = floor;
  const keysClient = createKeysClient(client);
  const keys = { service, tenantDoor: parts.tenant, keysClient, clock, random };
  const onForeignKey = foreignKeyRecorder({
    service,
    tenantDoor: parts.tenant,
    recordAudit,
    nowMs: () => clock.nowMs(),
    onFailure: (error) => floor.log.error('foreign-key-unrecorded', { error }),
  });
  const sealer = createSealer({ ...keys, fields: parts.fields, onForeignKey });
  const onFailure = (error: unknown): void => floor.log.error('rotation-failed', { error });
  const rotation = createRotation({
    ...keys,
    columns: parts.columns,
    sealer,
    onFailure,
    ...backupRetention(floor.member.boot.options),
  });
  // Ends with the process: a key that was withdrawn during a drain is wiped as well.
  watchLeases({
    sealer,
    client: createKeySourcesClient(client),
    onFailure: (error) => floor.log.warn('leases-unanswered', { error }),
  });
  const recorder = installRecorder({
    clock,
    random,
    sealer: { seal: (input) => sealer.seal({ ...input, field: 'audit.disclosure.sealed' }) },
    subjects: createSubjectKeys({ ring: sealer, random }),
    late: createLateApprovals({ ring: sealer, clock, random }),
    needsApprovals: true,
    isSealFault: isKeyStoreFault,
  });
  return { sealer, rotation, recordAudit: recorder };
}
