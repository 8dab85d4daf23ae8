import { join } from 'node:path';
import type { ServiceName } from '@auditrax/base';
import type { TenantDoor } from '@auditrax/tenancy';
import { createKeysClient, createSealer, type Sealer } from '../domains/keys/index.ts';
import { installRecorder, type RecordAudit } from '../platform/audit/index.ts';
import { discoverSealedFields } from '../platform/db/sealed-fields.ts';
import type { Floor } from './floor.ts';
import { ROOT } from './root.ts';

/** Every room's registry of sealed fields. Read it before privileges are dropped. */
export function readSealedFields(): ReturnType<typeof discoverSealedFields> {
  return discoverSealedFields(join(ROOT, 'app'));
}

/** The sealer of a process, and the recorder of its audit entries, whose withheld values it seals. */
export function openSealing(
  floor: Floor,
  service: ServiceName,
  parts: { readonly tenant: TenantDoor; readonly fields: Readonly<Record<string, number>> },
): { readonly sealer: Sealer; readonly recordAudit: RecordAudit } {
  const { clock, random, client } = floor;
  const keysClient = createKeysClient(client);
  const sealer = createSealer({ service, tenantDoor: parts.tenant, keysClient, clock, random, fields: parts.fields });
  const recordAudit = installRecorder({
    clock,
    random,
    sealer: { seal: (input) => sealer.seal({ ...input, field: 'audit.disclosure.sealed' }) },
  });
  return { sealer, recordAudit };
}
