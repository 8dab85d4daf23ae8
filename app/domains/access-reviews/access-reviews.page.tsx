import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Empty, Notice, PageHead } from '../../ui/display.tsx';
import { SelectField } from '../../ui/field.tsx';
import { toast } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago, Deadline } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { AccessReview, AccessReviewsAnswer } from '../../shell/wire.ts';
import { StateChip } from './review-words.page.tsx';

const columns: readonly Column<AccessReview>[] = [
  {
    key: 'opened',
    header: 'Opened',
    main: true,
    sort: ({ openedAt }) => openedAt,
    cell: ({ id, openedAt, openedBy }) => (
      <>
        <Link className="row-link" to="/access-reviews/$reviewId" params={{ reviewId: id }}>
          <Ago at={openedAt} />
        </Link>
        <span className="sub">{openedBy === null ? 'For the quarter' : `By ${openedBy}`}</span>
      </>
    ),
  },
  { key: 'state', header: 'State', fit: true, cell: (review) => <StateChip review={review} /> },
  {
    key: 'progress',
    header: 'Decided',
    fit: true,
    cell: ({ items, undecided }) => `${items - undecided} of ${items}`,
  },
  { key: 'removed', header: 'Removed', fit: true, priority: 2, cell: ({ removed }) => removed },
  {
    key: 'end',
    header: 'End',
    fit: true,
    priority: 2,
    cell: ({ closedAt, dueAt }) =>
      closedAt === null ? <Deadline due={dueAt} then="the undecided is removed" /> : <Ago at={closedAt} />,
  },
];

const DAY_CHOICES = [7, 14, 21, 30] as const;

function StartDialog({ list, onClose }: { list: AccessReviewsAnswer; onClose: () => void }) {
  const client = useQueryClient();
  const [days, setDays] = useState(String(list.days.usual));
  return (
    <StepUpDialog
      open
      onClose={onClose}
      operation="access-reviews.open"
      input={{ days: Number(days) }}
      title="Start a review"
      confirm="Start with passkey"
      effects={
        <>
          <p>
            What everybody can do is written down as it is now. Each person who manages this organisation decides about
            the others. Whatever nobody has decided after {days} days is removed.
          </p>
          <SelectField
            label="Time to decide"
            value={days}
            choices={DAY_CHOICES.map((day) => ({ value: String(day), label: `${day} days` }))}
            onChange={setDays}
          />
        </>
      }
      commit={(stepUp) => request<{ id: string }>('/api/access-reviews', { body: { days: Number(days) }, stepUp })}
      onDone={() => {
        onClose();
        toast('The review has begun', `It ends in ${days} days.`);
        void client.invalidateQueries({ queryKey: ['access-reviews'] });
      }}
    />
  );
}

function QuarterDialog({ on, onClose }: { on: boolean; onClose: () => void }) {
  const client = useQueryClient();
  return (
    <StepUpDialog
      open
      onClose={onClose}
      operation="access-reviews.set-quarterly"
      input={{ on }}
      title={on ? 'A review each quarter' : 'No review each quarter'}
      confirm="Confirm with passkey"
      effects={
        <p>
          {on
            ? 'A review begins by itself each quarter. Whatever nobody has decided within 14 days is removed, people too.'
            : 'Reviews begin only when somebody starts one. One that is under way goes on.'}
        </p>
      }
      commit={(stepUp) => request('/api/access-reviews/quarterly', { body: { on }, stepUp })}
      onDone={() => {
        onClose();
        void client.invalidateQueries({ queryKey: ['access-reviews'] });
      }}
    />
  );
}

function Standing({ list }: { list: AccessReviewsAnswer }) {
  const stuck = list.reviews.find(({ state }) => state === 'overdue');
  const isUnderWay = list.reviews.some(({ state }) => state !== 'closed');
  const broken = list.reviews.find(({ stillThere }) => stillThere > 0);
  return (
    <>
      {broken && (
        <Notice kind="failing" title="Something that was removed was there again">
          <p>It is removed once more. Open the review, and find out who gave it back.</p>
        </Notice>
      )}
      {stuck && (
        <Notice kind="failing" title="A review is overdue">
          <p>
            About one person nobody can decide, because nobody else manages this organisation. Make somebody else a
            manager; they decide, and the review closes.
          </p>
        </Notice>
      )}
      {isUnderWay && !stuck && (
        <p className="muted prose">One review is under way; the next can begin when it is closed.</p>
      )}
      {list.managers < 2 && !stuck && (
        <Notice kind="stale" title="You alone manage this organisation">
          <p>Nobody decides about their own access, so a review cannot be finished until a second person manages it.</p>
        </Notice>
      )}
    </>
  );
}

/** Reviews of who has access, and whether there is one each quarter. */
export function AccessReviewsPage() {
  const [open, setOpen] = useState<'start' | 'quarter' | null>(null);
  const list = useQuery({
    queryKey: ['access-reviews'],
    queryFn: ({ signal }) => request<AccessReviewsAnswer>('/api/access-reviews', { signal }),
  });
  const { data } = list;
  const isUnderWay = data?.reviews.some(({ state }) => state !== 'closed') ?? true;
  const close = () => setOpen(null);
  const start = (
    <Button look="primary" icon="check" disabled={isUnderWay} onClick={() => setOpen('start')}>
      Start a review…
    </Button>
  );
  return (
    <>
      <PageHead
        title="Access reviews"
        actions={
          data && (
            <>
              {!data.isMandatory && (
                <Button look="quiet" onClick={() => setOpen('quarter')}>
                  {data.eachQuarter ? 'Every quarter: on' : 'Every quarter: off'}
                </Button>
              )}
              {data.reviews.length > 0 && start}
            </>
          )
        }
      >
        Who has access and what they can do, gone through by somebody else. What nobody decides in time is removed.
      </PageHead>
      {list.error && !data ? (
        <Failure error={list.error} />
      ) : (
        <>
          {data && <Standing list={data} />}
          <DataTable
            label="Access reviews"
            columns={columns}
            rows={data?.reviews}
            rowKey={({ id }) => id}
            empty={
              <Empty title="No review yet" actions={start}>
                <p>
                  A review writes down what everybody here can do today. Whoever manages the organisation then keeps,
                  changes or removes each access but their own.
                </p>
              </Empty>
            }
          />
        </>
      )}
      {open === 'start' && data && <StartDialog list={data} onClose={close} />}
      {open === 'quarter' && data && <QuarterDialog on={!data.eachQuarter} onClose={close} />}
    </>
  );
}
