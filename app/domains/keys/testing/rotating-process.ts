// A process that moves a tenant's keys to another source and its values to new keys, and is killed while it does.
import { systemClock, systemRandom } from '@auditrax/base';
import { openKeyRing } from '@auditrax/seal';
import { openDatabase } from '@auditrax/tenancy';
import type { TenantContext } from '@auditrax/tenancy';
import { discoverSealedColumns, discoverSealedFields } from '../../../platform/db/sealed-fields.ts';
import type { TestConnection } from '../../../platform/db/testing.ts';
import { rewrapKeys } from '../rewrap.ts';
import { createRotation } from '../rotation.ts';
import { createSealer } from '../sealer.ts';
import { clientOverRings } from './ring-client.ts';

export interface RotationOrder {
  readonly app: string;
  readonly connections: { readonly workspace: TestConnection; readonly issuer: TestConnection };
  readonly rings: readonly { readonly path: string; readonly rootKey: string }[];
  readonly active: number;
  readonly context: TenantContext;
}

async function rotate(order: RotationOrder): Promise<void> {
  const rings = await Promise.all(
    order.rings.map(({ path, rootKey }) =>
      openKeyRing({ path, rootKey: Buffer.from(rootKey, 'hex'), clock: systemClock, random: systemRandom }),
    ),
  );
  const keysClient = clientOverRings(rings, () => order.active);
  const [fields, columns] = [await discoverSealedFields(order.app), await discoverSealedColumns(order.app)];
  const services = (['workspace', 'issuer'] as const).map((service) => {
    const database = openDatabase({
      connection: order.connections[service],
      poolSize: 2,
      clock: systemClock,
      onRefusal: async () => undefined,
      systemTables: [],
    });
    const parts = { service, tenantDoor: database.tenant, keysClient, clock: systemClock, random: systemRandom };
    const sealer = createSealer({ ...parts, fields });
    const onFailure = (error: unknown): void => console.error(error);
    return { ...parts, database, rotation: createRotation({ ...parts, sealer, columns, onFailure }) };
  });
  process.send!('begun');
  const [workspace] = services;
  await rewrapKeys(workspace!, order.context, { reason: 'source-switched' });
  await workspace!.rotation.rotateNow(order.context, { actor: { service: 'workspace' } });
  await Promise.all(services.map(({ rotation }) => rotation.tend(order.context)));
  await Promise.all(services.map(({ database }) => database.close()));
  process.send!('done', () => process.exit(0));
}

process.once('message', (order) => void rotate(order as RotationOrder));
