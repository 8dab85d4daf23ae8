import { Client } from 'pg';
import type { Uuid } from '@auditrax/base';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  clearSource,
  relocate,
  type RelocationInput,
  type RelocationProof,
  type RelocationStage,
} from './relocation.ts';
import { startTestDatabase, type TestDatabase } from './testing.ts';

const TENANT = '11111111-1111-4111-8111-111111111111' as Uuid;
const OTHER = '22222222-2222-4222-8222-222222222222' as Uuid;
/** More than one batch, so that carrying in pieces is tried. */
const ROWS = 450;

let source: TestDatabase;
let target: TestDatabase;
let here: Client;
let there: Client;

async function superuser(database: TestDatabase): Promise<Client> {
  const client = new Client(database.connectionFor('superuser'));
  await client.connect();
  await client.query('set session_replication_role = replica');
  return client;
}

const addKey = (client: Client, tenant: Uuid, version: number): Promise<unknown> =>
  client.query(
    `insert into app.dek (tenant_id, id, purpose, version, kek_ref, wrapped, commitment, state, created_at, not_after)
     values ($1, gen_random_uuid(), 'fields', $2, 'local:1', $3, sha256($3), 'DECRYPT_ONLY', now(), now() + interval '1 day')`,
    [tenant, version, Buffer.alloc(60, version % 251)],
  );

const addEntry = (client: Client, tenant: Uuid, index: number): Promise<unknown> =>
  client.query(
    `with made as (
       insert into audit.entry (tenant_id, id, xid, writer, leaf, type, resource_kind, resource_id, outcome, occurred_ms)
       values ($1, gen_random_uuid(), pg_current_xact_id(), 'ax_workspace', '{"a":1}', 'x.y', 'dek', gen_random_uuid(), 'allowed', $2)
       returning tenant_id, id, leaf_hash)
     insert into audit.log_index (tenant_id, generation, idx, entry_id, leaf_hash) select tenant_id, 1, $2, id, leaf_hash from made`,
    [tenant, index],
  );

beforeAll(async () => {
  [source, target] = await Promise.all([startTestDatabase(), startTestDatabase()]);
  here = await superuser(source);
  there = await superuser(target);
});
afterAll(async () => {
  await Promise.all([here?.end(), there?.end()]);
  await Promise.all([source?.stop(), target?.stop()]);
});

beforeEach(async () => {
  for (const client of [here, there]) {
    for (const table of [
      'app.dek',
      'audit.entry',
      'audit.log_index',
      'audit.log',
      'audit.log_head',
      'audit.checkpoint',
      'identity.member',
      'platform.tenant',
    ])
      await client.query(`delete from ${table}`);
    for (const [id, part] of [
      [TENANT, 1],
      [OTHER, 2],
    ] as const)
      await client.query(
        `insert into platform.tenant (id, part, kind, slug, display_name) values ($1, $2::bigint, 'customer', 'tenant-' || ($2::bigint)::text, 'T')`,
        [id, part],
      );
  }
  await here.query(
    `insert into app.dek (tenant_id, id, purpose, version, kek_ref, wrapped, commitment, state, created_at, not_after)
     select $1, gen_random_uuid(), 'fields', v, 'local:1', decode(repeat('0a', 60), 'hex'), sha256('x'), 'DECRYPT_ONLY', now(), now() + interval '1 day'
     from generate_series(1, $2::integer) v`,
    [TENANT, ROWS],
  );
  for (let index = 0; index < 5; index += 1) await addEntry(here, TENANT, index);
  await here.query(
    `with made as (insert into audit.log (tenant_id, generation, origin) values ($1, 1, 'log.example/1') returning tenant_id, generation),
       head as (insert into audit.log_head (tenant_id, generation, size, root) select tenant_id, generation, 5, sha256('') from made)
     insert into audit.checkpoint (tenant_id, generation, size, root, note) select tenant_id, generation, 5, sha256(''), 'n' from made`,
    [TENANT],
  );
  await addKey(here, OTHER, 1);
  await addKey(there, OTHER, 7);
  await addEntry(there, OTHER, 0);
});

