import { useState, type ReactNode } from 'react';
import { Button } from '../../ui/button.tsx';
import { CodeBlock, Facts, Hash, Notice } from '../../ui/display.tsx';
import { Ago } from '../../ui/time.tsx';
import type { Deed } from '../../shell/deed.tsx';
import type { ProviderEvent, ProviderStream } from '../../shell/wire.ts';
import { HeldEvents, RecentEvents, RefusedEvents } from './provider-events.page.tsx';
import { ProviderStreamForm, type SetUp } from './provider-stream-form.page.tsx';
import { VerifyNow } from './provider-verify.page.tsx';
import { deliveryWords, eventText, StreamChip, subjectWords } from './provider-words.page.tsx';

interface Place {
  readonly connectionId: string;
  readonly stream: ProviderStream;
}

/** Something done to a stream, as the room's contract signs it. */
function deedOn(
  { connectionId, stream }: Place,
  of: Pick<Deed, 'operation' | 'title' | 'effects' | 'body'> & { readonly part: string },
): Deed {
  const { part, ...rest } = of;
  const path = `/api/connections/${connectionId}/signals/${stream.id}${part}`;
  return { ...rest, path, input: { connectionId, receivedStreamId: stream.id, ...of.body } };
}

const turnWords = {
  on: ['Have the stream go on', 'What the provider says is taken again, and what it kept for us comes now.'],
  paused: [
    'Pause the stream',
    'What comes is not taken; the provider is asked to come again. Nobody’s session ends and nobody is suspended by it until you have it go on.',
  ],
  off: [
    'End the stream',
    'This is for good: its address answers nobody any more, and what the provider still says is not heard. Whoever was put out stays out.',
  ],
} as const;

function turnOf(place: Place, to: keyof typeof turnWords): Deed {
  const [title, effects] = turnWords[to];
  return deedOn(place, { operation: 'signal-receiver.turn', part: '/turn', body: { to }, title, effects });
}

function setUpOf(place: Place, { part, body }: SetUp): Deed {
  const isManaged = part === '/connect';
  return deedOn(place, {
    operation: isManaged ? 'signal-receiver.connect' : 'signal-receiver.set-up',
    part,
    body,
    title: isManaged ? 'Have the provider make the stream' : 'Set the stream up',
    effects: `${isManaged ? 'We read its configuration and ask it for the stream. ' : ''}From then on what it says, if its signature holds, ends sessions and suspends people of this connection. It lets nobody in again.`,
  });
}

function decisionOf(place: Place, { id, person }: ProviderEvent, to: 'suspend' | 'dismiss'): Deed {
  const who = person?.label ?? 'This person';
  const deed = deedOn(place, {
    operation: 'signal-receiver.decide',
    part: `/events/${id}`,
    body: { to },
    title: to === 'suspend' ? `Suspend ${who}` : `Leave ${who} in`,
    effects:
      to === 'suspend'
        ? 'Everything of theirs ends now, and they cannot sign in before somebody lets them in again.'
        : 'They keep their access and can sign in again. What the provider said stays in the audit trail.',
  });
  return { ...deed, input: { ...deed.input, receivedEventId: id } };
}

const nothing = (words: string) => <span className="muted">{words}</span>;
const when = (at: string | null, words: string): ReactNode => (at === null ? nothing(words) : <Ago at={at} />);

/** Whether it would be noticed that the provider has gone quiet. */
function lifeOf({ settings, askedAt, answeredAt }: ProviderStream): ReactNode {
  if (settings === null || !settings.mayVerify) return nothing('cannot be asked for at this provider');
  if (answeredAt !== null && (askedAt === null || askedAt <= answeredAt)) return <Ago at={answeredAt} />;
  if (askedAt === null) return nothing('not asked for yet');
  return (
    <span>
      {answeredAt === null ? 'none yet' : <Ago at={answeredAt} />}; asked <Ago at={askedAt} />
    </span>
  );
}

type Fact = readonly [name: string, value: ReactNode];

function settingFacts({ settings }: ProviderStream): readonly Fact[] {
  if (settings === null) return [];
  const { issuer, audience, theirStream, jwksUri, algorithm, opaqueSubjects, pollUrl, isManaged } = settings;
  return [
    ['Set up', isManaged ? 'by the provider, at our word' : 'by hand'],
    ['Transmitter', <Hash key="i" text={issuer} />],
    ['Audience', <Hash key="a" text={audience} />],
    ...(theirStream === null ? [] : [['Id of the stream there', <Hash key="s" text={theirStream} />] as const]),
    ...(pollUrl === null ? [] : [['Fetched from', <Hash key="p" text={pollUrl} />] as const]),
    ['Keys', <Hash key="k" text={`${jwksUri} (${algorithm})`} />],
    ['People are named', subjectWords[opaqueSubjects ? 'opaque' : 'account'].label],
  ];
}

