/** A kind of resource that this server has. */
export type ResourceKind = 'User' | 'Group';

export const USER_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:User';
export const GROUP_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:Group';
export const ENTERPRISE_SCHEMA = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';

/** One attribute, with the characteristics of RFC 7643 2.2; the published Schemas document is made of these. */
export interface Attribute {
  readonly name: string;
  readonly type: 'string' | 'boolean' | 'reference' | 'dateTime' | 'complex';
  readonly description: string;
  readonly multiValued: boolean;
  readonly required: boolean;
  readonly caseExact: boolean;
  readonly mutability: 'readOnly' | 'readWrite' | 'immutable';
  readonly returned: 'always' | 'default';
  readonly uniqueness: 'none' | 'server';
  readonly referenceTypes?: readonly string[];
  readonly canonicalValues?: readonly string[];
  readonly subAttributes?: readonly Attribute[];
}

type Details = Partial<Omit<Attribute, 'name' | 'description'>>;

function attribute(name: string, description: string, details: Details = {}): Attribute {
  return {
    name,
    description,
    type: 'string',
    multiValued: false,
    required: false,
    caseExact: false,
    mutability: 'readWrite',
    returned: 'default',
    uniqueness: 'none',
    ...details,
  };
}

const READ_ONLY = { mutability: 'readOnly' } as const;

const complex = (name: string, description: string, subAttributes: readonly Attribute[]): Attribute =>
  attribute(name, description, { type: 'complex', subAttributes });

/** A list of values with the sub-attributes that RFC 7643 2.4 names. */
function list(name: string, description: string, types: readonly string[] = []): Attribute {
  const canonicalValues = types.length === 0 ? {} : { canonicalValues: types };
  return attribute(name, description, {
    type: 'complex',
    multiValued: true,
    subAttributes: [
      attribute('value', 'The value itself.'),
      attribute('display', 'How the value is shown.'),
      attribute('type', 'What the value is used for.', canonicalValues),
      attribute('primary', 'Whether this value is preferred; true at most once.', { type: 'boolean' }),
    ],
  });
}

const ADDRESSES: Attribute = attribute('addresses', 'Postal addresses.', {
  type: 'complex',
  multiValued: true,
  subAttributes: [
    attribute('formatted', 'The whole address, with line breaks.'),
    attribute('streetAddress', 'Street and number, with line breaks.'),
    attribute('locality', 'City or locality.'),
    attribute('region', 'State or region.'),
    attribute('postalCode', 'Postal code.'),
    attribute('country', 'Country.'),
    attribute('type', 'What the address is used for.', { canonicalValues: ['work', 'home', 'other'] }),
    attribute('primary', 'Whether this address is preferred; true at most once.', { type: 'boolean' }),
  ],
});

const USER: readonly Attribute[] = [
  attribute('userName', 'What the person is called at the provider; unique without regard to case.', {
    required: true,
    uniqueness: 'server',
  }),
  complex('name', 'The parts of the name.', [
    attribute('formatted', 'The whole name.'),
    attribute('familyName', 'Family name.'),
    attribute('givenName', 'Given name.'),
    attribute('middleName', 'Middle names.'),
    attribute('honorificPrefix', 'Title before the name.'),
    attribute('honorificSuffix', 'What follows the name.'),
  ]),
  attribute('displayName', 'The name that is shown.'),
  attribute('nickName', 'Casual name.'),
  attribute('profileUrl', 'A page about the person.', { type: 'reference', referenceTypes: ['external'] }),
  attribute('title', 'Title at work.'),
  attribute('userType', 'How the person relates to the organisation.'),
  attribute('preferredLanguage', 'Language, as in Accept-Language.'),
  attribute('locale', 'Where dates and numbers take their form from.'),
  attribute('timezone', 'Time zone by its IANA name.'),
  attribute('active', 'Whether the person may work here. False suspends.', { type: 'boolean' }),
  list('emails', 'E-mail addresses; shown, never used to find a person.', ['work', 'home', 'other']),
  list('phoneNumbers', 'Telephone numbers.', ['work', 'home', 'mobile', 'fax', 'pager', 'other']),
  list('ims', 'Addresses of instant messengers.'),
  list('photos', 'Addresses of pictures.', ['photo', 'thumbnail']),
  ADDRESSES,
  attribute('groups', 'Groups that the person belongs to; changed through the groups.', {
    type: 'complex',
    multiValued: true,
    ...READ_ONLY,
    subAttributes: [
      attribute('value', 'Id of the group.', { ...READ_ONLY, caseExact: true }),
      attribute('display', 'Name of the group.', READ_ONLY),
    ],
  }),
  list('entitlements', 'What the person is entitled to, in the provider’s words.'),
  list('roles', 'What the person does, in the provider’s words.'),
];

