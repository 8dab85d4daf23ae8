// The other side of the ratio: what somebody would write who wants none of the house's promises. Fastify with pg over
// plaintext copies of the same rows, TLS 1.3, no session, no policy, no wall, no sealing, no log.
import fastify from 'fastify';
import { Pool, type PoolConfig } from 'pg';

/** What `bare.ts` sends once, over the inherited channel. */
export interface BareBoot {
  readonly connection: PoolConfig;
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
  progress: readonly Cell[];
}

type Cell = readonly [groupIndex: number, outcome: string | null, criteria: number];

function count(cells: readonly Cell[]) {
  const sum = { total: 0, satisfied: 0, notSatisfied: 0, notApplicable: 0, open: 0 };
  for (const [, outcome, criteria] of cells) {
    sum.total += criteria;
    if (outcome === null) sum.open += criteria;
    else if (outcome === 'satisfied') sum.satisfied += criteria;
    else if (outcome === 'not-satisfied') sum.notSatisfied += criteria;
    else sum.notApplicable += criteria;
  }
  return sum;
}

function reply(row: EngagementRow): unknown {
  const { groups, ...catalogue } = row.catalogue;
  const cells = Map.groupBy(row.progress, ([groupIndex]) => groupIndex);
  return {
    id: row.id,
    title: row.title,
    clientName: row.client_name,
    periodStart: row.period_start,
    periodEnd: row.period_end,
    state: row.state,
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    progress: count(row.progress),
    catalogue,
    groups: groups.map((group) => ({ ...group, progress: count(cells.get(group.index) ?? []) })),
    contacts: row.contact_ids,
    createdBy: row.created_by,
    finalisedAt: row.finalised_at?.toISOString() ?? null,
  };
}

const READ = `select e.id, e.title, e.client_name, e.catalogue, e.period_start::text, e.period_end::text, e.state,
    e.revision, e.contact_ids, e.created_by, e.created_at, e.finalised_at,
    (select jsonb_agg(jsonb_build_array(p.group_index, p.outcome, p.criteria)) from (
      select c.group_index, l.outcome, count(*)::int4 as criteria from criterion c
      left join lateral (
        select r.outcome from result r where r.criterion_id = c.id order by r.revision desc limit 1
      ) l on true
      where c.engagement_id = $1 group by c.group_index, l.outcome
    ) p) as progress
  from engagement e where e.id = $1`;

const INSERT = `insert into result (engagement_id, criterion_id, revision, outcome, note, observed_on, recorded_by)
  values ($1, $2, coalesce((select max(r.revision) from result r where r.criterion_id = $2), 0) + 1, $3, $4, $5, 'somebody')
  returning id, revision, recorded_at`;

async function serve(boot: BareBoot): Promise<BareReady> {
  // Kept for good: the time of a backend that has ended could no longer be read.
  const pool = new Pool({ ...boot.connection, max: boot.poolSize, idleTimeoutMillis: 0 });
  const clients = await Promise.all(Array.from({ length: boot.poolSize }, () => pool.connect()));
  const backends = await Promise.all(
    clients.map(async (client) => (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid),
  );
  for (const client of clients) client.release();
  const app = fastify({ https: { key: boot.key, cert: boot.cert, minVersion: 'TLSv1.3' } });
  app.get<{ Params: { id: string } }>('/api/engagements/:id', async (request, answer) => {
    const { rows } = await pool.query<EngagementRow>({ name: 'read', text: READ, values: [request.params.id] });
    return rows[0] === undefined ? answer.code(404).send({}) : reply(rows[0]);
  });
  app.post<{ Params: { id: string; criterion: string }; Body: { outcome: string; note: string; observedOn: string } }>(
    '/api/engagements/:id/criteria/:criterion/result',
    async (request, answer) => {
      const { id, criterion } = request.params;
      const { outcome, note, observedOn } = request.body;
      const { rows } = await pool.query({
        name: 'insert',
        text: INSERT,
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
