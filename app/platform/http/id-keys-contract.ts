import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

const key = z.strictObject({ version: z.number().int().positive(), key: z.string().length(43) });

/** How the processes that make or check tagged ids get the key ring for them; the issuer keeps it. */
export const idKeysContract = defineRoutes({
  read: {
    operation: 'identity.read-id-keys',
    service: 'issuer',
    method: 'GET',
    path: '/internal/identity/id-keys',
    access: { kind: 'internal', callers: ['gateway', 'workspace', 'ledger', 'sentinel'], token: false },
    ids: {},
    replies: { 200: z.strictObject({ current: key, accepted: z.array(key) }) },
  },
});
