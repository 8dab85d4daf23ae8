import { AppError, manualClock, systemRandom, uuidV4, type RouteContract, type Uuid } from '@auditrax/base';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asSuperuser } from '../../platform/audit/testing.ts';
import { countHoldings } from '../../platform/db/holdings.ts';
import type { InternalClient } from '../../platform/http/client.ts';
import type { Caller } from '../../platform/http/handler.ts';
import { createKey } from '../api-access/service.ts';
import type { GuardedFetch } from '../../platform/outward/guarded-fetch.ts';
import { keepArtifact } from '../authorisation-server/artifacts.ts';
import { registerClient } from '../authorisation-server/clients.ts';
import { giveGrant } from '../authorisation-server/grants.ts';
import { findSession } from '../identity/index.ts';
import * as identity from '../identity/service.ts';
import { createShredder, holderRoutes, ringDestroyer, shreddingRoutes } from '../keys/index.ts';
import { createSender } from '../signal-transmitter/index.ts';
import { createStream } from '../signal-transmitter/streams.ts';
import { certificateDigest } from './certificate.ts';
import * as deletion from './deletion.ts';
import type { DeletionDeps } from './deletion.ts';
import { FAILED_RETRY_MS, runDueDeletions, type DestructionDeps } from './deletion-run.ts';
import { everyTenant } from './queries.ts';
import { createTenant } from './service.ts';
import { deletionSubjects, moveSubjects } from './step-up-subjects.ts';
import { DELETION_EVENTS, DELETION_MACHINE, DELETION_STATES } from './states.ts';
import { type Enrolled, type SeededIssuer, startSeededIssuer } from './testing/seeded-issuer.ts';

const clock = manualClock(Date.now());
const STREAM_UPDATED = 'https://schemas.openid.net/secevent/ssf/event-type/stream-updated';
const withCode = (code: string) => expect.objectContaining({ code });
let house: SeededIssuer;
let deps: DestructionDeps;
let first: Caller;
let second: Caller;
/** Set by a test to cut a step off, as a kill would. */
let cut: ((operation: string) => void) | undefined;
/** What a receiver of shared signals was handed, and what could not be. */
const heard: { readonly events: Record<string, unknown>; readonly isClosed: boolean }[] = [];
const unsent: unknown[] = [];
const receiver: GuardedFetch = async (_url, init) => {
  const { events } = decodeJwt(String(init?.body));
  const [tenant] = await house.rows<{ closed_at: Date | null }>(
    `select closed_at from platform.tenant where slug = 'harbour'`,
  );
  heard.push({ events: events as Record<string, unknown>, isClosed: tenant!.closed_at !== null });
  return new Response(null, { status: 202 });
};

beforeAll(async () => {
  house = await startSeededIssuer(clock);
  first = await house.callerOf((await house.enrol('operator', 'operator')).cookie);
  second = await house.callerOf((await house.enrol('operator', 'operator')).cookie);
  deps = {
    ...house.deps,
    delayMs: deletion.DELETION_DELAY_MS,
    keysClient: house.vault.keysClient,
    shredder: createShredder(clientTo(house)),
    sender: createSender({ ...house.deps, fetch: receiver, onFailure: (error) => void unsent.push(error) }),
  };
});
afterAll(() => house?.stop());

/** The keys process and the workspace without a wire. */
function clientTo({ vault, otherSealer }: SeededIssuer): InternalClient {
  const rooms = [
    shreddingRoutes({ destroyKeks: (id) => ringDestroyer(vault.ring)(id), forgetSources: () => Promise.resolve(0) }),
    holderRoutes({ sealer: otherSealer }),
  ];
  const call = async (contract: RouteContract, request: { body?: unknown; requestId: string }) => {
    cut?.(contract.operation);
    const room = rooms.find((one) => Object.values(one.contract).includes(contract))!;
    const [name] = Object.entries(room.contract).find(([, one]) => one === contract)!;
    const body =
      contract.body === undefined || contract.body === 'stream' ? undefined : contract.body.parse(request.body);
    return room.handlers[name]!({ body, requestId: request.requestId } as never);
  };
  return { call: call as never };
}

