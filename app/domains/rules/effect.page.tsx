import { useEffect, useRef, useState } from 'react';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { roleWords } from '../../shell/session.tsx';
import { Button } from '../../ui/button.tsx';
import { Empty, Notice } from '../../ui/display.tsx';
import { Progress } from '../../ui/progress.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import type { EffectReply, RuleProblem, RulesEffect } from './contract.ts';

/** People that the page asks about before a text is saved, one after the other. */
const PEOPLE_ASKED_MAX = 200;

interface AskedPerson {
  readonly id: string;
  readonly label: string;
  readonly role: 'lead' | 'auditor' | 'client';
}

interface Counted extends AskedPerson {
  readonly effect: RulesEffect;
}

interface Asking {
  readonly rows: readonly Counted[];
  /** Null while none is under way. */
  readonly state: 'running' | 'done' | null;
  readonly error: unknown;
}

const NONE: Asking = { rows: [], state: null, error: null };

/** Asks for one person after the other, so that a large organisation is no burden and a person can stop it. */
function useEffects(text: string, onProblems: (problems: readonly RuleProblem[]) => void) {
  const [asking, setAsking] = useState<Asking>(NONE);
  const run = useRef(0);
  const stop = () => {
    run.current += 1;
    setAsking((now) => (now.state === 'running' ? { ...now, state: null } : now));
  };
  // Whoever has left the page, or changed the words, asks for nobody any more.
  useEffect(() => {
    const turns = run;
    return () => {
      turns.current += 1;
    };
  }, []);
  const start = async (people: readonly AskedPerson[]) => {
    const own = (run.current += 1);
    const rows: Counted[] = [];
    setAsking({ ...NONE, state: 'running' });
    try {
      for (const person of people) {
        const body = { text, memberId: person.id, role: person.role };
        const { problems, effect } = await request<EffectReply>('/api/rules/effect', { body });
        if (run.current !== own) return;
        if (effect === null) {
          onProblems(problems);
          setAsking(NONE);
          return;
        }
        rows.push({ ...person, effect });
        setAsking({ rows: [...rows], state: 'running', error: null });
      }
      setAsking({ rows, state: 'done', error: null });
    } catch (error) {
      if (run.current === own) setAsking({ rows, state: null, error });
    }
  };
  return { asking, start, stop };
}

const number = new Intl.NumberFormat('en');

function count(key: 'before' | 'after' | 'loses' | 'gains', header: string, priority?: 2): Column<Counted> {
  return {
    key,
    header,
    fit: true,
    ...(priority && { priority }),
    sort: ({ effect }) => effect[key],
    cell: ({ effect }) => number.format(effect[key]),
  };
}

const columns: readonly Column<Counted>[] = [
  {
    key: 'person',
    header: 'Person',
    main: true,
    sort: (row) => row.label,
    cell: (row) => (
      <>
        {row.label}
        <span className="person__sub">{roleWords[row.role]}</span>
      </>
    ),
  },
  count('loses', 'Loses'),
  count('gains', 'Gains'),
  count('after', 'Will see'),
  count('before', 'Sees now', 2),
];

const plural = (n: number, one: string, many: string): string => `${number.format(n)} ${n === 1 ? one : many}`;

function Summary({ rows, of }: { rows: readonly Counted[]; of: number }) {
  const losing = rows.filter(({ effect }) => effect.loses > 0);
  const gaining = rows.filter(({ effect }) => effect.gains > 0);
  const counted = rows[0]?.effect;
  const changes = [
    ...(losing.length > 0 ? [`${plural(losing.length, 'person loses', 'people lose')} access`] : []),
    ...(gaining.length > 0 ? [`${plural(gaining.length, 'person gains', 'people gain')} some`] : []),
  ];
  return (
    <Notice
      kind={losing.length > 0 ? 'stale' : 'info'}
      title={changes.length === 0 ? 'Nobody loses or gains anything' : changes.join(', ')}
    >
      <p>
        Counted for{' '}
        {rows.length === of ? `all ${number.format(of)}` : `${number.format(rows.length)} of ${number.format(of)}`}{' '}
        people over the {counted?.cut && 'newest '}
        {plural(counted?.counted ?? 0, 'engagement', 'engagements')} that you see yourself. Nothing was changed.
      </p>
    </Notice>
  );
}

/**
 * Who would lose or gain how much if a text were saved, over everybody of the organisation. Counts are about the words of
 * that moment: give it the text as its key as well.
 */
export function EffectOnAll({
  text,
  people,
  onProblems,
}: {
  text: string;
  people: readonly AskedPerson[];
  onProblems: (problems: readonly RuleProblem[]) => void;
}) {
  const { asking, start, stop } = useEffects(text, onProblems);
  const asked = people.slice(0, PEOPLE_ASKED_MAX);
  const { rows, state, error } = asking;
  return (
    <section className="section" aria-labelledby="effect">
      <h2 id="effect">Who loses what</h2>
      <p className="muted">
        Counts for everybody, {people.length > asked.length && `the first ${number.format(asked.length)} people, `}
        what they see now and would see with these rules.
      </p>
      <div className="row">
        {state === 'running' ? (
          <Button onClick={stop}>Stop counting</Button>
        ) : (
          <Button onClick={() => void start(asked)}>Count for everybody</Button>
        )}
      </div>
      {state === 'running' && (
        <Progress
          label="People counted"
          value={rows.length / Math.max(1, asked.length)}
          detail={`${number.format(rows.length)} of ${number.format(asked.length)}`}
        />
      )}
      <Failure error={error} />
      {state === 'done' && <Summary rows={rows} of={people.length} />}
      {rows.length > 0 && (
        <DataTable
          label="What everybody would see"
          columns={columns}
          rows={rows.toSorted((one, other) => other.effect.loses - one.effect.loses)}
          rowKey={(row) => row.id}
          whole
          empty={<Empty title="Nobody yet">{null}</Empty>}
        />
      )}
    </section>
  );
}
