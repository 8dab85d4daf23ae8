import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Facts } from '../../ui/display.tsx';
import { GradeChip } from '../../ui/grade.tsx';
import { toast } from '../../ui/overlay.tsx';
import { Progress } from '../../ui/progress.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago, Deadline } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { RotationAnswer } from '../../shell/wire.ts';
import { purposeWords } from './purpose-words.page.tsx';

type ColumnProgress = RotationAnswer['columns'][number];
const DAY_MS = 86_400_000;
/** While something moves it is looked at often, else only now and then. */
const BUSY_REFRESH_MS = 2_000;
const IDLE_REFRESH_MS = 60_000;

const columns: readonly Column<ColumnProgress>[] = [
  {
    key: 'column',
    header: 'Stored in',
    main: true,
    sort: (row) => row.column,
    cell: (row) => <code>{row.column}</code>,
  },
  {
    key: 'current',
    header: 'Under the present key',
    align: 'right',
    fit: true,
    sort: (row) => row.current,
    cell: (row) => <span className="num">{row.current}</span>,
  },
  {
    key: 'left',
    header: 'Under an older key',
    align: 'right',
    fit: true,
    sort: (row) => row.left,
    cell: (row) => <span className="num">{row.left}</span>,
  },
  {
    key: 'unreadable',
    header: 'Not readable',
    align: 'right',
    fit: true,
    priority: 2,
    sort: (row) => row.unreadable,
    cell: (row) =>
      row.unreadable === 0 ? (
        <span className="num">0</span>
      ) : (
        <GradeChip grade="failing" word={String(row.unreadable)} />
      ),
  },
  {
    key: 'updated',
    header: 'Moved last',
    fit: true,
    priority: 3,
    cell: (row) => (row.updatedAt ? <Ago at={row.updatedAt} /> : <span className="muted">never</span>),
  },
];

function RotateNow({ open, onClose }: { open: boolean; onClose: () => void }) {
  const client = useQueryClient();
  return (
    <StepUpDialog
      open={open}
      onClose={onClose}
      operation="keys.rotate"
      input={{}}
      title="Rotate the data keys now"
      effects={
        <p>
          A new data key is made for text and one for files. New data is sealed under them at once; what is stored is
          encrypted anew in the background, piece by piece, and stays readable all the while. The former keys open what
          is left, then retire, and are destroyed when no backup needs them.
        </p>
      }
      confirm="Rotate now"
      commit={(stepUp) => request<unknown>('/api/keys/rotate', { body: {}, stepUp })}
      onDone={() => {
        onClose();
        toast('New data keys seal now', 'What is stored is being encrypted anew.');
        void client.invalidateQueries({ queryKey: ['keys'] });
      }}
    />
  );
}

function Moved({ rotation }: { rotation: RotationAnswer }) {
  const current = rotation.columns.reduce((sum, column) => sum + column.current, 0);
  const all = current + rotation.left;
  if (rotation.left === 0)
    return (
      <p>
        <GradeChip grade="proven" word="up to date" /> All {current} sealed values stand under the present keys.
      </p>
    );
  return <Progress label="Encrypting anew" value={current / all} detail={`${current} of ${all} values`} />;
}

/** When the data keys are replaced, how far re-encryption is, and the button to do it now. */
export function RotationCard({ mayRotate }: { mayRotate: boolean }) {
  const [open, setOpen] = useState(false);
  const { data, error } = useQuery({
    queryKey: ['keys', 'rotation'],
    queryFn: ({ signal }) => request<RotationAnswer>('/api/keys/rotation', { signal }),
    refetchInterval: ({ state }) => ((state.data?.left ?? 0) > 0 ? BUSY_REFRESH_MS : IDLE_REFRESH_MS),
  });
  return (
    <section className="card" aria-labelledby="rotation">
      <div className="card__head">
        <h2 id="rotation">Rotation</h2>
        {mayRotate && (
          <Button small icon="key" onClick={() => setOpen(true)}>
            Rotate now
          </Button>
        )}
      </div>
      {error && <Failure error={error} />}
      {!error && !data && <output className="muted">Looking at what is stored…</output>}
      {data && (
        <>
          <Facts
            entries={data.purposes.map((row) => [
              `${purposeWords[row.purpose][0]}, version ${row.version}`,
              <Deadline key={row.purpose} due={row.rotatesAt} then="a new version seals" nearMs={3 * DAY_MS} />,
            ])}
          />
          <Moved rotation={data} />
          <details>
            <summary>Where it stands, column by column</summary>
            <DataTable
              label="Re-encryption by column"
              columns={columns}
              rows={data.columns}
              rowKey={(row) => row.column}
              whole
              empty={<p className="muted">Nothing sealed is stored yet.</p>}
            />
          </details>
          <p className="muted">A retired key is kept {data.backupRetentionDays} days for backups, then destroyed.</p>
        </>
      )}
      <RotateNow open={open} onClose={() => setOpen(false)} />
    </section>
  );
}
