import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Button } from '../../ui/button.tsx';
import { Facts, Notice, Stages } from '../../ui/display.tsx';
import { GradeChip, type Grade } from '../../ui/grade.tsx';
import { toast } from '../../ui/overlay.tsx';
import { bytesText, Progress } from '../../ui/progress.tsx';
import { Ago, utcText } from '../../ui/time.tsx';
import { request, saveFile } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { useNames } from '../../shell/names.ts';
import type { MovesAnswer } from '../../shell/wire.ts';
import { placeText } from './place-words.page.tsx';

type Move = MovesAnswer['moves'][number];

/** Shape, colour and word of each state. */
export const moveWords: Readonly<Record<Move['state'], readonly [look: Grade, word: string]>> = {
  requested: ['stale', 'waiting'],
  moving: ['stale', 'moving'],
  cancelling: ['stale', 'being cancelled'],
  done: ['proven', 'moved'],
  failed: ['failing', 'stopped'],
  cancelled: ['asserted', 'cancelled'],
};

const STAGES = ['copying', 'frozen', 'proving', 'switched'] as const;
const stageWords: Readonly<Record<(typeof STAGES)[number], string>> = {
  copying: 'Rows copied',
  frozen: 'Read-only',
  proving: 'Compared',
  switched: 'Switched',
};
const OPEN: ReadonlySet<Move['state']> = new Set(['requested', 'moving', 'cancelling']);

/** A stretch of time in the unit that people would say. */
function durationText(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function UnderWay({ move }: { move: Move }) {
  const { progress } = move;
  if (progress === null) return <Progress label="Making the new place" value={null} />;
  const { rowsDone, rowsTotal, stage } = progress;
  const count = new Intl.NumberFormat('en');
  const at = stage === 'cleared' ? 'switched' : stage;
  return (
    <>
      <Progress
        label={stage === 'copying' ? 'Rows carried over' : stageWords[at]}
        value={rowsTotal === 0 ? 1 : Math.min(1, rowsDone / rowsTotal)}
        detail={`${count.format(rowsDone)} of ${count.format(rowsTotal)}`}
      />
      <Stages stages={STAGES} now={at} words={stageWords} />
    </>
  );
}

function Proof({ move }: { move: Move }) {
  if (move.proof === null || move.frozenMs === null) return null;
  const rows = move.proof.reduce((sum, table) => sum + table.rows, 0);
  const save = () =>
    saveFile({
      blob: new Blob(
        [
          JSON.stringify(
            { move: move.id, from: move.from, to: move.to, tables: move.proof, files: move.files },
            null,
            2,
          ),
        ],
        {
          type: 'application/json',
        },
      ),
      name: `move-${move.tenant.slug}.json`,
    });
  return (
    <>
      <Facts
        entries={[
          [
            'Rows that arrived',
            `${new Intl.NumberFormat('en').format(rows)} in ${move.proof.length} tables, each the same on both sides`,
          ],
          ...(move.files === null
            ? []
            : [
                [
                  'Evidence files that arrived',
                  `${new Intl.NumberFormat('en').format(move.files.count)}, ${bytesText(move.files.bytes)} as stored, each the same on both sides`,
                ] as const,
              ]),
          ['Read-only for', durationText(move.frozenMs)],
        ]}
      />
      <div className="row">
        <Button icon="download" onClick={save}>
          Proof
        </Button>
      </div>
    </>
  );
}

/** One move: how far it has come, or what it has shown. */
export function MoveCard({ move }: { move: Move }) {
  const client = useQueryClient();
  const names = useNames();
  const cancel = useMutation({
    mutationFn: () => request<unknown>(`/api/tenants/moves/${move.id}/cancel`, { method: 'POST' }),
    onSuccess: () => {
      toast('Cancelled', 'What was copied is taken back; nothing changes for the organisation.');
      void client.invalidateQueries({ queryKey: ['tenants'] });
    },
  });
  const [look, word] = moveWords[move.state];
  return (
    <section
      className="card"
      aria-label={`Move of ${move.tenant.name}, asked for ${utcText(move.requestedAt)}, ${word}`}
    >
      <div className="card__head">
        <h3>
          {move.tenant.name} <span className="muted mono">{move.tenant.slug}</span>
        </h3>
        <GradeChip grade={look} word={word} boxed />
      </div>
      <p>
        From {placeText(move.from)} to <b>{placeText(move.to)}</b>, asked for by {names(move.requestedBy)}{' '}
        <Ago at={move.endedAt ?? move.requestedAt} />
      </p>
      {OPEN.has(move.state) && <UnderWay move={move} />}
      {move.state === 'failed' && (
        <Notice kind="failing" title="The organisation stayed where it was">
          <p>{move.failure ?? 'The move stopped.'} Nothing is lost; mend the cause and ask for the move again.</p>
        </Notice>
      )}
      <Proof move={move} />
      {move.mayCancel && (
        <div className="row">
          <Button busy={cancel.isPending} onClick={() => cancel.mutate()}>
            Cancel the move
          </Button>
        </div>
      )}
      <Failure error={cancel.error} />
    </section>
  );
}
