import type { ComponentProps } from 'react';
import { GradeChip } from '../../ui/grade.tsx';
import type { Connection, Directory } from '../../shell/wire.ts';

export type DirectoryPerson = Directory['people'][number];
export type DirectoryToken = Directory['tokens'][number];
type Grade = ComponentProps<typeof GradeChip>['grade'];

const stateWords: Readonly<Record<DirectoryPerson['state'], readonly [Grade, string]>> = {
  in: ['proven', 'let in'],
  out: ['stale', 'put out'],
  suspended: ['stale', 'suspended here'],
  inactive: ['asserted', 'inactive there'],
  'no-external-id': ['failing', 'no lasting id'],
  'no-role': ['asserted', 'no role'],
};

/** Where somebody stands, as a chip. */
export function PersonChip({ state }: { state: DirectoryPerson['state'] }) {
  const [grade, word] = stateWords[state];
  return <GradeChip grade={grade} word={word} />;
}

const tokenWords: Readonly<Record<DirectoryToken['state'], readonly [Grade, string]>> = {
  live: ['proven', 'in use'],
  expired: ['failing', 'expired'],
  ended: ['asserted', 'ended'],
};

/** Whether messages come in by a token, as a chip. */
export function TokenChip({ state }: { state: DirectoryToken['state'] }) {
  const [grade, word] = tokenWords[state];
  return <GradeChip grade={grade} word={word} />;
}

interface ThereWords {
  /** Where in the provider's own pages the values belong. */
  readonly where: string;
  readonly base: string;
  readonly token: string;
  /** What has to be set there, so that both ways in find one account. */
  readonly mapping: string;
}

const OTHER: ThereWords = {
  where: 'In the provisioning settings of your provider, by SCIM 2.0 with a bearer token.',
  base: 'SCIM base address',
  token: 'Bearer token',
  mapping:
    'Have externalId filled with the same immutable id that a sign-in carries (the sub of OpenID Connect, the NameID of SAML). People without it are listed here and cannot come in.',
};

const THERE: Partial<Record<Connection['profile'], ThereWords>> = {
  entra: {
    where: 'In Entra, under the enterprise application: Provisioning, mode Automatic, Admin credentials.',
    base: 'Tenant URL',
    token: 'Secret Token',
    mapping:
      'Under Mappings, map objectId to externalId, for people and for groups: Entra’s default is mailNickname, which changes. People without it are listed here and cannot come in.',
  },
  okta: {
    where:
      'In Okta, under the application: Provisioning, Integration. Choose SCIM 2.0 with HTTP header; switch on Create, Update and Deactivate.',
    base: 'Base URL',
    token: 'Authorization',
    mapping: 'Nothing to map: Okta sends its own id. Groups come by Push Groups, and are mapped by their name.',
  },
};

/** What the provider calls the values, and what is to be set there. */
export const thereWords = (profile: Connection['profile']): ThereWords => THERE[profile] ?? OTHER;
