import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';
import { placeShape } from './placement-contract.ts';

export const routes = defineRoutes({
  list: {
    operation: 'tenants.list',
    service: 'issuer',
    method: 'GET',
    path: '/api/tenants',
    access: { kind: 'session', class: 'read', operatorOnly: { scope: 'tenants' } },
    ids: {},
    replies: {
      200: z.strictObject({
        tenants: z.array(
          z.strictObject({
            slug: z.string(),
            name: z.string(),
            kind: z.enum(['sample', 'canary', 'operator', 'customer']),
            tier: z.enum(['standard', 'enterprise']),
            place: placeShape,
            createdAt: z.iso.datetime(),
          }),
        ),
      }),
    },
  },
});
