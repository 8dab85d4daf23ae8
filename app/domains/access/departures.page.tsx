import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Empty, Facts, Notice, PageHead } from '../../ui/display.tsx';
import { GradeChip } from '../../ui/grade.tsx';
import { FilterSelect } from '../../ui/field.tsx';
import { Drawer, toastError } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago, Instant } from '../../ui/time.tsx';
import { request, saveFile } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { More } from '../../shell/more.tsx';
import type { Departure, DeparturesAnswer } from '../../shell/wire.ts';
import { departuresCsv } from './departures-file.ts';

const route = getRouteApi('/inside/departures');
/** Lines of one exported file; beyond it the audit trail is the better source. */
const EXPORT_ROWS_MAX = 5_000;

type Filters = { readonly cause?: string; readonly state?: string };

const causeWords: Readonly<Record<Departure['cause'], string>> = {
  scim: 'The directory said so',
  'back-channel': 'Signed out at the provider',
  signal: 'A signal said so',
  lapsed: 'No word for four hours',
  administrator: 'Suspended here',
  review: 'An access review',
};
/** Of holders whose word is not plain by itself. */
const holderWords: Readonly<Record<string, string>> = {
  sessions: 'Sessions',
  links: 'Unused links',
  approvals: 'Pending approvals',
  gateways: 'Gateways told to drop tokens',
  'provider-steps': 'Steps at a provider',
  'api-keys': 'API keys',
};

function holderWord(holder: string): string {
  const plain = holder.replaceAll('-', ' ');
  return holderWords[holder] ?? plain.charAt(0).toUpperCase() + plain.slice(1);
}

function took(ms: number): string {
  if (ms < 1000) return `${ms} ms`;
  return ms < 120_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;
}

function lastOf(departure: Departure): number | null {
  const ended = departure.effects.filter((effect) => effect.ended > 0);
  return ended.length === 0 ? null : Math.max(...ended.map((effect) => effect.after_ms));
}

function LastEffect({ row }: { row: Departure }) {
  if (row.completedAt === null) return <GradeChip grade="failing" word="Not finished" />;
  const last = lastOf(row);
  if (last === null) return <span className="muted">Nothing was open</span>;
  return <GradeChip grade="measured" word={took(last)} />;
}

function endedText({ effects, completedAt }: Departure): string {
  if (completedAt === null) return 'Something of theirs is still open';
  const ended = effects.filter((effect) => effect.ended > 0 && effect.holder !== 'gateways');
  return ended.map(({ holder, ended: count }) => `${holderWord(holder)}: ${count}`).join(', ');
}

function fetchPage(filters: Filters, until: string | null, signal?: AbortSignal): Promise<DeparturesAnswer> {
  return request<DeparturesAnswer>('/api/access/departures', {
    query: { cause: filters.cause, until },
    ...(signal && { signal }),
  });
}

/** Pages overlap in what has the same instant. */
function once(rows: readonly Departure[], { state }: Filters): Departure[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  return [...byId.values()].filter((row) => state !== 'open' || row.completedAt === null);
}

function columnsFor(open: (id: string) => void): readonly Column<Departure>[] {
  return [
    {
      key: 'who',
      header: 'Who',
      main: true,
      sort: (row) => row.label,
      cell: (row) => (
        <>
          <button type="button" className="row-link" onClick={() => open(row.id)}>
            {row.label}
          </button>
          {endedText(row) && <span className="sub">{endedText(row)}</span>}
        </>
      ),
    },
    {
      key: 'cause',
      header: 'Cause',
      fit: true,
      priority: 2,
      sort: (row) => causeWords[row.cause],
      cell: (row) => (
        <>
          {causeWords[row.cause]}
          {row.by !== null && <span className="sub">By {row.by}</span>}
        </>
      ),
    },
    {
      key: 'at',
      header: 'When',
      fit: true,
      priority: 2,
      sort: (row) => row.causedAt,
      cell: (row) => <Ago at={row.causedAt} />,
    },
    { key: 'last', header: 'All ended after', fit: true, cell: (row) => <LastEffect row={row} /> },
  ];
}

