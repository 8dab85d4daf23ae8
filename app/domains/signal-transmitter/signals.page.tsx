import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { CodeBlock, Empty, Facts, Hash, Notice, PageHead } from '../../ui/display.tsx';
import { toast } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { DeedDialog, type Deed } from '../../shell/deed.tsx';
import { Failure } from '../../shell/failure.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { SignalKey, SignalsAnswer, SignalStream } from '../../shell/wire.ts';
import { NewStream, type StreamDraft } from './signal-form.page.tsx';
import { Letters } from './signal-letters.page.tsx';
import { StateChip, subjectWords, topicWords } from './signal-words.page.tsx';

const signalsKey = ['signals', 'streams'] as const;
/** What waits changes with each delivery; a reader's eye is slower. */
const LOOK_MS = 5_000;

const turnWords = {
  enabled: ['Switch the stream on', 'What waited goes out now, in its order, and what happens from now on follows.'],
  paused: [
    'Pause the stream',
    'The receiver is told, then nothing goes out. What happens meanwhile waits, for three days at most.',
  ],
  disabled: [
    'Switch the stream off',
    'The receiver is told, then it is told nothing more. What still waits is laid aside; what happens meanwhile is not kept.',
  ],
} as const;

function turnOf(stream: SignalStream, to: SignalStream['status']): Deed {
  const [title, effects] = turnWords[to];
  return {
    operation: 'signals.turn',
    path: `/api/signals/${stream.id}/turn`,
    input: { signalStreamId: stream.id, to },
    body: { to },
    title,
    effects,
  };
}

function removalOf(stream: SignalStream): Deed {
  return {
    operation: 'signals.remove',
    path: `/api/signals/${stream.id}/remove`,
    input: { signalStreamId: stream.id },
    body: {},
    title: `Remove ${stream.name}`,
    isDanger: true,
    effects: 'It ends without another word to the receiver. What waits and what was laid aside is forgotten.',
  };
}

const nothing = (words: string) => <span className="muted">{words}</span>;

function StreamFacts({ stream }: { stream: SignalStream }) {
  const told = (['sessions', 'accounts', 'passkeys'] as const).filter((topic) => stream.topics[topic]);
  return (
    <Facts
      entries={[
        [stream.method === 'push' ? 'Pushed to' : 'Polled at', <Hash key="a" text={stream.address} />],
        ['Told when', told.map((topic) => topicWords[topic].label).join('; ')],
        ['People are called', subjectWords[stream.subjects].label],
        ['Audience', <Hash key="u" text={stream.audience} />],
        [
          'Waiting',
          stream.waitingSince === null ? (
            nothing('nothing')
          ) : (
            <span key="w">
              {stream.waiting}, the first of them from <Ago at={stream.waitingSince} />
            </span>
          ),
        ],
        ['Taken', stream.taken],
        ['Last taken', stream.takenAt === null ? nothing('never') : <Ago key="t" at={stream.takenAt} />],
      ]}
    />
  );
}

function Trouble({ stream }: { stream: SignalStream }) {
  if (stream.failures === 0 || stream.trouble === null || stream.status !== 'enabled') return null;
  return (
    <Notice kind="failing" title={stream.trouble.sentence}>
      <p>
        Tried {stream.failures} {stream.failures === 1 ? 'time' : 'times'} in a row. Nothing is lost: events wait in
        their order, for three days at most.
        {stream.nextTryAt && (
          <>
            {' '}
            Next try <Ago at={stream.nextTryAt} />.
          </>
        )}
      </p>
    </Notice>
  );
}

/** The buttons that change a stream's state. */
function StreamActions(props: { stream: SignalStream; onDeed: (deed: Deed) => void; onRenew: () => void }) {
  const { stream, onDeed, onRenew } = props;
  return (
    <>
      {stream.status !== 'enabled' && (
        <Button small onClick={() => onDeed(turnOf(stream, 'enabled'))}>
          Switch on…
        </Button>
      )}
      {stream.status === 'enabled' && (
        <Button small onClick={() => onDeed(turnOf(stream, 'paused'))}>
          Pause…
        </Button>
      )}
      {stream.status !== 'disabled' && (
        <Button small onClick={() => onDeed(turnOf(stream, 'disabled'))}>
          Switch off…
        </Button>
      )}
      <Button small onClick={onRenew}>
        New token…
      </Button>
      <Button small look="danger" onClick={() => onDeed(removalOf(stream))}>
        Remove…
      </Button>
    </>
  );
}

