import type { ApiClientsAnswer, ApiGrants, ApiRequest } from '../app/shell/wire.ts';
import { at, id } from './gallery-data.ts';

const DAY = 86_400_000;
const CLIENT = '7c0e2a54-1d1b-4f0e-9f0a-2b6f4f6a9d11';
const AGENT = '0d5ef3a1-9a0a-4d0e-8a6a-6a9e4d1c2b3f';
export const requestPath = `/app/authorise/${CLIENT}/${'r'.repeat(43)}`;

export const clients: ApiClientsAnswer = {
  issuer: 'https://auditrax.harbour.example/oauth/5b1c0f62-3a77-4c65-8f0f-3a4c0e6b9d21',
  clientsMax: 50,
  clients: [
    {
      id: id('cli', 1),
      clientId: CLIENT,
      name: 'Ledger sync',
      kind: 'application',
      access: 'read',
      redirectUris: ['http://127.0.0.1/back'],
      handsTo: [{ clientId: AGENT, name: 'Night agent' }],
      registeredAt: at(-40 * DAY),
      revision: 3,
    },
    {
      id: id('cli', 2),
      clientId: AGENT,
      name: 'Night agent',
      kind: 'agent',
      access: 'write',
      redirectUris: ['https://agent.harbour.example/back'],
      handsTo: [],
      registeredAt: at(-2 * DAY),
      revision: 1,
    },
  ],
};

export const grants: ApiGrants = {
  grants: [
    {
      id: id('agr', 1),
      client: 'Ledger sync',
      access: 'read',
      agents: [{ name: 'Night agent', lastActedAt: at(-3_600_000) }],
      givenAt: at(-12 * DAY),
      expiresAt: at(78 * DAY),
    },
    {
      id: id('agr', 2),
      client: 'Night agent',
      access: 'write',
      agents: [],
      givenAt: at(-2 * DAY),
      expiresAt: at(88 * DAY),
    },
  ],
};

export const asked: ApiRequest = {
  client: 'Ledger sync',
  kind: 'application',
  agents: [{ clientId: AGENT, name: 'Night agent' }],
  organisation: 'Harbour Audit Partners',
  access: 'write',
  leadsTo: 'sync.harbour.example',
  days: 90,
};

/** What the issuer puts beside a change of a program. */
export const changeSubject = {
  name: 'Ledger sync',
  access: 'read',
  redirectUris: 'http://127.0.0.1/back',
  handsTo: 'Night agent',
  permissionsThatEnd: 2,
};

/** What the issuer puts beside the request's own names, for the person to read. */
export const allowSubject = {
  program: asked.client,
  organisation: asked.organisation,
  access: asked.access,
  leadsTo: asked.leadsTo,
  days: asked.days,
  agents: 'Night agent',
};
