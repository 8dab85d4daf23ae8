import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useEffect, useMemo, useState } from 'react';
import { Button, buttonClass } from '../../ui/button.tsx';
import { Empty, PageHead } from '../../ui/display.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago, utcText } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { useNames } from '../../shell/names.ts';
import type { Entry, EntryPage } from '../../shell/wire.ts';
import { EntryPanel } from './entry.page.tsx';
import { FilterBar, isWhole, queryOf, type Filters } from './filters.page.tsx';
import { RangeBar } from './range.page.tsx';
import { ActorName, OutcomeWord, SealWord, TypeWord, WitnessWord } from './words.page.tsx';

const route = getRouteApi('/inside/audit-trail');
/** A search that finds nothing goes on by itself this often; then the reader decides. */
const EMPTY_PAGES_MAX = 5;

type Log = EntryPage['log'];

/** `:31 UTC`: the head of the column says UTC, and seconds stand in the entry itself and on hover. */
const SECONDS_CHARS = 7;

function columnsFor(
  log: Log,
  open: (id: string) => void,
  name: (memberId: string) => string,
): readonly Column<Entry>[] {
  return [
    {
      key: 'position',
      header: 'Position',
      align: 'right',
      fit: true,
      priority: 2,
      cell: (row) => <SealWord entry={row} log={log} />,
    },
    {
      key: 'type',
      header: 'What',
      main: true,
      cell: (row) => (
        <button type="button" className="row-link" onClick={() => open(row.id)}>
          <TypeWord type={row.type} />
        </button>
      ),
    },
    { key: 'outcome', header: 'Outcome', fit: true, cell: (row) => <OutcomeWord outcome={row.outcome} /> },
    { key: 'actor', header: 'Who', priority: 2, cell: (row) => <ActorName actor={row.actor} name={name} /> },
    {
      key: 'about',
      header: 'About',
      priority: 3,
      cell: (row) => (
        <>
          {row.resource[0]}
          <span className="sub hash">…{row.resource[1].slice(-6)}</span>
        </>
      ),
    },
    {
      key: 'rule',
      header: 'Decided by',
      priority: 3,
      cell: (row) =>
        row.decision === null ? (
          <span className="muted">not recorded</span>
        ) : (
          <span className="mono clip" title={row.decision.policies.join(', ')}>
            {row.decision.policies.join(', ')}
          </span>
        ),
    },
    {
      key: 'when',
      header: 'When (UTC)',
      fit: true,
      cell: (row) => (
        <>
          <Ago at={row.at} />
          <span className="sub wide-only" title={utcText(row.at)}>
            {utcText(row.at).slice(0, -SECONDS_CHARS)}
          </span>
        </>
      ),
    },
  ];
}

/** A break in the log is drawn as one: nothing is closed up. */
function gapBetween(above: Entry, below: Entry, whole: boolean) {
  if (above.generation === null || below.generation === null) return null;
  if (above.generation !== below.generation)
    return (
      <span>
        Generation {above.generation} of the log begins here. What is below was sealed in generation {below.generation},
        under a name and a count of its own; its bundles still verify.
      </span>
    );
  const missing = above.position! - below.position! - 1;
  if (!whole || missing < 1) return null;
  return (
    <span>
      {missing === 1 ? 'One entry is' : `${missing} entries are`} missing: positions {below.position! + 1} to{' '}
      {above.position! - 1} are in the signed log, and the database no longer has them.
    </span>
  );
}

