import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useState } from 'react';
import { Button, IconButton, Tag } from '../../ui/button.tsx';
import { Empty, Facts, Hash, Notice, PageHead } from '../../ui/display.tsx';
import { FilterSelect } from '../../ui/field.tsx';
import { GradeChip, type Grade } from '../../ui/grade.tsx';
import { Drawer, Menu, toastError } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago, Instant } from '../../ui/time.tsx';
import { request, saveFile } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { pollEvery } from '../../shell/problem.ts';
import { More } from '../../shell/more.tsx';
import type { Attempt, AttemptsAnswer } from '../../shell/wire.ts';
import { attemptsCsv, attemptsJson } from './attempts-file.ts';

const route = getRouteApi('/inside/attempts');
/** A page goes out within seconds; the screen must not be later than the phone by much. */
const REFRESH_MS = 5_000;
/** Rows of one exported file; beyond it the audit trail is the better source. */
const EXPORT_ROWS_MAX = 5_000;

type Filters = { readonly layer?: string; readonly tenant?: string; readonly canary?: string };

const layerWords: Readonly<Record<Attempt['layer'], string>> = {
  edge: 'No session',
  gateway: 'Gateway',
  peer: 'Wrong process',
  token: 'Token',
  policy: 'Role',
  parser: 'Id parser',
  guard: 'Statement guard',
  scope: 'Tenant scope',
  tripwire: 'Tripwire',
  grant: 'Database grant',
  role: 'Database role',
  row: 'Row rule',
  'step-up': 'Approval',
};
const severityLook: Readonly<Record<Attempt['severity'], Grade>> = {
  low: 'asserted',
  high: 'stale',
  critical: 'failing',
};

function fetchPage(filters: Filters, before: string | null, signal?: AbortSignal): Promise<AttemptsAnswer> {
  const { layer, tenant, canary } = filters;
  return request<AttemptsAnswer>('/api/oncall/attempts', {
    query: { layer, tenant, canary, before },
    ...(signal && { signal }),
  });
}

function took(latency_ms: number): string {
  return latency_ms < 1000 ? `${latency_ms} ms` : `${(latency_ms / 1000).toFixed(1)} s`;
}

function Paged({ page }: { page: Attempt['page'] }) {
  if (page === null) return <span className="muted">not due</span>;
  if (page.latency_ms === null) return <GradeChip grade="failing" word="not out yet" />;
  return <GradeChip grade="measured" word={took(page.latency_ms)} />;
}

function Who({ attempt }: { attempt: Attempt }) {
  if (attempt.source !== null) return <span>{attempt.source}</span>;
  return (
    <span>
      {attempt.who.kind === 'person' ? 'person ' : 'process '}
      <span className="hash">{attempt.who.kind === 'person' ? attempt.who.label.slice(-12) : attempt.who.label}</span>
    </span>
  );
}

function columnsFor(open: (id: string) => void): readonly Column<Attempt>[] {
  return [
    {
      key: 'says',
      header: 'What',
      main: true,
      cell: (row) => (
        <>
          <button type="button" className="row-link" onClick={() => open(row.entryId)}>
            {row.says}
          </button>
          <span className="sub mono">{row.operation ?? row.code}</span>
        </>
      ),
    },
    {
      key: 'layer',
      header: 'Caught by',
      fit: true,
      sort: (row) => row.layer,
      cell: (row) => <GradeChip grade={severityLook[row.severity]} word={layerWords[row.layer]} boxed />,
    },
    { key: 'who', header: 'Who', fit: true, priority: 3, cell: (row) => <Who attempt={row} /> },
    {
      key: 'tenant',
      header: 'Tenant',
      fit: true,
      priority: 2,
      sort: (row) => row.tenant ?? '',
      cell: (row) => (
        <span className="row">
          {row.tenant ? <Tag>{row.tenant}</Tag> : <span className="muted">none</span>}
          {row.target && <span className="muted">on {row.target}</span>}
        </span>
      ),
    },
    {
      key: 'times',
      header: 'Times',
      align: 'right',
      fit: true,
      priority: 2,
      sort: (row) => row.times,
      cell: (row) => <span className="num">{row.times}</span>,
    },
    { key: 'at', header: 'When', fit: true, priority: 2, sort: (row) => row.at, cell: (row) => <Ago at={row.at} /> },
    { key: 'page', header: 'Page out in', fit: true, cell: (row) => <Paged page={row.page} /> },
  ];
}

