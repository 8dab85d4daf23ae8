import { useQuery } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { Button } from '../ui/button.tsx';
import { CodeBlock, Notice } from '../ui/display.tsx';
import { Dialog } from '../ui/overlay.tsx';
import { request } from './api.ts';
import { Failure } from './failure.tsx';
import { assertPasskey, passkeyObstacle, stepUpHeader } from './passkey.ts';
import { useSession } from './session.tsx';
import type { StepUpChallenge } from './wire.ts';

export interface StepUpProps<T> {
  open: boolean;
  onClose: () => void;
  /** Stable name of the operation, as in the room's contract. */
  operation: string;
  input: unknown;
  title: string;
  /** What it will do, how many things it touches, what cannot be undone. */
  effects: ReactNode;
  confirm: string;
  /** Does it, with the assertion as header. */
  commit: (stepUp: string) => Promise<T>;
  onDone: (result: T) => void;
}

function flat(value: unknown, path = ''): readonly (readonly [string, string])[] {
  if (value === null || typeof value !== 'object') return [[path || 'action', String(value)]];
  return Object.entries(value).flatMap(([name, inner]) => flat(inner, path ? `${path}.${name}` : name));
}

/** The action as the server wrote it down: this, and nothing else, is what the passkey signs. */
export function ActionCard({ action }: { action: unknown }) {
  return (
    <section className="card" aria-label="What you approve">
      <h3>What you approve</h3>
      <dl className="facts">
        {flat(action).map(([name, value]) => (
          <div key={name}>
            <dt>{name.replace(/^input\./, '')}</dt>
            <dd className="hash">{value}</dd>
          </div>
        ))}
      </dl>
      <details>
        <summary>Exactly as it is signed</summary>
        <CodeBlock label="action" code={JSON.stringify(action, null, 2)} wrap />
      </details>
    </section>
  );
}

function CannotApprove() {
  return (
    <Notice kind="stale" title="This session cannot approve it">
      <p>
        You came in by a sign-in link. Approving asks for a passkey: a phone or laptop with a screen lock, or a security
        key, that is registered for you.
      </p>
      <p>Enrol one with your enrolment link, sign in with it, and come back. Nothing is lost meanwhile.</p>
    </Notice>
  );
}

/**
 * Asks for a fresh passkey assertion over one action. The server composes the action from its own records and sends
 * it back; the person sees exactly that before the authenticator is asked.
 */
export function StepUpDialog<T>(props: StepUpProps<T>) {
  const session = useSession();
  const able = session.method === 'passkey' && passkeyObstacle() === null;
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const challenge = useQuery({
    queryKey: ['step-up', props.operation, props.input],
    queryFn: ({ signal }) =>
      request<StepUpChallenge>('/api/access/step-up', {
        body: { operation: props.operation, input: props.input },
        signal,
      }),
    enabled: props.open && able,
    staleTime: 0,
    gcTime: 0,
    retry: false,
    refetchOnWindowFocus: false,
  });
  const close = () => {
    if (busy) return;
    setError(null);
    props.onClose();
  };
  const approve = async () => {
    if (!challenge.data) return;
    setBusy(true);
    setError(null);
    try {
      const assertion = await assertPasskey(challenge.data.options);
      props.onDone(await props.commit(stepUpHeader(challenge.data.challengeId, assertion)));
    } catch (failure) {
      setError(failure);
      // A challenge is good for one answer: the next try needs a new one.
      void challenge.refetch();
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog
      open={props.open}
      onClose={close}
      title={props.title}
      description={props.effects}
      foot={
        <>
          <Button onClick={close}>Cancel</Button>
          {able && (
            <Button look="primary" icon="key" busy={busy} disabled={!challenge.data} onClick={() => void approve()}>
              {props.confirm}
            </Button>
          )}
        </>
      }
    >
      {!able && <CannotApprove />}
      {able && challenge.isPending && <output className="muted">Preparing what you will approve…</output>}
      {challenge.data && <ActionCard action={challenge.data.action} />}
      <Failure error={error ?? challenge.error} />
      {able && <p className="muted">It will be recorded in the audit trail with the hash of your assertion.</p>}
    </Dialog>
  );
}
