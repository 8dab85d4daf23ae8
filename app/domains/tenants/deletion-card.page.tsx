import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { Button } from '../../ui/button.tsx';
import { Facts, Notice, Stages } from '../../ui/display.tsx';
import { TextField } from '../../ui/field.tsx';
import { GradeChip, type Grade } from '../../ui/grade.tsx';
import { Dialog, toast } from '../../ui/overlay.tsx';
import { bytesText } from '../../ui/progress.tsx';
import { Ago, Instant, useNow, utcText } from '../../ui/time.tsx';
import { request, saveFile } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { useNames } from '../../shell/names.ts';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { DeletionsAnswer } from '../../shell/wire.ts';

type Deletion = DeletionsAnswer['deletions'][number];
type Inventory = Deletion['inventory'];

/** Shape, colour and word of each state. */
export const stateWords: Readonly<Record<Deletion['state'], readonly [look: Grade, word: string]>> = {
  proposed: ['stale', 'proposed'],
  confirmed: ['stale', 'confirmed, waiting'],
  destroying: ['failing', 'keys being destroyed'],
  failed: ['failing', 'not complete'],
  destroyed: ['asserted', 'destroyed'],
  cancelled: ['asserted', 'cancelled'],
};

const STAGES = ['proposed', 'confirmed', 'destroying', 'destroyed'] as const;
const stageWords: Readonly<Record<(typeof STAGES)[number], string>> = {
  proposed: 'Proposed',
  confirmed: 'Confirmed, waiting',
  destroying: 'Keys destroyed',
  destroyed: 'Certified',
};

/** What a deletion makes unreadable, in figures. */
export function inventoryFacts(inventory: Inventory) {
  return [
    ['Engagements', inventory.engagements],
    ['Evidence files', `${inventory.evidence}, ${bytesText(inventory.objectBytes)}`],
    ['Data keys', inventory.dataKeys],
    ['Key-encryption keys', inventory.keyEncryptionKeys],
    ['People', inventory.people],
    ['Open sessions', inventory.openSessions],
  ] as const;
}

/** "2 d 4 h", "3 min 12 s": what is left, without words that age. */
function leftText(left_ms: number): string {
  const seconds = Math.max(0, Math.floor(left_ms / 1000));
  const units = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const;
  const first = units.findIndex(([amount]) => amount > 0);
  return first < 0
    ? 'now'
    : units
        .slice(first, first + 2)
        .map(([amount, unit]) => `${amount} ${unit}`)
        .join(' ');
}

function Countdown({ dueAt }: { dueAt: string }) {
  const now = useNow(1000);
  const left_ms = Date.parse(dueAt) - now;
  return (
    <p>
      <b className="num" role="timer">
        {left_ms <= 0 ? 'Any moment now' : leftText(left_ms)}
      </b>{' '}
      <span className="muted">
        {left_ms > 0 && 'until '}the keys are destroyed, <Instant at={dueAt} />. Until then anybody of you may cancel.
      </span>
    </p>
  );
}

