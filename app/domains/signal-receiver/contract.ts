import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

/** As large as a token may be in packages/signals. */
const TOKEN_BYTES_MAX = 64 * 1024;

/** The address that a provider pushes events to, RFC 8935: one for each stream. */
export const routes = defineRoutes({
  push: {
    operation: 'signal-receiver.push',
    service: 'issuer',
    method: 'POST',
    path: '/ssf/:stream/events',
    access: { kind: 'public' },
    foreign: {
      caller: 'server',
      protocol: 'ssf',
      reason:
        'the organisation’s provider says that somebody’s sessions or account are to end, signed, by its own token',
    },
    ids: {},
    params: z.strictObject({ stream: z.string().max(64) }),
    body: 'stream',
    bodyBytesMax: TOKEN_BYTES_MAX,
    replies: { 202: 'stream', 400: 'stream', 503: 'stream' },
  },
});