function useEntries(filters: Filters) {
  const key = JSON.stringify({ ...filters, entry: undefined });
  // The present is taken once for each set of filters: the pages of one search must share one period.
  // oxlint-disable-next-line react-hooks/exhaustive-deps
  const query = useMemo(() => queryOf(filters, Date.now()), [key]);
  const list = useInfiniteQuery({
    queryKey: ['audit-trail', query],
    queryFn: ({ pageParam, signal }) =>
      request<EntryPage>('/api/audit-trail', { query: { ...query, cursor: pageParam }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.nextCursor,
  });
  const { data, hasNextPage, isFetchingNextPage, fetchNextPage } = list;
  const pages = data?.pages ?? [];
  const goesOn =
    hasNextPage && !isFetchingNextPage && pages.length < EMPTY_PAGES_MAX && pages.at(-1)?.entries.length === 0;
  useEffect(() => {
    if (goesOn) void fetchNextPage();
  }, [goesOn, fetchNextPage]);
  return { list, query };
}

function Foot({ list }: { list: ReturnType<typeof useEntries>['list'] }) {
  const pages = list.data?.pages ?? [];
  const shown = pages.reduce((sum, page) => sum + page.entries.length, 0);
  const searched = pages.reduce((sum, page) => sum + page.searched, 0);
  return (
    <div className="row row--between">
      <output className="list__count">
        {shown} {shown === 1 ? 'entry' : 'entries'}
        {list.hasNextPage ? ' so far' : ''}
        {searched > shown && `, ${searched.toLocaleString('en-GB')} looked through`}
      </output>
      {list.hasNextPage && (
        <Button small busy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
          {searched > shown ? 'Search further back' : 'Load more'}
        </Button>
      )}
    </div>
  );
}

function NoEntries({ whole, busy }: { whole: boolean; busy: boolean }) {
  if (busy) return <Empty title="Looking further back">{<p>No match among the newest entries yet.</p>}</Empty>;
  return (
    <Empty title="No such entries">
      {whole ? (
        <p>The first entry is written with the first thing that somebody does.</p>
      ) : (
        <p>Nothing matches every filter. Try fewer, or a longer time.</p>
      )}
    </Empty>
  );
}

/** The organisation's audit trail: everything that was done or refused, each entry with its place in the sealed log. */
export function AuditTrailPage() {
  const filters = route.useSearch();
  const navigate = route.useNavigate();
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const set = (next: Filters) => {
    const kept = Object.fromEntries(Object.entries(next).filter(([, value]) => value));
    void navigate({ search: kept, replace: true });
  };
  const { list, query } = useEntries(filters);
  const name = useNames();
  const rows = list.data?.pages.flatMap((page) => page.entries);
  const log = list.data?.pages[0]?.log ?? null;
  const whole = isWhole(filters);
  const { entry: _entry, period: _period, ...exported } = filters;
  return (
    <>
      <PageHead
        title="Audit trail"
        actions={
          <Link
            to="/export"
            search={{ ...exported, ...(query['from'] && { from: query['from'].slice(0, 10) }) }}
            className={buttonClass()}
          >
            Export these…
          </Link>
        }
      >
        What was done and what was refused. Entries are sealed into an append-only log that anybody with its public key
        can check; open one to do so. <WitnessWord log={log} />
      </PageHead>
      {list.error ? (
        <Failure error={list.error} />
      ) : (
        <DataTable
          label="Audit trail"
          columns={columnsFor(log, (entry) => set({ ...filters, entry }), name)}
          rows={rows}
          rowKey={(row) => row.id}
          current={filters.entry ?? null}
          choose
          selected={selected}
          onSelect={setSelected}
          between={(above, below) => gapBetween(above, below, whole)}
          bar={<FilterBar filters={filters} onChange={set} />}
          empty={<NoEntries whole={whole} busy={list.isFetching} />}
          foot={
            <>
              <RangeBar
                entries={rows?.filter((row) => selected.has(row.id)) ?? []}
                onClear={() => setSelected(new Set())}
              />
              {rows && <Foot list={list} />}
            </>
          }
        />
      )}
      {filters.entry && (
        <EntryPanel
          entryId={filters.entry}
          onClose={() => set({ ...filters, entry: '' })}
          onNarrow={(narrowed) => set(narrowed)}
        />
      )}
    </>
  );
}