function input(over: Partial<RelocationInput> = {}): RelocationInput {
  return {
    tenantId: TENANT,
    source: { connection: source.connectionFor('superuser'), schema: 'app' },
    target: { connection: target.connectionFor('superuser'), schema: 'app' },
    targetCell: 'south/ax_0000000000000001',
    sameDatabase: false,
    progress: () => Promise.resolve(),
    hold: () => Promise.resolve(),
    followed: () => Promise.resolve(),
    switchOver: () => Promise.resolve(),
    ...over,
  };
}

const count = async (client: Client, table: string, tenant: Uuid): Promise<number> =>
  Number(
    (await client.query<{ n: string }>(`select count(*) as n from ${table} where tenant_id = $1`, [tenant])).rows[0]!.n,
  );

test('D20 every row arrives, the proof counts them, the source keeps none, and others are not touched', async () => {
  const stages: RelocationStage[] = [];
  const proof = await relocate(input({ progress: ({ stage }) => (stages.push(stage), Promise.resolve()) }));
  expect(proof.tables['app.dek']).toEqual({ rows: ROWS, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(proof.tables['audit.entry']?.rows).toBe(5);
  expect(await count(there, 'app.dek', TENANT)).toBe(ROWS);
  expect(await count(here, 'app.dek', TENANT)).toBe(0);
  expect(await count(here, 'audit.entry', TENANT)).toBe(0);
  expect([await count(here, 'app.dek', OTHER), await count(there, 'app.dek', OTHER)]).toEqual([1, 1]);
  expect([...new Set(stages)]).toEqual(['copying', 'frozen', 'proving', 'switched', 'cleared']);
});

test('D20 rows written, changed and deleted while it copies are carried after', async () => {
  let isDone = false;
  const switched: number[] = [];
  await relocate(
    input({
      progress: async ({ stage }) => {
        if (stage !== 'copying' || isDone) return;
        isDone = true;
        const writer = await superuser(source);
        await addKey(writer, TENANT, 9001);
        await writer.query(`update app.dek set state = 'RETIRED' where tenant_id = $1 and version = 3`, [TENANT]);
        await writer.query('delete from app.dek where tenant_id = $1 and version in (4, 5)', [TENANT]);
        await writer.end();
      },
      switchOver: async ({ tables }) => void switched.push(tables['app.dek']!.rows),
    }),
  );
  expect(switched).toEqual([ROWS - 1]);
  const { rows } = await there.query(
    'select version, state from app.dek where tenant_id = $1 and version in (3, 4, 5, 9001) order by version',
    [TENANT],
  );
  expect(rows).toEqual([
    { version: 3, state: 'RETIRED' },
    { version: 9001, state: 'DECRYPT_ONLY' },
  ]);
});

test('D21 an entry brought along covers no change at the target, and nobody who follows the target sees it again', async () => {
  await relocate(input());
  const { rows: entries } = await there.query(
    'select distinct xid::text as xid from audit.entry where tenant_id = $1',
    [TENANT],
  );
  expect(entries).toEqual([{ xid: '0' }]);
  const { rows } = await there.query<{ idx: string; position: string }>(
    'select idx, position from audit.log_index where tenant_id = $1 order by position',
    [TENANT],
  );
  expect(rows.map((row) => Number(row.idx))).toEqual([0, 1, 2, 3, 4]);
  expect(rows.every((row) => BigInt(row.position) < 0n)).toBe(true);
});

test('D22 when the switch is never reached the source is whole and thawed, and the target empty', async () => {
  const held: boolean[] = [];
  const failing = relocate(
    input({
      hold: (_client, isHeld) => (held.push(isHeld), Promise.resolve()),
      followed: () => Promise.reject(new Error('nobody follows')),
    }),
  );
  await expect(failing).rejects.toMatchObject({ code: 'relocation_failed' });
  expect(held).toEqual([true, false]);
  expect(await count(here, 'app.dek', TENANT)).toBe(ROWS);
  expect(await count(there, 'app.dek', TENANT)).toBe(0);
  expect(await count(there, 'audit.entry', TENANT)).toBe(0);
});

test('D22 a row that did not arrive as it was stops the move before the switch', async () => {
  await there.query(`create function public.bend() returns trigger language plpgsql as $$ begin new.kek_ref := 'local:2'; return new; end $$;
    create trigger bend before insert or update on app.dek for each row execute function public.bend();
    alter table app.dek enable always trigger bend`);
  let isSwitched = false;
  try {
    const failing = relocate(input({ switchOver: () => ((isSwitched = true), Promise.resolve()) }));
    await expect(failing).rejects.toThrow('app.dek: 450 of 450 rows arrived, but not the same ones');
  } finally {
    await there.query('drop trigger bend on app.dek; drop function public.bend()');
  }
  expect(isSwitched).toBe(false);
  expect(await count(here, 'app.dek', TENANT)).toBe(ROWS);
});

test('D22 what was found equal before the freeze and changes after it is compared again', async () => {
  const bend = async (text: string) => {
    const failing = relocate(
      input({ hold: async (_client, isHeld) => void (isHeld && (await there.query(text, [TENANT]))) }),
    );
    await expect(failing).rejects.toMatchObject({ code: 'relocation_failed' });
    expect([await count(here, 'app.dek', TENANT), await count(there, 'app.dek', TENANT)]).toEqual([ROWS, 0]);
  };
  await bend(`update app.dek set wrapped = decode(repeat('0b', 60), 'hex') where tenant_id = $1 and version = 7`);
  await bend('delete from app.dek where tenant_id = $1 and version = 8');
});

test('D22 evidence files go along, frozen with the rows, gone with them, or taken back', async () => {
  const told: string[] = [];
  const tell = (what: string) => (told.push(what), Promise.resolve());
  const files = {
    copy: async (onFile: () => Promise<void>) => {
      await tell('copy');
      await onFile();
    },
    freeze: async () => (await tell('freeze'), { rows: 1, bytes: 9, sha256: 'f'.repeat(64) }),
    clear: () => tell('clear'),
    takeBack: () => tell('take back'),
  };
  const hold = (_client: Client, isHeld: boolean) => tell(isHeld ? 'hold' : 'thaw');
  const switchOver = ({ files: proven }: RelocationProof) => tell(`switch ${proven?.rows}`);
  await relocate(input({ files, hold, switchOver }));
  expect(told).toEqual(['copy', 'hold', 'freeze', 'switch 1', 'clear', 'thaw']);
  told.length = 0;
  const failing = relocate({
    ...input({ hold }),
    source: input().target,
    target: input().source,
    files: { ...files, freeze: () => Promise.reject(new Error('the disk is full')) },
  });
  await expect(failing).rejects.toThrow('the disk is full');
  expect(told).toEqual(['copy', 'hold', 'take back', 'thaw']);
});

test('D22 a move that was cut off after its switch is finished by emptying the source', async () => {
  const cut = relocate(input({ switchOver: () => Promise.reject(new Error('killed')) }));
  await expect(cut).rejects.toMatchObject({ code: 'relocation_unfinished' });
  // Whether the switch took effect is unknown then: neither side may be emptied.
  expect([await count(here, 'app.dek', TENANT), await count(there, 'app.dek', TENANT)]).toEqual([ROWS, ROWS]);
  await clearSource(input());
  expect([await count(here, 'app.dek', TENANT), await count(there, 'app.dek', TENANT)]).toEqual([0, ROWS]);
  expect(await count(here, 'app.dek', OTHER)).toBe(1);
});

test('D22 the log is open in one place only: closed before the switch, arrived there, and open again when it is not reached', async () => {
  const logs = (client: Client) =>
    client.query('select moved_to from audit.log where tenant_id = $1', [TENANT]).then(({ rows }) => rows);
  let atSwitch: unknown;
  await relocate(input({ switchOver: async () => void (atSwitch = [await logs(here), await logs(there)]) }));
  expect(atSwitch).toEqual([[{ moved_to: 'south/ax_0000000000000001' }], [{ moved_to: null }]]);
  await relocate({
    ...input(),
    source: input().target,
    target: input().source,
    followed: () => Promise.reject(new Error('away')),
  }).catch(() => undefined);
  expect([await logs(here), await logs(there)]).toEqual([[], [{ moved_to: null }]]);
});