function StreamFacts({ stream }: { stream: ProviderStream }) {
  return (
    <Facts
      entries={[
        ['Events come', deliveryWords[stream.delivery].label],
        ...settingFacts(stream),
        ['Last event', when(stream.heardAt, 'none yet')],
        ['Last sign of life', lifeOf(stream)],
        ['Events', stream.eventsCount],
        ['Refused', stream.refusedCount],
      ]}
    />
  );
}

function Warnings({ stream }: { stream: ProviderStream }) {
  const { state, silentSince, trouble, settings } = stream;
  if (state !== 'on' && state !== 'paused') return null;
  const missing = settings?.eventsMissing ?? [];
  return (
    <>
      {silentSince !== null && state === 'on' && (
        <Notice kind="failing" title="The provider has gone quiet">
          <p>
            Last heard <Ago at={silentSince} />. Until it speaks again a departure there is noticed here by its
            directory alone, or four hours after the company’s last word. Look at the stream at the provider.
          </p>
        </Notice>
      )}
      {trouble !== null && (
        <Notice kind={silentSince === null ? 'stale' : 'failing'} title={`Check ${trouble.check}: ${trouble.sentence}`}>
          <p>
            Since <Ago at={trouble.at} />. It is tried again by itself, and nothing is lost meanwhile.
          </p>
          <p className="muted">
            <code>{trouble.code}</code>
          </p>
        </Notice>
      )}
      {missing.length > 0 && (
        <Notice kind="stale" title="Not everything that we asked for will come">
          <p>The provider does not send: {missing.map(eventText).join('; ')}.</p>
        </Notice>
      )}
    </>
  );
}

interface Actions {
  readonly onDeed: (deed: Deed) => void;
  readonly onRenew: (stream: ProviderStream) => void;
}

function StreamActions(props: Place & Actions & { isEditing: boolean; onEdit: () => void }) {
  const { stream, onDeed, onRenew, isEditing, onEdit } = props;
  const { state, delivery, settings } = stream;
  const isByHand = settings?.isManaged !== true;
  return (
    <div className="form__actions">
      {state === 'paused' && (
        <Button look="primary" onClick={() => onDeed(turnOf(props, 'on'))}>
          Go on…
        </Button>
      )}
      {state === 'on' && <Button onClick={() => onDeed(turnOf(props, 'paused'))}>Pause…</Button>}
      {state !== 'draft' && isByHand && (
        <Button aria-expanded={isEditing} onClick={onEdit}>
          Change values
        </Button>
      )}
      {delivery === 'push' && isByHand && <Button onClick={() => onRenew(stream)}>New token…</Button>}
      <Button look="danger" onClick={() => onDeed(turnOf(props, 'off'))}>
        End it…
      </Button>
    </div>
  );
}

/** What is pasted at a provider that is set up by hand. */
function PushAddress({ stream, title }: { stream: ProviderStream; title: string }) {
  if (stream.address === null || stream.settings?.isManaged === true || stream.state === 'off') return null;
  return (
    <div className="stack stack--tight">
      <h3>Address to paste there</h3>
      <CodeBlock label={`Push address of ${title}`} code={stream.address} wrap />
      <p className="muted">
        Needed where you set the stream up by hand; with it the token, which was shown once. A new one can be made.
      </p>
    </div>
  );
}

/** One stream: whether it lives, what it said, what became of it, and what waits for a decision. */
export function ProviderStreamCard(props: Place & Actions & { suspensionsPerHourMax: number; index: number }) {
  const { stream, onDeed, suspensionsPerHourMax, index } = props;
  const [isEditing, setEditing] = useState(false);
  const { state } = stream;
  const title = `Stream ${index}`;
  const isOpen = state !== 'off';
  return (
    <section className="card" aria-label={title}>
      <div className="row row--between">
        <h2>{title}</h2>
        <StreamChip stream={stream} />
      </div>
      <Warnings stream={stream} />
      <HeldEvents
        stream={stream}
        title={title}
        suspensionsPerHourMax={suspensionsPerHourMax}
        onDecide={(event, to) => onDeed(decisionOf(props, event, to))}
      />
      <StreamFacts stream={stream} />
      <VerifyNow connectionId={props.connectionId} stream={stream} />
      <PushAddress stream={stream} title={title} />
      {isOpen && (state === 'draft' || isEditing) && (
        <ProviderStreamForm stream={stream} title={title} onSetUp={(setUp) => onDeed(setUpOf(props, setUp))} />
      )}
      {isOpen && <StreamActions {...props} isEditing={isEditing} onEdit={() => setEditing(!isEditing)} />}
      {state !== 'draft' && <RecentEvents stream={stream} title={title} />}
      <RefusedEvents stream={stream} />
    </section>
  );
}
