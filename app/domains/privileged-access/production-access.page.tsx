import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Empty, Facts, Notice, PageHead } from '../../ui/display.tsx';
import { Drawer, toast } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago, Instant, useNow } from '../../ui/time.tsx';
import { request, saveFile } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { useSession } from '../../shell/session.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { ProductionAccess, ShownGrant } from '../../shell/wire.ts';
import { AskAccess, useProductionAccess } from './ask.page.tsx';
import { scopesText, stateLook, stateWords, vouchedText, vouchingHelp } from './grant-words.page.tsx';
import { grantsCsv } from './grants-file.ts';

const SECOND_MS = 1_000;

/** `59:30`, and `1:59:30` above an hour. */
function leftText(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / SECOND_MS));
  const two = (value: number) => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return `${hours > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(seconds % 60)}`;
}

/** By the issuer's clock: the browser's own may be wrong. */
function Countdown({ to, ahead_ms }: { to: string; ahead_ms: number }) {
  const now = useNow(SECOND_MS) + ahead_ms;
  return <b className="num">{leftText(Date.parse(to) - now)}</b>;
}

function useEnd() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => request(`/api/production-access/${id}/end`, { method: 'POST' }),
    onSuccess: async () => {
      toast('Ended', 'Within a second nothing opens by it any more.');
      await client.invalidateQueries();
    },
  });
}

function useReview() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ id, outcome }: { id: string; outcome: 'justified' | 'not-justified' }) =>
      request(`/api/production-access/${id}/review`, { body: { outcome } }),
    onSuccess: () => client.invalidateQueries({ queryKey: ['production-access'] }),
  });
}

type End = ReturnType<typeof useEnd>;

function Mine({ grant, ahead_ms, end }: { grant: ShownGrant; ahead_ms: number; end: End }) {
  const isLive = grant.state === 'live';
  const until = isLive ? grant.endsAt! : grant.confirmBy;
  return (
    <Notice kind={isLive ? 'proven' : 'stale'} title={isLive ? 'You are let in' : 'You have asked'}>
      <p>
        {scopesText(grant.scopes)}, {isLive ? 'until' : 'to be confirmed before'} <Instant at={until} />:{' '}
        <Countdown to={until} ahead_ms={ahead_ms} /> left. {isLive && `On whose word: ${vouchedText(grant)}.`}
      </p>
      <p>
        <Button onClick={() => end.mutate(grant.id)} busy={end.isPending}>
          {isLive ? 'End now' : 'Take it back'}
        </Button>
      </p>
    </Notice>
  );
}

/** What waits for another operator: who, what and why, before the passkey. */
function Waiting({ grant, end, onConfirm }: { grant: ShownGrant; end: End; onConfirm: () => void }) {
  const isGlass = grant.kind === 'break-glass';
  return (
    <Notice
      kind={isGlass ? 'failing' : 'stale'}
      title={`${grant.person} ${isGlass ? 'breaks the glass' : 'asks for access'}`}
    >
      <p>
        {scopesText(grant.scopes)}, for {grant.minutes} min. “{grant.reason}”{grant.ticket && ` (${grant.ticket})`}
      </p>
      <p className="muted">
        Confirm only when you know that it is them, and that they still work here. Before{' '}
        <Instant at={grant.confirmBy} />.
      </p>
      <p className="row">
        <Button look="primary" icon="key" onClick={onConfirm}>
          Let them in…
        </Button>
        <Button onClick={() => end.mutate(grant.id)} busy={end.isPending}>
          Refuse
        </Button>
      </p>
    </Notice>
  );
}

/** An emergency that nobody has judged: who may, and what it means for the two while nobody does. */
function Unjudged({ grant, now_ms, onOpen }: { grant: ShownGrant; now_ms: number; onOpen: (id: string) => void }) {
  const isLate = now_ms >= Date.parse(grant.judgeBy!);
  if (!isLate && !grant.mayReview) return null;
  return (
    <Notice
      kind={isLate ? 'failing' : 'stale'}
      title={isLate ? 'Nobody has judged an emergency in time' : 'An emergency waits for your judgement'}
    >
      <p>
        {grant.person} broke the glass <Ago at={grant.startsAt!} />, and {grant.confirmedBy ?? 'somebody'} let them in.{' '}
        {isLate ? (
          'Neither of them can break it again until somebody who was not part of it says whether it was justified.'
        ) : (
          <>
            Say before <Instant at={grant.judgeBy!} /> whether it was justified.
          </>
        )}
      </p>
      {grant.mayReview ? (
        <p>
          <Button onClick={() => onOpen(grant.id)}>Look at it…</Button>
        </p>
      ) : (
        <p className="muted">You were part of it. Where there is no third operator, invite one.</p>
      )}
    </Notice>
  );
}