function PageFact({ attempt: { page, canary } }: { attempt: Attempt }) {
  if (page === null) return <span className="muted">None: too few of these to wake anybody.</span>;
  const state =
    page.acceptedAt === null ? (
      'no channel has taken it yet'
    ) : (
      <>
        taken by {page.channel} <Ago at={page.acceptedAt} />
      </>
    );
  // Canary pages go to the dead man's receiver and are not in the inbox.
  if (canary) return <>{state}</>;
  return (
    <>
      <Link to="/oncall" search={{ page: page.id }}>
        Open the page
      </Link>
      , {state}
    </>
  );
}

function AttemptPanel({ attempt, onClose }: { attempt: Attempt; onClose: () => void }) {
  const { who, target, sessionId, source, logIndex, ownEntry } = attempt;
  return (
    <Drawer
      open
      onClose={onClose}
      title={attempt.says}
      sub={
        <span className="row">
          <code>{attempt.code}</code>
          <GradeChip grade={severityLook[attempt.severity]} word={attempt.severity} />
        </span>
      }
    >
      <Facts
        entries={[
          ['When', <Instant key="at" at={attempt.at} />],
          ['Times', attempt.times],
          ['Caught by', layerWords[attempt.layer]],
          ['Asked for', attempt.operation ? <code key="op">{attempt.operation}</code> : 'no route of its own'],
          ['Who', source ?? <Hash key="who" text={`${who.kind} ${who.label}`} />],
          ...(sessionId === null ? [] : [['Session', <Hash key="s" text={sessionId} />] as const]),
          ['In the name of', attempt.tenant ?? 'nobody'],
          ...(target === null ? [] : [['Whose data', target] as const]),
          ['Page', <PageFact key="page" attempt={attempt} />],
          ['Page out in', <Paged key="out" page={attempt.page} />],
          [
            'Log entry',
            <span key="log">
              {ownEntry ? (
                <Link to="/audit-trail" search={{ entry: ownEntry }}>
                  Open it in the audit trail
                </Link>
              ) : (
                <>
                  {logIndex === null ? 'an entry' : `entry ${logIndex}`} of the log of {attempt.tenant ?? 'this house'}:{' '}
                  <Hash text={attempt.entryId} />
                </>
              )}
            </span>,
          ],
          ['Request', <Hash key="r" text={attempt.requestId} />],
        ]}
      />
      <p className="muted prose">
        {attempt.times > 1
          ? 'This entry stands for several: past its budget an attempt is counted and told in sums, so that nobody can fill the log.'
          : 'The entry was in the log before the answer left. The answer was the same as for something that never existed.'}
      </p>
    </Drawer>
  );
}

async function exportAll(filters: Filters, kind: 'csv' | 'json'): Promise<void> {
  const rows: Attempt[] = [];
  let before: string | null = null;
  do {
    const page: AttemptsAnswer = await fetchPage(filters, before);
    rows.push(...page.attempts);
    before = page.next;
  } while (before !== null && rows.length < EXPORT_ROWS_MAX);
  const text = kind === 'csv' ? attemptsCsv(rows) : attemptsJson(rows);
  const type = kind === 'csv' ? 'text/csv' : 'application/json';
  saveFile({ blob: new Blob([text], { type }), name: `denied-attempts.${kind}` });
}

function FilterBar({
  filters,
  tenants,
  canaryLastHour,
  onChange,
}: {
  filters: Filters;
  tenants: readonly string[];
  canaryLastHour: number;
  onChange: (next: Filters) => void;
}) {
  const all = { value: 'all', label: 'Every layer' };
  const layers = Object.entries(layerWords).map(([value, label]) => ({ value, label }));
  const named = filters.tenant && !tenants.includes(filters.tenant) ? [...tenants, filters.tenant] : tenants;
  return (
    <>
      <FilterSelect
        label="Layer"
        value={filters.layer ?? 'all'}
        onChange={(layer) => onChange({ ...filters, layer: layer === 'all' ? '' : layer })}
        choices={[all, ...layers]}
      />
      <FilterSelect
        label="Tenant"
        value={filters.tenant ?? 'all'}
        onChange={(tenant) => onChange({ ...filters, tenant: tenant === 'all' ? '' : tenant })}
        choices={[{ value: 'all', label: 'Every tenant' }, ...named.map((slug) => ({ value: slug, label: slug }))]}
      />
      <FilterSelect
        label="Canaries"
        value={filters.canary === 'shown' ? 'shown' : 'hidden'}
        onChange={(canary) => onChange({ ...filters, canary: canary === 'shown' ? 'shown' : '' })}
        choices={[
          { value: 'hidden', label: `Canaries hidden (${canaryLastHour} in the last hour)` },
          { value: 'shown', label: 'Canaries shown' },
        ]}
      />
    </>
  );
}

