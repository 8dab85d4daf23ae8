import { useQuery } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { Link } from '@tanstack/react-router';
import { Button, buttonClass } from '../ui/button.tsx';
import { CodeBlock, Notice } from '../ui/display.tsx';
import { Dialog } from '../ui/overlay.tsx';
import { actionFacts, type ActionFact } from './action-facts.ts';
import { request } from './api.ts';
import { Failure } from './failure.tsx';
import { assertPasskey, passkeyObstacle, stepUpHeader } from './passkey.ts';
import { useSession } from './session.tsx';
import type { Session, StepUpChallenge } from './wire.ts';

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
  /** Takes something away that does not come back by itself: the button says so by its colour too. */
  isDanger?: boolean;
  /** Does it, with the assertion as header. */
  commit: (stepUp: string) => Promise<T>;
  onDone: (result: T) => void;
}

function FactGroup({ title, facts, isQuiet }: { title: string; facts: readonly ActionFact[]; isQuiet: boolean }) {
  if (facts.length === 0) return null;
  return (
    <section className="approval__group" aria-label={title}>
      <h4>{title}</h4>
      <dl className="facts">
        {facts.map(({ name, values }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd className={isQuiet ? 'hash' : undefined}>
              {values.map((value, index) => (
                <div key={index}>{value}</div>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

/** The action as the server wrote it down: this, and nothing else, is what the passkey signs. */
export function ActionCard(props: { action: unknown; hidden?: readonly string[]; title?: string }) {
  const { action, hidden = [], title = 'What you approve' } = props;
  const { now, asked, ids } = actionFacts(action);
  return (
    <section className="card approval" aria-label={title}>
      <h3>{title}</h3>
      <FactGroup title="Asked for" facts={asked} isQuiet={false} />
      <FactGroup title="On record before it" facts={now} isQuiet={false} />
      <FactGroup title="Operation and ids" facts={ids} isQuiet />
      {hidden.length > 0 && (
        <p className="muted">What is hidden is not shown again. Your passkey approves exactly what was entered.</p>
      )}
      <details>
        <summary>{hidden.length > 0 ? 'As it is signed, but for what is hidden' : 'Exactly as it is signed'}</summary>
        <CodeBlock label="action" code={JSON.stringify(action, null, 2)} wrap />
      </details>
    </section>
  );
}

/** Roles that approve nothing with one passkey; the server decides, this saves the way. */
function needsSecond({ role, passkeys }: { role: string; passkeys: number }): boolean {
  return (role === 'lead' || role === 'operator') && passkeys < 2;
}

function SecondPasskey() {
  return (
    <Notice kind="stale" title="Add a second passkey first">
      <p>
        Whoever leads or operates needs two before they approve anything, so that a lost device never leaves nobody to
        act. Make one on another device, then come back.
      </p>
      <Link className={buttonClass()} to="/passkeys">
        Your passkeys
      </Link>
    </Notice>
  );
}

function CannotApprove({ method }: Pick<Session, 'method'>) {
  return (
    <Notice kind="stale" title="This session cannot approve it">
      <p>
        You came in by a sign-in link, or through your organisation’s sign-in without a passkey of your own. Approving
        asks for one: a phone or laptop with a screen lock, or a security key, that is registered for you.
      </p>
      <p>
        {method === 'sso'
          ? 'Make one now: confirm at your company, add it, and come back.'
          : 'Make one with an enrolment link, which an administrator can give you, and come back.'}{' '}
        Nothing is lost meanwhile.
      </p>
      {method === 'sso' && (
        <Link className={buttonClass()} to="/passkeys">
          Your passkeys
        </Link>
      )}
    </Notice>
  );
}

/** What the server composed for this operation, to be shown and signed: asked for anew each time, and never kept. */
function useChallenge({ operation, input }: Pick<StepUpProps<unknown>, 'operation' | 'input'>, enabled: boolean) {
  return useQuery({
    queryKey: ['step-up', operation, input],
    queryFn: ({ signal }) => request<StepUpChallenge>('/api/access/step-up', { body: { operation, input }, signal }),
    enabled,
    staleTime: 0,
    gcTime: 0,
    retry: false,
    refetchOnWindowFocus: false,
  });
}

/**
 * Asks for a fresh passkey assertion over one action. The server composes the action from its own records and sends
 * it back; the person sees exactly that before the authenticator is asked.
 */
export function StepUpDialog<T>(props: StepUpProps<T>) {
  const session = useSession();
  const mayConfirm = session.method === 'passkey' || (session.method === 'sso' && session.passkeys > 0);
  const isOne = mayConfirm && needsSecond(session);
  const able = mayConfirm && passkeyObstacle() === null && !isOne;
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const challenge = useChallenge(props, props.open && able);
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
            <Button
              look={props.isDanger ? 'danger' : 'primary'}
              icon="key"
              busy={busy}
              disabled={!challenge.data}
              onClick={() => void approve()}
            >
              {props.confirm}
            </Button>
          )}
        </>
      }
    >
      {isOne ? <SecondPasskey /> : !able && <CannotApprove method={session.method} />}
      {able && challenge.isPending && <output className="muted">Preparing what you will approve…</output>}
      {challenge.data && <ActionCard action={challenge.data.action} hidden={challenge.data.hidden} />}
      <Failure error={error ?? challenge.error} />
      {able && (
        <p className="muted">It will be kept in the audit trail, so that an auditor can verify what you approved.</p>
      )}
    </Dialog>
  );
}