const asks = (caller: Caller) => ({ caller, requestId: uuidV4(systemRandom) });

async function newTenant(slug: string): Promise<void> {
  await createTenant(house.deps, { slug, displayName: `The ${slug}`, kind: 'customer' }, uuidV4(systemRandom));
}

async function proposed(slug: string) {
  await newTenant(slug);
  return (await deletion.proposeDeletion(deps, asks(first), slug)).row;
}

async function confirmed(slug: string) {
  const { id } = await proposed(slug);
  return (await deletion.confirmDeletion(deps, asks(second), { id, slug })).row;
}

/** A program that somebody has allowed, with a refresh token that would live for two weeks. */
async function allowProgram(caller: Caller): Promise<void> {
  const context = caller.tenant;
  const stepUp = { assertionHash: 'A'.repeat(43), credentialId: 'credential' };
  const clientId = await registerClient(
    house.deps,
    { ...asks(caller), stepUp },
    {
      name: 'Ledger sync',
      kind: 'application',
      access: 'read',
      redirectUris: ['https://program.example/back'],
      publicKey: null,
      handsTo: [],
    },
  );
  const by = { actor: { service: 'issuer' } } as const;
  const grantId = await giveGrant(house.deps, context, {
    client: { id: clientId, revision: 1 },
    memberId: caller.personId,
    access: 'read',
    agents: [],
    by,
  });
  const at = { tenantId: context.tenantId, kind: 'refresh', value: 'r'.repeat(43) } as const;
  await keepArtifact(house.deps, at, { payload: { grantId }, seconds: 60 * 86_400, grantId });
  expect(await house.rows('select kind from identity.api_artifact')).toEqual([{ kind: 'refresh' }]);
}

/** A key of a person's own, good for longer than the deletion waits. */
async function makeKey(caller: Caller): Promise<void> {
  const stepUp = { assertionHash: 'A'.repeat(43), credentialId: 'credential' };
  await createKey(house.deps, { ...asks(caller), stepUp }, { name: 'Nightly export', scope: 'read', days: 90 });
}

/** A system of the organisation that is told of its people's access, and somebody's name for it. */
async function tellReceiver(caller: Caller): Promise<void> {
  const stepUp = { assertionHash: 'A'.repeat(43), credentialId: 'credential' };
  const sender = deps.sender;
  await createStream(
    { ...house.deps, sender },
    { ...asks(caller), stepUp },
    {
      name: 'Night watch',
      audience: '',
      topics: { sessions: true, accounts: true, passkeys: true },
      subjects: 'own',
      push: { url: 'https://receiver.example/events', token: 'harbour-secret' },
    },
  );
  expect(await house.rows('select state from identity.signal_key')).toEqual([{ state: 'now' }]);
}

const stateOf = async (slug: string) =>
  (await deletion.listDeletions(deps, first)).find(({ subject }) => subject.slug === slug)!.row;
const afterTheDelay = () => clock.advance(deletion.DELETION_DELAY_MS);

