import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isAppError, type RouteContract } from '@auditrax/base';
import { afterAll, describe, expect, it } from 'vitest';
import { auditFromCall } from '../../platform/audit/index.ts';
import { decisionOf } from '../../platform/http/decisions.ts';
import type { Caller, Role } from '../../platform/http/handler.ts';
import { routes as identityRoutes } from '../identity/contract.ts';
import { deletionRoutes } from '../tenants/deletion-contract.ts';
import { placementRoutes } from '../tenants/placement-contract.ts';
import { routes as tenantsRoutes } from '../tenants/contract.ts';
import { routes as accessRoutes } from './contract.ts';
import { loadRoutePolicy } from './route-policy.ts';

const DOMAINS = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'policy-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const PERSON = '11111111-1111-4111-8111-111111111111';
const OTHER = '22222222-2222-4222-8222-222222222222';
const caller = (role: Role, change: Partial<Caller> = {}): Caller =>
  ({
    tenant: { tenantId: '99999999-9999-4999-8999-999999999999', tenantPart: 1, requestId: 'r' },
    tenantKind: role === 'operator' ? 'operator' : 'sample',
    personId: PERSON,
    role,
    sessionId: PERSON,
    method: 'passkey',
    door: 'edge',
    routeClass: 'privileged',
    tokenHash: 'h',
    ...change,
  }) as Caller;

function room(name: string, policy: string, schema?: string): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'policy.cedar'), policy);
  if (schema !== undefined) writeFileSync(join(path, 'policy.cedarschema'), schema);
  return join(path, 'policy.cedar');
}

const own = ['identity', 'access', 'tenants'].map((name) => join(DOMAINS, name, 'policy.cedar'));
const contracts: readonly RouteContract[] = [
  identityRoutes,
  accessRoutes,
  tenantsRoutes,
  deletionRoutes,
  placementRoutes,
].flatMap((routes) => Object.values(routes));
const operations = new Set(contracts.map(({ operation }) => operation as string));
const code = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return isAppError(error) ? error.code : String(error);
  }
  return 'no error';
};

describe('the role gate', () => {
  const policy = loadRoutePolicy(own, { operations });

  it('has a policy for every session route of these rooms, and none for unknown ones', () => {
    for (const { operation, access } of contracts)
      if (access.kind === 'session') expect(policy.has(operation), operation).toBe(true);
    expect(policy.has('nothing.known')).toBe(false);
    expect(policy.allows('nothing.known', caller('lead'))).toBe(false);
  });

  it('notes for the call which rules let it through, under which revision, and nothing where none did', () => {
    const who = caller('lead');
    expect(decisionOf(who)).toBeUndefined();
    policy.allows('access.invite', who);
    expect(decisionOf(who)).toEqual({ policies: ['access/manage-members'], revision: policy.hash });
    policy.allows('access.list-members', who);
    expect(decisionOf(who)?.policies).toEqual(['access/manage-members', 'access/see-members']);
    const denied = caller('client');
    policy.allows('access.invite', denied);
    expect(decisionOf(denied)).toBeUndefined();
    // The same decision from memory is noted for the next call as well.
    const next = caller('lead');
    policy.allows('access.invite', next);
    const { decision } = auditFromCall({ caller: next, requestId: 'r' });
    expect(decision).toEqual({ policies: ['access/manage-members'], revision: policy.hash });
  });

  it.each([
    ['access.list-members', 'lead auditor operator'],
    ['access.list-invitations', 'lead auditor operator'],
    ['access.invite', 'lead operator'],
    ['access.change-role', 'lead operator'],
    ['access.suspend-member', 'lead operator'],
    ['access.reinstate-member', 'lead operator'],
    ['access.step-up', 'lead auditor client operator'],
    ['tenants.list', 'operator'],
    ['identity.sign-out-everywhere', 'lead auditor client operator'],
    ['identity.add-passkey', 'lead auditor client operator'],
  ])('%s is for: %s', (operation, roles) => {
    const allowed = (['lead', 'auditor', 'client', 'operator'] as const).filter((role) =>
      policy.allows(operation, caller(role)),
    );
    expect(allowed.join(' ')).toBe(roles);
  });

  it('an operator role outside the operator’s tenant lists nothing', () => {
    expect(policy.allows('tenants.list', caller('operator', { tenantKind: 'sample' }))).toBe(false);
  });

  it.each(['link', 'canary'] as const)('a %s session neither confirms nor adds a passkey', (method) => {
    for (const operation of ['access.step-up', 'identity.add-passkey', 'identity.add-passkey-options']) {
      expect(policy.allows(operation, caller('lead', { method })), operation).toBe(false);
    }
  });
});

