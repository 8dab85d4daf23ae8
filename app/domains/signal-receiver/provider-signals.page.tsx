import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { CodeBlock, Empty, Notice, PageHead } from '../../ui/display.tsx';
import { toast } from '../../ui/overlay.tsx';
import { request } from '../../shell/api.ts';
import { ConnectionTabs } from '../../shell/connection-tabs.tsx';
import { DeedDialog, type Deed } from '../../shell/deed.tsx';
import { Failure } from '../../shell/failure.tsx';
import { pollEvery } from '../../shell/problem.ts';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { BegunStream, Connection, ProviderSignals, ProviderStream } from '../../shell/wire.ts';
import { NewProviderStream } from './provider-stream-form.page.tsx';
import { ProviderStreamCard } from './provider-stream.page.tsx';

/** Events act within a second; a reader's eye is slower. */
const LOOK_MS = 10_000;

/** What a provider needs to push here; the authorization is known this once. */
type Secret = Readonly<Record<'address' | 'authorization', string>>;

/** Brought before the eye, wherever on the page it was asked for. */
function SecretOnce({ secret, onClose }: { secret: Secret; onClose: () => void }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => place.current?.focus(), []);
  return (
    <div ref={place} tabIndex={-1}>
      <Notice kind="stale" title="Copy the token now: it is not shown again">
        <p className="field__label">Push address</p>
        <CodeBlock label="Address of the new stream" code={secret.address} wrap />
        <p className="field__label">Token (the whole Authorization header)</p>
        <CodeBlock label="Token of the stream" code={secret.authorization} wrap />
        <p>
          Paste both at the provider if you set the stream up there by hand. Where the provider makes the stream at our
          word, neither is needed.
        </p>
        <p>
          <Button onClick={onClose}>I have it</Button>
        </p>
      </Notice>
    </div>
  );
}

type Asked =
  | { readonly kind: 'deed'; readonly deed: Deed }
  | { readonly kind: 'begin'; readonly delivery: ProviderStream['delivery'] }
  | { readonly kind: 'renew'; readonly stream: ProviderStream };

interface AskingProps<Kind extends Asked> {
  readonly asked: Kind;
  readonly connectionId: string;
  readonly onClose: () => void;
  /** Given what is to be copied, where something is. */
  readonly onDone: (secret?: Secret) => void;
}

function BeginDialog({ asked, connectionId, onClose, onDone }: AskingProps<Extract<Asked, { kind: 'begin' }>>) {
  const body = { delivery: asked.delivery };
  return (
    <StepUpDialog
      open
      onClose={onClose}
      operation="signal-receiver.begin"
      input={{ connectionId, ...body }}
      title="Begin a stream"
      confirm="Approve with passkey"
      effects={<p>It is a draft: nothing that comes is believed before its values are in.</p>}
      commit={(stepUp) => request<BegunStream>(`/api/connections/${connectionId}/signals`, { body, stepUp })}
      onDone={({ address, authorization }) =>
        onDone(address === null || authorization === null ? undefined : { address, authorization })
      }
    />
  );
}

function RenewDialog({ asked, connectionId, onClose, onDone }: AskingProps<Extract<Asked, { kind: 'renew' }>>) {
  const { id, address } = asked.stream;
  return (
    <StepUpDialog
      open
      onClose={onClose}
      operation="signal-receiver.renew"
      input={{ connectionId, receivedStreamId: id }}
      title="A new token for this stream"
      confirm="Approve with passkey"
      effects={<p>The old token is refused from this moment on, until the provider has the new one.</p>}
      commit={(stepUp) =>
        request<{ authorization: string }>(`/api/connections/${connectionId}/signals/${id}/renew`, { body: {}, stepUp })
      }
      onDone={({ authorization }) => onDone({ address: address ?? '', authorization })}
    />
  );
}

/** What a passkey is asked for. */
function Asking({ asked, ...rest }: AskingProps<Asked>) {
  if (asked.kind === 'begin') return <BeginDialog asked={asked} {...rest} />;
  if (asked.kind === 'renew') return <RenewDialog asked={asked} {...rest} />;
  return (
    <DeedDialog
      deed={asked.deed}
      onClose={rest.onClose}
      onDone={() => {
        toast('Done', asked.deed.title);
        rest.onDone();
      }}
    />
  );
}

interface StreamsProps {
  readonly connection: Connection;
  readonly signals: ProviderSignals;
  readonly onAsk: (asked: Asked) => void;
}