const GROUP: readonly Attribute[] = [
  attribute('displayName', 'The name of the group.', { required: true }),
  attribute('members', 'Who belongs to the group.', {
    type: 'complex',
    multiValued: true,
    subAttributes: [
      attribute('value', 'Id of the member.', { caseExact: true, mutability: 'immutable' }),
      attribute('type', 'Kind of the member.', { mutability: 'immutable', canonicalValues: ['User', 'Group'] }),
      attribute('display', 'Name of the member.', { mutability: 'immutable' }),
    ],
  }),
];

const ENTERPRISE: readonly Attribute[] = [
  attribute('employeeNumber', 'Number within the organisation.'),
  attribute('costCenter', 'Cost centre.'),
  attribute('organization', 'Organisation.'),
  attribute('division', 'Division.'),
  attribute('department', 'Department.'),
  complex('manager', 'The person’s manager.', [
    attribute('value', 'Id of the manager.', { caseExact: true }),
    attribute('displayName', 'Name of the manager.', READ_ONLY),
  ]),
];

/** Of every resource; the published schemas leave these out, as RFC 7643 3.1 has it. */
const COMMON: readonly Attribute[] = [
  attribute('id', 'Given by this server.', { ...READ_ONLY, caseExact: true, returned: 'always', uniqueness: 'server' }),
  attribute('externalId', 'The provider’s own id.', { caseExact: true }),
  attribute('meta', 'About the resource.', {
    type: 'complex',
    ...READ_ONLY,
    subAttributes: [
      attribute('resourceType', 'Kind of resource.', { ...READ_ONLY, caseExact: true }),
      attribute('created', 'When it was made.', { ...READ_ONLY, type: 'dateTime' }),
      attribute('lastModified', 'When it last changed.', { ...READ_ONLY, type: 'dateTime' }),
      attribute('location', 'Its address.', { ...READ_ONLY, type: 'reference', caseExact: true }),
      attribute('version', 'Its version.', { ...READ_ONLY, caseExact: true }),
    ],
  }),
];

/** A schema with its published name and attributes. */
export interface Schema {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly attributes: readonly Attribute[];
}

export const SCHEMAS = {
  User: { id: USER_SCHEMA, name: 'User', description: 'A person.', attributes: USER },
  Group: { id: GROUP_SCHEMA, name: 'Group', description: 'A group of people.', attributes: GROUP },
  EnterpriseUser: {
    id: ENTERPRISE_SCHEMA,
    name: 'EnterpriseUser',
    description: 'A person within an organisation.',
    attributes: ENTERPRISE,
  },
} as const satisfies Readonly<Record<string, Schema>>;

/** Known to the RFC, never kept here: secrets and certificates of people are not ours to hold. */
const NOT_KEPT: ReadonlySet<string> = new Set(['password', 'x509certificates']);
export const isNotKept = (name: string): boolean => NOT_KEPT.has(name.toLowerCase());

/** Attributes by their name in small letters; what is not in a table does not exist. */
export type AttributeTable = ReadonlyMap<string, Attribute>;

const tableOf = (attributes: readonly Attribute[]): AttributeTable =>
  new Map(attributes.map((each) => [each.name.toLowerCase(), each]));

const SUB_TABLES = new Map<Attribute, AttributeTable>();

/** Sub-attributes by name; empty for a simple attribute. */
export function subAttributesOf(parent: Attribute): AttributeTable {
  const known = SUB_TABLES.get(parent);
  if (known !== undefined) return known;
  const made = tableOf(parent.subAttributes ?? []);
  SUB_TABLES.set(parent, made);
  return made;
}

/** What a kind of resource is made of. */
export interface Kind {
  readonly core: Schema;
  /** Core and common attributes. */
  readonly attributes: AttributeTable;
  /** Extension by its name in small letters. */
  readonly extensions: ReadonlyMap<string, { readonly schema: Schema; readonly attributes: AttributeTable }>;
}

export const KINDS: Readonly<Record<ResourceKind, Kind>> = {
  User: {
    core: SCHEMAS.User,
    attributes: tableOf([...COMMON, ...USER]),
    extensions: new Map([
      [ENTERPRISE_SCHEMA.toLowerCase(), { schema: SCHEMAS.EnterpriseUser, attributes: tableOf(ENTERPRISE) }],
    ]),
  },
  Group: { core: SCHEMAS.Group, attributes: tableOf([...COMMON, ...GROUP]), extensions: new Map() },
};
