import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { INNER_ROUTES } from '../app/bin/rooms.ts';
import { findRoutes } from './reference/contracts.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

test('the prober knows every route between the processes that any contract declares', async () => {
  const declared = (await findRoutes(ROOT))
    .filter(({ contract }) => contract.access.kind === 'internal')
    .map(({ contract }) => `${contract.service} ${contract.method} ${contract.path}`);
  expect(declared.length).toBeGreaterThan(40);
  expect(INNER_ROUTES.map(({ service, method, path }) => `${service} ${method} ${path}`).sort()).toEqual(
    declared.sort(),
  );
});
