import { isAppError, systemRandom } from '@auditrax/base';
import { describe, expect, it } from 'vitest';
import * as scim from './index.ts';
import { present, type Origin } from './present.ts';
import { KINDS, SCHEMAS, type Attribute } from './schema.ts';
import { kept, newUser, bytesOf, patch, patchOf, plain, USER } from './testing/world.ts';
import type { ScimResource } from './resource.ts';

const { ENTERPRISE_SCHEMA, readListQuery, SCIM_CHECKS } = scim;
const GRAMMAR: scim.Grammar = { kind: 'User', dialect: 'other' };
const BASE = 'https://house.test/scim/v2';
const ORIGIN: Origin = {
  kind: 'User',
  base: BASE,
  created: '2026-01-01T00:00:00Z',
  lastModified: '2026-01-02T00:00:00Z',
};

function code(work: () => unknown): string {
  try {
    work();
    return 'accepted';
  } catch (error) {
    if (!isAppError(error)) throw error;
    return error.code;
  }
}

const query = (text: string) => readListQuery(text, GRAMMAR);

describe('P24: paging', () => {
  it('begins at 1, has a bound, and takes what is too small for the smallest', () => {
    expect(query('')).toMatchObject({ startIndex: 1, count: 100, filter: undefined });
    expect(query('startIndex=1&count=2')).toMatchObject({ startIndex: 1, count: 2 });
    expect(query('startIndex=-5&count=-1')).toMatchObject({ startIndex: 1, count: 0 });
    expect(query('STARTINDEX=7&count=100000')).toMatchObject({ startIndex: 7, count: 200 });
    expect(query('count=0')).toMatchObject({ count: 0 });
    for (const text of [
      'startIndex=a',
      'count=',
      'count=1.5',
      'count=1e3',
      'startIndex=%201',
      'count=9999999999',
      'count=1&count=2',
      'count=1&Count=2',
      'filter=title%20pr&filter=title%20pr',
      `filter=${'x'.repeat(8192)}`,
    ])
      expect([text, code(() => query(text))]).toEqual([text, 'scim_query']);
  });

  it('says how many there are, and how many are here', () => {
    const page = (shown: number[], count: number) =>
      scim.listAnswer(shown, { total: 7, query: { startIndex: 3, count } });
    expect(page([1, 2], 2)).toEqual({
      schemas: ['urn:ietf:params:scim:api:messages:2.0:ListResponse'],
      totalResults: 7,
      startIndex: 3,
      itemsPerPage: 2,
      Resources: [1, 2],
    });
    expect(page([1, 2, 3], 2)).toMatchObject({ itemsPerPage: 2, Resources: [1, 2] });
    expect(page([], 0)).toMatchObject({ totalResults: 7, itemsPerPage: 0, Resources: [] });
  });

  it('reads the filter, and leaves what is not ours alone', () => {
    expect(query('filter=userName+eq+%22one%22&aadOptscim062020')).toMatchObject({
      filter: { kind: 'compare', key: 'one' },
    });
    expect(code(() => query('filter='))).toBe('scim_filter');
  });
});

describe('P25: sorting', () => {
  it('is refused, not ignored', () => {
    expect(code(() => query('sortBy=userName'))).toBe('scim_sort');
    expect(code(() => query('sortorder=descending'))).toBe('scim_sort');
  });
});

