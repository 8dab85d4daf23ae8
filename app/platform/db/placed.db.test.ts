import { setTimeout as sleep } from 'node:timers/promises';
import { sql, type TenantContext } from '@auditrax/tenancy';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { contextOf, numberedUuid } from './tenancy-fixture.ts';
import { OTHER_CELL, startPlaced, type PlacedFixture } from './placed-fixture.ts';

let placed: PlacedFixture;
beforeAll(async () => {
  placed = await startPlaced(30);
  await placed.move(2, 'schema');
  await placed.move(3, 'database');
});
beforeEach(() => void placed.refusals.splice(0));
afterAll(async () => {
  await placed?.stop();
});

const [shared, inSchema, inDatabase] = [contextOf(1), contextOf(2), contextOf(3)];
const notesOf = ({ tenantId }: TenantContext) =>
  sql<{ n: number; body: string }>`select n, body from app.note where tenant_id = ${tenantId} order by app.note.n`;
const code = (expected: string): object => expect.objectContaining({ code: expected }) as object;

/** The places that the rows of an answer carry: the version that the fixture's mover wrote into each. */
const versionsIn = (rows: readonly { body: string }[]): string[] => [
  ...new Set(rows.map(({ body }) => / (v\d+)$/.exec(body)?.[1] ?? 'v0')),
];

describe('T31: each statement goes to its tenant', () => {
  test('in shared tables, in a schema and in a database of its own, as the role made for it', async () => {
    for (const [context, version] of [
      [shared, 'v0'],
      [inSchema, 'v1'],
      [inDatabase, 'v1'],
    ] as const) {
      const rows = await placed.doors.tenant.scoped(context, notesOf(context));
      expect(rows).toHaveLength(10);
      expect(versionsIn(rows)).toEqual([version]);
      expect(await placed.doors.tenant.transaction(context, (tx) => tx.query(notesOf(context)))).toEqual(rows);
    }
    const roles = await Promise.all([inSchema, inDatabase].map(async ({ tenantPart }) => placed.placeOf(tenantPart)));
    for (const { cell, role } of roles) expect(placed.opened).toContain(`${cell} ${role}`);
  });

  test('a stream goes the same way, and begins where the tenant is by then', async () => {
    const bodies = async (context: TenantContext): Promise<{ body: string }[]> => {
      const found: { body: string }[] = [];
      for await (const rows of placed.doors.tenant.stream(context, notesOf(context), { batchRows: 3 }))
        found.push(...rows);
      return found;
    };
    for (const context of [inSchema, inDatabase]) expect(versionsIn(await bodies(context))).toEqual(['v1']);
    const moving = contextOf(9);
    expect(versionsIn(await bodies(moving))).toEqual(['v0']);
    await placed.move(9, 'schema');
    const after = await bodies(moving);
    expect([after.length, versionsIn(after)]).toEqual([10, ['v1']]);
  });

  test('what is written stays there', async () => {
    const insert = (context: TenantContext) => sql`insert into app.note (tenant_id, id, n, body)
      values (${context.tenantId}, ${numberedUuid(77)}, 77, 'here') on conflict (tenant_id, id) do update set n = app.note.n + 1`;
    for (const context of [inSchema, inDatabase]) {
      await placed.doors.tenant.transaction(context, async (tx) => {
        await tx.query(insert(context));
        await tx.query(insert(context));
      });
      const place = await placed.placeOf(context.tenantPart);
      const { rows } = await placed.admin[place.cell]!.query(
        `select n from ${place.schema}.note where id = '${numberedUuid(77)}'`,
      );
      expect(rows).toEqual([{ n: 78 }]);
    }
    expect((await placed.admin['home']!.query(`select from app.note where n >= 77`)).rowCount).toBe(0);
  });

  test('a statement that cannot be placed is refused, recorded and not sent; in shared tables it is none of a place', async () => {
    const odd = ({ tenantId }: TenantContext) => sql`select n from APP.note where tenant_id = ${tenantId}`;
    await expect(placed.doors.tenant.scoped(inSchema, odd(inSchema))).rejects.toThrow(code('tenant_statement_refused'));
    await expect(
      placed.doors.tenant.transaction(inSchema, async (tx) => {
        await tx.query(notesOf(inSchema));
        await tx.query(odd(inSchema));
      }),
    ).rejects.toThrow(code('tenant_statement_refused'));
    expect(placed.refusals.map(({ reason, layer }) => `${layer} ${reason}`)).toEqual([
      'guard relation_not_located',
      'guard relation_not_located',
    ]);
    expect(await placed.doors.tenant.scoped(shared, odd(shared))).toHaveLength(10);
  });

  test('a role made for one tenant is refused another by the database, in its own schema and by its name', async () => {
    const { role } = await placed.placeOf(2);
    const admin = placed.admin['home']!;
    await admin.query(`set session authorization ${role}`);
    try {
      await expect(admin.query('select app.enter($1)', [shared.tenantId])).rejects.toMatchObject({ code: 'AX004' });
      await expect(admin.query(`select from app.note`)).rejects.toMatchObject({ code: '42501' });
    } finally {
      await admin.query('reset session authorization');
    }
    const { schema } = await placed.placeOf(2);
    await admin.query('set session authorization ax_workspace');
    try {
      await expect(admin.query(`select from ${schema}.note`)).rejects.toMatchObject({ code: '42501' });
    } finally {
      await admin.query('reset session authorization');
    }
  });
});

