import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Empty, PageHead } from '../../ui/display.tsx';
import { FilterSelect, SearchField } from '../../ui/field.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { More } from '../../shell/more.tsx';
import { useMembers, useNames } from '../../shell/names.ts';
import type { Entry, EntryPage } from '../../shell/wire.ts';
import { EntryPanel } from './entry.page.tsx';
import { ActorName, OutcomeWord, TypeWord } from './words.page.tsx';

const route = getRouteApi('/inside/audit-trail');

function columnsFor(open: (id: string) => void, name: (memberId: string) => string): readonly Column<Entry>[] {
  return [
    {
      key: 'position',
      header: 'Sealed at',
      align: 'right',
      fit: true,
      priority: 2,
      cell: (row) =>
        row.position === null ? (
          <span className="muted" title="Written; the sequencer has not sealed it yet">
            sealing…
          </span>
        ) : (
          <span className="mono">{row.position}</span>
        ),
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
    { key: 'when', header: 'When', fit: true, cell: (row) => <Ago at={row.at} /> },
    {
      key: 'request',
      header: 'Request',
      fit: true,
      priority: 3,
      cell: (row) => <span className="hash">{row.requestId.slice(0, 12)}</span>,
    },
  ];
}

type Filters = { readonly type?: string; readonly person?: string; readonly outcome?: string; readonly entry?: string };

function FilterBar({ filters, onChange }: { filters: Filters; onChange: (next: Filters) => void }) {
  const members = useMembers();
  const [type, setType] = useState(filters.type ?? '');
  return (
    <>
      <form
        className="grow"
        onSubmit={(event) => {
          event.preventDefault();
          onChange({ ...filters, type: type.trim() });
        }}
      >
        <SearchField
          label="Type of entry"
          placeholder="Begins with, for instance engagement."
          value={type}
          maxLength={100}
          onChange={(event) => {
            setType(event.target.value);
            if (event.target.value === '') onChange({ ...filters, type: '' });
          }}
          shortcut="/"
        />
      </form>
      <FilterSelect
        label="Person"
        value={filters.person ?? 'all'}
        onChange={(person) => onChange({ ...filters, person: person === 'all' ? '' : person })}
        choices={[
          { value: 'all', label: 'Anybody' },
          ...(members.data?.members ?? []).map((member) => ({ value: member.id, label: member.label })),
        ]}
      />
      <FilterSelect
        label="Outcome"
        value={filters.outcome ?? 'all'}
        onChange={(outcome) => onChange({ ...filters, outcome: outcome === 'all' ? '' : outcome })}
        choices={[
          { value: 'all', label: 'Any outcome' },
          { value: 'allowed', label: 'Allowed' },
          { value: 'denied', label: 'Denied' },
          { value: 'failed', label: 'Failed' },
        ]}
      />
      {(filters.type || filters.person || filters.outcome) && (
        <Button
          look="quiet"
          small
          icon="cross"
          onClick={() => {
            setType('');
            onChange({});
          }}
        >
          Clear
        </Button>
      )}
    </>
  );
}

/** The organisation's audit trail: everything that was done or refused, each entry with its place in the sealed log. */
export function AuditTrailPage() {
  const filters = route.useSearch();
  const navigate = route.useNavigate();
  const set = (next: Filters) => {
    const kept = Object.fromEntries(Object.entries(next).filter(([, value]) => value));
    void navigate({ search: kept, replace: true });
  };
  const list = useInfiniteQuery({
    queryKey: ['audit-trail', filters.type ?? '', filters.person ?? '', filters.outcome ?? ''],
    queryFn: ({ pageParam, signal }) =>
      request<EntryPage>('/api/audit-trail', {
        query: { cursor: pageParam, type: filters.type, person: filters.person, outcome: filters.outcome },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.nextCursor,
  });
  const name = useNames();
  const rows = list.data?.pages.flatMap((page) => page.entries);
  return (
    <>
      <PageHead title="Audit trail">
        What was done and what was refused. Entries are sealed into an append-only log that anybody with its public key
        can check; open one to do so.
      </PageHead>
      {list.error ? (
        <Failure error={list.error} />
      ) : (
        <DataTable
          label="Audit trail"
          columns={columnsFor((entry) => set({ ...filters, entry }), name)}
          rows={rows}
          rowKey={(row) => row.id}
          current={filters.entry ?? null}
          choose
          bar={<FilterBar filters={filters} onChange={set} />}
          empty={
            <Empty title="No such entries">
              <p>
                The first entry is written with the first thing that somebody does. If there are filters, try fewer.
              </p>
            </Empty>
          }
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
      )}
      {filters.entry && <EntryPanel entryId={filters.entry} onClose={() => set({ ...filters, entry: '' })} />}
    </>
  );
}
