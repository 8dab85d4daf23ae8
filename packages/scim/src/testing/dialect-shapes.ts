import type { ScimDialect } from '../dialects.ts';
import { ENTERPRISE_SCHEMA, USER_SCHEMA, type ResourceKind } from '../schema.ts';
import { patchOf } from './world.ts';

/**
 * Messages in the shapes that providers send. They are shaped after the providers' public documents (Entra: "Develop and
 * plan provisioning for a SCIM endpoint" and its page of known issues; Okta: "Okta and SCIM Version 2.0"), with values of
 * our own: none was recorded from a live tenant.
 */
export interface Shape {
  readonly name: string;
  readonly dialect: ScimDialect;
  readonly kind: ResourceKind;
  readonly method: 'POST' | 'PUT' | 'PATCH';
  readonly body: unknown;
  /** Parts of the resource afterwards. */
  readonly after: Readonly<Record<string, unknown>>;
  readonly standing: 'suspend' | 'reactivate' | 'keep';
}

const EMPLOYEE = `${ENTERPRISE_SCHEMA}:employeeNumber`;
const of = (dialect: ScimDialect, kind: ResourceKind, method: Shape['method']) => ({ dialect, kind, method });

const ENTRA: readonly Shape[] = [
  {
    ...of('entra', 'User', 'PATCH'),
    name: 'disables with a capital op and a text',
    body: patchOf({ op: 'Replace', path: 'active', value: 'False' }),
    after: { active: false },
    standing: 'suspend',
  },
  {
    ...of('entra', 'User', 'PATCH'),
    name: 'replaces many attributes, one by one',
    body: patchOf(
      { op: 'Replace', path: 'displayName', value: 'Shown' },
      { op: 'Replace', path: 'emails[type eq "work"].value', value: 'new@example.test' },
      { op: 'Replace', path: 'name.givenName', value: 'Other' },
      { op: 'Replace', path: EMPLOYEE, value: '4711' },
      { op: 'Add', path: `${ENTERPRISE_SCHEMA}:manager`, value: 'user-7' },
    ),
    after: {
      displayName: 'Shown',
      name: { givenName: 'Other', familyName: 'Family' },
      emails: [
        { value: 'new@example.test', type: 'work', primary: true },
        { value: 'home@example.test', type: 'home' },
      ],
      [ENTERPRISE_SCHEMA]: { department: 'Audit', employeeNumber: '4711', manager: { value: 'user-7' } },
    },
    standing: 'keep',
  },
  {
    ...of('entra', 'User', 'PATCH'),
    name: 'adds a telephone number where there is none of its type',
    body: patchOf({ op: 'Add', path: 'phoneNumbers[type eq "mobile"].value', value: '+49 1' }),
    after: { phoneNumbers: [{ type: 'mobile', value: '+49 1' }] },
    standing: 'keep',
  },
  {
    ...of('entra', 'User', 'PATCH'),
    name: 'wraps a single text in a list of one',
    body: patchOf({ op: 'Replace', path: 'title', value: [{ $ref: null, value: 'Lead' }] }),
    after: { title: 'Lead' },
    standing: 'keep',
  },
  {
    ...of('entra', 'Group', 'PATCH'),
    name: 'removes members by their values',
    body: patchOf({ op: 'Remove', path: 'members', value: [{ $ref: null, value: 'user-2' }] }),
    after: { members: [{ value: 'user-1' }, { value: 'user-3' }] },
    standing: 'keep',
  },
  {
    ...of('entra', 'Group', 'PATCH'),
    name: 'adds members, with the name of the operation in its oldest form',
    body: patchOf({ name: 'addMember', op: 'Add', path: 'members', value: [{ value: 'user-4' }, { value: 'user-1' }] }),
    after: { members: ['user-1', 'user-2', 'user-3', 'user-4'].map((value) => ({ value })) },
    standing: 'keep',
  },
  {
    ...of('entra', 'User', 'POST'),
    name: 'creates a person with roles whose primary is a text',
    body: {
      schemas: [USER_SCHEMA, ENTERPRISE_SCHEMA],
      externalId: 'ext-2',
      userName: 'two@example.test',
      active: true,
      emails: [{ primary: true, type: 'work', value: 'two@example.test' }],
      roles: [{ primary: 'True', value: 'auditor' }],
      meta: { resourceType: 'User' },
    },
    after: { externalId: 'ext-2', active: true, roles: [{ primary: true, value: 'auditor' }] },
    standing: 'reactivate',
  },
];

