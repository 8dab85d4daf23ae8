import { useQuery } from '@tanstack/react-query';
import { Empty, PageHead } from '../../ui/display.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago, Deadline } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import type { KeysAnswer, ListedKey } from '../../shell/wire.ts';

const purposeWords: Readonly<Record<ListedKey['purpose'], readonly [string, string]>> = {
  fields: ['Fields', 'text in the database'],
  objects: ['Files', 'evidence and other objects'],
};
const stateWords: Readonly<Record<ListedKey['state'], readonly [look: string, word: string]>> = {
  PENDING: ['asserted', 'being made'],
  ACTIVE: ['proven', 'sealing'],
  DECRYPT_ONLY: ['attested', 'opens only'],
  RETIRED: ['asserted', 'retired'],
  DESTROYED: ['asserted', 'destroyed'],
};

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
      cell: (row) => <span className={`grade grade--${stateWords[row.state][0]}`}>{stateWords[row.state][1]}</span>,
    },
    {
      key: 'age',
      header: `Age, limit ${ageDaysMax} days`,
      fit: true,
      sort: (row) => row.ageDays,
      cell: (row) => (
        <span className={`grade grade--${row.ageDays > ageDaysMax && row.state === 'ACTIVE' ? 'failing' : 'measured'}`}>
          {Math.floor(row.ageDays)} {Math.floor(row.ageDays) === 1 ? 'day' : 'days'}
        </span>
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
      header: 'Replaced',
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

/** The tenant's own data keys: how old they are and when the next one takes over. Nothing here opens anything. */
export function KeysPage() {
  const { data, error } = useQuery({
    queryKey: ['keys'],
    queryFn: ({ signal }) => request<KeysAnswer>('/api/keys', { signal }),
  });
  return (
    <>
      <PageHead title="Keys">
        The data keys that seal your organisation’s text and files. The key that wraps them never leaves the keys
        process, and nothing in this list could open anything.
      </PageHead>
      {error ? (
        <Failure error={error} />
      ) : (
        <DataTable
          label="Data keys"
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
    </>
  );
}
