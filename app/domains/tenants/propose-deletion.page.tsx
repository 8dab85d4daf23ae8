import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Facts, Notice } from '../../ui/display.tsx';
import { Dialog, toast } from '../../ui/overlay.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { DeletionPreview } from '../../shell/wire.ts';
import { inventoryFacts } from './deletion-card.page.tsx';

function delayText(seconds: number): string {
  const hours = Math.round(seconds / 3600);
  if (hours >= 48) return `${Math.round(hours / 24)} days`;
  if (hours >= 1) return hours === 1 ? 'an hour' : `${hours} hours`;
  return seconds >= 120 ? `${Math.round(seconds / 60)} minutes` : `${seconds} seconds`;
}

function Preview({ preview }: { preview: DeletionPreview }) {
  if (preview.refused !== null)
    return (
      <Notice kind="stale" title="This organisation cannot be deleted now">
        <p>{preview.refused}</p>
      </Notice>
    );
  return (
    <>
      <section className="section" aria-labelledby="destroyed">
        <h3 id="destroyed">What becomes unreadable for good</h3>
        <Facts entries={inventoryFacts(preview.inventory)} />
      </section>
      <section className="section" aria-labelledby="remains">
        <h3 id="remains">What stays</h3>
        <ul className="prose">
          {preview.remains.map((sentence) => (
            <li key={sentence}>{sentence}</li>
          ))}
        </ul>
      </section>
      <p>
        You propose; another operator confirms. Then {delayText(preview.delay.seconds)} pass in which anybody of you may
        cancel{preview.delay.isShortened && ' (cut short here, since only the sample is at stake)'}. After that there is
        no way back.
      </p>
    </>
  );
}

/** What will be destroyed, shown first; then the passkey of the one who proposes it. */
export function ProposeDeletion({ slug, onClose }: { slug: string; onClose: () => void }) {
  const client = useQueryClient();
  const [approving, setApproving] = useState(false);
  const { data, error } = useQuery({
    queryKey: ['tenants', 'preview', slug],
    queryFn: ({ signal }) => request<DeletionPreview>('/api/tenants/deletion-preview', { query: { slug }, signal }),
    staleTime: 0,
    gcTime: 0,
  });
  if (approving && data)
    return (
      <StepUpDialog
        open
        onClose={onClose}
        operation="tenants.propose-deletion"
        input={{ slug }}
        title={`Propose to delete ${data.tenant.name}`}
        effects={<p>Nothing is destroyed yet: a second operator has to confirm it, and then the delay has to pass.</p>}
        confirm="Propose the deletion"
        commit={(stepUp) => request<unknown>('/api/tenants/deletions', { body: { slug }, stepUp })}
        onDone={() => {
          toast('Proposed', 'Another operator has to confirm it.');
          void client.invalidateQueries({ queryKey: ['tenants'] });
          onClose();
        }}
      />
    );
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title={data ? `Delete ${data.tenant.name}?` : 'Delete an organisation'}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="danger" icon="key" disabled={!data || data.refused !== null} onClick={() => setApproving(true)}>
            Go on to approval
          </Button>
        </>
      }
    >
      {error && <Failure error={error} />}
      {!error && !data && <output className="muted">Counting what it holds…</output>}
      {data && <Preview preview={data} />}
    </Dialog>
  );
}