function useTest(stream: SignalStream) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => request(`/api/signals/${stream.id}/test`, { body: {} }),
    onSuccess: async () => {
      toast('Test event sent', stream.method === 'push' ? 'It goes out now.' : 'It waits for the next poll.');
      await client.invalidateQueries({ queryKey: signalsKey });
    },
  });
}

function StreamCard(props: {
  stream: SignalStream;
  onDeed: (deed: Deed) => void;
  onRenew: (stream: SignalStream) => void;
}) {
  const { stream, onDeed, onRenew } = props;
  const [isOpen, setOpen] = useState(false);
  const test = useTest(stream);
  return (
    <section className="card" aria-label={stream.name}>
      <div className="row row--between">
        <h2>{stream.name}</h2>
        <StateChip stream={stream} />
      </div>
      <Trouble stream={stream} />
      <StreamFacts stream={stream} />
      <div className="row">
        <Button
          small
          icon="play"
          busy={test.isPending}
          disabled={stream.status === 'disabled'}
          onClick={() => test.mutate()}
        >
          Send a test event
        </Button>
        {(stream.dead > 0 || isOpen) && (
          <Button small aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            Undelivered: {stream.dead}
          </Button>
        )}
        <StreamActions stream={stream} onDeed={onDeed} onRenew={() => onRenew(stream)} />
      </div>
      <Failure error={test.error} />
      {isOpen && <Letters stream={stream} />}
    </section>
  );
}

/** The one time that the token is seen; brought before the eye, wherever on the page it was asked for. */
function TokenOnce({ token, onClose }: { token: string; onClose: () => void }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => place.current?.focus(), []);
  return (
    <div ref={place} tabIndex={-1}>
      <Notice kind="stale" title="Copy the token now: it is not shown again">
        <CodeBlock label="Token of the stream" code={token} wrap />
        <p>The receiver polls, reads its status and asks for a test event with it, as “Authorization: Bearer …”.</p>
        <p>
          <Button onClick={onClose}>I have it</Button>
        </p>
      </Notice>
    </div>
  );
}

const keyStates: Readonly<Record<SignalKey['state'], string>> = {
  next: 'published ahead, signs two days after it was made',
  now: 'signs now',
  former: 'former, still published',
};

const keyColumns: readonly Column<SignalKey>[] = [
  { key: 'kid', header: 'Key', main: true, cell: ({ kid }) => <Hash text={kid} /> },
  { key: 'state', header: 'State', cell: ({ state }) => keyStates[state] },
  { key: 'made', header: 'Made', fit: true, priority: 2, cell: ({ madeAt }) => <Ago at={madeAt} /> },
];

const NEXT_KEY: Deed = {
  operation: 'signals.prepare-key',
  path: '/api/signals/keys',
  input: {},
  body: {},
  title: 'Make the next key',
  effects:
    'It is published at once and signs in two days; the former one stays published for eight days after. Receivers that read the key set notice nothing.',
};

function ForReceivers({ answer, onDeed }: { answer: SignalsAnswer; onDeed: (deed: Deed) => void }) {
  const isPrepared = answer.keys.some(({ state }) => state === 'next');
  return (
    <section className="section">
      <h2>What receivers need</h2>
      <h3>Configuration (SSF 1.0)</h3>
      <CodeBlock label="Configuration (SSF 1.0)" code={answer.configuration} wrap />
      <h3>Issuer</h3>
      <CodeBlock label="Issuer" code={answer.issuer} wrap />
      <h3>Signing keys</h3>
      <p className="muted">They change every 90 days by themselves.</p>
      <DataTable label="Signing keys" columns={keyColumns} rows={answer.keys} rowKey={({ kid }) => kid} empty={null} />
      {!isPrepared && (
        <div className="form__actions">
          <Button onClick={() => onDeed(NEXT_KEY)}>Change it now…</Button>
        </div>
      )}
    </section>
  );
}