describe('T1: two different operators, and a delay', () => {
  it('what would be destroyed is counted and shown first', async () => {
    const { inventory, refused } = await deletion.previewDeletion(deps, asks(first), 'harbour');
    expect(inventory).toMatchObject({ people: 3, dataKeys: 2, keyEncryptionKeys: 1, engagements: 0, objectBytes: 0 });
    expect(refused).toBeNull();
  });

  it.each(['operator', 'canary-a', 'canary-b'])('%s cannot be deleted', async (slug) => {
    expect((await deletion.previewDeletion(deps, asks(first), slug)).refused).toMatch(/cannot be deleted/);
    await expect(deletion.proposeDeletion(deps, asks(first), slug)).rejects.toThrow(withCode('deletion_refused'));
  });

  it('who proposed cannot confirm, by service and by database', async () => {
    const { id } = await proposed('same-person');
    const again = deletion.confirmDeletion(deps, asks(first), { id, slug: 'same-person' });
    await expect(again).rejects.toThrow(withCode('deletion_same_person'));
    const forged = asSuperuser(
      house.database,
      `update app.tenant_deletion set state = 'confirmed', confirmed_by = proposed_by, confirmed_at = now(),
         due_at = now() + interval '1 day' where id = $1`,
      [id],
    );
    await expect(forged).rejects.toThrow(/deletion_two_people/);
    expect((await stateOf('same-person')).state).toBe('proposed');
  });

  it('what is confirmed with the passkey holds the proposal as the database has it, and changes with it', async () => {
    const { id } = await proposed('shown');
    const facts = () => {
      const question = { ...asks(second), ids: { deletionId: id }, input: {} };
      return deletionSubjects(deps)['tenants.confirm-deletion']!(question);
    };
    const before = await facts();
    expect(before).toMatchObject({
      name: 'The shown',
      state: 'proposed',
      proposedBy: first.personId,
      'destroys people': 0,
    });
    await deletion.confirmDeletion(deps, asks(second), { id, slug: 'shown' });
    expect(await facts()).toMatchObject({ state: 'confirmed' });
    await deletion.cancelDeletion(deps, asks(first), id);
    expect(await facts()).toEqual({ ...before, state: 'cancelled' });
    const unknown = { ...asks(second), ids: { deletionId: first.personId }, input: {} };
    await expect(deletionSubjects(deps)['tenants.confirm-deletion']!(unknown)).rejects.toThrow(withCode('not_found'));
    const moves = moveSubjects({ system: house.deps.system, placer: { regions: () => [] } as never });
    expect(await moves['tenants.move']!({ ...asks(first), ids: {}, input: { slug: 'shown' } })).toMatchObject({
      name: 'The shown',
      from: 'shared/home',
    });
  });

  it('another name typed, an unknown deletion, a second proposal and an old one are refused', async () => {
    const { id } = await proposed('mistyped');
    const confirm = (input: { id: typeof id; slug: string }) => deletion.confirmDeletion(deps, asks(second), input);
    await expect(confirm({ id, slug: 'lakeside' })).rejects.toThrow(withCode('deletion_refused'));
    await expect(confirm({ id: uuidV4(systemRandom), slug: 'mistyped' })).rejects.toThrow(withCode('not_found'));
    await expect(deletion.proposeDeletion(deps, asks(second), 'mistyped')).rejects.toThrow(withCode('deletion_open'));
    clock.advance(deletion.PROPOSAL_MS_MAX + 1);
    await expect(confirm({ id, slug: 'mistyped' })).rejects.toThrow(/too old/);
  });

  it('a suspended operator can do nothing with a token that still lives', async () => {
    const gone = { ...second, personId: uuidV4(systemRandom) };
    await newTenant('safe');
    await expect(deletion.proposeDeletion(deps, asks(gone), 'safe')).rejects.toThrow(withCode('operation_refused'));
  });

  it('before the delay is over nothing happens; cancelled, nothing ever does', async () => {
    const row = await confirmed('waiting');
    expect(row.due_at!.getTime() - row.confirmed_at!.getTime()).toBe(deletion.DELETION_DELAY_MS);
    clock.advance(deletion.DELETION_DELAY_MS - 1000);
    expect(await runDueDeletions(deps)).toBe(0);
    expect((await stateOf('waiting')).state).toBe('confirmed');
    await deletion.cancelDeletion(deps, asks(first), row.id);
    afterTheDelay();
    expect(await runDueDeletions(deps)).toBe(0);
    expect((await stateOf('waiting')).state).toBe('cancelled');
    const keys = await house.rows(
      `select 1 from app.dek k join platform.tenant t on t.id = k.tenant_id where t.slug = 'waiting' and k.state = 'ACTIVE'`,
    );
    expect(keys).toHaveLength(2);
    await expect(deletion.confirmDeletion(deps, asks(second), { id: row.id, slug: 'waiting' })).rejects.toThrow(
      withCode('deletion_refused'),
    );
    expect((await deletion.proposeDeletion(deps, asks(second), 'waiting')).row.state).toBe('proposed');
  });

  it('by the database as well, no destruction begins before it is due', async () => {
    const { id } = await confirmed('early');
    const forged = `update app.tenant_deletion set state = 'destroying', begun_at = due_at - interval '1 second' where id = $1`;
    await expect(asSuperuser(house.database, forged, [id])).rejects.toThrow(/deletion_not_early/);
    await deletion.cancelDeletion(deps, asks(first), id);
  });

  it('every event in every state has an answer', () => {
    for (const state of DELETION_STATES) {
      expect(Object.keys(DELETION_MACHINE[state]).sort()).toEqual([...DELETION_EVENTS].sort());
    }
    expect(() => deletion.nextState('destroying', 'cancel')).toThrow(withCode('deletion_refused'));
  });
});

