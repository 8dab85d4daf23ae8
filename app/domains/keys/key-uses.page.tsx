import { Empty, Facts } from '../../ui/display.tsx';
import { GradeChip } from '../../ui/grade.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';
import type { KeySourceAnswer, KeyUse } from '../../shell/wire.ts';

const peerWords: Readonly<Record<string, string>> = {
  workspace: 'Workspace',
  issuer: 'Issuer',
};
const operationWords: Readonly<Record<KeyUse['operation'], string>> = {
  generate: 'made a data key',
  wrap: 'wrapped a data key',
  unwrap: 'opened a data key',
  rewrap: 'moved a data key',
};

function peerName(peer: string): string {
  return peerWords[peer] ?? peer;
}

const columns: readonly Column<KeyUse & { readonly id: string }>[] = [
  {
    key: 'peer',
    header: 'Service',
    main: true,
    sort: (row) => row.peer,
    cell: (row) => (
      <>
        <b>{peerName(row.peer)}</b>
        <span className="sub">{operationWords[row.operation]}</span>
      </>
    ),
  },
  { key: 'at', header: 'When', fit: true, sort: (row) => row.at, cell: (row) => <Ago at={row.at} /> },
  {
    key: 'key',
    header: 'Data key',
    fit: true,
    priority: 2,
    cell: (row) => (
      <span>
        {row.purpose} <span className="num">{row.version}</span>
      </span>
    ),
  },
  {
    key: 'outcome',
    header: 'Outcome',
    fit: true,
    sort: (row) => row.outcome,
    cell: (row) =>
      row.outcome === 'ok' ? (
        <GradeChip grade="proven" word="done" />
      ) : (
        <>
          <GradeChip grade="failing" word="refused" />
          <span className="sub mono">{row.outcome}</span>
        </>
      ),
  },
  {
    key: 'request',
    header: 'Request',
    fit: true,
    priority: 3,
    cell: (row) => <span className="hash">{row.requestId}</span>,
  },
];

/** The last unwrap of each service that made one. */
function lastUnwraps(uses: readonly KeyUse[]): readonly (readonly [string, KeyUse])[] {
  const found = new Map<string, KeyUse>();
  for (const use of uses) {
    const known = found.get(use.peer);
    if (use.operation === 'unwrap' && (known === undefined || known.at < use.at)) found.set(use.peer, use);
  }
  return [...found];
}

/** Who used the key-encryption key, and when; seen by the process that holds it, not by those who ask. */
export function KeyUsesSection({ uses }: { uses: KeySourceAnswer['uses'] }) {
  const unwraps = lastUnwraps(uses.last);
  return (
    <section className="section" aria-labelledby="uses">
      <h2 id="uses">Who used it</h2>
      <p className="muted prose">
        {uses.total} {uses.total === 1 ? 'use' : 'uses'}
        {uses.refused > 0 && `, ${uses.refused} refused`}, since the keys process started <Ago at={uses.since} />. A
        data key that is open is used for 300 seconds at most before it has to be asked for again.
      </p>
      {unwraps.length > 0 && (
        <Facts
          entries={unwraps.map(([peer, use]) => [
            peerName(peer),
            <span key={peer}>
              opened last <Ago at={use.at} />
              {use.outcome !== 'ok' && (
                <>
                  , refused: <code>{use.outcome}</code>
                </>
              )}
            </span>,
          ])}
        />
      )}
      <DataTable
        label="Uses of the key-encryption key"
        columns={columns}
        rows={uses.last.map((use, index) => ({ ...use, id: `${use.requestId} ${index}` }))}
        rowKey={(row) => row.id}
        empty={
          <Empty title="Nobody has used it yet">
            <p>Each time a service opens a data key, the keys process notes it here.</p>
          </Empty>
        }
      />
    </section>
  );
}
