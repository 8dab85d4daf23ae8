import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findRoutes } from './contracts.ts';
import { privilegedFindings, readActions, readTables } from './privileged.ts';

const root = join(import.meta.dirname, '../..');

describe('the registry of what is privileged', () => {
  it('is what the code says, both ways', async () => {
    const tables = readTables(root);
    expect(tables.all.length).toBeGreaterThan(40);
    expect(tables.guarded.size).toBeGreaterThan(15);
    expect(privilegedFindings(await findRoutes(root), readActions(root), tables)).toEqual([]);
  });

  it('notices a new table, a listed ghost, one that is both, a route without policy and a policy without route', async () => {
    const routes = await findRoutes(root);
    const [tables, actions] = [readTables(root), readActions(root)];
    const all = [...tables.all, 'app.new'];
    expect(privilegedFindings(routes, actions, { ...tables, all })).toEqual([
      'app.new: neither under the commit guard nor listed with a reason',
    ]);
    const fewer = tables.all.filter((name) => name !== 'oncall.page');
    expect(privilegedFindings(routes, actions, { ...tables, all: fewer })).toEqual([
      'oncall.page: listed, but no migration makes it',
    ]);
    const guarded = new Map([...tables.guarded, ['oncall.page', 'page'] as const]);
    expect(privilegedFindings(routes, actions, { ...tables, guarded })).toEqual([
      'oncall.page: under the commit guard, and listed as not',
    ]);
    const others = new Set([...actions, 'room.unknown']);
    others.delete('rules.save');
    expect(privilegedFindings(routes, others, tables)).toEqual([
      'rules.save: a route that no policy names',
      'room.unknown: an action without a route',
    ]);
  });
});