describe('P26: what an answer shows', () => {
  const shown = (text: string) => plain(present(USER, ORIGIN, scim.readSelection(text, GRAMMAR)));

  it('is all, with schemas of what is there, and meta', () => {
    expect(shown('')).toEqual({
      ...plain(USER),
      schemas: [scim.USER_SCHEMA, ENTERPRISE_SCHEMA],
      meta: {
        resourceType: 'User',
        created: ORIGIN.created,
        lastModified: ORIGIN.lastModified,
        location: `${BASE}/Users/user-1`,
        version: scim.entityTag(USER),
      },
    });
    expect(plain(present(kept({ id: 'a/../b?c', userName: 'x' }) as ScimResource, ORIGIN))).toMatchObject({
      schemas: [scim.USER_SCHEMA],
      meta: { location: `${BASE}/Users/a%2F..%2Fb%3Fc` },
    });
  });

  it('is only what is asked for, and always schemas and id', () => {
    expect(shown('attributes=USERNAME')).toEqual({
      schemas: [scim.USER_SCHEMA],
      id: 'user-1',
      userName: 'one@example.test',
    });
    expect(shown('attributes=name.givenName,emails.value,nothing')).toEqual({
      schemas: [scim.USER_SCHEMA],
      id: 'user-1',
      name: { givenName: 'Given' },
      emails: [{ value: 'one@example.test' }, { value: 'home@example.test' }],
    });
    expect(shown(`attributes=${ENTERPRISE_SCHEMA}:department`)).toEqual({
      schemas: [scim.USER_SCHEMA, ENTERPRISE_SCHEMA],
      id: 'user-1',
      [ENTERPRISE_SCHEMA]: { department: 'Audit' },
    });
    expect(shown(`attributes=${ENTERPRISE_SCHEMA}`)[ENTERPRISE_SCHEMA]).toEqual(plain(USER)[ENTERPRISE_SCHEMA]);
    expect(shown('attributes=__proto__')).toEqual({ schemas: [scim.USER_SCHEMA], id: 'user-1' });
  });

  it('is all but what is not wanted, and never without id', () => {
    const found = shown(`excludedAttributes=id,meta,emails,name.givenName,${ENTERPRISE_SCHEMA}`);
    expect(found).toEqual({
      schemas: [scim.USER_SCHEMA],
      id: 'user-1',
      externalId: 'ext-1',
      userName: 'one@example.test',
      name: { familyName: 'Family' },
      active: true,
    });
    expect(code(() => query('attributes=title&excludedAttributes=name'))).toBe('scim_query');
    expect(code(() => query(`attributes=${'a,'.repeat(65)}`))).toBe('scim_query');
  });
});

describe('P27: documents', () => {
  const names = (attributes: readonly Attribute[]): unknown[] =>
    attributes.map(({ name, subAttributes }) => [name, subAttributes === undefined ? undefined : names(subAttributes)]);

  it('publish the table that reads and writes', () => {
    const found = scim.schemas(BASE);
    expect(found.map(({ id }) => id)).toEqual(Object.values(SCHEMAS).map(({ id }) => id));
    for (const [index, { attributes }] of Object.values(SCHEMAS).entries())
      expect(names(found[index]!['attributes'] as Attribute[])).toEqual(names(attributes));
    for (const type of scim.resourceTypes(BASE)) {
      const { core, extensions } = KINDS[type['id'] as scim.ResourceKind];
      expect(type['schema']).toBe(core.id);
      expect(((type['schemaExtensions'] ?? []) as { schema: string }[]).map((each) => each.schema)).toEqual(
        [...extensions.values()].map((each) => each.schema.id),
      );
    }
  });

  it('have the characteristics that RFC 7643 7 asks for, one by one', () => {
    const users = scim.schema(BASE, scim.USER_SCHEMA.toUpperCase())!;
    const userName = (users['attributes'] as Attribute[]).find(({ name }) => name === 'userName');
    expect(userName).toEqual({
      name: 'userName',
      description: expect.any(String),
      type: 'string',
      multiValued: false,
      required: true,
      caseExact: false,
      mutability: 'readWrite',
      returned: 'default',
      uniqueness: 'server',
    });
    expect(users).toMatchObject({ meta: { resourceType: 'Schema', location: `${BASE}/Schemas/${scim.USER_SCHEMA}` } });
    expect(scim.schema(BASE, 'urn:x')).toBeUndefined();
    expect(JSON.stringify(scim.schemas(BASE))).not.toMatch(/password|x509/i);
  });
});

describe('P28: what is not supported', () => {
  it('is said in ServiceProviderConfig, and refused', () => {
    expect(scim.serviceProviderConfig(BASE)).toMatchObject({
      bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
      sort: { supported: false },
      changePassword: { supported: false },
      patch: { supported: true },
      etag: { supported: true },
      filter: { supported: true, maxResults: scim.COUNT_MAX },
    });
    expect(scim.scimError(scim.refusal('scim_bulk'))).toMatchObject({ status: 501, body: { status: '501' } });
  });
});

