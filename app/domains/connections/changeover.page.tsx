import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Empty, Notice, PageHead } from '../../ui/display.tsx';
import { ChoiceField } from '../../ui/field.tsx';
import { GradeChip } from '../../ui/grade.tsx';
import { toast } from '../../ui/overlay.tsx';
import { Progress } from '../../ui/progress.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago, dayText } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { DeedDialog, type Deed } from '../../shell/deed.tsx';
import { Failure } from '../../shell/failure.tsx';
import type { ChangeAnswer } from '../../shell/wire.ts';
import { AccountList } from './changeover-list.page.tsx';

type Change = NonNullable<ChangeAnswer['change']>;
type Mover = Change['people'][number];
const stateWords = { invited: 'Invited', active: 'Active', suspended: 'Suspended' } as const;

const columns: readonly Column<Mover>[] = [
  {
    key: 'person',
    header: 'Person',
    main: true,
    cell: ({ label, state }) => (
      <span>
        {label}
        {state !== 'active' && <span className="sub">{stateWords[state]}</span>}
      </span>
    ),
    sort: ({ label }) => label,
  },
  {
    key: 'moved',
    header: 'At the new provider',
    cell: ({ moved }) =>
      moved === null ? (
        <span className="muted">No account yet</span>
      ) : (
        <>
          {moved.by === 'change' ? 'Approved' : 'Connected by themselves'}, <Ago at={moved.since} />
        </>
      ),
    sort: ({ moved }) => moved?.since ?? '',
  },
  {
    key: 'way',
    header: 'After the change',
    cell: ({ isOrphan, moved, state }) => {
      if (isOrphan) return <GradeChip grade="failing" word="no way in" />;
      if (state !== 'active') return <span className="muted">Has no access now</span>;
      return <GradeChip grade="proven" word={moved === null ? 'another way' : 'signs in'} />;
    },
    sort: ({ isOrphan }) => (isOrphan ? 0 : 1),
    fit: true,
  },
];

const simple = (name: 'finish' | 'undo', words: Pick<Deed, 'title' | 'effects' | 'isDanger'>): Deed => ({
  operation: `connections.${name}-change`,
  path: `/api/changeover/${name}`,
  input: {},
  body: {},
  ...words,
});

const finishOf = ({ from, to }: Change): Deed =>
  simple('finish', {
    title: `End ${from.name}`,
    isDanger: true,
    effects: `${from.name} is switched off, and whoever came in by it is signed out. People come in by ${to.name} from now on. This cannot be undone here.`,
  });

const undoOf = ({ to }: Change): Deed =>
  simple('undo', {
    title: 'Undo the change',
    effects: `Accounts at ${to.name} that were approved for it are taken away, and sessions by them end. Who connected one by themselves keeps it, and nobody loses their last way in.`,
  });

/** From which connection to which. */
function Begin({ connections, onDeed }: { connections: ChangeAnswer['connections']; onDeed: (deed: Deed) => void }) {
  const [from, setFrom] = useState<string | null>(null);
  const [to, setTo] = useState<string | null>(null);
  const [error, setError] = useState<string>();
  const nameOf = (id: string | null) => connections.find((one) => one.id === id)?.name ?? '';
  if (connections.length < 2)
    return (
      <Empty title="It takes two connections in use">
        <p>Set the new provider up, test it and switch it on beside the old one. Then come back here.</p>
      </Empty>
    );
  const begin = () => {
    const isPair = from !== null && to !== null && from !== to;
    setError(isPair ? undefined : 'Choose two different connections.');
    if (!isPair) return;
    const body = { fromConnectionId: from, toConnectionId: to };
    onDeed({
      operation: 'connections.begin-change',
      path: '/api/changeover',
      input: body,
      body,
      title: `Move from ${nameOf(from)} to ${nameOf(to)}`,
      effects: 'Both stay in use. Nobody’s account changes before you approve it.',
    });
  };
  const choices = connections.map(({ id, name }) => ({ value: id, label: name }));
  return (
    <section className="form" aria-label="Begin a change">
      <ChoiceField label="From" name="from" value={from} choices={choices} onChange={setFrom} row />
      <ChoiceField label="To" name="to" value={to} choices={choices} onChange={setTo} row error={error} />
      <div className="row">
        <Button look="primary" onClick={begin}>
          Begin…
        </Button>
      </div>
    </section>
  );
}

function UnderWay({ change, onDeed }: { change: Change; onDeed: (deed: Deed) => void }) {
  const moved = change.people.filter((one) => one.moved !== null).length;
  const orphans = change.people.filter(({ isOrphan }) => isOrphan).length;
  const all = change.people.length;
  return (
    <>
      <Progress
        label="People with an account at the new provider"
        value={all === 0 ? 1 : moved / all}
        detail={`${moved} of ${all}`}
        state={moved === all ? 'done' : 'running'}
      />
      {orphans > 0 && (
        <Notice
          kind="stale"
          title={orphans === 1 ? 'One person would have no way in' : `${orphans} people would have no way in`}
        >
          <p>
            {change.from.name} cannot be ended before each of them has an account at {change.to.name}, a passkey, or an
            account elsewhere. You approve accounts below, or they connect one themselves under “Your passkeys”.
          </p>
        </Notice>
      )}
      <DataTable
        label="People of the old connection"
        columns={columns}
        rows={change.people}
        rowKey={({ id }) => id}
        empty={
          <Empty title="Nobody has an account at the old one">
            <p>You can end the old connection now.</p>
          </Empty>
        }
      />
      <AccountList onDeed={onDeed} />
    </>
  );
}

/** From one identity provider to another, without anybody left outside. */
export function ChangeoverPage() {
  const client = useQueryClient();
  const [deed, setDeed] = useState<Deed | null>(null);
  const found = useQuery({
    queryKey: ['changeover'],
    queryFn: ({ signal }) => request<ChangeAnswer>('/api/changeover', { signal }),
  });
  const change = found.data?.change ?? null;
  const done = (of: Deed) => {
    setDeed(null);
    toast('Done', of.title);
    void client.invalidateQueries();
  };
  const actions = change !== null && (
    <>
      <Button onClick={() => setDeed(undoOf(change))}>Undo…</Button>
      <Button
        look="primary"
        disabled={change.people.some(({ isOrphan }) => isOrphan)}
        onClick={() => setDeed(finishOf(change))}
      >
        End the old connection…
      </Button>
    </>
  );
  return (
    <>
      <PageHead
        title="Change of provider"
        trail={[
          <Link key="all" to="/connections">
            Single sign-on
          </Link>,
        ]}
        actions={actions}
      >
        {change === null
          ? 'People keep their place here when the company changes its identity provider: each account is matched by you or by the person, never by an address alone.'
          : `From ${change.from.name} to ${change.to.name}, since ${dayText(change.startedAt)}.`}
      </PageHead>
      <Failure error={found.error} />
      {found.data !== undefined &&
        (change === null ? (
          <Begin connections={found.data.connections} onDeed={setDeed} />
        ) : (
          <UnderWay change={change} onDeed={setDeed} />
        ))}
      {deed && <DeedDialog deed={deed} onClose={() => setDeed(null)} onDone={() => done(deed)} />}
    </>
  );
}
