// The other side of the ratio: what somebody would write who wants none of the house's promises. Fastify with pg over
// plaintext copies of the same rows, TLS 1.3, no session, no policy, no wall, no sealing, no log.
import fastify from 'fastify';
import { Pool, type PoolConfig } from 'pg';

/** What `bare.ts` sends once, over the inherited channel. */
export interface BareBoot {
  readonly connection: PoolConfig;
  readonly schema: string;
  readonly key: string;
  readonly cert: string;
  readonly poolSize: number;
}

export interface BareReady {
  readonly port: number;
  readonly backends: readonly number[];
}

interface EngagementRow {
  id: string;
  title: string;
  client_name: string;
  catalogue: { groups: { index: number; id: string | null; path: string[] }[] } & Record<string, unknown>;
  period_start: string;
  period_end: string;
  state: string;
  revision: number;
  contact_ids: string[];
  created_by: string;
  created_at: Date;
  finalised_at: Date | null;
}

interface ProgressRow {
  group_index: number;
  outcome: string | null;
  criteria: number;
}

function count(rows: readonly ProgressRow[]) {
  const sum = (outcome: string | null): number =>
    rows.filter((row) => row.outcome === outcome).reduce((total, row) => total + row.criteria, 0);
  const [satisfied, notSatisfied, notApplicable, open] = [
    sum('satisfied'),
    sum('not-satisfied'),
    sum('not-applicable'),
    sum(null),
  ];
  return { total: satisfied + notSatisfied + notApplicable + open, satisfied, notSatisfied, notApplicable, open };
}

function reply(row: EngagementRow, progress: readonly ProgressRow[]): unknown {
  const { groups, ...catalogue } = row.catalogue;
  return {
    id: row.id,
    title: row.title,
    clientName: row.client_name,
    periodStart: row.period_start,
    periodEnd: row.period_end,
    state: row.state,
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    progress: count(progress),
    catalogue,
    groups: groups.map((group) => ({
      ...group,
      progress: count(progress.filter((item) => item.group_index === group.index)),
    })),
    contacts: row.contact_ids,
    createdBy: row.created_by,
    finalisedAt: row.finalised_at?.toISOString() ?? null,
  };
}

function statements(schema: string) {
  return {
    engagement: `select id, title, client_name, catalogue, period_start::text, period_end::text, state, revision,
        contact_ids, created_by, created_at, finalised_at from ${schema}.engagement where id = $1`,
    progress: `select c.group_index, l.outcome, count(*)::int4 as criteria from ${schema}.criterion c
      left join lateral (select r.outcome from ${schema}.result r where r.criterion_id = c.id
        order by r.revision desc limit 1) l on true
      where c.engagement_id = $1 group by c.group_index, l.outcome`,
    insert: `insert into ${schema}.result (engagement_id, criterion_id, revision, outcome, note, observed_on, recorded_by)
      values ($1, $2, coalesce((select max(r.revision) from ${schema}.result r where r.criterion_id = $2), 0) + 1,
              $3, $4, $5, 'somebody')
      returning id, revision, recorded_at`,
  };
}

async function serve(boot: BareBoot): Promise<BareReady> {
  const pool = new Pool({ ...boot.connection, max: boot.poolSize });
  const clients = await Promise.all(Array.from({ length: boot.poolSize }, () => pool.connect()));
  const backends = await Promise.all(
    clients.map(async (client) => (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid),
  );
  for (const client of clients) client.release();
  const sql = statements(boot.schema);
  const app = fastify({ https: { key: boot.key, cert: boot.cert, minVersion: 'TLSv1.3' } });
  app.get<{ Params: { id: string } }>('/api/engagements/:id', async (request, answer) => {
    const { id } = request.params;
    const [
      {
        rows: [row],
      },
      { rows: progress },
    ] = await Promise.all([
      pool.query<EngagementRow>({ name: 'engagement', text: sql.engagement, values: [id] }),
      pool.query<ProgressRow>({ name: 'progress', text: sql.progress, values: [id] }),
    ]);
    if (row === undefined) return answer.code(404).send({});
    return reply(row, progress);
  });
  app.post<{ Params: { id: string; criterion: string }; Body: { outcome: string; note: string; observedOn: string } }>(
    '/api/engagements/:id/criteria/:criterion/result',
    async (request, answer) => {
      const { id, criterion } = request.params;
      const { outcome, note, observedOn } = request.body;
      const { rows } = await pool.query({
        name: 'insert',
        text: sql.insert,
        values: [id, criterion, outcome, note, observedOn],
      });
      const row = rows[0] as { id: string; revision: number; recorded_at: Date };
      return answer.code(201).send({
        id: row.id,
        outcome,
        note,
        observedOn,
        recordedAt: row.recorded_at.toISOString(),
        recordedBy: 'somebody',
        revision: row.revision,
      });
    },
  );
  await app.listen({ host: '127.0.0.1', port: 0 });
  return { port: (app.server.address() as { port: number }).port, backends };
}

process.once('message', (boot) => {
  serve(boot as BareBoot).then(
    (ready) => process.send!(ready),
    (error: unknown) => {
      console.error(error);
      process.exitCode = 1;
      process.disconnect();
    },
  );
});
// Nobody is left to measure.
process.once('disconnect', () => process.exit());
