import { useQuery } from '@tanstack/react-query';
import { Empty, PageHead } from '../../ui/display.tsx';
import { GradeChip, type Grade } from '../../ui/grade.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago, Deadline } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { useSession } from '../../shell/session.tsx';
import type { KeysAnswer, KeySourceAnswer, ListedKey } from '../../shell/wire.ts';
import { KeyUsesSection } from './key-uses.page.tsx';
import { SourceAlarm } from './key-words.page.tsx';
import { purposeWords } from './purpose-words.page.tsx';
import { RotationCard } from './rotation.page.tsx';
import { SourceCard } from './source-card.page.tsx';

const stateWords: Readonly<Record<ListedKey['state'], readonly [look: Grade, word: string]>> = {
  PENDING: ['asserted', 'being made'],
  ACTIVE: ['proven', 'sealing'],
  DECRYPT_ONLY: ['attested', 'opens only'],
  RETIRED: ['asserted', 'retired'],
  DESTROYED: ['asserted', 'destroyed'],
};

/** A withdrawal is felt within seconds; the page should not be the last to know. */
const SOURCE_REFRESH_MS = 10_000;

function SourceLoading() {
  return (
    <section className="card" aria-label="The key that protects the data keys">
      <output className="muted">Asking the keys process…</output>
      <span className="skeleton" />
      <span className="skeleton" />
    </section>
  );
}

function columnsFor(ageDaysMax: number): readonly Column<ListedKey>[] {
  return [
    {
      key: 'purpose',
      header: 'Seals',
      main: true,
      sort: (row) => row.purpose,
      cell: (row) => (
        <>
          <b>{purposeWords[row.purpose][0]}</b>
          <span className="sub">{purposeWords[row.purpose][1]}</span>
        </>
      ),
    },
    {
      key: 'version',
      header: 'Version',
      align: 'right',
      fit: true,
      sort: (row) => row.version,
      cell: (row) => <span className="num">{row.version}</span>,
    },
    {
      key: 'state',
      header: 'State',
      fit: true,
      sort: (row) => row.state,
      cell: (row) => <GradeChip grade={stateWords[row.state][0]} word={stateWords[row.state][1]} />,
    },
    {
      key: 'age',
      header: `Age, limit ${ageDaysMax} days`,
      fit: true,
      sort: (row) => row.ageDays,
      cell: (row) => (
        <GradeChip
          grade={row.ageDays > ageDaysMax && row.state === 'ACTIVE' ? 'failing' : 'measured'}
          word={`${Math.floor(row.ageDays)} ${Math.floor(row.ageDays) === 1 ? 'day' : 'days'}`}
        />
      ),
    },
    {
      key: 'created',
      header: 'Made',
      fit: true,
      priority: 2,
      sort: (row) => row.createdAt,
      cell: (row) => <Ago at={row.createdAt} />,
    },
    {
      key: 'rotation',
      header: 'Seals at the latest until',
      fit: true,
      priority: 2,
      cell: (row) =>
        row.nextRotationAt ? (
          <Deadline due={row.nextRotationAt} then="a new version seals" nearMs={3 * 86_400_000} />
        ) : (
          <span className="muted">no longer seals</span>
        ),
    },
  ];
}

function DataKeys() {
  const { data, error } = useQuery({
    queryKey: ['keys', 'list'],
    queryFn: ({ signal }) => request<KeysAnswer>('/api/keys', { signal }),
  });
  return (
    <section className="section" aria-labelledby="data-keys">
      <h2 id="data-keys">Data keys</h2>
      {error ? (
        <Failure error={error} />
      ) : (
        <DataTable
          label="Data keys, newest first"
          columns={columnsFor(data?.ageDaysMax ?? 90)}
          rows={data?.keys}
          rowKey={(row) => `${row.purpose} ${row.version}`}
          whole
          empty={
            <Empty title="No keys yet">
              <p>
                They are made with the organisation. If this stays empty, something is wrong: nothing can be sealed.
              </p>
            </Empty>
          }
        />
      )}
    </section>
  );
}

/** Which key protects what, how it does, when it is replaced, who used it. Nothing here opens anything. */
export function KeysPage() {
  const { role } = useSession();
  const { data, error } = useQuery({
    queryKey: ['keys', 'source'],
    queryFn: ({ signal }) => request<KeySourceAnswer>('/api/keys/source', { signal }),
    refetchInterval: SOURCE_REFRESH_MS,
  });
  return (
    <>
      <PageHead title="Encryption keys">
        Data keys seal your organisation’s text and files; one key, kept in another process or at your own place,
        protects the data keys. Nothing on this page could open anything.
      </PageHead>
      {data && <SourceAlarm health={data.active.health} />}
      <div className="split split--even split--top">
        {error ? <Failure error={error} /> : data ? <SourceCard answer={data} /> : <SourceLoading />}
        <RotationCard mayRotate={role === 'lead'} />
      </div>
      <DataKeys />
      {data && <KeyUsesSection uses={data.uses} />}
    </>
  );
}