function Streams({ connection, signals, onAsk }: StreamsProps) {
  const { streams, suspensionsPerHourMax } = signals;
  return (
    <>
      {connection.state === 'disabled' && streams.length > 0 && (
        <Notice kind="stale" title="The connection is switched off">
          <p>Nobody comes in by it. What its provider says about people ends their access all the same.</p>
        </Notice>
      )}
      {streams.map((stream, index) => (
        <ProviderStreamCard
          // What was typed belongs to the stream as it stood.
          key={`${stream.id} ${stream.state} ${JSON.stringify(stream.settings)}`}
          connectionId={connection.id}
          stream={stream}
          index={index + 1}
          suspensionsPerHourMax={suspensionsPerHourMax}
          onDeed={(deed) => onAsk({ kind: 'deed', deed })}
          onRenew={(one) => onAsk({ kind: 'renew', stream: one })}
        />
      ))}
    </>
  );
}

function NoStream({ connection, signals }: Pick<StreamsProps, 'connection' | 'signals'>) {
  return (
    <Empty title="Your provider tells us nothing yet">
      <p>
        With a stream it says at once when somebody’s sessions are to end or an account is disabled, and that happens
        here within a second. Without one, access ends when its directory says so, or four hours after its last word.
      </p>
      <p>
        One stream suspends {signals.suspensionsPerHourMax} people an hour by itself; beyond that sessions end and you
        decide. It never lets anybody in.
      </p>
      {connection.state === 'draft' && <p>First switch the connection on.</p>}
    </Empty>
  );
}

function useSignals(connectionId: string) {
  const connection = useQuery({
    queryKey: ['connections', connectionId],
    queryFn: ({ signal }) => request<Connection>(`/api/connections/${connectionId}`, { signal }),
  });
  const signals = useQuery({
    queryKey: ['connections', connectionId, 'signals'],
    queryFn: ({ signal }) => request<ProviderSignals>(`/api/connections/${connectionId}/signals`, { signal }),
    refetchInterval: pollEvery(LOOK_MS),
  });
  return { connection, signals };
}

/** What a provider says of its own accord: its streams, what they said, what came of it, and what waits for a decision. */
export function ProviderSignalsPage() {
  const { connectionId } = useParams({ from: '/inside/connections/$connectionId/signals' });
  const client = useQueryClient();
  const [asked, setAsked] = useState<Asked | null>(null);
  const [secret, setSecret] = useState<Secret | null>(null);
  const [isAdding, setAdding] = useState(false);
  const { connection, signals } = useSignals(connectionId);
  const isRead = connection.data !== undefined && signals.data !== undefined;
  const inUse = signals.data?.streams.filter(({ state }) => state !== 'off').length ?? 0;
  const mayAdd = isRead && connection.data.state !== 'draft' && inUse < signals.data.streamsMax;
  const done = (given?: Secret) => {
    if (asked?.kind === 'begin') setAdding(false);
    setAsked(null);
    if (given !== undefined) setSecret(given);
    void client.invalidateQueries({ queryKey: ['connections', connectionId, 'signals'] });
  };
  return (
    <>
      <PageHead
        title="Signals from your provider"
        trail={[
          <Link key="all" to="/connections">
            Single sign-on
          </Link>,
          <Link key="one" to="/connections/$connectionId" params={{ connectionId }}>
            {connection.data?.name ?? 'Connection'}
          </Link>,
        ]}
        actions={
          mayAdd && (
            <Button
              look={inUse === 0 ? 'primary' : 'plain'}
              icon="plus"
              aria-expanded={isAdding}
              onClick={() => setAdding(!isAdding)}
            >
              New stream…
            </Button>
          )
        }
      >
        Your provider says by shared signals (OpenID SSF) when sessions are to end or an account is disabled.
      </PageHead>
      <ConnectionTabs connectionId={connectionId} />
      <Failure error={connection.error ?? signals.error} />
      {secret !== null && <SecretOnce key={secret.authorization} secret={secret} onClose={() => setSecret(null)} />}
      {isAdding && mayAdd && <NewProviderStream onBegin={(delivery) => setAsked({ kind: 'begin', delivery })} />}
      {isRead && signals.data.streams.length === 0 && !isAdding && (
        <NoStream connection={connection.data} signals={signals.data} />
      )}
      {isRead && <Streams connection={connection.data} signals={signals.data} onAsk={setAsked} />}
      {asked && <Asking asked={asked} connectionId={connectionId} onClose={() => setAsked(null)} onDone={done} />}
    </>
  );
}
