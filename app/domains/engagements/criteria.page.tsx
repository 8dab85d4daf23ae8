import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useDeferredValue, useState, type FormEvent, type ComponentType } from 'react';
import { Button } from '../../ui/button.tsx';
import { Empty, Notice, Timeline } from '../../ui/display.tsx';
import { ChoiceField, SearchField, TextArea, TextField } from '../../ui/field.tsx';
import { Drawer, toast } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { dayText } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { CardOverride, isCardRefusal } from '../../shell/card-override.tsx';
import { Failure } from '../../shell/failure.tsx';
import { More } from '../../shell/more.tsx';
import { useNames } from '../../shell/names.ts';
import { useSession } from '../../shell/session.tsx';
import type { Criterion, EngagementDetail, Progress, Result, ResultOutcome } from '../../shell/wire.ts';
import { OutcomeChip, outcomeWords } from './words.page.tsx';

const route = getRouteApi('/inside/engagements/$engagementId');

interface CriteriaPage {
  readonly criteria: readonly Criterion[];
  readonly nextCursor: string | null;
}

type CriterionDetail = Criterion & { readonly history: readonly Result[] };

const NOTE_CHARS_MAX = 20_000;
const SEARCH_CHARS_MAX = 100;

function today(): string {
  return new Date().toISOString().slice(0, 10);
}

const outcomes = [
  { value: 'satisfied', label: 'Satisfied' },
  { value: 'not-satisfied', label: 'Not satisfied' },
  { value: 'not-applicable', label: 'Not applicable' },
] as const;

type ResultFaults = { outcome?: string; note?: string; observedOn?: string };

function faultsOf(outcome: ResultOutcome | null, note: string, observedOn: string): ResultFaults {
  const silent = note.trim() === '';
  return {
    ...(!outcome && { outcome: 'Choose what you found.' }),
    ...(outcome === 'not-satisfied' && silent && { note: 'Say what was not as it should be.' }),
    ...(outcome === 'not-applicable' && silent && { note: 'Say why it does not apply.' }),
    ...(!observedOn && { observedOn: 'Choose the day.' }),
    ...(observedOn > today() && { observedOn: 'This day has not come yet.' }),
  };
}

