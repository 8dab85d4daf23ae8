import { manualClock, systemRandom, uuidV4, type Json, type Uuid } from '@auditrax/base';
import { hideSecrets, secretsOfRoute } from '@auditrax/base/secret';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApprovalKeeping, Caller, Handler, StepUp } from '../../platform/http/handler.ts';
import { type SeededIssuer, startSeededIssuer } from '../tenants/testing/seeded-issuer.ts';
import { routes, type ConnectionDetail } from './contract.ts';
import { connectionsRoutes } from './index.ts';
import { NOBODY, oidc } from './testing/asking.ts';

const clock = manualClock(Date.now());
let house: SeededIssuer;
let lead: Caller;
let handlers: Readonly<Record<string, Handler<never>>>;
const confirmed: { readonly action: Json; readonly keeping: ApprovalKeeping | undefined }[] = [];

beforeAll(async () => {
  house = await startSeededIssuer(clock);
  lead = await house.callerOf((await house.enrol('harbour', 'lead')).cookie);
  const fetch = () => Promise.reject(new Error('nobody is dialled here'));
  handlers = connectionsRoutes({ ...house.deps, fetch }).handlers;
});
afterAll(() => house?.stop());

type Asked = Readonly<{ params?: object; body?: object; ids?: Record<string, Uuid> }>;

/** Calls a route as the service does after its gates; `stepUp` stands for the verifier and keeps what it was asked. */
async function call<Body>(name: string, asked: Asked, stepUp?: () => Promise<StepUp>): Promise<Body> {
  const given = {
    requestId: uuidV4(systemRandom),
    caller: lead,
    params: {},
    ids: {},
    ...asked,
    stepUp: async (action: Json, keeping?: ApprovalKeeping): Promise<StepUp> => {
      confirmed.push({ action, keeping });
      return stepUp?.() ?? { assertionHash: 'assertion', credentialId: 'credential' };
    },
  };
  return ((await handlers[name]!(given as never)) as { body: Body }).body;
}

async function begun(): Promise<{ id: Uuid; at: Asked }> {
  const body = { kind: 'oidc', profile: 'other', name: 'Harbour' };
  const { id: tagged } = await call<{ id: string }>('create', { body });
  const [row] = await house.rows<{ id: Uuid }>('select id from identity.connection order by id desc limit 1');
  return { id: row!.id, at: { params: { connectionId: tagged }, ids: { 'params.connectionId': row!.id } } };
}
const settings = { version: 1, name: 'Harbour', justInTime: NOBODY, values: oidc, certificates: [] };

describe('routes of connections', () => {
  it('tell no secret, whatever was stored', async () => {
    const { at } = await begun();
    await call('change', { ...at, body: settings });
    const read = await call<ConnectionDetail>('read', at);
    expect(read).toMatchObject({ complete: true, tested: false, values: { issuer: oidc.issuer } });
    const text = JSON.stringify([read, await call('list', {})]);
    expect(text).not.toContain(oidc.secret);
    expect(text).not.toContain('PRIVATE KEY');
    await call('remove', { ...at, body: {} });
  });

  it('say where the secret stands in what is approved, and show what the database says', async () => {
    const { at } = await begun();
    confirmed.length = 0;
    await call('change', { ...at, body: settings });
    await call('mapGroups', { ...at, body: { groups: [] } });
    await call('remove', { ...at, body: {} });
    const places = secretsOfRoute(routes.change);
    const hidden = confirmed.map(({ action }) => hideSecrets((action as { input: Json }).input, places).hidden);
    expect(hidden).toEqual([['values.secret'], [], []]);
    expect(confirmed[0]!.action).toMatchObject({
      operation: 'connections.change',
      input: { ...at.params, version: 1 },
    });
    expect(confirmed[2]!.action).toMatchObject({ subject: { name: 'Harbour', state: 'draft', version: 2 } });
  });

  it('do nothing when the confirmation is refused', async () => {
    const { id, at } = await begun();
    const refuse = () => Promise.reject(new Error('refused'));
    const deeds: [string, object][] = [
      ['change', settings],
      ['turn', { to: 'active' }],
      ['mapGroups', { groups: [{ group: 'a', name: null, role: 'lead' }] }],
      ['remove', {}],
    ];
    for (const [name, body] of deeds) await expect(call(name, { ...at, body }, refuse)).rejects.toThrow('refused');
    await expect(call('create', { body: { kind: 'oidc', profile: 'okta', name: 'x' } }, refuse)).rejects.toThrow();
    const rows = await house.rows<{ id: Uuid; version: number }>('select id, version from identity.connection');
    expect(rows).toEqual([{ id, version: 1 }]);
    expect(await call<ConnectionDetail>('read', at)).toMatchObject({ state: 'draft', groupMap: [] });
    await call('remove', { ...at, body: {} });
  });
});
