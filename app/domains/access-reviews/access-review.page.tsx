import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useState, type ReactNode } from 'react';
import { Button } from '../../ui/button.tsx';
import { CodeBlock, Empty, Facts, Notice, PageHead } from '../../ui/display.tsx';
import { FilterSelect } from '../../ui/field.tsx';
import { Drawer, toastError } from '../../ui/overlay.tsx';
import { Progress } from '../../ui/progress.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago, Instant } from '../../ui/time.tsx';
import { request, saveFile } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { roleWords } from '../../shell/session.tsx';
import type { AccessReviewAnswer, AccessReviewItem, Role } from '../../shell/wire.ts';
import { areasOf, growthLine, reachLine, reachWords } from './access-words.ts';
import { DecisionDialog, SELECTED_MAX } from './decision-dialog.page.tsx';
import { OwnRules } from './own-rules.page.tsx';
import { reviewCsv, reviewJson } from './report-file.ts';
import { decisionText, kindWords, proofText, StateChip } from './review-words.page.tsx';

const route = getRouteApi('/inside/access-reviews/$reviewId');

const roleText = (role: string): string => roleWords[role as Role] ?? role;
const never = <span className="muted">never seen</span>;
const methodWords: Readonly<Record<string, string>> = { passkey: 'passkey', sso: 'company sign-in', link: 'link' };

/** Whether the caller may decide about it now. */
function isOpenTo({ review }: AccessReviewAnswer, item: AccessReviewItem): boolean {
  const takes = review.state === 'open' || review.state === 'overdue';
  return takes && item.decision === null && !item.isOwn && !item.isGone;
}

function areasIn(found: AccessReviewAnswer, item: AccessReviewItem) {
  return areasOf(found.access[item.access] ?? [], found.operations);
}

function Standing({ found, item }: { found: AccessReviewAnswer; item: AccessReviewItem }) {
  if (item.decision !== null) {
    const proof = proofText(item);
    return (
      <>
        {decisionText(item)}
        {proof && <span className="sub">{proof}</span>}
      </>
    );
  }
  if (item.isGone) return <span className="muted">Ended by itself</span>;
  if (item.isOwn)
    return (
      <span className="muted">
        Yours<span className="sub">Another decides</span>
      </span>
    );
  return isOpenTo(found, item) ? <b>Undecided</b> : <span className="muted">Undecided</span>;
}

function doesText(found: AccessReviewAnswer, item: AccessReviewItem): string {
  if (item.kind === 'directory-token') return 'Names people and groups';
  if (item.kind === 'break-glass') return `Was let in: ${item.methods.join(', ')}`;
  return reachLine(areasIn(found, item));
}

function columnsFor(found: AccessReviewAnswer, open: (n: number) => void): readonly Column<AccessReviewItem>[] {
  return [
    {
      key: 'who',
      header: 'Who or what',
      main: true,
      sort: ({ name }) => name,
      cell: (item) => (
        <>
          <button type="button" className="row-link" onClick={() => open(item.n)}>
            {item.name}
          </button>
          <span className="sub">
            {kindWords[item.kind]}
            {item.role !== null && `, ${roleText(item.role)}`}
          </span>
        </>
      ),
    },
    {
      key: 'does',
      header: 'What it can do',
      priority: 2,
      cell: (item) => (
        <>
          {doesText(found, item)}
          {item.growth.length > 0 && <span className="sub grade grade--stale">More since the snapshot</span>}
        </>
      ),
    },
    {
      key: 'used',
      header: 'Last used',
      fit: true,
      priority: 2,
      sort: ({ lastUsedAt }) => lastUsedAt ?? '',
      cell: ({ lastUsedAt }) => (lastUsedAt === null ? never : <Ago at={lastUsedAt} />),
    },
    { key: 'decision', header: 'Decision', fit: true, cell: (item) => <Standing found={found} item={item} /> },
  ];
}

function Production({ production }: { production: NonNullable<AccessReviewItem['production']> }) {
  if (!production.mayAsk) return 'may not ask for it';
  if (production.lastAt === null) return 'may ask for it, never had it';
  return (
    <>
      may ask for it, last let in <Ago at={production.lastAt} />
    </>
  );
}

function accessFacts(item: AccessReviewItem): readonly (readonly [string, ReactNode])[] {
  const { methods, connections, holds, lastUsedAt, provedAt, expiresAt, scope, production } = item;
  const isPerson = item.kind === 'member' || item.kind === 'invitation';
  return [
    ...(isPerson
      ? ([
          ['Signs in by', methods.map((method) => methodWords[method] ?? method).join(', ')],
          ['Managed by', connections === 0 ? 'nobody but you' : `${connections} of your connections`],
          ['Keys and programs', holds],
          ['Last vouched for', provedAt === null ? 'no company says so' : <Ago key="proved" at={provedAt} />],
        ] as const)
      : []),
    ...(production === undefined
      ? []
      : ([['Production access', <Production key="production" production={production} />]] as const)),
    ...(scope === null ? [] : ([['Scope', scope === 'read' ? 'reads' : 'reads and writes']] as const)),
    ['Since', <Ago key="since" at={item.createdAt} />],
    ...(expiresAt === null ? [] : ([['Ends', <Ago key="ends" at={expiresAt} />]] as const)),
    ['Last used', lastUsedAt === null ? never : <Ago key="used" at={lastUsedAt} />],
  ];
}

