import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { CodeBlock, Notice } from '../../ui/display.tsx';
import { Dialog, toast } from '../../ui/overlay.tsx';
import { Ago } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { Member, Recovery, RecoveryList } from '../../shell/wire.ts';

/** Opens the way back in for somebody else; nothing changes for them yet. */
export function RecoverDialog({ member, onClose }: { member: Member; onClose: () => void }) {
  const client = useQueryClient();
  return (
    <StepUpDialog
      open
      onClose={onClose}
      operation="access.open-recovery"
      input={{ memberId: member.id }}
      title={`Recover ${member.label}`}
      confirm="Open with passkey"
      effects={
        <p>
          For somebody who has lost every passkey. Nothing changes for 24 hours: everybody who manages this organisation
          sees it here, can stop it, and it ends by itself when the person signs in. After that one of you makes a link;
          all older passkeys and sessions end with it. Ask the person on another way whether it is really them.
        </p>
      }
      commit={(stepUp) => request(`/api/access/members/${member.id}/recovery`, { method: 'POST', stepUp })}
      onDone={() => {
        onClose();
        toast(`Recovery of ${member.label} is open`, 'It takes effect in 24 hours.');
        void client.invalidateQueries({ queryKey: recoveriesKey });
      }}
    />
  );
}

const recoveriesKey = ['recoveries'] as const;
const OPEN_STATES: ReadonlySet<Recovery['state']> = new Set(['waiting', 'due', 'lapsed']);

type Step = { readonly kind: 'cancel' | 'finish'; readonly recovery: Recovery };

function RecoveryStepDialog({ step, onClose }: { step: Step; onClose: (link: RecoveryLink | null) => void }) {
  const client = useQueryClient();
  const { kind, recovery } = step;
  const isCancel = kind === 'cancel';
  return (
    <StepUpDialog
      open
      onClose={() => onClose(null)}
      operation={`access.${kind}-recovery`}
      input={{ recoveryId: recovery.id }}
      title={isCancel ? `Stop the recovery of ${recovery.label}` : `Make the link for ${recovery.label}`}
      confirm={isCancel ? 'Stop with passkey' : 'Make it with passkey'}
      effects={
        isCancel ? (
          <p>Nothing of the person changes; whoever still needs it opens it anew.</p>
        ) : (
          <p>Every older passkey, session and link of this person ends now. The new link works once.</p>
        )
      }
      commit={(stepUp) =>
        request<Partial<RecoveryLink>>(`/api/access/recoveries/${recovery.id}/${kind}`, { method: 'POST', stepUp })
      }
      onDone={({ enrolmentUrl }) => {
        void client.invalidateQueries({ queryKey: recoveriesKey });
        onClose(enrolmentUrl === undefined ? null : { label: recovery.label, enrolmentUrl });
      }}
    />
  );
}

interface RecoveryLink {
  readonly label: string;
  readonly enrolmentUrl: string;
}

/** Recoveries that wait or may be finished, for whoever manages; nothing when there is none. */
export function Recoveries() {
  const [step, setStep] = useState<Step | null>(null);
  const [link, setLink] = useState<RecoveryLink | null>(null);
  const found = useQuery({
    queryKey: recoveriesKey,
    queryFn: ({ signal }) => request<RecoveryList>('/api/access/recoveries', { signal }),
  });
  const open = (found.data?.recoveries ?? []).filter(({ state }) => OPEN_STATES.has(state));
  return (
    <>
      {open.map((recovery) => (
        <Notice key={recovery.id} kind="stale" title={`Recovery of ${recovery.label}`}>
          <p>
            Opened by {recovery.openedBy}, <Ago at={recovery.openedAt} />.{' '}
            {recovery.state === 'waiting' && (
              <>
                The link can be made <Ago at={recovery.dueAt} />.
              </>
            )}
            {recovery.state === 'due' && 'The delay is over: the link can be made now.'}
            {recovery.state === 'lapsed' && 'Nobody finished it in a week: stop it, or open it anew.'} It also ends by
            itself when the person signs in.
          </p>
          <div className="row">
            <Button small onClick={() => setStep({ kind: 'cancel', recovery })}>
              Stop it…
            </Button>
            {recovery.state === 'due' && (
              <Button small look="primary" icon="key" onClick={() => setStep({ kind: 'finish', recovery })}>
                Make the link…
              </Button>
            )}
          </div>
        </Notice>
      ))}
      {step && (
        <RecoveryStepDialog
          step={step}
          onClose={(made) => {
            setStep(null);
            setLink(made);
          }}
        />
      )}
      {link && (
        <Dialog
          open
          onClose={() => setLink(null)}
          title={`${link.label} can come back`}
          description="Hand this link over on a way that you trust. It is shown this once, works once, and makes a new first passkey."
          foot={
            <Button look="primary" onClick={() => setLink(null)}>
              I have handed it over
            </Button>
          }
        >
          <CodeBlock label="enrolment link" code={new URL(link.enrolmentUrl, window.location.origin).href} wrap />
        </Dialog>
      )}
    </>
  );
}