describe('T2: the keys are gone, and the certificate says how that is known', () => {
  let lead: Enrolled;
  let certificate: Record<string, unknown>;
  let before: { id: Uuid; tenant_id: Uuid; purpose: 'fields'; wrapped: Buffer; kek_ref: string; commitment: Buffer }[];

  it('sessions end, keys are destroyed, canaries fail in every process', async () => {
    lead = await house.enrol('harbour', 'lead');
    before = await house.rows(
      `select k.tenant_id, k.id, k.purpose, k.wrapped, k.kek_ref, k.commitment from app.dek k join platform.tenant t on t.id = k.tenant_id
       where t.slug = 'harbour'`,
    );
    await allowProgram(await house.callerOf(lead.cookie));
    await makeKey(await house.callerOf(lead.cookie));
    await makeKey(await house.callerOf((await house.enrol('lakeside', 'auditor')).cookie));
    await tellReceiver(await house.callerOf(lead.cookie));
    const { id } = (await deletion.proposeDeletion(deps, asks(first), 'harbour')).row;
    await deletion.confirmDeletion(deps, asks(second), { id, slug: 'harbour' });
    afterTheDelay();
    expect(await runDueDeletions(deps)).toBe(1);

    const row = await stateOf('harbour');
    expect(row.state).toBe('destroyed');
    certificate = await deletion.readCertificate(deps, first, id);
    expect(certificate).toMatchObject({
      tenant: { slug: 'harbour' },
      proposed: { person: first.personId },
      confirmed: { person: second.personId },
      keyEncryptionKeys: [before[0]!.kek_ref],
      keysDestroyed: [before[0]!.kek_ref],
      canaries: [
        {
          purpose: 'fields',
          openedBefore: true,
          afterwards: { issuer: 'dek_not_usable', workspace: 'dek_not_usable' },
        },
        {
          purpose: 'objects',
          openedBefore: true,
          afterwards: { issuer: 'dek_not_usable', workspace: 'dek_not_usable' },
        },
      ],
    });
    const keys = certificate['dataKeys'] as { unwrapAfterwards: string; commitment: string }[];
    expect(keys.map((key) => key.unwrapAfterwards)).toEqual(['unwrap_refused', 'unwrap_refused']);
    expect(keys.map((key) => key.commitment).sort()).toEqual(
      before.map((key) => key.commitment.toString('hex')).sort(),
    );

    const after = await house.rows<{ wrapped: Buffer; state: string }>(
      `select k.wrapped, k.state from app.dek k join platform.tenant t on t.id = k.tenant_id where t.slug = 'harbour'`,
    );
    expect(after.every((key) => key.state === 'DESTROYED' && key.wrapped.equals(Buffer.alloc(48)))).toBe(true);
    expect(await findSession(house.deps, lead.cookie, { door: 'edge', requestId: 'r' })).toBeUndefined();
    expect(await house.rows(`select 1 from identity.session where closed_reason = 'tenant-deleted'`)).not.toEqual([]);
    expect(await house.rows('select ended_reason from identity.api_grant')).toEqual([
      { ended_reason: 'tenant-deleted' },
    ]);
    expect(await house.rows('select kind from identity.api_artifact')).toEqual([]);
    expect(await house.audited('api-grant.ended')).toHaveLength(1);
    expect(
      await house.rows(
        `select t.slug, k.ended_reason from identity.api_key k join platform.tenant t on t.id = k.tenant_id order by 1`,
      ),
    ).toEqual([
      { slug: 'harbour', ended_reason: 'tenant-deleted' },
      { slug: 'lakeside', ended_reason: null },
    ]);
    expect(await house.audited('api-key.ended')).toHaveLength(1);

    expect(heard).toEqual([
      { events: { [STREAM_UPDATED]: expect.objectContaining({ status: 'disabled' }) }, isClosed: false },
    ]);
    expect(unsent).toEqual([]);
    for (const table of ['signal_stream', 'signal_queue', 'signal_event', 'signal_key', 'signal_name'])
      expect(await house.rows(`select 1 from identity.${table}`), table).toEqual([]);
    expect(await house.audited('signal-key.forgotten')).toHaveLength(1);
  });

  it('the old wrapped bytes, put back from a copy, open nothing either', async () => {
    for (const { tenant_id: tenantId, id: dekId, purpose, wrapped, kek_ref: kekRef } of before) {
      const context = { tenantId, tenantPart: 0, requestId: 'r' };
      const attempt = house.vault.keysClient.unwrap(context, { purpose, dekId, version: 1 }, { kekRef, wrapped });
      await expect(attempt).rejects.toThrow(withCode('unwrap_refused'));
    }
    const kekId = before[0]!.kek_ref.slice('local:'.length) as Uuid;
    expect(() => house.vault.ring.kek(kekId)).toThrow(withCode('kek_unknown'));
  });

  it('the log holds its digest, the commitments and the errors', async () => {
    const [entry] = await house.audited('tenant.destroyed');
    const facts = entry!.leaf['public'] as Record<string, unknown>;
    expect(facts['certificate']).toBe(certificateDigest(certificate as never));
    expect(facts).toMatchObject({ slug: 'harbour', dataKeys: 2, errors: 'unwrap_refused' });
    expect(Object.keys(facts).filter((name) => name.startsWith('commitment_'))).toHaveLength(2);
    expect((await house.audited('key.destroyed')).length).toBe(2);
  });

  it('nobody signs in there again, no job runs for it, the house still starts, and seeding leaves it alone', async () => {
    const at = { door: 'edge' as const, requestId: uuidV4(systemRandom) };
    const { challengeId, options } = await identity.beginSignIn(house.deps, at);
    const response = lead.device.authenticate(options);
    await expect(identity.signInWithPasskey(house.deps, at, { challengeId, response })).rejects.toThrow();
    const live = await house.deps.system.system(everyTenant());
    const [tenant] = await house.rows<{ id: string }>(`select id from platform.tenant where slug = 'harbour'`);
    expect(live.map(({ id }) => id)).not.toContain(tenant!.id);
    const { kekRefs } = await countHoldings(house.database.connectionFor('superuser'));
    expect(kekRefs).not.toContain((certificate['keyEncryptionKeys'] as string[])[0]);
    expect((await house.reseed()).people.some(({ tenantSlug }) => tenantSlug === 'harbour')).toBe(false);
    await expect(deletion.proposeDeletion(deps, asks(first), 'harbour')).rejects.toThrow(withCode('tenant_closed'));
  });

  it('other tenants open as before', async () => {
    const lakeside = await house.enrol('lakeside', 'lead');
    expect(await findSession(house.deps, lakeside.cookie, { door: 'edge', requestId: 'r' })).toBeDefined();
  });
});