describe('a house without valid policies does not start', () => {
  it.each([
    [
      'an operation that no route has',
      '@id("a") permit(principal is Person, action == Action::"access.raed", resource is Tenant);',
    ],
    ['no @id', 'permit(principal is Person, action == Action::"access.invite", resource is Tenant);'],
    ['no action', '@id("a") permit(principal is Person, action, resource is Tenant);'],
    ['no resource type', '@id("a") permit(principal is Person, action == Action::"access.invite", resource);'],
    [
      'a row type that nobody declares',
      '@id("a") permit(principal is Person, action == Action::"access.invite", resource is Paper);',
    ],
    [
      'a misspelt attribute',
      '@id("a") permit(principal is Person, action == Action::"access.invite", resource is Tenant) when { principal.rolle == "lead" };',
    ],
  ])('%s', (name, text) => {
    expect(code(() => loadRoutePolicy([room(name.replaceAll(' ', '-'), text)], { operations }))).toBe('policy_invalid');
  });
});

describe('rows', () => {
  const file = room(
    'papers',
    `@id("gate") permit(principal is Person, action in [Action::"papers.read", Action::"papers.list"], resource is Tenant);
     @id("assigned") permit(principal is Person, action in [Action::"papers.read", Action::"papers.list"], resource is Paper)
       when { principal.role != "client" || resource.contacts.contains(principal) };
     @id("no-drafts-for-clients") forbid(principal is Person, action in [Action::"papers.read", Action::"papers.list"], resource is Paper)
       when { principal.role == "client" && resource.state == "draft" };`,
    'entity Paper = { state: String, contacts: Set<Person> };',
  );
  const policy = loadRoutePolicy([...own, file]);
  const paper = (contacts: string[], state = 'review') => ({
    type: 'Paper',
    id: OTHER,
    attributes: { state, contacts, title: 'ignored' },
  });

  it('a client contact sees only what they are assigned to, and no drafts', () => {
    expect(policy.decide('papers.read', caller('client'), paper([PERSON]))).toBe(true);
    expect(policy.decide('papers.read', caller('client'), paper([OTHER]))).toBe(false);
    expect(policy.decide('papers.read', caller('client'), paper([PERSON], 'draft'))).toBe(false);
    expect(policy.decide('papers.read', caller('auditor'), paper([], 'draft'))).toBe(true);
    expect(policy.decide('papers.unknown', caller('lead'), paper([]))).toBe(false);
  });

  it('the list’s filter binds the person and names the columns', () => {
    const filter = policy.filter('papers.list', caller('client'), {
      type: 'Paper',
      columns: { state: 'p.state', contacts: 'p.contact_ids' },
    });
    expect(filter.sql).toContain('p.contact_ids');
    expect(filter.sql).not.toContain(PERSON);
    expect(filter.parameters).toContain(PERSON);
  });

  it('the role gate and the row are two questions', () => {
    expect(policy.allows('papers.read', caller('client'))).toBe(true);
  });
});

describe('the whole house', () => {
  /** Every route contract that some file of the rooms exports. */
  async function allContracts(): Promise<RouteContract[]> {
    const found: RouteContract[] = [];
    for await (const path of glob('{domains,platform}/**/*contract.ts', { cwd: join(DOMAINS, '..') })) {
      const module = (await import(pathToFileURL(join(DOMAINS, '..', path)).href)) as Record<string, unknown>;
      for (const table of Object.values(module)) {
        if (typeof table !== 'object' || table === null) continue;
        found.push(
          ...(Object.values(table) as RouteContract[]).filter(
            (route) => typeof route?.operation === 'string' && 'access' in route,
          ),
        );
      }
    }
    return found;
  }

  it('names a policy for every session route, and no policy for an operation that does not exist', async () => {
    const all = await allContracts();
    const files: string[] = [];
    for await (const path of glob('*/policy.cedar', { cwd: DOMAINS })) files.push(join(DOMAINS, path));
    const policy = loadRoutePolicy(files, { operations: new Set(all.map(({ operation }) => operation)) });
    const bare = all.filter(({ access, operation }) => access.kind === 'session' && !policy.has(operation));
    expect(bare.map(({ operation }) => operation)).toEqual([]);
    expect(all.length).toBeGreaterThan(20);
  });
});
