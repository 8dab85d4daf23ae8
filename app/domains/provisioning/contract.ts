import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

/**
 * Of one message, twice of what is read: what is too large says all the same whether somebody has left, and is heard that
 * far.
 */
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;

const place = z.string().max(64);
const query = z.record(z.string().max(200), z.union([z.string().max(8_192), z.array(z.string().max(8_192)).max(64)]));
/** Errors as well: they have the form of SCIM, whoever finds them. */
const replies = {
  200: 'stream',
  201: 'stream',
  204: 'stream',
  304: 'stream',
  400: 'stream',
  401: 'stream',
  403: 'stream',
  404: 'stream',
  409: 'stream',
  412: 'stream',
  413: 'stream',
  429: 'stream',
  501: 'stream',
} as const;

const door = {
  service: 'issuer',
  access: { kind: 'public' },
  foreign: {
    caller: 'server',
    protocol: 'scim',
    reason: 'the organisation’s directory says who is there and who has left, by the token of its connection',
  },
  ids: {},
  query,
  replies,
} as const;
const ofConnection = { params: z.strictObject({ connection: place }) } as const;
const ofResource = { params: z.strictObject({ connection: place, resource: place }) } as const;
const message = { body: 'stream', bodyBytesMax: MESSAGE_BYTES_MAX } as const;

/** The door of directories, RFC 7644. */
export const routes = defineRoutes({
  config: {
    ...door,
    ...ofConnection,
    operation: 'provisioning.config',
    method: 'GET',
    path: '/scim/v2/:connection/ServiceProviderConfig',
  },
  types: {
    ...door,
    ...ofConnection,
    operation: 'provisioning.types',
    method: 'GET',
    path: '/scim/v2/:connection/ResourceTypes',
  },
  type: {
    ...door,
    ...ofResource,
    operation: 'provisioning.type',
    method: 'GET',
    path: '/scim/v2/:connection/ResourceTypes/:resource',
  },
  schemas: {
    ...door,
    ...ofConnection,
    operation: 'provisioning.schemas',
    method: 'GET',
    path: '/scim/v2/:connection/Schemas',
  },
  schema: {
    ...door,
    params: z.strictObject({ connection: place, resource: z.string().max(200) }),
    operation: 'provisioning.schema',
    method: 'GET',
    path: '/scim/v2/:connection/Schemas/:resource',
  },
  bulk: {
    ...door,
    ...ofConnection,
    ...message,
    operation: 'provisioning.bulk',
    method: 'POST',
    path: '/scim/v2/:connection/Bulk',
  },
  people: {
    ...door,
    ...ofConnection,
    operation: 'provisioning.people',
    method: 'GET',
    path: '/scim/v2/:connection/Users',
  },
  addPerson: {
    ...door,
    ...ofConnection,
    ...message,
    operation: 'provisioning.add-person',
    method: 'POST',
    path: '/scim/v2/:connection/Users',
  },
  person: {
    ...door,
    ...ofResource,
    operation: 'provisioning.person',
    method: 'GET',
    path: '/scim/v2/:connection/Users/:resource',
  },
  replacePerson: {
    ...door,
    ...ofResource,
    ...message,
    operation: 'provisioning.replace-person',
    method: 'PUT',
    path: '/scim/v2/:connection/Users/:resource',
  },
  changePerson: {
    ...door,
    ...ofResource,
    ...message,
    operation: 'provisioning.change-person',
    method: 'PATCH',
    path: '/scim/v2/:connection/Users/:resource',
  },
  removePerson: {
    ...door,
    ...ofResource,
    ...message,
    operation: 'provisioning.remove-person',
    method: 'DELETE',
    path: '/scim/v2/:connection/Users/:resource',
  },
  groups: {
    ...door,
    ...ofConnection,
    operation: 'provisioning.groups',
    method: 'GET',
    path: '/scim/v2/:connection/Groups',
  },
  addGroup: {
    ...door,
    ...ofConnection,
    ...message,
    operation: 'provisioning.add-group',
    method: 'POST',
    path: '/scim/v2/:connection/Groups',
  },
  group: {
    ...door,
    ...ofResource,
    operation: 'provisioning.group',
    method: 'GET',
    path: '/scim/v2/:connection/Groups/:resource',
  },
  replaceGroup: {
    ...door,
    ...ofResource,
    ...message,
    operation: 'provisioning.replace-group',
    method: 'PUT',
    path: '/scim/v2/:connection/Groups/:resource',
  },
  changeGroup: {
    ...door,
    ...ofResource,
    ...message,
    operation: 'provisioning.change-group',
    method: 'PATCH',
    path: '/scim/v2/:connection/Groups/:resource',
  },
  removeGroup: {
    ...door,
    ...ofResource,
    ...message,
    operation: 'provisioning.remove-group',
    method: 'DELETE',
    path: '/scim/v2/:connection/Groups/:resource',
  },
});

/** Every status that a directory is answered with. */
export type DoorStatus = keyof typeof replies;
