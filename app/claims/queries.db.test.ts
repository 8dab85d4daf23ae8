import { systemRandom, uuidV4 } from '@auditrax/base';
import type { Statement } from '@auditrax/tenancy';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestDatabase } from '../platform/db/testing.ts';
import type { TestDatabase, TestRole } from '../platform/db/testing.ts';
import { insertObservation, insertRevision, latestRevision, newestObservations, observationFrom } from './queries.ts';
import type { Observation } from './grade.ts';

let database: TestDatabase;

async function as<Row>(role: TestRole, statement: Statement<Row>): Promise<Row[]> {
  const { host, port, database: name, user, password } = database.connectionFor(role);
  const client = new Client({ host, port, database: name, user, password });
  await client.connect();
  try {
    return (await client.query(statement.sql, [...statement.parameters])).rows as Row[];
  } finally {
    await client.end();
  }
}

const raw = (sql: string) => ({ sql, parameters: [] });

beforeAll(async () => {
  database = await startTestDatabase();
});
afterAll(async () => {
  await database?.stop();
});

const seen: Observation = {
  probeId: 'edge.tls-versions',
  observedAt_ms: Date.UTC(2026, 10, 22, 19, 29, 40, 123),
  duration_ms: 31,
  state: 'green',
  detail: 'Seven sockets refused TLS 1.2.',
  measured: { value: 41.5, limit: 90, unit: 'days' },
  evidence: [{ socket: 'tcp 8443', refused: ['TLSv1.2'] }],
  rehearsedAgainst: 'a simulator',
  entry: { entryId: uuidV4(systemRandom) },
};

describe('records of probe runs', () => {
  it('Q1: come back as they were written, to the millisecond', async () => {
    await as('ax_sentinel', insertObservation(uuidV4(systemRandom), ['crypto.tls13-only'], seen));
    const { measured: _m, evidence: _e, rehearsedAgainst: _r, entry: _n, ...bare } = seen;
    const later = { ...bare, observedAt_ms: seen.observedAt_ms + 1000, state: 'red' as const };
    await as('ax_sentinel', insertObservation(uuidV4(systemRandom), ['crypto.tls13-only'], later));
    const rows = await as('ax_workspace', newestObservations('edge.tls-versions'));
    expect(rows.map(observationFrom)).toEqual([later, seen]);
  });

  it('Q2: cannot be changed or removed by any process of the house', async () => {
    for (const role of ['ax_sentinel', 'ax_workspace', 'ax_issuer', 'ax_ledger'] as const) {
      for (const text of [
        "update claims.observation set state = 'green'",
        'delete from claims.observation',
        'truncate claims.observation',
        'delete from claims.revision',
      ]) {
        await expect(as(role, raw(text)), `${role}: ${text}`).rejects.toThrow(/permission denied/);
      }
    }
  });

  it('Q3: are written by the sentinel alone', async () => {
    for (const role of ['ax_workspace', 'ax_issuer', 'ax_ledger'] as const) {
      await expect(as(role, insertObservation(uuidV4(systemRandom), ['crypto.envelope'], seen))).rejects.toThrow(
        /permission denied/,
      );
    }
  });

  it('Q4: a figure is whole or absent, a state is one of two', async () => {
    await expect(
      as(
        'ax_sentinel',
        raw(`insert into claims.observation (id, probe_id, claim_ids, observed_at, duration_ms, state, detail, measured_value)
      values (gen_random_uuid(), 'a.b', '{x}', now(), 1, 'green', 'd', 1)`),
      ),
    ).rejects.toThrow(/check/);
    await expect(
      as(
        'ax_sentinel',
        raw(`insert into claims.observation (id, probe_id, claim_ids, observed_at, duration_ms, state, detail)
      values (gen_random_uuid(), 'a.b', '{x}', now(), 1, 'amber', 'd')`),
      ),
    ).rejects.toThrow(/check/);
  });

  it('Q5: a revision number is used once', async () => {
    const one = {
      number: 1,
      digest: 'a'.repeat(64),
      manifestSha256: 'b'.repeat(64),
      generatedAt_ms: 0,
      validUntil_ms: 900_000,
      counts: { proven: 3 },
    };
    expect(await as('ax_sentinel', latestRevision())).toEqual([]);
    await as('ax_sentinel', insertRevision(one));
    await expect(as('ax_sentinel', insertRevision(one))).rejects.toThrow(/duplicate/);
    expect(Number((await as('ax_sentinel', latestRevision()))[0]!.number)).toBe(1);
  });
});
