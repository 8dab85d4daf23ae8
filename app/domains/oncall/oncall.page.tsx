import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { Button, Tag } from '../../ui/button.tsx';
import { Empty, Facts, Notice, PageHead } from '../../ui/display.tsx';
import { FilterSelect } from '../../ui/field.tsx';
import { GradeChip } from '../../ui/grade.tsx';
import { Drawer, toast } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago, Instant, useNow } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import type { OncallAnswer, OncallPage } from '../../shell/wire.ts';

const route = getRouteApi('/inside/oncall');
const REFRESH_MS = 15_000;
/** A canary page is due each minute; after this long its absence is worth a warning here too. */
const CANARY_SILENCE_MS_MAX = 3 * 60_000;

function Delivered({ page }: { page: OncallPage }) {
  const accepted = page.deliveries.filter((delivery) => delivery.acceptedAt !== null);
  const [first] = accepted;
  if (!first?.acceptedAt) return <GradeChip grade="failing" word="not delivered" />;
  const took_ms = Math.max(0, Date.parse(first.acceptedAt) - Date.parse(page.openedAt));
  return (
    <span className="grade grade--measured">
      {took_ms < 1000 ? `${took_ms} ms` : `${(took_ms / 1000).toFixed(1)} s`}
    </span>
  );
}

function columnsFor(open: (id: string) => void): readonly Column<OncallPage>[] {
  return [
    {
      key: 'says',
      header: 'Page',
      main: true,
      cell: (row) => (
        <>
          <button type="button" className="row-link" onClick={() => open(row.id)}>
            {row.says}
          </button>
          <span className="sub mono">{row.detection}</span>
        </>
      ),
    },
    {
      key: 'severity',
      header: 'Severity',
      fit: true,
      sort: (row) => row.severity,
      cell: (row) => <GradeChip grade={row.severity === 'critical' ? 'failing' : 'stale'} word={row.severity} boxed />,
    },
    {
      key: 'count',
      header: 'Times',
      align: 'right',
      fit: true,
      priority: 2,
      sort: (row) => row.count,
      cell: (row) => <span className="num">{row.count}</span>,
    },
    {
      key: 'tenant',
      header: 'Tenant',
      fit: true,
      priority: 2,
      cell: (row) => (row.tenant ? <Tag>{row.tenant}</Tag> : <span className="muted">none</span>),
    },
    {
      key: 'opened',
      header: 'Last',
      fit: true,
      priority: 2,
      sort: (row) => row.lastAt,
      cell: (row) => <Ago at={row.lastAt} />,
    },
    { key: 'delivered', header: 'Delivered in', fit: true, priority: 3, cell: (row) => <Delivered page={row} /> },
    {
      key: 'state',
      header: 'State',
      fit: true,
      cell: (row) => (row.acknowledgedAt ? <span className="muted">acknowledged</span> : <b>waiting</b>),
    },
  ];
}

function Canary({ canary }: { canary: OncallAnswer['canary'] }) {
  const now = useNow();
  const silent = canary.lastAt === null || now - Date.parse(canary.lastAt) > CANARY_SILENCE_MS_MAX;
  return (
    <section className="card" aria-labelledby="canary">
      <div className="card__head">
        <h2 id="canary">Canary channel</h2>
        <span className="row num">
          <GradeChip grade={silent ? 'failing' : 'proven'} word={silent ? 'silent' : 'alive'} />
          <span>
            {canary.lastHour} pages in the last hour, {canary.delivered} delivered
          </span>
          <span className="muted">last one {canary.lastAt ? <Ago at={canary.lastAt} /> : 'not yet seen'}</span>
        </span>
      </div>
      <p className="muted prose">
        The sentinel attacks its own canary tenants each minute. Those pages are counted here and never mixed with the
        others; a missing one is an alarm of its own.
      </p>
      {silent && (
        <Notice kind="failing" title="The canary is silent">
          <p>
            Either the attempts have stopped or their pages do not arrive. Until it sings again, do not trust an empty
            inbox.
          </p>
        </Notice>
      )}
    </section>
  );
}

