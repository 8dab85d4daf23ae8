import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Checks, Empty, Facts, Hash, Notice, PageHead } from '../../ui/display.tsx';
import { GradeChip } from '../../ui/grade.tsx';
import { toast } from '../../ui/overlay.tsx';
import { Ago } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { DeedDialog, type Deed } from '../../shell/deed.tsx';
import type { Stream, StreamsAnswer, Tried } from '../../shell/wire.ts';
import { ChangeStream, NewStream } from './stream-form.page.tsx';

const streamsKey = ['siem', 'streams'] as const;
/** How far a stream is changes each second; a reader's eye is slower. */
const LOOK_MS = 5_000;

const stateWords: Readonly<Record<Stream['state'], readonly [Parameters<typeof GradeChip>[0]['grade'], string]>> = {
  off: ['asserted', 'off'],
  streaming: ['proven', 'streaming'],
  waiting: ['proven', 'everything has gone'],
  failing: ['failing', 'failing'],
};
const stepWords: Readonly<Record<Tried['steps'][number]['step'], string>> = {
  address: 'The name leads to an address that may be dialled',
  connect: 'The port answers',
  tls: 'TLS 1.3, and the certificate is the one of this name',
  answer: 'The event was taken',
};
const kindWords: Readonly<Record<Stream['kind'], string>> = {
  'splunk-hec': 'Splunk HEC',
  'syslog-tls': 'Syslog over TLS',
};

function turnOf(stream: Stream): Deed {
  const on = !stream.enabled;
  return {
    operation: 'siem.turn',
    path: `/api/siem/streams/${stream.id}/turn`,
    input: { streamId: stream.id, on, version: stream.version },
    body: { on, version: stream.version },
    title: on ? 'Start streaming' : 'Stop streaming',
    effects: on
      ? `Every entry of your audit log goes to ${stream.host}, from where this stream stands, without confidential values.`
      : `Nothing goes to ${stream.host} until it is started again. What is written meanwhile goes then.`,
  };
}

function removalOf(stream: Stream): Deed {
  return {
    operation: 'siem.remove',
    path: `/api/siem/streams/${stream.id}/remove`,
    input: { streamId: stream.id, on: stream.enabled, version: stream.version },
    body: { on: stream.enabled, version: stream.version },
    title: 'Remove this destination',
    effects: `The address, its secret and where the stream stood are forgotten. What ${stream.host} has received stays there.`,
  };
}

function StreamFacts({ stream }: { stream: Stream }) {
  const nothing = (words: string) => <span className="muted">{words}</span>;
  return (
    <Facts
      entries={[
        ['Where', <Hash key="w" text={`${stream.host}:${stream.port}${stream.path ?? ''}`} />],
        ['Certificate', stream.ownAuthority ? 'of the authority that you gave' : 'of a public authority'],
        ['Last position', stream.lastPosition === null ? nothing('nothing has gone yet') : stream.lastPosition],
        [
          'Behind by',
          stream.lag === null ? nothing('not known') : `${stream.lag} ${stream.lag === 1 ? 'entry' : 'entries'}`,
        ],
        ['Sent', `${stream.sent}${stream.repeated > 0 ? `, of which ${stream.repeated} perhaps twice` : ''}`],
        ['Last taken', stream.lastSentAt === null ? nothing('never') : <Ago key="l" at={stream.lastSentAt} />],
      ]}
    />
  );
}

function Trouble({ stream }: { stream: Stream }) {
  if (stream.state !== 'failing' || stream.error === null) return null;
  return (
    <Notice kind="failing" title={stream.error}>
      <p>
        {stream.failingSince && (
          <>
            Since <Ago at={stream.failingSince} />.{' '}
          </>
        )}
        Nothing is lost: entries wait in the log and go in their order.
        {stream.retryAt && (
          <>
            {' '}
            Next try <Ago at={stream.retryAt} />.
          </>
        )}
      </p>
    </Notice>
  );
}

function TestButton({ stream }: { stream: Stream }) {
  const [tried, setTried] = useState<Tried | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      setTried(await request<Tried>(`/api/siem/streams/${stream.id}/test`, { body: {} }));
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <div className="row">
        <Button small icon="play" busy={busy} onClick={() => void run()}>
          Test the connection
        </Button>
      </div>
      <div aria-live="polite">
        {tried && (
          <Checks steps={tried.steps.map((one) => ({ name: stepWords[one.step], ok: one.ok, detail: one.detail }))} />
        )}
      </div>
      <Failure error={error} />
    </>
  );
}

function StreamCard({ stream, onDeed }: { stream: Stream; onDeed: (deed: Deed) => void }) {
  const [grade, word] = stateWords[stream.state];
  const [changing, setChanging] = useState(false);
  return (
    <section className="card" aria-label={`${kindWords[stream.kind]} at ${stream.host}`}>
      <div className="row row--between">
        <h2>{kindWords[stream.kind]}</h2>
        <GradeChip grade={grade} word={word} />
      </div>
      <Trouble stream={stream} />
      <StreamFacts stream={stream} />
      <TestButton stream={stream} />
      <div className="form__actions">
        <Button look={stream.enabled ? 'plain' : 'primary'} onClick={() => onDeed(turnOf(stream))}>
          {stream.enabled ? 'Stop…' : 'Start…'}
        </Button>
        <Button aria-expanded={changing} onClick={() => setChanging(!changing)}>
          Change…
        </Button>
        <Button look="danger" onClick={() => onDeed(removalOf(stream))}>
          Remove…
        </Button>
      </div>
      {changing && <ChangeStream stream={stream} onDeed={onDeed} onCancel={() => setChanging(false)} />}
    </section>
  );
}

/** Where the audit log is streamed to, and how far each stream is. */
export function StreamsPage() {
  const client = useQueryClient();
  const [deed, setDeed] = useState<Deed | null>(null);
  const list = useQuery({
    queryKey: streamsKey,
    queryFn: ({ signal }) => request<StreamsAnswer>('/api/siem/streams', { signal }),
    refetchInterval: LOOK_MS,
  });
  const streams = list.data?.streams ?? [];
  return (
    <>
      <PageHead title="Streaming">
        Your audit log, event for event, in your own SIEM: in order, without a gap, at least once. Each event carries
        its position in the log. Confidential values never go.
      </PageHead>
      <Failure error={list.error} />
      {list.data && streams.length === 0 && (
        <Empty title="No destination yet">
          <p>Add the collector of your security team below. It begins switched off, so that it can be tested first.</p>
        </Empty>
      )}
      {streams.map((stream) => (
        <StreamCard key={`${stream.id} ${stream.version}`} stream={stream} onDeed={setDeed} />
      ))}
      {list.data && streams.length < list.data.streamsMax && <NewStream key={streams.length} onDeed={setDeed} />}
      {list.data && streams.length >= list.data.streamsMax && (
        <p className="muted">
          An organisation has at most {list.data.streamsMax} destinations. Remove one to add another.
        </p>
      )}
      {deed && (
        <DeedDialog
          deed={deed}
          onClose={() => setDeed(null)}
          onDone={() => {
            setDeed(null);
            toast('Done', deed.title);
            void client.invalidateQueries({ queryKey: streamsKey });
          }}
        />
      )}
    </>
  );
}