function ResultForm({ engagement, criterion }: { engagement: EngagementDetail; criterion: Criterion }) {
  const client = useQueryClient();
  const before = criterion.result;
  const [outcome, setOutcome] = useState<ResultOutcome | null>(before?.outcome ?? null);
  const [note, setNote] = useState(before?.note ?? '');
  const [observedOn, setObservedOn] = useState(before?.observedOn ?? today());
  const [faults, setFaults] = useState<ResultFaults>({});
  const record = useMutation({
    mutationFn: (notACard: readonly string[]) =>
      request<Result>(`/api/engagements/${engagement.id}/criteria/${criterion.id}/result`, {
        body: { outcome, note, observedOn, revision: before?.revision ?? 0, ...(notACard.length > 0 && { notACard }) },
      }),
    onSuccess: async (result) => {
      toast(`${criterion.label}: ${outcomeWords[result.outcome]}`, 'Recorded, with an entry in the audit trail.');
      await client.invalidateQueries({ queryKey: ['engagement', engagement.id] });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const found = faultsOf(outcome, note, observedOn);
    setFaults(found);
    if (Object.keys(found).length === 0) record.mutate([]);
  };
  return (
    <form className="form" onSubmit={submit} noValidate>
      <ChoiceField
        label={before ? 'Result (replaces the one in force; both stay in the history)' : 'Result'}
        name="outcome"
        row
        value={outcome}
        onChange={setOutcome}
        error={faults.outcome}
        choices={outcomes}
      />
      <TextArea
        label="What you saw"
        optional={outcome === 'satisfied'}
        help="Facts another auditor could repeat: what you looked at, how, how much of it."
        value={note}
        maxLength={NOTE_CHARS_MAX}
        onChange={(event) => setNote(event.target.value)}
        error={faults.note}
      />
      <TextField
        label="Observed on"
        type="date"
        max={today()}
        value={observedOn}
        onChange={(event) => setObservedOn(event.target.value)}
        error={faults.observedOn}
      />
      {!isCardRefusal(record.error) && <Failure error={record.error} />}
      <CardOverride error={record.error} busy={record.isPending} onDeclare={(field) => record.mutate([field])} />
      <div className="form__actions">
        <Button look="primary" type="submit" busy={record.isPending}>
          Record result
        </Button>
      </div>
    </form>
  );
}

function History({ results }: { results: readonly Result[] }) {
  const name = useNames();
  if (results.length === 0) return null;
  return (
    <section className="section" aria-label="History">
      <h3>History</h3>
      <Timeline
        events={results.map((result) => ({
          key: result.id,
          at: result.recordedAt,
          what: (
            <>
              <OutcomeChip outcome={result.outcome} /> by {name(result.recordedBy)}, observed on{' '}
              {dayText(result.observedOn)}
              {result.note && <p className="statement">{result.note}</p>}
            </>
          ),
        }))}
      />
    </section>
  );
}

/** What the evidence room shows inside an engagement; handed in by whoever joins the two rooms. */
export interface EvidenceSlots {
  readonly All: ComponentType<{ engagement: EngagementDetail }>;
  readonly OfCriterion: ComponentType<{ engagement: EngagementDetail; criterion: Criterion }>;
}

interface CriterionPanelProps {
  engagement: EngagementDetail;
  evidence: EvidenceSlots;
  criterionId: string;
  onClose: () => void;
}

function CriterionPanel({ engagement, evidence, criterionId, onClose }: CriterionPanelProps) {
  const { role } = useSession();
  const { data, error } = useQuery({
    queryKey: ['engagement', engagement.id, 'criterion', criterionId],
    queryFn: ({ signal }) =>
      request<CriterionDetail>(`/api/engagements/${engagement.id}/criteria/${criterionId}`, { signal }),
  });
  const writes = role === 'lead' || role === 'auditor';
  return (
    <Drawer
      open
      onClose={onClose}
      title={data?.title ?? 'Criterion'}
      sub={
        <span className="row">
          <code>{data?.label ?? '…'}</code>
          {data && <OutcomeChip outcome={data.result?.outcome ?? null} />}
        </span>
      }
    >
      <Failure error={error} />
      {data && (
        <>
          <p className="muted">{data.path.join(' / ')}</p>
          {data.statement && <p className="statement">{data.statement}</p>}
          {data.guidance && (
            <details>
              <summary>Guidance</summary>
              <p className="statement">{data.guidance}</p>
            </details>
          )}
          {engagement.state === 'fieldwork' && writes && (
            <ResultForm key={data.result?.revision ?? 0} engagement={engagement} criterion={data} />
          )}
          {engagement.state === 'draft' && (
            <Notice title="Fieldwork has not started">
              <p>Start it on the overview to record results.</p>
            </Notice>
          )}
          {engagement.state === 'review' && (
            <Notice title="In review">
              <p>Return the engagement to fieldwork to change a result.</p>
            </Notice>
          )}
          <evidence.OfCriterion engagement={engagement} criterion={data} />
          <History results={data.history} />
        </>
      )}
    </Drawer>
  );
}

function Groups({
  engagement,
  current,
  onChoose,
}: {
  engagement: EngagementDetail;
  current: string | undefined;
  onChoose: (group: string | undefined) => void;
}) {
  if (engagement.groups.length < 2) return null;
  const entry = (value: string | undefined, label: string, done: Progress) => (
    <li key={value ?? 'all'}>
      <button type="button" className="group" aria-current={current === value} onClick={() => onChoose(value)}>
        <span>{label}</span>
        <span className="group__count">
          {done.total - done.open}/{done.total}
        </span>
      </button>
    </li>
  );
  return (
    <nav aria-label="Groups of criteria">
      <ul className="groups">
        {entry(undefined, 'All groups', engagement.progress)}
        {engagement.groups.map((group) =>
          entry(String(group.index), group.path.join(' / ') || 'Without a group', group.progress),
        )}
      </ul>
    </nav>
  );
}

function columnsFor(open: (criterionId: string) => void): readonly Column<Criterion>[] {
  return [
    { key: 'label', header: 'Id', fit: true, cell: (row) => <code>{row.label}</code> },
    {
      key: 'title',
      header: 'Criterion',
      main: true,
      cell: (row) => (
        <button type="button" className="row-link" onClick={() => open(row.id)}>
          {row.title}
        </button>
      ),
    },
    {
      key: 'result',
      header: 'Result',
      fit: true,
      cell: (row) => <OutcomeChip outcome={row.result?.outcome ?? null} />,
    },
    {
      key: 'observed',
      header: 'Observed',
      fit: true,
      priority: 2,
      cell: (row) => (row.result ? dayText(row.result.observedOn) : ''),
    },
  ];
}

interface CriteriaListProps {
  engagement: EngagementDetail;
  group: string | undefined;
  current: string | null;
  onOpen: (criterionId: string) => void;
}

function CriteriaList({ engagement, group, current, onOpen }: CriteriaListProps) {
  const [words, setWords] = useState('');
  const settled = useDeferredValue(words.trim());
  const list = useInfiniteQuery({
    queryKey: ['engagement', engagement.id, 'criteria', group ?? null, settled],
    queryFn: ({ pageParam, signal }) =>
      request<CriteriaPage>(`/api/engagements/${engagement.id}/criteria`, {
        query: { cursor: pageParam, group, search: settled },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.nextCursor,
    placeholderData: (before) => before,
  });
  const rows = list.data?.pages.flatMap((page) => page.criteria);
  if (list.error) return <Failure error={list.error} />;
  const bar = (
    <div className="grow">
      <SearchField
        label="Search criteria"
        value={words}
        maxLength={SEARCH_CHARS_MAX}
        onChange={(event) => setWords(event.target.value)}
        shortcut="/"
      />
    </div>
  );
  const more = rows && (
    <More
      shown={rows.length}
      what={rows.length === 1 ? 'criterion' : 'criteria'}
      hasMore={list.hasNextPage}
      busy={list.isFetchingNextPage}
      onMore={() => void list.fetchNextPage()}
    />
  );
  const empty = (
    <Empty title="No criterion has all these words">
      <p>Search looks at id, title, group and statement. Try fewer words{group !== undefined && ', or all groups'}.</p>
    </Empty>
  );
  return (
    <DataTable
      label="Criteria"
      columns={columnsFor(onOpen)}
      rows={rows}
      rowKey={(row) => row.id}
      current={current}
      bar={bar}
      empty={empty}
      foot={more}
    />
  );
}

/** The criteria by group, searched by words; each opens beside the list. */
export function CriteriaTab({ engagement, evidence }: { engagement: EngagementDetail; evidence: EvidenceSlots }) {
  const { group, criterion } = route.useSearch();
  const navigate = route.useNavigate();
  const go = (next: { group?: string; criterion?: string }) =>
    void navigate({ search: { tab: 'criteria', ...next }, replace: true });
  const here = group === undefined ? {} : { group };
  return (
    <div className="bench">
      <Groups
        engagement={engagement}
        current={group}
        onChoose={(next) => go({ ...(next !== undefined && { group: next }) })}
      />
      <div>
        <CriteriaList
          engagement={engagement}
          group={group}
          current={criterion ?? null}
          onOpen={(id) => go({ ...here, criterion: id })}
        />
      </div>
      {criterion && (
        <CriterionPanel engagement={engagement} evidence={evidence} criterionId={criterion} onClose={() => go(here)} />
      )}
    </div>
  );
}
