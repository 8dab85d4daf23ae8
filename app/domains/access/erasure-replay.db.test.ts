// A database that is put back as it was before an erasure: files of a real server, copied while it was down.
import { execFileSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';
import { manualClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countPersonal, openDisclosures } from '../../platform/audit/index.ts';
import { setBeat } from '../../platform/audit/testing.ts';
import { findTenant } from '../identity/index.ts';
import { mintToken } from '../identity/token-mint.ts';
import { type Enrolled, type SeededIssuer, startSeededIssuer } from '../tenants/testing/seeded-issuer.ts';
import { createErasureReplay } from './erasure-replay.ts';
import { eraseMember } from './erasing.ts';
import * as access from './service.ts';

const clock = manualClock(Date.now());
let house: SeededIssuer;
let lead: Enrolled;
let context: Awaited<ReturnType<SeededIssuer['callerOf']>>['tenant'];

beforeAll(async () => {
  house = await startSeededIssuer(clock);
  lead = await house.enrol('harbour', 'lead');
  context = (await house.callerOf(lead.cookie)).tenant;
});
afterAll(() => house?.stop());

const PERSON = { label: 'Goes away', role: 'auditor', name: 'Nobody N. Example' } as const;

const asked = async () => ({
  caller: await house.callerOf(lead.cookie),
  requestId: uuidV4(systemRandom),
  stepUp: { assertionHash: 'a'.repeat(43) } as never,
});

const copyOf = (folder: string) => `${folder}.copy`;
const dataFolder = () => house.database.launched.dataDirectory;

/** Stops the server at once, does something with its files, and starts it again on whatever lies there then. */
async function whileDown(work: (folder: string) => void): Promise<void> {
  const folder = dataFolder();
  await house.rows('checkpoint'); // the test's server does not wait for its log otherwise
  await house.database.crash();
  work(folder);
  await house.database.startAgain();
  await setBeat(house.database, 'running');
}

const takeCopy = () => whileDown((folder) => execFileSync('cp', ['-a', folder, copyOf(folder)]));
const putBack = () =>
  whileDown((folder) => {
    rmSync(folder, { recursive: true });
    renameSync(copyOf(folder), folder);
  });

/** The pool's connections died with the server: the first answers after it say so. */
async function settled<T>(ask: () => Promise<T>): Promise<T> {
  for (let left = 40; ; left -= 1) {
    try {
      return await ask();
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function valuesOf(memberId: Uuid): Promise<(string | null)[]> {
  const [row] = await house.rows<{ entry_id: Uuid }>(
    'select entry_id from audit.disclosure where subject = $1 limit 1',
    [memberId],
  );
  // The issuer reads no sealed value: what a reader of the workspace would get is opened from the rows as they lie there.
  const sealed = await house.rows<{ digest: string; sealed: Buffer; subject: Uuid | null }>(
    'select digest, sealed, subject from audit.disclosure where entry_id = $1',
    [row!.entry_id],
  );
  const [key] = await house.rows<{ sealed: Buffer }>('select sealed from audit.subject_key where subject = $1', [
    memberId,
  ]);
  const answers = new Map<boolean, unknown[]>([
    [true, sealed],
    [false, [{ sealed: key?.sealed ?? null, erased: key === undefined }]],
  ]);
  const door = {
    scoped: async (_context: unknown, { sql }: { sql: string }) =>
      sql.includes('audit.entry') ? [] : answers.get(sql.includes('d.sealed'))!,
  };
  const found = await openDisclosures(
    { door: door as never, ring: house.otherSealer as never },
    context,
    row!.entry_id,
  );
  return found.map(({ text }) => (text === null ? null : JSON.parse(Buffer.from(text, 'base64url').toString())[2]));
}

const replayOf = (failures: unknown[] = []) =>
  createErasureReplay({
    ...house.deps,
    register: house.register,
    tenantOf: async (tenantId) => (await findTenant(house.deps, tenantId, 'r-1'))?.context,
    onFailure: (error) => failures.push(error),
  });
const nameOnList = async (memberId: Uuid) =>
  (await access.listMembers(house.deps, await house.callerOf(lead.cookie))).find(({ id }) => id === memberId);

describe('a database that is put back', () => {
  let memberId: Uuid;

  it('brings an erased person back, whom the replay erases again before anybody gets a token', async () => {
    memberId = (await access.invite(house.deps, await asked(), PERSON)).invitation.member_id;
    await takeCopy();
    await settled(() => house.callerOf(lead.cookie));
    const body = { memberId, name: PERSON.label, ground: 'request' };
    await access.suspendMember(house.deps, await asked(), memberId);
    await eraseMember(house.deps, await asked(), body);
    expect(house.register.has(context.tenantId, memberId)).toBe(true);
    expect(await valuesOf(memberId)).toEqual([null, null]);

    await putBack();
    await settled(() => house.callerOf(lead.cookie));
    // What would be read without the replay: the control of this test.
    expect((await valuesOf(memberId)).sort()).toEqual([PERSON.label, PERSON.name].sort());
    expect(await nameOnList(memberId)).toMatchObject({ label: PERSON.label, state: 'invited' });

    const replay = replayOf();
    expect(replay.holds(context.tenantId)).toBe(true);
    await replay.look();
    expect([replay.holds(context.tenantId), replay.held()]).toEqual([true, 1]);
    const mint = mintToken(
      { ...house.deps, heldBack: replay.holds },
      { cookie: lead.cookie, door: 'edge', destination: 'workspace', routeClass: 'read', operation: 'test.read' },
      'request-1',
    );
    await expect(mint).rejects.toMatchObject({ code: 'erasures_outstanding' });

    expect(await replay.repeat()).toBe(1);
    expect(replay.holds(context.tenantId)).toBe(false);
    expect(await valuesOf(memberId)).toEqual([null, null]);
    expect(await nameOnList(memberId)).toMatchObject({ label: 'Erased person', state: 'suspended' });
    const [entry] = await house.audited('person.erased');
    expect(entry).toMatchObject({
      resource_id: memberId,
      leaf: { actor: ['service', 'issuer'], public: { ground: 'restored', values: 2 } },
    });
    expect(await countPersonal(house.deps.tenant, context, memberId)).toBe(2);
    const again = replayOf();
    await again.look();
    expect([again.held(), await again.repeat()]).toEqual([0, 0]);
  });

  it('stays held while the log does not run, and is let go when it does', async () => {
    const gone = { tenantId: context.tenantId, subject: uuidV4(systemRandom), at: clock.nowMs() };
    house.register.add(gone);
    const failures: unknown[] = [];
    const replay = replayOf(failures);
    await setBeat(house.database, 'stopped');
    expect([await replay.repeat(), replay.held(), failures.length]).toEqual([0, 1, 1]);
    await setBeat(house.database, 'running');
    expect([await replay.repeat(), replay.held()]).toEqual([1, 0]);
  });

  it('knows an erasure that its process never wrote down: the register learns of it', async () => {
    const subject = uuidV4(systemRandom);
    await house.rows('alter table audit.erased_subject disable trigger user');
    await house.rows('insert into audit.erased_subject (tenant_id, subject) values ($1, $2)', [
      context.tenantId,
      subject,
    ]);
    await house.rows('alter table audit.erased_subject enable trigger user');
    const replay = replayOf();
    await replay.complete(context);
    expect(house.register.has(context.tenantId, subject)).toBe(false); // held: what came back is not believed
    await replay.look();
    await replay.complete(context);
    expect(house.register.has(context.tenantId, subject)).toBe(true);
  });

  it('a tenant that is gone holds nobody', async () => {
    house.register.add({ tenantId: uuidV4(systemRandom), subject: uuidV4(systemRandom), at: 1 });
    const replay = replayOf();
    await replay.look();
    expect(replay.held()).toBe(0);
  });
});