describe('T3: cut off anywhere, it goes on where it was', () => {
  it.each(['keys.destroy', 'keys.forget'])('before the answer of %s', async (operation) => {
    const slug = `cut-${operation.slice(5)}`;
    await confirmed(slug);
    afterTheDelay();
    cut = (asked) => {
      if (asked === operation) throw new AppError('service_unavailable', 'killed');
    };
    await expect(runDueDeletions(deps)).rejects.toThrow(withCode('service_unavailable'));
    cut = undefined;
    const cutOff = await stateOf(slug);
    expect(cutOff.state).toBe('destroying');
    await expect(deletion.cancelDeletion(deps, asks(first), cutOff.id)).rejects.toThrow(withCode('deletion_refused'));
    expect(await runDueDeletions(deps)).toBe(1);
    const { state, certificate } = await stateOf(slug);
    expect(state).toBe('destroyed');
    // What was seen before the cut is kept: afterwards the bytes are gone and would prove nothing.
    const keys = certificate!['dataKeys'] as { unwrapAfterwards: string }[];
    expect(keys.map((key) => key.unwrapAfterwards)).toEqual(['unwrap_refused', 'unwrap_refused']);
  });

  it('after the key is gone and before anybody has noted it', async () => {
    await confirmed('cut-between');
    afterTheDelay();
    const real = deps.keysClient;
    let isFirst = true;
    const killed = () => Promise.reject(new AppError('keys_unavailable', 'killed'));
    const cutting: DestructionDeps = {
      ...deps,
      keysClient: { unwrap: (...asked) => (isFirst ? ((isFirst = false), killed()) : real.unwrap(...asked)) },
    };
    await expect(runDueDeletions(cutting)).rejects.toThrow(withCode('keys_unavailable'));
    expect((await stateOf('cut-between')).state).toBe('destroying');
    expect(await runDueDeletions(cutting)).toBe(1);
    const { certificate } = await stateOf('cut-between');
    expect((certificate!['dataKeys'] as { unwrapAfterwards: string }[])[0]!.unwrapAfterwards).toBe('unwrap_refused');
  });
});

