import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { uuidV4, systemRandom } from '@auditrax/base';
import { expect, it } from 'vitest';
import { EDGE_ROUTES } from '../../bin/rooms.ts';
import { loadRoutePolicy } from '../access/index.ts';
import { operationsOfPerson, sessionOperations } from './effective.ts';

const files = globSync(join(import.meta.dirname, '../*/policy.cedar')).sort();
const policy = loadRoutePolicy(files);
const operations = sessionOperations(EDGE_ROUTES);
const tenant = {
  context: { tenantId: uuidV4(systemRandom), tenantPart: 1, requestId: 'r' },
  kind: 'customer',
} as const;
const who = (role: 'lead' | 'auditor') => ({ tenant, memberId: uuidV4(systemRandom), role });

it('R1 may ask once for all of a role: no policy of the house names a person', () => {
  expect(files.filter((file) => /Person::"|principal\s*==/.test(readFileSync(file, 'utf8')))).toEqual([]);
});

it('R1 gives each role and way in its own answer, kept or not', async () => {
  const judge = { policy, operations };
  const lead = await operationsOfPerson(judge, who('lead'), ['passkey']);
  const auditor = await operationsOfPerson(judge, who('auditor'), ['passkey']);
  expect(lead).toContain('access.invite');
  expect(auditor).not.toContain('access.invite');
  expect(await operationsOfPerson(judge, who('lead'), ['passkey'])).toEqual(lead);
  expect(await operationsOfPerson({ policy, operations }, who('auditor'), ['passkey'])).toEqual(auditor);
  const otherKind = { ...who('lead'), tenant: { ...tenant, kind: 'operator' as const } };
  expect(await operationsOfPerson(judge, otherKind, ['passkey'])).toEqual(
    await operationsOfPerson({ policy, operations }, otherKind, ['passkey']),
  );
});