function Decided({ item }: { item: AccessReviewItem }) {
  const proof = proofText(item);
  return (
    <section className="section" aria-label="Decision">
      <h3>Decision</h3>
      <Facts
        entries={[
          ['Decision', decisionText(item)],
          ...(item.decidedAt === null ? [] : ([['At', <Instant key="at" at={item.decidedAt} />]] as const)),
          ...(item.newRole === null ? [] : ([['New role', roleText(item.newRole)]] as const)),
          ...(item.reason === null ? [] : ([['Why', item.reason]] as const)),
          ...(item.carriedOutAt === null ? [] : ([['Done', <Instant key="done" at={item.carriedOutAt} />]] as const)),
          ...(proof === null ? [] : ([['Proof', proof]] as const)),
          ...(item.lookedAt === null ? [] : ([['Looked at', <Instant key="look" at={item.lookedAt} />]] as const)),
        ]}
      />
    </section>
  );
}

function ItemPanel({
  found,
  item,
  onClose,
  onDecide,
}: {
  found: AccessReviewAnswer;
  item: AccessReviewItem;
  onClose: () => void;
  onDecide: () => void;
}) {
  const growth = growthLine(item.growth, roleText);
  const areas = areasIn(found, item);
  return (
    <Drawer open onClose={onClose} title={item.name} sub={kindWords[item.kind]}>
      {growth.length > 0 && (
        <Notice kind="stale" title="More since the snapshot">
          <ul>
            {growth.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </Notice>
      )}
      {item.isOwn && item.decision === null && (
        <Notice title="Somebody else decides about you">
          <p>Nobody goes through their own access, nor through the keys and programs that are theirs.</p>
        </Notice>
      )}
      <Facts entries={accessFacts(item)} />
      {areas.length > 0 && (
        <section className="section" aria-label="At the snapshot">
          <h3>{item.kind === 'member' ? 'What they could do' : 'What it could do'} at the snapshot</h3>
          <Facts entries={areas.map(({ area, reach }) => [area, reachWords[reach]] as const)} />
        </section>
      )}
      {item.decision !== null && <Decided item={item} />}
      {isOpenTo(found, item) && (
        <div className="row">
          <Button look="primary" icon="key" onClick={onDecide}>
            Decide…
          </Button>
        </div>
      )}
    </Drawer>
  );
}

function saveText(name: string, text: string): void {
  saveFile({ blob: new Blob([text], { type: name.endsWith('.csv') ? 'text/csv' : 'application/json' }), name });
}

async function saveSnapshot(reviewId: string): Promise<void> {
  const { text } = await request<{ text: string }>(`/api/access-reviews/${reviewId}/snapshot`);
  saveText('access-review-snapshot.json', text);
}

function Check({ found }: { found: AccessReviewAnswer }) {
  const { id, snapshotHash } = found.review;
  const save = () =>
    void saveSnapshot(id).catch(() => toastError('The file was not made', 'Nothing was changed; try again.'));
  return (
    <section className="section" aria-label="Check it yourself">
      <h2>Check it yourself</h2>
      <p className="prose">
        The snapshot holds what everybody could do when the review began, without names. Its hash is in the audit trail,
        in the entry access-review.opened. Download it and compare; no program of ours is needed.
      </p>
      <CodeBlock label="SHA-256 of the snapshot" code={snapshotHash} wrap />
      <CodeBlock label="command" code="sha256sum access-review-snapshot.json" />
      <div className="row">
        <Button small icon="download" onClick={save}>
          Snapshot
        </Button>
        <Button small icon="download" onClick={() => saveText('access-review.json', reviewJson(found))}>
          Report (JSON)
        </Button>
        <Button small icon="download" onClick={() => saveText('access-review.csv', reviewCsv(found))}>
          Report (CSV)
        </Button>
      </div>
    </section>
  );
}

function Head({ found }: { found: AccessReviewAnswer }) {
  const { review } = found;
  const decided = review.items - review.undecided;
  return (
    <>
      <PageHead
        title="Access review"
        trail={[
          <Link key="all" to="/access-reviews">
            Access reviews
          </Link>,
        ]}
        actions={<StateChip review={review} />}
      >
        Begun <Ago at={review.openedAt} />
        {review.openedBy === null ? ', for the quarter' : ` by ${review.openedBy}`}.{' '}
        {review.closedAt === null ? (
          <>
            Ends <Ago at={review.dueAt} />; what is undecided then is removed.
          </>
        ) : (
          <>
            Closed <Ago at={review.closedAt} />; every removal was looked at again.
          </>
        )}
      </PageHead>
      <Progress
        label="Decided"
        value={review.items === 0 ? 1 : decided / review.items}
        detail={`${decided} of ${review.items}`}
        state={review.undecided === 0 ? 'done' : 'running'}
      />
      {review.state === 'overdue' && (
        <Notice kind="failing" title="Nobody can decide about one person">
          <p>They alone manage this organisation. Make somebody else a manager, who then decides about them here.</p>
        </Notice>
      )}
      {review.stillThere > 0 && (
        <Notice kind="failing" title="Something that was removed was there again">
          <p>It is removed once more. Find out who gave it back.</p>
        </Notice>
      )}
    </>
  );
}

type Filter = 'undecided' | 'all' | 'removed';

const FILTERS: readonly { readonly value: Filter; readonly label: string }[] = [
  { value: 'undecided', label: 'Undecided' },
  { value: 'removed', label: 'Removed or changed' },
  { value: 'all', label: 'Everything' },
];

function filtered(found: AccessReviewAnswer | undefined, filter: Filter): readonly AccessReviewItem[] | undefined {
  return found?.items.filter(({ decision }) =>
    filter === 'all' ? true : filter === 'undecided' ? decision === null : decision !== null && decision !== 'keep',
  );
}

function DecideButton({ count, onClick }: { count: number; onClick: () => void }) {
  const tooMany = count > SELECTED_MAX;
  const hint = count === 0 ? 'Select rows first' : tooMany ? `At most ${SELECTED_MAX} at once` : null;
  return (
    <>
      <Button small look="primary" icon="key" disabled={hint !== null} onClick={onClick}>
        {count === 0 ? 'Decide…' : `Decide about ${count}…`}
      </Button>
      {hint && <span className="muted">{hint}</span>}
    </>
  );
}

function Items({ found, reviewId }: { found: AccessReviewAnswer; reviewId: string }) {
  const [filter, setFilter] = useState<Filter>(found.review.undecided > 0 ? 'undecided' : 'all');
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [opened, setOpened] = useState<number | null>(null);
  const [asked, setAsked] = useState<readonly AccessReviewItem[] | null>(null);
  const rows = filtered(found, filter);
  const current = found.items.find(({ n }) => n === opened);
  const chosen = found.items.filter((item) => selected.has(String(item.n)) && isOpenTo(found, item));
  const isSelectable = found.items.some((item) => isOpenTo(found, item));
  return (
    <>
      <DataTable
        label="Accesses of this review"
        columns={columnsFor(found, setOpened)}
        rows={rows}
        rowKey={({ n }) => String(n)}
        current={opened === null ? null : String(opened)}
        {...(isSelectable && {
          selected,
          onSelect: setSelected,
          selectable: (item: AccessReviewItem) => isOpenTo(found, item),
        })}
        bar={
          <>
            <FilterSelect label="Show" value={filter} choices={FILTERS} onChange={setFilter} />
            {isSelectable && <DecideButton count={chosen.length} onClick={() => setAsked(chosen)} />}
          </>
        }
        empty={
          <Empty title={filter === 'undecided' ? 'Nothing is left to decide' : 'Nothing here'}>
            <p>{filter === 'undecided' ? 'Choose “Everything” to read what was decided.' : 'Choose another filter.'}</p>
          </Empty>
        }
      />
      {current && (
        <ItemPanel
          found={found}
          item={current}
          onClose={() => setOpened(null)}
          onDecide={() => {
            setOpened(null);
            setAsked([current]);
          }}
        />
      )}
      {asked && (
        <DecisionDialog
          key={reviewId}
          review={found.review}
          items={asked}
          onClose={() => setAsked(null)}
          onDecided={() => {
            setAsked(null);
            setSelected(new Set());
          }}
        />
      )}
    </>
  );
}

/** One review: everybody and everything with access, what it can do, and what was decided about it. */
export function AccessReviewPage() {
  const { reviewId } = route.useParams();
  const found = useQuery({
    queryKey: ['access-reviews', reviewId],
    queryFn: ({ signal }) => request<AccessReviewAnswer>(`/api/access-reviews/${reviewId}`, { signal }),
  });
  if (found.error && !found.data) return <Failure error={found.error} />;
  if (!found.data) return <output className="muted">Reading everybody’s access…</output>;
  return (
    <>
      <Head found={found.data} />
      <Items found={found.data} reviewId={reviewId} />
      <OwnRules rules={found.data.rules} />
      <Check found={found.data} />
    </>
  );
}
