import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { ChoiceField, SelectField, TextArea } from '../../ui/field.tsx';
import { Button } from '../../ui/button.tsx';
import { Dialog, toast } from '../../ui/overlay.tsx';
import { request } from '../../shell/api.ts';
import { roleWords } from '../../shell/session.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { AccessReview, AccessReviewItem, Role } from '../../shell/wire.ts';
import { kindWords } from './review-words.page.tsx';

/** Of one touch; the room refuses more. */
export const SELECTED_MAX = 50;

type Verdict = 'keep' | 'change-role' | 'remove';

interface Wanted {
  readonly verdict: Verdict;
  readonly role: Role | null;
  readonly reason: string;
}

/** Of an organisation; who operates has one role and no other. */
const ROLES: readonly Role[] = ['lead', 'auditor', 'client'];

function bodyOf(review: AccessReview, items: readonly AccessReviewItem[], { verdict, role, reason }: Wanted) {
  const decisions = items.map(({ n, grown }) => ({
    item: n,
    decision: verdict,
    ...(verdict === 'change-role' && role !== null && { role }),
    ...(verdict !== 'keep' && { reason: reason.trim() }),
    grown,
  }));
  return { snapshot: review.snapshotHash, decisions };
}

function Effects({ items, wanted }: { items: readonly AccessReviewItem[]; wanted: Wanted }) {
  const { verdict, role } = wanted;
  const does =
    verdict === 'keep'
      ? 'These keep what they have.'
      : verdict === 'remove'
        ? 'These end now: sessions, links, keys and programs with them. Whoever needs it again asks anew.'
        : `These become ${role === null ? '' : roleWords[role]} now.`;
  return (
    <>
      <p>{does} Some seconds later it is looked at again, and the proof is kept.</p>
      <ul>
        {items.map((item) => (
          <li key={item.n}>
            <b>{item.name}</b> ({kindWords[item.kind]}, item {item.n})
          </li>
        ))}
      </ul>
    </>
  );
}

function choicesFor(items: readonly AccessReviewItem[]) {
  const isPeople = items.every(({ kind, role }) => kind === 'member' && role !== 'operator');
  return [
    { value: 'keep' as const, label: 'Keep', help: 'They need it as it is.' },
    ...(isPeople ? [{ value: 'change-role' as const, label: 'Another role', help: 'They need less, or other.' }] : []),
    { value: 'remove' as const, label: 'Remove', help: 'It ends at once.' },
  ];
}

function VerdictForm({
  items,
  wanted,
  onChange,
}: {
  items: readonly AccessReviewItem[];
  wanted: Wanted;
  onChange: (next: Wanted) => void;
}) {
  return (
    <>
      <ChoiceField
        label="Decision"
        name="verdict"
        value={wanted.verdict}
        choices={choicesFor(items)}
        onChange={(verdict) => onChange({ ...wanted, verdict })}
      />
      {wanted.verdict === 'change-role' && (
        <SelectField
          label="New role"
          value={wanted.role ?? ''}
          choices={[
            { value: '', label: 'Choose a role' },
            ...ROLES.map((role) => ({ value: role, label: roleWords[role] })),
          ]}
          onChange={(role) => onChange({ ...wanted, role: role === '' ? null : role })}
        />
      )}
      {wanted.verdict !== 'keep' && (
        <TextArea
          label="Why"
          help="Kept with the decision; no more about the person than is needed."
          value={wanted.reason}
          maxLength={500}
          onChange={(event) => onChange({ ...wanted, reason: event.target.value })}
        />
      )}
    </>
  );
}

/** Asks what is to become of these, then for one touch that confirms exactly that. */
export function DecisionDialog({
  review,
  items,
  onClose,
  onDecided,
}: {
  review: AccessReview;
  items: readonly AccessReviewItem[];
  onClose: () => void;
  onDecided: () => void;
}) {
  const client = useQueryClient();
  const [wanted, setWanted] = useState<Wanted>({ verdict: 'keep', role: null, reason: '' });
  const [isAsked, setAsked] = useState(false);
  const isComplete =
    (wanted.verdict === 'keep' || wanted.reason.trim() !== '') &&
    (wanted.verdict !== 'change-role' || wanted.role !== null);
  const [first] = items;
  const title = items.length === 1 && first ? `Decide about ${first.name}` : `Decide about ${items.length} at once`;
  const body = bodyOf(review, items, wanted);
  if (isAsked)
    return (
      <StepUpDialog
        open
        onClose={() => setAsked(false)}
        operation="access-reviews.decide"
        input={{ reviewId: review.id, ...body }}
        title={title}
        confirm="Confirm with passkey"
        effects={<Effects items={items} wanted={wanted} />}
        commit={(stepUp) =>
          request<{ undecided: number }>(`/api/access-reviews/${review.id}/decisions`, { body, stepUp })
        }
        onDone={({ undecided }) => {
          onDecided();
          toast('Decided', undecided === 0 ? 'Nothing is left to decide.' : `${undecided} left to decide.`);
          void client.invalidateQueries({ queryKey: ['access-reviews'] });
        }}
      />
    );
  return (
    <Dialog
      open
      onClose={onClose}
      title={title}
      description="Nothing happens before you confirm it with your passkey."
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" disabled={!isComplete} onClick={() => setAsked(true)}>
            Go on
          </Button>
        </>
      }
    >
      <VerdictForm items={items} wanted={wanted} onChange={setWanted} />
    </Dialog>
  );
}