type Asked =
  | { readonly kind: 'create'; readonly draft: StreamDraft }
  | { readonly kind: 'renew'; readonly stream: SignalStream };

/** Asks for the passkey for what answers a token. */
function TokenDialog(props: { asked: Asked; onClose: () => void; onToken: (token: string) => void }) {
  const { asked, onClose, onToken } = props;
  const isNew = asked.kind === 'create';
  const path = isNew ? '/api/signals' : `/api/signals/${asked.stream.id}/token`;
  return (
    <StepUpDialog
      open
      onClose={onClose}
      operation={isNew ? 'signals.create' : 'signals.renew-token'}
      input={isNew ? asked.draft : { signalStreamId: asked.stream.id }}
      title={isNew ? `Tell “${asked.draft.name}”` : `A new token for “${asked.stream.name}”`}
      confirm="Approve with passkey"
      effects={
        <p>
          {isNew
            ? 'From now on it is told whose access ends here, and when.'
            : 'The old token is refused from this moment on. What waits stays.'}
        </p>
      }
      commit={(stepUp) => request<{ token: string }>(path, { body: isNew ? asked.draft : {}, stepUp })}
      onDone={({ token }) => onToken(token)}
    />
  );
}

type Asking = Asked | { readonly kind: 'deed'; readonly deed: Deed };

/** What a passkey is asked for; `onDone` is given the token where one was made. */
function Dialogs(props: { asking: Asking; onClose: () => void; onDone: (token?: string) => void }) {
  const { asking, onClose, onDone } = props;
  if (asking.kind !== 'deed') return <TokenDialog asked={asking} onClose={onClose} onToken={onDone} />;
  return (
    <DeedDialog
      deed={asking.deed}
      onClose={onClose}
      onDone={() => {
        toast('Done', asking.deed.title);
        onDone();
      }}
    />
  );
}

/** Who outside is told of people's access, and how far each stream is. */
export function SignalsPage() {
  const client = useQueryClient();
  const [asking, setAsking] = useState<Asking | null>(null);
  const [token, setToken] = useState<string | null>(null);
  const [isAdding, setAdding] = useState(false);
  const list = useQuery({
    queryKey: signalsKey,
    queryFn: ({ signal }) => request<SignalsAnswer>('/api/signals', { signal }),
    refetchInterval: LOOK_MS,
  });
  const streams = list.data?.streams ?? [];
  const isFull = list.data !== undefined && streams.length >= list.data.streamsMax;
  const setDeed = (deed: Deed) => setAsking({ kind: 'deed', deed });
  return (
    <>
      <PageHead
        title="Signals"
        actions={
          list.data &&
          !isFull && (
            <Button look="primary" icon="plus" aria-expanded={isAdding} onClick={() => setAdding(!isAdding)}>
              New stream…
            </Button>
          )
        }
      >
        Systems of your own that are told at once when somebody’s sessions end or their access changes here: signed, in
        order, by the standard of shared signals (OpenID SSF). Nobody’s e-mail is ever sent.
      </PageHead>
      <Failure error={list.error} />
      {token !== null && <TokenOnce key={token} token={token} onClose={() => setToken(null)} />}
      {isAdding && !isFull && (
        <NewStream onCreate={(draft) => setAsking({ kind: 'create', draft })} onCancel={() => setAdding(false)} />
      )}
      {list.data && streams.length === 0 && !isAdding && (
        <Empty title="Nobody is told">
          <p>Make a stream for your SIEM, your identity provider or another service of yours.</p>
        </Empty>
      )}
      {streams.map((stream) => (
        <StreamCard
          key={stream.id}
          stream={stream}
          onDeed={setDeed}
          onRenew={(one) => setAsking({ kind: 'renew', stream: one })}
        />
      ))}
      {list.data && streams.length > 0 && <ForReceivers answer={list.data} onDeed={setDeed} />}
      {isFull && <p className="muted">An organisation has at most {list.data.streamsMax} streams.</p>}
      {asking && (
        <Dialogs
          asking={asking}
          onClose={() => setAsking(null)}
          onDone={(given) => {
            setAsking(null);
            if (given !== undefined) {
              setAdding(false);
              setToken(given);
            }
            void client.invalidateQueries({ queryKey: signalsKey });
          }}
        />
      )}
    </>
  );
}