/** The name typed, then the passkey: two people, and the right organisation. */
function ConfirmDeletion({ deletion, onClose }: { deletion: Deletion; onClose: () => void }) {
  const client = useQueryClient();
  const [typed, setTyped] = useState('');
  const [error, setError] = useState<string>();
  const [approving, setApproving] = useState(false);
  const { id, tenant } = deletion;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const fits = typed.trim() === tenant.slug;
    setError(fits ? undefined : `This is not ${tenant.slug}.`);
    setApproving(fits);
  };
  if (approving)
    return (
      <StepUpDialog
        open
        onClose={onClose}
        operation="tenants.confirm-deletion"
        input={{ deletionId: id, slug: tenant.slug }}
        title={`Confirm the deletion of ${tenant.name}`}
        effects={
          <p>After the delay its keys are destroyed. From then on nobody, here or elsewhere, can open its data.</p>
        }
        confirm="Confirm the deletion"
        commit={(stepUp) =>
          request<unknown>(`/api/tenants/deletions/${id}/confirm`, { body: { slug: tenant.slug }, stepUp })
        }
        onDone={() => {
          toast('Confirmed', 'The delay runs. It can be cancelled until it is over.');
          void client.invalidateQueries({ queryKey: ['tenants'] });
          onClose();
        }}
      />
    );
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Confirm the deletion of ${tenant.name}`}
      description="Look at what is destroyed, and type the organisation’s short name, so that it is the right one."
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="danger" type="submit" form="confirm-deletion">
            Go on to approval
          </Button>
        </>
      }
    >
      <Facts entries={inventoryFacts(deletion.inventory)} />
      <form id="confirm-deletion" onSubmit={submit} noValidate>
        <TextField
          label={`Type ${tenant.slug}`}
          value={typed}
          autoComplete="off"
          spellCheck={false}
          error={error}
          onChange={(event) => setTyped(event.target.value)}
        />
      </form>
    </Dialog>
  );
}

function Certificate({ deletion }: { deletion: Deletion }) {
  const download = useMutation({
    mutationFn: () => request<{ certificate: unknown }>(`/api/tenants/deletions/${deletion.id}/certificate`),
    onSuccess: (answer) =>
      saveFile({
        blob: new Blob([JSON.stringify(answer, null, 2)], { type: 'application/json' }),
        name: `destruction-${deletion.tenant.slug}.json`,
      }),
  });
  return (
    <>
      <div className="row">
        <Button icon="download" busy={download.isPending} onClick={() => download.mutate()}>
          Destruction certificate
        </Button>
      </div>
      <Failure error={download.error} />
    </>
  );
}

function WhatNow({ deletion }: { deletion: Deletion }) {
  const { state, dueAt, stillOpen } = deletion;
  if (state === 'confirmed' && dueAt) return <Countdown dueAt={dueAt} />;
  if (state === 'failed')
    return (
      <Notice kind="failing" title="Something of it still opened">
        <p>
          A canary of {stillOpen.join(' and ')} could still be opened after the keys were destroyed. It is tried again
          by itself; no certificate is written before every canary fails.
        </p>
      </Notice>
    );
  if (state === 'destroying') return <output className="muted">Destroying the keys and trying the canaries…</output>;
  if (state === 'destroyed') return <Certificate deletion={deletion} />;
  return null;
}

function Actions({ deletion }: { deletion: Deletion }) {
  const client = useQueryClient();
  const [confirming, setConfirming] = useState(false);
  const cancel = useMutation({
    mutationFn: () => request(`/api/tenants/deletions/${deletion.id}/cancel`, { method: 'POST' }),
    onSuccess: () => toast('Cancelled', 'Nothing was destroyed.'),
    onSettled: () => client.invalidateQueries({ queryKey: ['tenants'] }),
  });
  const isOpen = deletion.state === 'proposed' || deletion.state === 'confirmed';
  if (!isOpen) return null;
  return (
    <>
      <div className="row">
        {deletion.mayCancel && (
          <Button busy={cancel.isPending} onClick={() => cancel.mutate()}>
            Cancel the deletion
          </Button>
        )}
        {deletion.mayConfirm && (
          <Button look="danger" icon="key" onClick={() => setConfirming(true)}>
            Confirm it
          </Button>
        )}
      </div>
      {!deletion.mayConfirm && deletion.confirmRefused && <p className="muted">{deletion.confirmRefused}</p>}
      <Failure error={cancel.error} />
      {confirming && <ConfirmDeletion deletion={deletion} onClose={() => setConfirming(false)} />}
    </>
  );
}

/** One deletion: where it stands, who did what, and what may be done now. */
export function DeletionCard({ deletion }: { deletion: Deletion }) {
  const nameOf = useNames();
  const { state, tenant } = deletion;
  const [look, word] = stateWords[state];
  const by = (who: string | null, at: string | null) =>
    who === null || at === null ? null : (
      <span>
        {nameOf(who)}, <Ago at={at} />
      </span>
    );
  const confirmed = by(deletion.confirmedBy, deletion.confirmedAt);
  const cancelled = by(deletion.cancelledBy, deletion.cancelledAt);
  const stage = state === 'failed' ? 'destroying' : state === 'cancelled' ? 'proposed' : state;
  return (
    <section className="card" aria-label={`Deletion of ${tenant.name}, proposed ${utcText(deletion.proposedAt)}`}>
      <div className="card__head">
        <h3>
          {tenant.name} <span className="muted mono">{tenant.slug}</span>
        </h3>
        <GradeChip grade={look} word={word} boxed />
      </div>
      {state !== 'cancelled' && <Stages stages={STAGES} now={stage} words={stageWords} />}
      <WhatNow deletion={deletion} />
      <Facts
        entries={[
          ['Proposed by', by(deletion.proposedBy, deletion.proposedAt)],
          ...(confirmed ? [['Confirmed by', confirmed] as const] : []),
          ...(cancelled ? [['Cancelled by', cancelled] as const] : []),
          ...(deletion.endedAt ? [['Ended', <Instant key="ended" at={deletion.endedAt} />] as const] : []),
        ]}
      />
      <details>
        <summary>What it destroys</summary>
        <Facts entries={inventoryFacts(deletion.inventory)} />
      </details>
      <Actions deletion={deletion} />
    </section>
  );
}
