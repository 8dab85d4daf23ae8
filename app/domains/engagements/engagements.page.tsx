import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { buttonClass } from '../../ui/button.tsx';
import { Empty, PageHead } from '../../ui/display.tsx';
import { FilterSelect, SearchField } from '../../ui/field.tsx';
import { Icon } from '../../ui/icon.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago, dayText } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { More } from '../../shell/more.tsx';
import { useSession } from '../../shell/session.tsx';
import type { EngagementSummary } from '../../shell/wire.ts';
import { ResultBar, StateChip, stateOrder, stateWords } from './words.page.tsx';

const route = getRouteApi('/inside/');

interface EngagementPage {
  readonly engagements: readonly EngagementSummary[];
  readonly nextCursor: string | null;
}

const columns: readonly Column<EngagementSummary>[] = [
  {
    key: 'title',
    header: 'Engagement',
    main: true,
    sort: (row) => row.title,
    cell: (row) => (
      <>
        <Link className="row-link" to="/engagements/$engagementId" params={{ engagementId: row.id }}>
          {row.title}
        </Link>
        <span className="sub">{row.clientName}</span>
      </>
    ),
  },
  {
    key: 'state',
    header: 'State',
    fit: true,
    sort: (row) => stateOrder.indexOf(row.state),
    cell: (row) => <StateChip state={row.state} />,
  },
  {
    key: 'results',
    header: 'Results',
    priority: 2,
    sort: (row) => (row.progress.total > 0 ? row.progress.open / row.progress.total : 1),
    cell: (row) => <ResultBar done={row.progress} />,
  },
  {
    key: 'period',
    header: 'Period',
    priority: 2,
    fit: true,
    sort: (row) => row.periodStart,
    cell: (row) => (
      <>
        {dayText(row.periodStart)} to {dayText(row.periodEnd)}
      </>
    ),
  },
  {
    key: 'created',
    header: 'Created',
    priority: 3,
    fit: true,
    sort: (row) => row.createdAt,
    cell: (row) => <Ago at={row.createdAt} />,
  },
];

function FirstSteps({ canCreate }: { canCreate: boolean }) {
  if (!canCreate)
    return (
      <Empty title="Nothing is open to you yet">
        <p>
          An engagement appears here when its lead auditor adds you to it. You will then see its criteria and can hand
          in evidence.
        </p>
      </Empty>
    );
  return (
    <Empty
      title="Start with the sample: audit Auditrax itself"
      actions={
        <>
          <Link className={buttonClass({ look: 'primary' })} to="/engagements/new">
            <Icon name="plus" />
            New engagement
          </Link>
          <a className={buttonClass()} href="/security">
            See the claims it checks
          </a>
        </>
      }
    >
      <p>
        An engagement is one audit: a client, a period and a catalogue of criteria. It ends as a sealed record that
        anybody can verify.
      </p>
      <ol className="steps-list">
        <li>Take the sample catalogue, or drop a catalogue in OSCAL JSON, such as the NIST SP 800-53 baselines.</li>
        <li>Start fieldwork: record a result for each criterion and attach the evidence that bears it out.</li>
        <li>Review, then make it final with your passkey. From then on it cannot change.</li>
      </ol>
    </Empty>
  );
}

interface Filters {
  readonly search?: string;
  readonly state?: string;
}

function FilterBar({ filters, onChange }: { filters: Filters; onChange: (next: Filters) => void }) {
  return (
    <>
      <div className="grow">
        <SearchField
          label="Filter by title or client"
          value={filters.search ?? ''}
          onChange={(event) => onChange({ ...filters, search: event.target.value })}
          shortcut="/"
        />
      </div>
      <FilterSelect
        label="State"
        value={stateOrder.find((state) => state === filters.state) ?? 'all'}
        onChange={(state) => onChange({ ...filters, state: state === 'all' ? '' : state })}
        choices={[
          { value: 'all', label: 'Any state' },
          ...stateOrder.map((state) => ({ value: state, label: stateWords[state] })),
        ]}
      />
    </>
  );
}

function fits(row: EngagementSummary, { search = '', state }: Filters): boolean {
  return (
    (!state || row.state === state) && `${row.title} ${row.clientName}`.toLowerCase().includes(search.toLowerCase())
  );
}

function EngagementTable({ canCreate }: { canCreate: boolean }) {
  const filters: Filters = route.useSearch();
  const navigate = route.useNavigate();
  const list = useInfiniteQuery({
    queryKey: ['engagements'],
    queryFn: ({ pageParam, signal }) =>
      request<EngagementPage>('/api/engagements', { query: { cursor: pageParam }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.nextCursor,
  });
  const all = list.data?.pages.flatMap((page) => page.engagements);
  const rows = all?.filter((row) => fits(row, filters));
  const set = ({ search, state }: Filters) =>
    void navigate({ search: { ...(search && { search }), ...(state && { state }) }, replace: true });
  const more = rows && (
    <More
      shown={rows.length}
      what={rows.length === 1 ? 'engagement' : 'engagements'}
      hasMore={list.hasNextPage}
      busy={list.isFetchingNextPage}
      onMore={() => void list.fetchNextPage()}
    />
  );
  if (list.error) return <Failure error={list.error} />;
  if (all && all.length === 0) return <FirstSteps canCreate={canCreate} />;
  return (
    <DataTable
      label="Engagements"
      columns={columns}
      rows={rows}
      rowKey={(row) => row.id}
      choose
      whole
      bar={<FilterBar filters={filters} onChange={set} />}
      empty={
        <Empty title="Nothing matches">
          <p>No engagement loaded so far has these words and this state.</p>
        </Empty>
      }
      foot={more}
    />
  );
}

/** Home: the engagements that the person may see, newest first. */
export function EngagementsPage() {
  const { role } = useSession();
  const canCreate = role === 'lead';
  const create = canCreate && (
    <Link className={buttonClass({ look: 'primary' })} to="/engagements/new">
      <Icon name="plus" />
      New engagement
    </Link>
  );
  return (
    <>
      <PageHead title="Engagements" actions={create}>
        {role === 'client'
          ? 'The audits in which you are a contact.'
          : 'Each is one audit: a client, a period, a catalogue of criteria, and what was found.'}
      </PageHead>
      <EngagementTable canCreate={canCreate} />
    </>
  );
}
