import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

/** 256 Ki characters are what `packages/signals` reads of a receiver. */
const REQUEST_BYTES_MAX = 256 * 1024;

const door = {
  service: 'issuer',
  access: { kind: 'public' },
  ids: {},
  foreign: {
    caller: 'server',
    protocol: 'ssf',
    reason: 'receivers of an organisation read, poll and ask, each with the token of its stream',
  },
} as const;
/** Random and public: it is in the addresses that receivers are given, and leads to one tenant. */
const organisation = z.string().max(64);
const ofIssuer = {
  ...door,
  params: z.strictObject({ organisation }),
} as const;
const ofStream = {
  ...ofIssuer,
  method: 'GET',
  query: z.strictObject({ stream_id: z.string().max(64).optional() }),
  replies: { 200: 'stream', 404: 'stream', 429: 'stream' },
} as const;
const message = { body: 'stream', bodyBytesMax: REQUEST_BYTES_MAX } as const;

/** The transmitter of each organisation, as its receivers reach it (SSF 1.0, RFC 8936). */
export const receiverRoutes = defineRoutes({
  configuration: {
    ...ofIssuer,
    operation: 'signal-transmitter.configuration',
    method: 'GET',
    path: '/.well-known/ssf-configuration/ssf/issuer/:organisation',
    replies: { 200: 'stream' },
  },
  keys: {
    ...ofIssuer,
    operation: 'signal-transmitter.keys',
    method: 'GET',
    path: '/ssf/issuer/:organisation/jwks',
    replies: { 200: 'stream' },
  },
  describe: { ...ofStream, operation: 'signal-transmitter.describe', path: '/ssf/issuer/:organisation/stream' },
  status: { ...ofStream, operation: 'signal-transmitter.status', path: '/ssf/issuer/:organisation/status' },
  verify: {
    ...ofIssuer,
    ...message,
    operation: 'signal-transmitter.verify',
    method: 'POST',
    path: '/ssf/issuer/:organisation/verify',
    replies: { 204: 'stream', 400: 'stream', 404: 'stream', 429: 'stream' },
  },
  poll: {
    ...door,
    ...message,
    operation: 'signal-transmitter.poll',
    method: 'POST',
    path: '/ssf/issuer/:organisation/streams/:stream/poll',
    params: z.strictObject({ organisation, stream: z.string().max(64) }),
    replies: { 200: 'stream', 400: 'stream' },
  },
});
