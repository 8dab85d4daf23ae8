import { Empty, Notice } from '../../ui/display.tsx';
import { GradeChip, type Grade } from '../../ui/grade.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import type { Trial, TriedRow } from './contract.ts';

function verdictOf({ before, after }: TriedRow): string {
  if (before === after) return after ? 'sees it' : 'does not see it';
  return after ? 'will see it' : 'loses it';
}

const look = (row: TriedRow): Grade => (row.before === row.after ? 'asserted' : row.after ? 'proven' : 'failing');

/** Of an exception, which begins so: it is what holds that keeps the rule away. */
const EXCEPTION = 'not: ';

function Because({ text }: { text: string }) {
  const isException = text.startsWith(EXCEPTION);
  return (
    <>
      , {isException ? 'as this holds' : 'as this does not hold'}:{' '}
      <code>{isException ? text.slice(EXCEPTION.length) : text}</code>
    </>
  );
}

function Why({ why }: { why: TriedRow['why'] }) {
  return (
    <ul className="ruled__why">
      {why.map(({ id, effect, applied, failed }) => (
        <li key={`${id} ${effect}`}>
          <code>{id}</code> {applied ? (effect === 'permit' ? 'allows it' : 'takes it away') : 'does not apply'}
          {!applied && failed.map((text) => <Because key={text} text={text} />)}
        </li>
      ))}
      {why.length === 0 && <li>No rule comes near.</li>}
    </ul>
  );
}

const columns: readonly Column<TriedRow>[] = [
  {
    key: 'title',
    header: 'Engagement',
    main: true,
    sort: (row) => row.title,
    cell: (row) => (
      <>
        {row.title}
        <div className="ruled__under">
          <Why why={row.why} />
        </div>
      </>
    ),
  },
  {
    key: 'verdict',
    header: 'With these rules',
    fit: true,
    sort: verdictOf,
    cell: (row) => <GradeChip grade={look(row)} word={verdictOf(row)} />,
  },
  { key: 'why', header: 'Why', priority: 2, cell: (row) => <Why why={row.why} /> },
];

/** What a text of rules would do to what one person sees, against the rules in force. */
export function TrialResult({ trial, label }: { trial: Trial; label: string }) {
  const lost = trial.rows.filter(({ before, after }) => before && !after).length;
  const won = trial.rows.filter(({ before, after }) => !before && after).length;
  const changes = [...(lost > 0 ? [`loses ${lost}`] : []), ...(won > 0 ? [`gains ${won}`] : [])];
  return (
    <>
      <Notice
        kind={lost > 0 ? 'stale' : 'info'}
        title={
          lost + won === 0
            ? `Nothing changes for ${label}`
            : `${label} ${changes.join(' and ')} of ${trial.rows.length} engagements`
        }
      >
        <p>Tried on the newest engagements that you see yourself. Nothing was changed.</p>
      </Notice>
      <DataTable
        label="What they would see"
        columns={columns}
        rows={trial.rows}
        rowKey={(row) => row.id}
        whole
        empty={
          <Empty title="No engagement to try it on">
            <p>Create one first.</p>
          </Empty>
        }
      />
    </>
  );
}