describe('T32: after a move', () => {
  test('the next statement is answered from the new place, whatever was known of the old one', async () => {
    const context = contextOf(4);
    for (const to of ['database', 'schema', 'shared', 'schema', 'database', 'shared'] as const) {
      await placed.doors.tenant.scoped(context, notesOf(context)); // known, connected and prepared
      const version = await placed.move(4, to);
      const rows = await placed.doors.tenant.scoped(context, notesOf(context));
      expect(rows).toHaveLength(10);
      expect(versionsIn(rows)).toEqual([`v${version}`]);
    }
    for (const to of ['database', 'schema', 'shared'] as const) {
      const version = await placed.move(4, to);
      const again = await placed.doors.tenant.transaction(context, async (tx) => {
        const rows = await tx.query(notesOf(context));
        expect(versionsIn(rows)).toEqual([`v${version}`]);
        return tx.query(notesOf(context));
      });
      expect(again).toHaveLength(10);
    }
    expect(placed.refusals).toEqual([]);
  });

  test('work that holds its transaction begins it where the tenant is by then, and once only', async () => {
    const context = contextOf(5);
    let runs = 0;
    await placed.doors.tenant.scoped(context, notesOf(context));
    await placed.doors.tenant.transaction(context, async (tx) => {
      runs += 1;
      await placed.move(5, 'database');
      await tx.query(sql`update app.note set body = body || '!' where tenant_id = ${context.tenantId} and n = 1`);
    });
    expect(runs).toBe(1);
    expect(await placed.doors.tenant.scoped(context, notesOf(context))).toContainEqual({ n: 1, body: 'note 5/1 v1!' });
  });

  test('a departure without a new place is no answer: the caller may try again', async () => {
    const context = contextOf(6);
    await placed.admin['home']!.query('insert into platform.departure (tenant_id, version) values ($1, 1)', [
      context.tenantId,
    ]);
    await expect(placed.doors.tenant.scoped(context, notesOf(context))).rejects.toThrow(code('tenant_moved'));
    await expect(placed.doors.system.at(context.tenantId).system(sql`select id from platform.tenant`)).rejects.toThrow(
      code('tenant_moved'),
    );
    expect(placed.refusals).toEqual([]);
  });

  test('a place whose schema, role or database is gone is asked for anew', async () => {
    const context = contextOf(7);
    await placed.move(7, 'schema');
    await placed.doors.tenant.scoped(context, notesOf(context));
    const old = await placed.placeOf(7);
    await placed.move(7, 'database');
    const admin = placed.admin['home']!;
    await admin.query(`drop schema ${old.schema} cascade`);
    await admin.query('delete from platform.departure where tenant_id = $1', [context.tenantId]);
    expect(versionsIn(await placed.doors.tenant.scoped(context, notesOf(context)))).toEqual(['v2']);
    // And when it has not moved, the error is what it was.
    await placed.admin[OTHER_CELL]!.query(`alter role ${(await placed.placeOf(7)).role} nologin`);
    const others = placed.open();
    await expect(others.tenant.scoped(context, notesOf(context))).rejects.toThrow(code('database_unavailable'));
    await others.close();
  });
});

describe('T33: doors of the system', () => {
  const here = sql<{ database: string }>`select slug as database from platform.tenant where slug = 'tenant-99'`;

  test('home, where a tenant lives, and everywhere', async () => {
    await placed.admin[OTHER_CELL]!.query(`update platform.tenant set slug = 'elsewhere' where slug = 'tenant-98'`);
    const count = sql<{ n: number }>`select count(*)::int as n from platform.tenant where slug = 'elsewhere'`;
    expect(await placed.doors.system.system(count)).toEqual([{ n: 0 }]);
    expect(await placed.doors.system.at(inDatabase.tenantId).system(count)).toEqual([{ n: 1 }]);
    expect(await placed.doors.system.at(inSchema.tenantId).system(count)).toEqual([{ n: 0 }]);
    expect(await placed.doors.system.at(inDatabase.tenantId).transaction((tx) => tx.query(count))).toEqual([{ n: 1 }]);
    const found = await Promise.all(
      placed.doors.system.everywhere().map(async ({ cell, system }) => [cell, await system.system(count)]),
    );
    expect(found).toEqual([
      ['home', [{ n: 0 }]],
      [OTHER_CELL, [{ n: 1 }]],
    ]);
    expect(await placed.doors.system.system(here)).toHaveLength(1);
  });

  test('follow a tenant that moves', async () => {
    const at = placed.doors.system.at(contextOf(8).tenantId);
    const count = sql<{ n: number }>`select count(*)::int as n from platform.tenant where slug = 'elsewhere'`;
    expect(await at.system(count)).toEqual([{ n: 0 }]);
    await placed.move(8, 'database');
    expect(await at.system(count)).toEqual([{ n: 1 }]);
  });

  test('ask for listed tables only, wherever they lead', async () => {
    for (const door of [placed.doors.system.at(inDatabase.tenantId), placed.doors.system.everywhere()[1]!.system]) {
      await expect(door.system(sql`select * from app.note`)).rejects.toThrow(code('tenant_statement_refused'));
    }
  });
});