function useAttempts(filters: Filters, live: boolean) {
  return useInfiniteQuery({
    queryKey: ['oncall', 'attempts', filters.layer ?? '', filters.tenant ?? '', filters.canary ?? ''],
    queryFn: ({ pageParam, signal }) => fetchPage(filters, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
    refetchInterval: live ? pollEvery(REFRESH_MS) : false,
  });
}

function Actions({ filters, live, onLive }: { filters: Filters; live: boolean; onLive: (live: boolean) => void }) {
  const save = (kind: 'csv' | 'json') =>
    void exportAll(filters, kind).catch(() => toastError('The file was not made', 'Nothing was changed; try again.'));
  return (
    <span className="row">
      <Button small look="quiet" icon={live ? 'pause' : 'play'} onClick={() => onLive(!live)}>
        {live ? 'Live: pause' : 'Paused: go on'}
      </Button>
      <Menu
        trigger={<IconButton icon="download" label="Export" />}
        entries={[
          { label: 'As CSV', onSelect: () => save('csv') },
          { label: 'As JSON', onSelect: () => save('json') },
        ]}
      />
    </span>
  );
}

function Nothing({ filtered }: { filtered: boolean }) {
  return (
    <Empty title="Nothing was refused">
      <p>
        {filtered
          ? 'Nothing that fits these filters.'
          : 'No attempt is on record. The canaries try the same walls all day: show them to see that they hold.'}
      </p>
    </Empty>
  );
}

interface ListProps {
  filters: Filters;
  list: ReturnType<typeof useAttempts>;
  opened: string | null;
  onOpen: (entryId: string) => void;
  onFilter: (next: Filters) => void;
}

function List({ filters, list, opened, onOpen, onFilter }: ListProps) {
  const rows = list.data?.pages.flatMap((page) => page.attempts);
  const first = list.data?.pages[0];
  return (
    <DataTable
      label="Denied attempts"
      columns={columnsFor(onOpen)}
      rows={rows}
      rowKey={(row) => row.entryId}
      current={opened}
      choose
      bar={
        <FilterBar
          filters={filters}
          tenants={first?.tenants ?? []}
          canaryLastHour={first?.canaryLastHour ?? 0}
          onChange={onFilter}
        />
      }
      empty={<Nothing filtered={Boolean(filters.layer || filters.tenant)} />}
      foot={
        rows &&
        rows.length > 0 && (
          <More
            shown={rows.length}
            what={rows.length === 1 ? 'entry' : 'entries'}
            hasMore={list.hasNextPage}
            busy={list.isFetchingNextPage}
            onMore={() => void list.fetchNextPage()}
          />
        )
      }
    />
  );
}

/** Denied attempts over all tenants: who, what, which layer caught it, and how long until the page was out. */
export function AttemptsPage() {
  const filters = route.useSearch();
  const navigate = route.useNavigate();
  const [live, setLive] = useState(true);
  const [opened, setOpened] = useState<string | null>(null);
  const list = useAttempts(filters, live);
  const set = (next: Filters) => {
    const kept = Object.fromEntries(Object.entries(next).filter(([, value]) => value));
    void navigate({ search: kept, replace: true });
  };
  const current = list.data?.pages.flatMap((page) => page.attempts).find((row) => row.entryId === opened);
  return (
    <>
      <PageHead title="Denied attempts" actions={<Actions filters={filters} live={live} onLive={setLive} />}>
        Everything that was refused, whoever asked: which wall or rule said no, and how long the page took. What a
        tenant’s own people tried stands in that tenant’s audit trail too; whose data it was is shown here only.
      </PageHead>
      {list.error && list.data && (
        <Notice kind="stale" title="This list stands still">
          <p>The last look failed; what is shown was true before that.</p>
        </Notice>
      )}
      {list.error && !list.data ? (
        <Failure error={list.error} />
      ) : (
        <List filters={filters} list={list} opened={opened} onOpen={setOpened} onFilter={set} />
      )}
      {current && <AttemptPanel attempt={current} onClose={() => setOpened(null)} />}
    </>
  );
}