const ENTRA_COMPLIANT: readonly Shape[] = [
  {
    ...of('entra-compliant', 'User', 'PATCH'),
    name: 'disables with a boolean',
    body: patchOf({ op: 'replace', path: 'active', value: false }),
    after: { active: false },
    standing: 'suspend',
  },
  {
    ...of('entra-compliant', 'User', 'PATCH'),
    name: 'replaces many attributes in one object with points in its names',
    body: patchOf(
      { op: 'replace', path: 'emails[type eq "work"].value', value: 'new@example.test' },
      { op: 'replace', value: { displayName: 'Shown', 'name.givenName': 'Other', [EMPLOYEE]: '4711' } },
    ),
    after: {
      displayName: 'Shown',
      name: { givenName: 'Other', familyName: 'Family' },
      [ENTERPRISE_SCHEMA]: { department: 'Audit', employeeNumber: '4711', manager: { value: 'user-9' } },
    },
    standing: 'keep',
  },
  {
    ...of('entra-compliant', 'Group', 'PATCH'),
    name: 'removes a member by a filter',
    body: patchOf({ op: 'remove', path: 'members[value eq "user-2"]' }),
    after: { members: [{ value: 'user-1' }, { value: 'user-3' }] },
    standing: 'keep',
  },
];

const OKTA: readonly Shape[] = [
  {
    ...of('okta-wizard', 'User', 'PUT'),
    name: 'deactivates by sending the whole person',
    body: {
      schemas: [USER_SCHEMA],
      id: 'user-1',
      userName: 'one@example.test',
      name: { givenName: 'Given', middleName: '', familyName: 'Family' },
      emails: [{ primary: true, value: 'one@example.test', type: 'work', display: 'one@example.test' }],
      active: false,
      groups: [],
      meta: { resourceType: 'User' },
    },
    after: { active: false, name: { givenName: 'Given', familyName: 'Family' } },
    standing: 'suspend',
  },
  {
    ...of('okta-catalogue', 'User', 'PATCH'),
    name: 'deactivates without a path',
    body: patchOf({ op: 'replace', value: { active: false } }),
    after: { active: false },
    standing: 'suspend',
  },
  {
    ...of('okta-catalogue', 'Group', 'PATCH'),
    name: 'renames a group, whose id it repeats',
    body: patchOf({ op: 'replace', value: { id: 'group-1', displayName: 'Seniors' } }),
    after: { id: 'group-1', displayName: 'Seniors' },
    standing: 'keep',
  },
  {
    ...of('okta-catalogue', 'Group', 'PATCH'),
    name: 'removes one member and adds another, with the name to show',
    body: patchOf(
      { op: 'remove', path: 'members[value eq "user-1"]' },
      { op: 'add', path: 'members', value: [{ value: 'user-5', display: 'five@example.test' }] },
    ),
    after: { members: [{ value: 'user-2' }, { value: 'user-3' }, { value: 'user-5', display: 'five@example.test' }] },
    standing: 'keep',
  },
  {
    ...of('okta-wizard', 'User', 'POST'),
    name: 'creates a person with a password that is not kept',
    body: {
      schemas: [USER_SCHEMA],
      userName: 'two@example.test',
      name: { givenName: 'Given', familyName: 'Family' },
      emails: [{ primary: true, value: 'two@example.test', type: 'work' }],
      displayName: 'Shown',
      locale: 'en-US',
      externalId: '00u1',
      groups: [],
      password: 'never-kept',
      active: true,
    },
    after: { displayName: 'Shown', externalId: '00u1', active: true },
    standing: 'reactivate',
  },
];

export const SHAPES: readonly Shape[] = [...ENTRA, ...ENTRA_COMPLIANT, ...OKTA];