function EffectTable({ effects }: Pick<Departure, 'effects'>) {
  return (
    <div className="grid-box grid-box--whole">
      <table className="grid">
        <caption className="vh">What ended, and how long after the cause</caption>
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col" className="right">
              Ended
            </th>
            <th scope="col" className="right">
              After
            </th>
            <th scope="col" className="p2">
              At
            </th>
          </tr>
        </thead>
        <tbody>
          {effects.map(({ holder, ended, at, after_ms }) => (
            <tr key={holder}>
              <th scope="row" className="main-cell">
                {holderWord(holder)}
              </th>
              <td className="right">{ended === 0 ? <span className="muted">none</span> : ended}</td>
              <td className="right">{ended > 0 && took(after_ms)}</td>
              <td className="p2 fit">{ended > 0 && <Instant at={at} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function DeparturePanel({ departure, onClose }: { departure: Departure; onClose: () => void }) {
  const { label, cause, by, causedAt, completedAt, effects } = departure;
  return (
    <Drawer open onClose={onClose} title={label} sub={causeWords[cause]}>
      <Facts
        entries={[
          ...(by === null ? [] : [['By', by] as const]),
          ['At', <Instant key="at" at={causedAt} />],
          ['All ended after', <LastEffect key="last" row={departure} />],
        ]}
      />
      {completedAt === null && (
        <Notice kind="failing" title="Something of theirs has not ended yet">
          <p>The person is locked out. Suspend them again, or have the directory repeat it: what is left ends then.</p>
        </Notice>
      )}
      <EffectTable effects={effects} />
      <p className="muted prose">
        After the time shown nothing of that kind worked any more. The entry in the audit trail names the same effects.
      </p>
    </Drawer>
  );
}

async function exportAll(filters: Filters): Promise<void> {
  const rows: Departure[] = [];
  let until: string | null = null;
  do {
    const page: DeparturesAnswer = await fetchPage(filters, until);
    rows.push(...page.departures);
    until = page.older;
  } while (until !== null && rows.length < EXPORT_ROWS_MAX);
  const text = departuresCsv(once(rows, filters));
  saveFile({ blob: new Blob([text], { type: 'text/csv' }), name: 'ended-access.csv' });
}

function FilterBar({ filters, onChange }: { filters: Filters; onChange: (next: Filters) => void }) {
  const causes = Object.entries(causeWords).map(([value, label]) => ({ value, label }));
  return (
    <>
      <FilterSelect
        label="Cause"
        value={filters.cause ?? 'all'}
        onChange={(cause) => onChange({ ...filters, cause: cause === 'all' ? '' : cause })}
        choices={[{ value: 'all', label: 'Every cause' }, ...causes]}
      />
      <FilterSelect
        label="State"
        value={filters.state === 'open' ? 'open' : 'all'}
        onChange={(state) => onChange({ ...filters, state: state === 'open' ? 'open' : '' })}
        choices={[
          { value: 'all', label: 'Finished or not' },
          { value: 'open', label: 'Not finished' },
        ]}
      />
    </>
  );
}

function NoDepartures({ isFiltered, onClear }: { isFiltered: boolean; onClear: () => void }) {
  if (isFiltered)
    return (
      <Empty title="Nothing fits these filters" actions={<Button onClick={onClear}>Clear the filters</Button>}>
        <p>Other people’s access may have ended for other causes.</p>
      </Empty>
    );
  return (
    <Empty title="Nobody’s access has ended">
      <p>
        As soon as somebody is suspended, leaves your directory or signs out at your provider, they are listed here with
        the time of each effect.
      </p>
    </Empty>
  );
}

/** Whose access ended, why, and how long after the cause each part of it did. */
export function DeparturesPage() {
  const filters = route.useSearch();
  const navigate = route.useNavigate();
  const [opened, setOpened] = useState<string | null>(null);
  const list = useInfiniteQuery({
    queryKey: ['departures', filters.cause ?? ''],
    queryFn: ({ pageParam, signal }) => fetchPage(filters, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.older,
  });
  const rows = list.data && once(list.data.pages.flatMap((page) => page.departures), filters); // prettier-ignore
  const current = rows?.find((row) => row.id === opened);
  const set = (next: Filters) =>
    void navigate({ search: Object.fromEntries(Object.entries(next).filter(([, value]) => value)), replace: true });
  const save = () =>
    void exportAll(filters).catch(() => toastError('The file was not made', 'Nothing was changed; try again.'));
  const isFiltered = Boolean(filters.cause || filters.state);
  return (
    <>
      <PageHead
        title="Ended access"
        actions={
          rows &&
          rows.length > 0 && (
            <Button icon="download" onClick={save}>
              Export CSV
            </Button>
          )
        }
      >
        Who lost their access, why, and how long it took until each session, link, approval and key of theirs had ended.
      </PageHead>
      {list.error && !list.data ? (
        <Failure error={list.error} />
      ) : (
        <DataTable
          label="Ended access"
          columns={columnsFor(setOpened)}
          rows={rows}
          rowKey={(row) => row.id}
          current={opened}
          choose
          bar={<FilterBar filters={filters} onChange={set} />}
          empty={<NoDepartures isFiltered={isFiltered} onClear={() => set({})} />}
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
      {current && <DeparturePanel departure={current} onClose={() => setOpened(null)} />}
    </>
  );
}