function Confirm({ grant, onClose }: { grant: ShownGrant; onClose: () => void }) {
  const client = useQueryClient();
  return (
    <StepUpDialog
      open
      onClose={onClose}
      operation="production-access.confirm"
      input={{ grantId: grant.id }}
      title={`Let ${grant.person} in`}
      confirm="Approve with passkey"
      effects={
        <p>
          {scopesText(grant.scopes)} opens to them for {grant.minutes} min. You vouch that they still work here.
        </p>
      }
      commit={(stepUp) => request(`/api/production-access/${grant.id}/confirm`, { method: 'POST', stepUp })}
      onDone={() => {
        onClose();
        void client.invalidateQueries({ queryKey: ['production-access'] });
      }}
    />
  );
}

function reviewText({ kind, startsAt, review, judgeBy }: ShownGrant): string | null {
  if (kind !== 'break-glass' || startsAt === null) return null;
  if (review === null) return judgeBy === null ? 'not yet' : `not yet, due ${judgeBy.slice(0, 10)}`;
  return `${review.outcome === 'justified' ? 'justified' : 'not justified'}, says ${review.by}`;
}

function columnsFor(open: (id: string) => void): readonly Column<ShownGrant>[] {
  return [
    {
      key: 'who',
      header: 'Who',
      main: true,
      sort: (row) => row.person,
      cell: (row) => (
        <>
          <button type="button" className="row-link" onClick={() => open(row.id)}>
            {row.person}
          </button>
          <span className="sub">
            {scopesText(row.scopes)}
            {row.kind === 'break-glass' && ', break-glass'}
          </span>
        </>
      ),
    },
    {
      key: 'state',
      header: 'State',
      fit: true,
      sort: (row) => stateWords[row.state],
      cell: (row) => (
        <>
          <span className={`grade grade--boxed grade--${stateLook[row.state]}`}>{stateWords[row.state]}</span>
          {row.startsAt !== null && <span className="sub">{vouchedText(row)}</span>}
          {reviewText(row) !== null && <span className="sub">review: {reviewText(row)}</span>}
        </>
      ),
    },
    {
      key: 'asked',
      header: 'Asked',
      fit: true,
      priority: 2,
      sort: (row) => row.askedAt,
      cell: (row) => <Ago at={row.askedAt} />,
    },
    {
      key: 'until',
      header: 'Until',
      fit: true,
      priority: 2,
      sort: (row) => row.endedAt ?? row.endsAt ?? '',
      cell: (row) => {
        const until = row.endedAt ?? row.endsAt;
        return until === null ? <span className="muted">never begun</span> : <Instant at={until} />;
      },
    },
  ];
}

const endWords = {
  person: 'by themselves',
  operator: 'by another operator',
  revoked: 'with their access to this house',
  replaced: 'by a later request',
  over: 'its time was over',
} as const;

function GrantPanel({ grant, end, onClose }: { grant: ShownGrant; end: End; onClose: () => void }) {
  const review = useReview();
  const at = (instant: string | null) => (instant === null ? null : <Instant at={instant} />);
  const reviewed = reviewText(grant);
  const entries = [
    ['Reason', grant.reason],
    ['Ticket', grant.ticket],
    ['To', scopesText(grant.scopes)],
    ['Asked', at(grant.askedAt)],
    ['On whose word', grant.startsAt === null ? null : vouchedText(grant)],
    ['Last vouched for', at(grant.provedAt)],
    ['Began', at(grant.startsAt)],
    ['Would end', at(grant.endsAt)],
    ['Ended', at(grant.endedAt)],
    ['How', grant.endedBecause === null ? null : endWords[grant.endedBecause]],
    ['Ended by', grant.endedBy],
    ['Review', reviewed],
  ] as const;
  return (
    <Drawer open onClose={onClose} title={grant.person} sub={stateWords[grant.state]}>
      <Facts entries={entries.flatMap(([name, value]) => (value === null ? [] : [[name, value] as const]))} />
      <Failure error={review.error ?? end.error} />
      {(grant.state === 'live' || grant.state === 'waiting') && (
        <p>
          <Button onClick={() => end.mutate(grant.id)} busy={end.isPending}>
            End now
          </Button>
        </p>
      )}
      {grant.mayReview && (
        <p className="row">
          <Button busy={review.isPending} onClick={() => review.mutate({ id: grant.id, outcome: 'justified' })}>
            It was justified
          </Button>
          <Button busy={review.isPending} onClick={() => review.mutate({ id: grant.id, outcome: 'not-justified' })}>
            It was not
          </Button>
        </p>
      )}
      <p className="muted prose">The audit trail names this access in each entry of what was done with it.</p>
    </Drawer>
  );
}