describe('T34: pools', () => {
  test('are bounded: the one that was not used for the longest time is closed for the next', async () => {
    const doors = placed.open({ poolsMax: 1, poolSize: 2 });
    const since = placed.opened.length;
    const open = async (role: string): Promise<number> =>
      (
        await placed.admin['home']!.query<{ n: number }>(
          `select count(*)::int as n from pg_stat_activity where application_name = $1`,
          [role],
        )
      ).rows[0]!.n;
    const before = await open((await placed.placeOf(2)).role);
    // More at once than there are pools: each waits for its turn, and gets its own rows.
    const answers = await Promise.all(
      Array.from({ length: 24 }, (_, index) => {
        const context = [inSchema, inDatabase][index % 2]!;
        return doors.tenant.scoped(context, notesOf(context)).then((rows) => rows.filter(({ n }) => n <= 10).length);
      }),
    );
    expect(new Set(answers)).toEqual(new Set([10]));
    expect(placed.opened.length - since).toBeGreaterThanOrEqual(2);
    await doors.tenant.scoped(inDatabase, notesOf(inDatabase));
    await expect.poll(async () => open((await placed.placeOf(2)).role)).toBe(before);
    await doors.close();
    await expect(doors.tenant.scoped(inDatabase, notesOf(inDatabase))).rejects.toThrow(code('database_unavailable'));
  });

  test('closing waits for what is under way', async () => {
    const doors = placed.open();
    const begun = Promise.withResolvers<void>();
    const work = doors.tenant.transaction(inDatabase, async (tx) => {
      await tx.query(notesOf(inDatabase));
      begun.resolve();
      await sleep(50);
      return tx.query(notesOf(inDatabase));
    });
    await begun.promise;
    await doors.close();
    expect((await work).length).toBeGreaterThan(0);
  });
});

describe('T12: no tenant gets another row', () => {
  test('among shared, schema and database tenants, with errors, refusals and moves in between', async () => {
    const tenants = [10, 11, 12, 13, 14, 15, 16, 17];
    const settled = new Map(tenants.map((tenant) => [tenant, 0]));
    let stop = false;
    const counts = { right: 0, refused: 0, waited: 0, wrong: 0 };
    const ask = async (seed: number): Promise<void> => {
      const tenant = tenants[seed % tenants.length]!;
      const context = contextOf(tenant);
      const foreign = contextOf(tenants[(seed + 1) % tenants.length]!);
      const atLeast = settled.get(tenant)!;
      const kind = seed % 7;
      try {
        if (kind === 0) {
          await placed.doors.tenant.scoped(context, notesOf(foreign));
          counts.wrong += 1;
        } else if (kind === 1) {
          await placed.doors.tenant.transaction(context, async (tx) => {
            await tx.query(sql`update app.note set n = n where tenant_id = ${context.tenantId}`);
            await tx.query(sql`select 1 / (n - n) from app.note where tenant_id = ${context.tenantId}`);
          });
          counts.wrong += 1;
        } else {
          const rows =
            kind < 4
              ? await placed.doors.tenant.scoped(context, notesOf(context))
              : await placed.doors.tenant.transaction(context, (tx) => tx.query(notesOf(context)));
          const versions = versionsIn(rows);
          const isOwn = rows.length === 10 && rows.every(({ body }) => body.startsWith(`note ${tenant}/`));
          const isNow = versions.length === 1 && Number(versions[0]!.slice(1)) >= atLeast;
          counts[isOwn && isNow ? 'right' : 'wrong'] += 1;
        }
      } catch (error) {
        const { code: found } = error as { code: string };
        if (found === 'tenant_read_only') counts.waited += 1;
        else if (found === 'tenant_foreign_parameter' || found === 'database_input_invalid') counts.refused += 1;
        else throw error;
      }
    };
    let seed = 0;
    const workers = Array.from({ length: 12 }, async () => {
      while (!stop) await ask(seed++);
    });
    const kinds = ['schema', 'database', 'shared'] as const;
    try {
      for (let step = 0; step < 15; step += 1) {
        const index = step % 5; // the others stay where they are
        const tenant = tenants[index]!;
        settled.set(tenant, await placed.move(tenant, kinds[(index + Math.floor(step / 5)) % kinds.length]!));
      }
    } finally {
      stop = true;
      await Promise.all(workers);
    }
    expect(counts).toMatchObject({ wrong: 0 });
    expect(counts.right).toBeGreaterThan(100);
    expect(counts.refused).toBeGreaterThan(20);
    expect(placed.refusals.every(({ code: found }) => found === 'tenant_foreign_parameter')).toBe(true);
  }, 60_000);
});
