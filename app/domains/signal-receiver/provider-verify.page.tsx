import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Notice } from '../../ui/display.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import type { AskedForLife, ProviderStream } from '../../shell/wire.ts';

/** While somebody waits before the page. */
const LOOK_MS = 2_000;
/** Providers answer within seconds; whoever waits longer wants to know what to do. */
const LATE_MS = 60_000;

interface Props {
  readonly connectionId: string;
  readonly stream: ProviderStream;
}

/** How long the answer took; undefined while there is none. */
function answeredIn({ askedAt }: AskedForLife, { answeredAt }: ProviderStream): number | undefined {
  const took_ms = answeredAt === null ? -1 : Date.parse(answeredAt) - Date.parse(askedAt);
  return took_ms < 0 ? undefined : took_ms;
}

function Result({ asked, stream }: { asked: AskedForLife; stream: ProviderStream }) {
  const client = useQueryClient();
  const [isLate, setLate] = useState(false);
  const took_ms = answeredIn(asked, stream);
  const isWaiting = took_ms === undefined && !isLate;
  useEffect(() => {
    if (!isWaiting) return undefined;
    const looking = setInterval(() => void client.invalidateQueries({ queryKey: ['connections'] }), LOOK_MS);
    const late = setTimeout(() => setLate(true), LATE_MS);
    return () => {
      clearInterval(looking);
      clearTimeout(late);
    };
  }, [client, isWaiting]);
  if (took_ms !== undefined)
    return (
      <Notice kind="proven" title={`The provider answered after ${(took_ms / 1000).toFixed(1)} s`}>
        <p>Signature, issuer, audience and our question fit: what it says arrives here and is believed.</p>
      </Notice>
    );
  if (!isLate)
    return (
      <Notice title="Asked; waiting for the provider’s answer">
        <p>
          {stream.delivery === 'push'
            ? 'It comes over the stream, usually within seconds.'
            : 'It comes when we fetch next, within half a minute.'}
        </p>
      </Notice>
    );
  return (
    <Notice kind="stale" title="No answer within a minute">
      <p>
        The provider took the question and has not answered yet. Look below whether an answer was refused, and at the
        stream at the provider. After a quarter of an hour without one the operator is called.
      </p>
    </Notice>
  );
}

/** Asks the provider for a sign of life now, and says what became of it. */
export function VerifyNow({ connectionId, stream }: Props) {
  const client = useQueryClient();
  const ask = useMutation({
    mutationFn: () =>
      request<AskedForLife>(`/api/connections/${connectionId}/signals/${stream.id}/verify`, {
        body: {},
      }),
    onSettled: () => client.invalidateQueries({ queryKey: ['connections', connectionId, 'signals'] }),
  });
  if (stream.state !== 'on' || stream.settings?.mayVerify !== true) return null;
  return (
    <div className="stack stack--tight">
      <div className="form__actions">
        <Button icon="play" busy={ask.isPending} onClick={() => ask.mutate()}>
          Verify now
        </Button>
      </div>
      <output>
        {ask.data !== undefined && !ask.isPending && <Result key={ask.data.askedAt} asked={ask.data} stream={stream} />}
      </output>
      <Failure error={ask.error} />
    </div>
  );
}
