import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Button } from '../../ui/button.tsx';
import { Empty } from '../../ui/display.tsx';
import { toast } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';
import { request, saveFile } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import type { SignalLetter, SignalLettersAnswer, SignalStream } from '../../shell/wire.ts';
import { lettersCsv } from './letters-file.ts';
import { eventWords, reasonWords } from './signal-words.page.tsx';

function columnsFor(onAgain: (letter: SignalLetter) => void, isOff: boolean): readonly Column<SignalLetter>[] {
  return [
    {
      key: 'event',
      header: 'Event',
      main: true,
      cell: ({ event, cause }) => (
        <span>
          <b>{eventWords[event] ?? event}</b>
          <span className="sub">{cause}</span>
        </span>
      ),
    },
    { key: 'person', header: 'Person', priority: 2, cell: ({ member }) => member ?? '' },
    {
      key: 'why',
      header: 'Why it was given up',
      priority: 2,
      cell: ({ reason, error }) => (
        <span>
          {reasonWords[reason]}
          {error !== null && <span className="sub">{error}</span>}
        </span>
      ),
    },
    { key: 'when', header: 'Happened', fit: true, priority: 3, cell: ({ happenedAt }) => <Ago at={happenedAt} /> },
    {
      key: 'again',
      header: 'Send it again',
      quiet: true,
      fit: true,
      cell: (letter) => (
        <Button small disabled={isOff} onClick={() => onAgain(letter)}>
          Send again
        </Button>
      ),
    },
  ];
}

/** Events of a stream that no receiver took. */
export function Letters({ stream }: { stream: SignalStream }) {
  const client = useQueryClient();
  const key = ['signals', stream.id, 'letters'] as const;
  const list = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => request<SignalLettersAnswer>(`/api/signals/${stream.id}/letters`, { signal }),
  });
  const again = useMutation({
    mutationFn: ({ id }: SignalLetter) => request(`/api/signals/${stream.id}/letters/${id}/resend`, { body: {} }),
    onSuccess: async () => {
      toast('Sent again', 'It goes to the end of the stream.');
      await client.invalidateQueries({ queryKey: ['signals'] });
    },
  });
  const letters = list.data?.letters ?? [];
  const save = () =>
    saveFile({ blob: new Blob([lettersCsv(letters)], { type: 'text/csv' }), name: 'undelivered-signals.csv' });
  return (
    <section className="section" aria-label={`Undelivered events of ${stream.name}`}>
      <div className="row row--between">
        <h3>Undelivered</h3>
        <Button small look="quiet" icon="download" disabled={letters.length === 0} onClick={save}>
          Export CSV
        </Button>
      </div>
      <Failure error={list.error ?? again.error} />
      {!list.error && (
        <DataTable
          label="Undelivered events"
          columns={columnsFor((letter) => again.mutate(letter), stream.status === 'disabled')}
          rows={list.data?.letters}
          rowKey={({ id }) => id}
          empty={
            <Empty title="Nothing was given up">
              <p>Every event was taken, or waits.</p>
            </Empty>
          }
        />
      )}
      {stream.status === 'disabled' && letters.length > 0 && (
        <p className="muted">Switch the stream on to send them again. They are kept for 90 days.</p>
      )}
    </section>
  );
}