function Deliveries({ page }: { page: OncallPage }) {
  return (
    <section className="section" aria-label="Delivery">
      <h3>Delivery</h3>
      <ul className="stack stack--tight">
        {page.deliveries.map((delivery) => (
          <li key={delivery.channel} className="row">
            <GradeChip grade={delivery.acceptedAt ? 'proven' : 'failing'} word={delivery.channel} />
            <span className="muted">
              {delivery.acceptedAt ? (
                <>
                  accepted <Ago at={delivery.acceptedAt} />
                </>
              ) : (
                `not accepted: ${delivery.outcome ?? 'no answer yet'}`
              )}
              , {delivery.attempts} {delivery.attempts === 1 ? 'try' : 'tries'}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function PagePanel({ page, onClose }: { page: OncallPage; onClose: () => void }) {
  const client = useQueryClient();
  const acknowledge = useMutation({
    mutationFn: () => request(`/api/oncall/pages/${page.id}/acknowledge`, { method: 'POST' }),
    onSuccess: () => toast('Acknowledged', 'Recorded in the audit trail as yours.'),
    onSettled: () => client.invalidateQueries({ queryKey: ['oncall'] }),
  });
  return (
    <Drawer
      open
      onClose={onClose}
      title={page.says}
      sub={
        <span className="row">
          <code>{page.detection}</code>
          <GradeChip grade={page.severity === 'critical' ? 'failing' : 'stale'} word={page.severity} />
        </span>
      }
    >
      <Facts
        entries={[
          ['Opened', <Instant key="o" at={page.openedAt} />],
          ['Last seen', <Instant key="l" at={page.lastAt} />],
          ['Times', page.count],
          ['Tenant', page.tenant ?? 'none'],
          ...Object.entries(page.facts).map(
            ([name, value]) =>
              [
                name,
                <span key={name} className="hash">
                  {String(value)}
                </span>,
              ] as const,
          ),
        ]}
      />
      <Deliveries page={page} />
      <Failure error={acknowledge.error} />
      {page.acknowledgedAt ? (
        <p className="muted">
          Acknowledged <Ago at={page.acknowledgedAt} />.
        </p>
      ) : (
        <div>
          <Button look="primary" icon="check" busy={acknowledge.isPending} onClick={() => acknowledge.mutate()}>
            Acknowledge: I am on it
          </Button>
        </div>
      )}
    </Drawer>
  );
}

/** The operator's inbox: what was paged, whether it arrived, who is on it; canaries apart. */
export function OncallInbox() {
  const { page: asked } = route.useSearch();
  // A page that somebody was sent to may be acknowledged already.
  const [shown, setShown] = useState<'waiting' | 'all'>(asked ? 'all' : 'waiting');
  const [opened, setOpened] = useState<string | null>(asked ?? null);
  const { data, error } = useQuery({
    queryKey: ['oncall', 'pages'],
    queryFn: ({ signal }) => request<OncallAnswer>('/api/oncall/pages', { signal }),
    refetchInterval: REFRESH_MS,
  });
  const rows = data?.pages.filter((page) => shown === 'all' || page.acknowledgedAt === null);
  const current = data?.pages.find((page) => page.id === opened);
  return (
    <>
      <PageHead title="On-call inbox">
        Pages raised by detections. The same pages go out by webhook; this list is what would be on your phone.
      </PageHead>
      {error ? (
        <Failure error={error} />
      ) : (
        <div className="stack">
          {data && <Canary canary={data.canary} />}
          <div>
            <DataTable
              label="Pages"
              columns={columnsFor(setOpened)}
              rows={rows}
              rowKey={(row) => row.id}
              current={opened}
              bar={
                <FilterSelect
                  label="Shown"
                  value={shown}
                  onChange={setShown}
                  choices={[
                    { value: 'waiting', label: 'Waiting for me' },
                    { value: 'all', label: 'All pages' },
                  ]}
                />
              }
              empty={
                <Empty title="Nothing waits">
                  <p>
                    No page is open. That is only good news while the canary channel is alive: it proves that pages
                    would arrive.
                  </p>
                </Empty>
              }
            />
          </div>
        </div>
      )}
      {current && <PagePanel page={current} onClose={() => setOpened(null)} />}
    </>
  );
}
