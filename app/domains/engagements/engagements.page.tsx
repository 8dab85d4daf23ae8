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
import type { EngagementState, EngagementSummary } from '../../shell/wire.ts';
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
        <Link className="row-link" to="/engagements/$engagementId" params={{ engagementId: row.id }}>{row.title}</Link>
        <span className="sub">{row.clientName}</span>
      </>
    ),
  },
  { key: 'state', header: 'State', fit: true, sort: (row) => stateOrder.indexOf(row.state), cell: (row) => <StateChip state={row.state} /> },
  { key: 'results', header: 'Results', priority: 2, sort: (row) => (row.progress.total > 0 ? row.progress.open / row.progress.total : 1), cell: (row) => <ResultBar done={row.progress} /> },
  { key: 'period', header: 'Period', priority: 2, fit: true, sort: (row) => row.periodStart, cell: (row) => <>{dayText(row.periodStart)} to {dayText(row.periodEnd)}</> },
  { key: 'created', header: 'Created', priority: 3, fit: true, sort: (row) => row.createdAt, cell: (row) => <Ago at={row.createdAt} /> },
];

function FirstSteps({ canCreate }: { canCreate: boolean }) {
  if (!canCreate)
    return (
      <Empty title="Nothing is open to you yet">
        <p>An engagement appears here when its lead auditor adds you to it. You will then see its criteria and can hand in evidence.</p>
      </Empty>
    );
  return (
    <Empty title="Start with the sample: audit Auditrax itself" actions={<><Link className={buttonClass({ look: 'primary' })} to="/engagements/new"><Icon name="plus" />New engagement</Link><a className={buttonClass()} href="/security">See the claims it checks</a></>}>
      <p>An engagement is one audit: a client, a period and a catalogue of criteria. It ends as a sealed record that anybody can verify.</p>
      <ol className="steps-list">
        <li>Take the sample catalogue, or drop a catalogue in OSCAL JSON, such as the NIST SP 800-53 baselines.</li>
        <li>Start fieldwork: record a result for each criterion and attach the evidence that bears it out.</li>
        <li>Review, then make it final with your passkey. From then on it cannot change.</li>
      </ol>
    </Empty>
  );
}

/** Home: the engagements that the person may see, newest first. */
export function EngagementsPage() {
  const session = useSession();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const list = useInfiniteQuery({
    queryKey: ['engagements'],
    queryFn: ({ pageParam, signal }) => request<EngagementPage>('/api/engagements', { query: { cursor: pageParam }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.nextCursor,
  });
  const all = list.data?.pages.flatMap((page) => page.engagements);
  const words = (search.search ?? '').toLowerCase();
  const rows = all?.filter((row) => (!search.state || row.state === search.state) && (!words || `${row.title} ${row.clientName}`.toLowerCase().includes(words)));
  const canCreate = session.role === 'lead';
  const filtered = Boolean(words || search.state);
  const set = (next: { search?: string; state?: string }) => {
    const merged = { ...search, ...next };
    void navigate({ search: { ...(merged.search && { search: merged.search }), ...(merged.state && { state: merged.state }) }, replace: true });
  };
  return (
    <>
      <PageHead title="Engagements" actions={canCreate && <Link className={buttonClass({ look: 'primary' })} to="/engagements/new"><Icon name="plus" />New engagement</Link>}>
        {session.role === 'client' ? 'The audits in which you are a contact.' : 'Each is one audit: a client, a period, a catalogue of criteria, and what was found.'}
      </PageHead>
      {list.error ? (
        <Failure error={list.error} />
      ) : all && all.length === 0 ? (
        <FirstSteps canCreate={canCreate} />
      ) : (
        <DataTable
          label="Engagements"
          columns={columns}
          rows={rows}
          rowKey={(row) => row.id}
          choose
          whole
          bar={
            <>
              <div className="grow"><SearchField label="Filter by title or client" value={search.search ?? ''} onChange={(event) => set({ search: event.target.value })} shortcut="/" /></div>
              <FilterSelect label="State" value={(search.state ?? 'all') as EngagementState | 'all'} onChange={(state) => set({ state: state === 'all' ? '' : state })} choices={[{ value: 'all', label: 'Any state' }, ...stateOrder.map((state) => ({ value: state, label: stateWords[state] }))]} />
            </>
          }
          empty={<Empty title="Nothing matches"><p>{filtered ? 'No engagement loaded so far has these words and this state.' : ''}</p></Empty>}
          foot={rows && <More shown={rows.length} what={rows.length === 1 ? 'engagement' : 'engagements'} hasMore={list.hasNextPage} busy={list.isFetchingNextPage} onMore={() => void list.fetchNextPage()} />}
        />
      )}
    </>
  );
}