describe('P29: versions', () => {
  it('are made of the content, and of nothing else', () => {
    const reordered = kept(Object.fromEntries(Object.entries(plain(USER)).toReversed())) as ScimResource;
    expect(scim.entityTag(reordered)).toBe(scim.entityTag(USER));
    expect(scim.entityTag(scim.withMeta(USER, ORIGIN))).toBe(scim.entityTag(USER));
    expect(scim.entityTag(USER)).toMatch(/^W\/"[A-Za-z0-9_-]{22}"$/);
    const changed = patch(patchOf({ op: 'replace', path: 'title', value: 'x' }));
    expect(changed.kind === 'accepted' && scim.entityTag(changed.resource)).not.toBe(scim.entityTag(USER));
  });

  it('are compared weakly, and nonsense is refused', () => {
    const tag = scim.entityTag(USER);
    expect(scim.namesTag(tag, tag)).toBe(true);
    expect(scim.namesTag(tag.slice(2), tag)).toBe(true);
    expect(scim.namesTag(`"a", ${tag}`, tag)).toBe(true);
    expect(scim.namesTag(' * ', tag)).toBe(true);
    expect(scim.namesTag('"a"', tag)).toBe(false);
    for (const header of [
      '',
      'abc',
      'W/abc',
      '"a" "b"',
      '*, "a"',
      ',',
      `"${'x'.repeat(1024)}"`,
      Array.from({ length: 17 }, () => '"a"').join(','),
    ])
      expect([header, code(() => scim.namesTag(header, tag))]).toEqual([header, 'scim_version_header']);
  });
});

describe('P30: errors', () => {
  it('have SCIM’s form, for every code', () => {
    const TYPES = [
      'invalidFilter',
      'tooMany',
      'uniqueness',
      'mutability',
      'invalidSyntax',
      'invalidPath',
      'noTarget',
      'invalidValue',
      'invalidVers',
      'sensitive',
      undefined,
    ];
    for (const each of Object.keys(SCIM_CHECKS) as scim.ScimCode[]) {
      const { status, body } = scim.scimError(scim.refusal(each));
      expect(body.schemas).toEqual(['urn:ietf:params:scim:api:messages:2.0:Error']);
      expect(body.status).toBe(String(status));
      expect(TYPES).toContain(body.scimType);
      expect(body.detail.length).toBeGreaterThan(10);
    }
    expect(scim.scimError(scim.refusal('scim_taken'))).toMatchObject({ status: 409, body: { scimType: 'uniqueness' } });
    expect(scim.scimError(scim.refusal('scim_not_found'))).toMatchObject({ status: 404 });
    expect(scim.scimError(scim.refusal('scim_filter'))).toMatchObject({
      status: 400,
      body: { scimType: 'invalidFilter' },
    });
  });

  it('name the place, bounded and on one line, and never a value', () => {
    const verdict = scim.createResource({ ...GRAMMAR, body: bytesOf(newUser({ displayName: { secret: 'secret' } })) });
    if (verdict.kind === 'accepted') throw new Error('accepted');
    expect(scim.scimError(verdict.error).body.detail).toBe(
      'A value is of another type than its attribute. At "displayName".',
    );
    expect(JSON.stringify([verdict.error.message, scim.scimError(verdict.error)])).not.toContain('secret');
    const long = patch(patchOf({ op: 'add', path: `\n${'x'.repeat(900)}`, value: 1 }));
    if (long.kind === 'accepted') throw new Error('accepted');
    expect(scim.scimError(long.error).body.detail.length).toBeLessThan(250);
    expect(long.error.message).not.toContain('\n');
  });
});

describe('P31: the token', () => {
  it('is 256 random bits, kept as a hash, and found by it', () => {
    const { token, hash } = scim.newToken(systemRandom);
    expect(token).toMatch(/^scim_[A-Za-z0-9_-]{43}$/);
    expect(hash).toHaveLength(32);
    expect(scim.bearerHash(`Bearer ${token}`)).toEqual(hash);
    expect(scim.bearerHash(`bearer ${token}`)).toEqual(scim.tokenHash(token));
    expect(scim.newToken(systemRandom).token).not.toBe(token);
  });

  it('is refused in every other form, without a word of it', () => {
    const { token } = scim.newToken(systemRandom);
    const bad = [
      undefined,
      '',
      token,
      'Bearer',
      `Basic ${token}`,
      `Bearer  ${token}`,
      `Bearer ${token} `,
      `Bearer ${token}x`,
      `Bearer ${token.slice(0, -1)}`,
      `Bearer ${token},${token}`,
      `Bearer ${token}\n`,
    ];
    for (const header of bad) expect([header, code(() => scim.bearerHash(header))]).toEqual([header, 'scim_token']);
    expect(() => scim.bearerHash(`Bearer ${token}x`)).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining(token) }),
    );
  });
});