describe('T4: a canary that still opens is a failure, recorded as one, never a certificate', () => {
  it('a key that was not really destroyed is noticed before anything is overwritten', async () => {
    await confirmed('still-there');
    afterTheDelay();
    const real = deps.shredder;
    const lazy = { ...deps, shredder: { ...real, destroy: () => Promise.resolve({ destroyed: [], sources: 0 }) } };
    expect(await runDueDeletions(lazy)).toBe(0);
    const failed = await stateOf('still-there');
    expect([failed.state, failed.certificate]).toEqual(['failed', null]);
    expect(failed.evidence).toMatchObject({ stillOpen: ['fields', 'objects'] });
    expect((await house.audited('tenant.destruction-failed')).at(-1)).toMatchObject({ outcome: 'failed' });
    expect(await runDueDeletions(deps)).toBe(0);
    clock.advance(FAILED_RETRY_MS);
    expect(await runDueDeletions(deps)).toBe(1);
    expect((await stateOf('still-there')).state).toBe('destroyed');
  });

  it('a process that keeps its copy of the data keys is noticed', async () => {
    await confirmed('keeper');
    afterTheDelay();
    const keeper: DeletionDeps & DestructionDeps = {
      ...deps,
      shredder: {
        ...deps.shredder,
        forgetElsewhere: () => Promise.resolve({ fields: 'opened', objects: 'dek_not_usable' }),
      },
    };
    expect(await runDueDeletions(keeper)).toBe(0);
    expect((await stateOf('keeper')).evidence).toMatchObject({ stillOpen: ['fields'] });
    await expect(deletion.readCertificate(deps, first, (await stateOf('keeper')).id)).rejects.toThrow(
      withCode('deletion_no_certificate'),
    );
  });
});