function save(grants: readonly ShownGrant[]): void {
  saveFile({ blob: new Blob([grantsCsv(grants)], { type: 'text/csv' }), name: 'production-access.csv' });
}

function Tables({ access, onOpen }: { access: ProductionAccess | undefined; onOpen: (id: string) => void }) {
  const live = access?.grants.filter(({ state }) => state === 'live');
  const past = access?.grants.filter(({ state }) => state !== 'live' && state !== 'waiting');
  const columns = columnsFor(onOpen);
  return (
    <>
      <section className="section" aria-labelledby="let-in">
        <h2 id="let-in">Let in now</h2>
        <DataTable
          label="Whoever is let in now"
          columns={columns}
          rows={live}
          rowKey={(row) => row.id}
          whole
          empty={
            <Empty title="Nobody is let in">
              <p>Running the house needs nobody in it. Whoever has to act asks, for a time.</p>
            </Empty>
          }
        />
      </section>
      <section className="section" aria-labelledby="before">
        <h2 id="before">Before</h2>
        <DataTable
          label="Earlier access and requests"
          columns={columns}
          rows={past}
          rowKey={(row) => row.id}
          empty={
            <Empty title="Nobody was let in yet">
              <p>Each request stays here, answered or not.</p>
            </Empty>
          }
        />
      </section>
    </>
  );
}

/** Who of the operators is let into what, for how long and on whose word; where one asks for it. */
export function ProductionAccessPage() {
  const session = useSession();
  const [asking, setAsking] = useState<ShownGrant['kind'] | null>(null);
  const [confirming, setConfirming] = useState<ShownGrant | null>(null);
  const [opened, setOpened] = useState<string | null>(null);
  const end = useEnd();
  const { data, error, dataUpdatedAt } = useProductionAccess();
  const grants = data?.grants ?? [];
  const ahead_ms = data === undefined ? 0 : Date.parse(data.now) - dataUpdatedAt;
  const current = grants.find(({ id }) => id === opened);
  const open = grants.filter(({ state }) => state === 'live' || state === 'waiting');
  return (
    <>
      <PageHead
        title="Production access"
        actions={
          <>
            <Button small look="quiet" icon="download" disabled={grants.length === 0} onClick={() => save(grants)}>
              Export CSV
            </Button>
            {data && session.method !== 'link' && (
              <>
                <Button look="danger" icon="alert" onClick={() => setAsking('break-glass')}>
                  Break the glass…
                </Button>
                <Button look="primary" icon="key" onClick={() => setAsking('grant')}>
                  Ask for access…
                </Button>
              </>
            )}
          </>
        }
      >
        Nobody is let into this house for good. An operator asks for what they need, says what for, and is let in for an
        hour, never for more than four after somebody has last vouched for them.
      </PageHead>
      <Failure error={error ?? end.error} />
      {open
        .filter((grant) => grant.own)
        .map((grant) => (
          <Mine key={grant.id} grant={grant} ahead_ms={ahead_ms} end={end} />
        ))}
      {open
        .filter((grant) => grant.mayConfirm)
        .map((grant) => (
          <Waiting key={grant.id} grant={grant} end={end} onConfirm={() => setConfirming(grant)} />
        ))}
      {grants
        .filter(({ judgeBy }) => judgeBy !== null)
        .map((grant) => (
          <Unjudged key={grant.id} grant={grant} now_ms={Date.parse(data!.now)} onOpen={setOpened} />
        ))}
      {data && <p className="muted prose">If you ask now: {vouchingHelp[data.vouching]}</p>}
      {!error && <Tables access={data} onOpen={setOpened} />}
      {current && <GrantPanel grant={current} end={end} onClose={() => setOpened(null)} />}
      {confirming && <Confirm grant={confirming} onClose={() => setConfirming(null)} />}
      {asking && data && (
        <AskAccess kind={asking} scopes={[]} vouching={data.vouching} onClose={() => setAsking(null)} />
      )}
    </>
  );
}
