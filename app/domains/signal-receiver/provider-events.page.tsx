import { Button } from '../../ui/button.tsx';
import { Empty, Notice } from '../../ui/display.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';
import type { ProviderEvent, ProviderStream } from '../../shell/wire.ts';
import { endedText, hindranceText, outcomeText, saidText, verdictWords } from './provider-words.page.tsx';

function Said({ event }: { event: ProviderEvent }) {
  const hindrance = hindranceText(event);
  return (
    <span>
      <b>{saidText(event)}</b>
      {hindrance !== null && <span className="sub">{hindrance}</span>}
    </span>
  );
}

function Became({ event }: { event: ProviderEvent }) {
  const ended = endedText(event);
  return (
    <span className="sub">
      {event.person !== null && `${event.person.label}: `}
      {outcomeText(event)}
      {ended !== null && ` (${ended})`}
    </span>
  );
}

const personOf = ({ person }: ProviderEvent) => person?.label ?? <span className="muted">nobody known here</span>;

const columns: readonly Column<ProviderEvent>[] = [
  // Together, so that a phone shows all of it.
  {
    key: 'event',
    header: 'The provider said, of whom, and what happened',
    main: true,
    cell: (event) => (
      <>
        <Said event={event} />
        <Became event={event} />
      </>
    ),
  },
  { key: 'verdict', header: 'Verdict', priority: 3, cell: ({ verdict }) => verdictWords[verdict] },
  { key: 'when', header: 'Came', fit: true, priority: 2, cell: ({ at }) => <Ago at={at} /> },
];

/** The newest of what a provider said, and what has become of it. */
export function RecentEvents({ stream, title }: { stream: ProviderStream; title: string }) {
  return (
    <section className="section">
      <h3>Recent events</h3>
      <DataTable
        label={`Recent events of ${title}`}
        columns={columns}
        rows={stream.recent}
        rowKey={({ id }) => id}
        whole
        empty={
          <Empty title="Nothing has come yet">
            <p>The first event, or the first sign of life, appears here within seconds.</p>
          </Empty>
        }
      />
    </section>
  );
}

type Decide = (event: ProviderEvent, to: 'suspend' | 'dismiss') => void;

function heldColumns(onDecide: Decide): readonly Column<ProviderEvent>[] {
  return [
    { key: 'person', header: 'Person', main: true, cell: personOf },
    { key: 'event', header: 'The provider said', priority: 2, cell: (event) => <Said event={event} /> },
    { key: 'when', header: 'Came', fit: true, priority: 2, cell: ({ at }) => <Ago at={at} /> },
    {
      key: 'decide',
      header: 'Decide',
      fit: true,
      cell: (event) => (
        <span className="row">
          <Button small look="danger" onClick={() => onDecide(event, 'suspend')}>
            Suspend…
          </Button>
          <Button small onClick={() => onDecide(event, 'dismiss')}>
            Leave in…
          </Button>
        </span>
      ),
    },
  ];
}

interface HeldProps {
  readonly stream: ProviderStream;
  readonly title: string;
  readonly suspensionsPerHourMax: number;
  readonly onDecide: Decide;
}

/** Suspensions beyond what one stream does by itself. */
export function HeldEvents({ stream, title, suspensionsPerHourMax, onDecide }: HeldProps) {
  const { held } = stream;
  if (held.length === 0) return null;
  return (
    <section className="section">
      <h3>Suspensions that wait for you</h3>
      <Notice
        kind="failing"
        title={held.length === 1 ? 'One person is to be suspended' : `${held.length} people are to be suspended`}
      >
        <p>
          The provider wanted more than {suspensionsPerHourMax} people out within an hour. Their sessions have ended;
          until you decide they can sign in again. Ask at the provider: if that is not so, its key may be in other
          hands; then pause the stream first.
        </p>
      </Notice>
      <DataTable
        label={`Suspensions of ${title} that wait for you`}
        columns={heldColumns(onDecide)}
        rows={held}
        rowKey={({ id }) => id}
        whole
        empty={null}
      />
    </section>
  );
}

/** The words after number and sentence of the check, where there are any. */
function restOf({ check, sentence, detail }: ProviderStream['refusals'][number]): string {
  const told = `${check}: ${sentence}`;
  return detail.startsWith(told) ? detail.slice(told.length).trim() : detail;
}

/** What came and was not believed, with the check that failed. */
export function RefusedEvents({ stream }: { stream: ProviderStream }) {
  const { refusals } = stream;
  if (refusals.length === 0) return null;
  return (
    <section className="section">
      <h3>Refused</h3>
      <p className="muted">Nothing was done for these.</p>
      <ol className="timeline">
        {refusals.map((one) => (
          <li key={`${one.requestId} ${one.code} ${one.at}`}>
            <div>
              <b>Check {one.check}</b>: {one.sentence} {restOf(one)}{' '}
              <span className="muted">
                <code>{one.code}</code>, request <span className="hash">{one.requestId}</span>
              </span>
              <div className="timeline__time">
                <Ago at={one.at} />
              </div>
            </div>
          </li>
        ))}
      </ol>
    </section>
  );
}
