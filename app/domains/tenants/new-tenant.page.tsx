import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { Button } from '../../ui/button.tsx';
import { CodeBlock, Facts } from '../../ui/display.tsx';
import { ChoiceField, TextField } from '../../ui/field.tsx';
import { Dialog, toast } from '../../ui/overlay.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { OpenedTenant, PlacesAnswer } from '../../shell/wire.ts';
import { PlaceField } from './place-field.page.tsx';
import { placeText, type PlaceName } from './place-words.page.tsx';

type Tier = 'standard' | 'enterprise';

interface Draft {
  readonly name: string;
  readonly slug: string;
  readonly leadLabel: string;
  readonly tier: Tier;
  readonly place: PlaceName;
}

const SLUG_PATTERN = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** `Harbour Street Audit` becomes `harbour-street-audit`; accents are taken off, the rest is dropped. */
function slugOf(name: string): string {
  return name
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 63);
}

function faultsOf(draft: Draft, taken: ReadonlySet<string>): Partial<Record<'name' | 'slug' | 'leadLabel', string>> {
  return {
    ...(draft.name.trim() === '' && { name: 'An organisation needs a name.' }),
    ...(!SLUG_PATTERN.test(draft.slug) && {
      slug: 'Small letters, digits and hyphens, beginning with a letter or digit.',
    }),
    ...(taken.has(draft.slug) && { slug: 'Another organisation has this short name.' }),
    ...(draft.leadLabel.trim() === '' && { leadLabel: 'Somebody has to be the first lead.' }),
  };
}

/** What the operator hands over: shown this once. */
function Handover({ opened, onClose }: { opened: OpenedTenant; onClose: () => void }) {
  const address = new URL(opened.enrolmentPath, window.location.origin).href;
  const days = Math.round(opened.expiresInSeconds / 86_400);
  return (
    <Dialog
      open
      onClose={onClose}
      title={`${opened.tenant.name} is there`}
      description="Hand this link to its first lead on a way that you trust. It is shown this once, works once, and makes their passkey."
      foot={
        <Button look="primary" onClick={onClose}>
          I have it
        </Button>
      }
    >
      <CodeBlock label="enrolment link" code={address} wrap />
      <Facts
        entries={[
          ['Lives in', placeText(opened.place)],
          ['The link works for', `${days} days`],
        ]}
      />
    </Dialog>
  );
}

function DraftForm({
  draft,
  onChange,
  faults,
  places,
}: {
  draft: Draft;
  onChange: (draft: Draft) => void;
  faults: ReturnType<typeof faultsOf>;
  places: PlacesAnswer;
}) {
  const [hasOwnSlug, setHasOwnSlug] = useState(false);
  const home = places.regions.find((region) => region.isHome)?.name ?? draft.place.region;
  return (
    <>
      <TextField
        label="Name"
        value={draft.name}
        autoComplete="organization"
        maxLength={200}
        error={faults.name}
        onChange={({ target: { value } }) =>
          onChange({ ...draft, name: value, ...(!hasOwnSlug && { slug: slugOf(value) }) })
        }
      />
      <TextField
        label="Short name"
        help="Part of addresses; it cannot be changed later."
        value={draft.slug}
        spellCheck={false}
        autoComplete="off"
        maxLength={63}
        error={faults.slug}
        onChange={({ target: { value } }) => {
          setHasOwnSlug(value !== '');
          onChange({ ...draft, slug: value });
        }}
      />
      <TextField
        label="First lead auditor"
        help="What this person is called until they say otherwise. They invite everybody else."
        value={draft.leadLabel}
        autoComplete="off"
        maxLength={100}
        error={faults.leadLabel}
        onChange={({ target: { value } }) => onChange({ ...draft, leadLabel: value })}
      />
      <ChoiceField
        label="Tier"
        name="tier"
        row
        value={draft.tier}
        choices={[
          { value: 'standard', label: 'Standard' },
          { value: 'enterprise', label: 'Enterprise' },
        ]}
        onChange={(tier) =>
          onChange({ ...draft, tier, ...(tier === 'standard' && { place: { kind: 'shared', region: home } }) })
        }
      />
      <PlaceField
        regions={places.regions}
        tier={draft.tier}
        value={draft.place}
        onChange={(place) => onChange({ ...draft, place })}
      />
    </>
  );
}

function Approval({
  draft,
  onClose,
  onDone,
}: {
  draft: Draft;
  onClose: () => void;
  onDone: (opened: OpenedTenant) => void;
}) {
  const input = { ...draft, name: draft.name.trim(), leadLabel: draft.leadLabel.trim() };
  return (
    <StepUpDialog
      open
      onClose={onClose}
      operation="tenants.create"
      input={input}
      title={`Create ${input.name}`}
      effects={
        <p>
          Its keys and its place ({placeText(input.place)}) are made now. You will not see what it stores, here or
          anywhere.
        </p>
      }
      confirm="Create it"
      commit={(stepUp) => request<OpenedTenant>('/api/tenants', { body: input, stepUp })}
      onDone={onDone}
    />
  );
}

/** A new organisation: who it is, where it lives, and the link for its first lead. */
export function NewTenant({ taken, onClose }: { taken: ReadonlySet<string>; onClose: () => void }) {
  const client = useQueryClient();
  const places = useQuery({
    queryKey: ['tenants', 'places'],
    queryFn: ({ signal }) => request<PlacesAnswer>('/api/tenants/places', { signal }),
  });
  const home = places.data?.regions.find((region) => region.isHome)?.name ?? '';
  const [draft, setDraft] = useState<Draft>({
    name: '',
    slug: '',
    leadLabel: 'Lead auditor',
    tier: 'standard',
    place: { kind: 'shared', region: '' },
  });
  const [isChecked, setIsChecked] = useState(false);
  const [approving, setApproving] = useState(false);
  const [opened, setOpened] = useState<OpenedTenant | null>(null);
  const whole: Draft = draft.place.region === '' ? { ...draft, place: { ...draft.place, region: home } } : draft;
  const faults = faultsOf(whole, taken);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setIsChecked(true);
    setApproving(Object.keys(faults).length === 0);
  };
  if (opened) return <Handover opened={opened} onClose={onClose} />;
  if (approving)
    return (
      <Approval
        draft={whole}
        onClose={() => setApproving(false)}
        onDone={(answer) => {
          toast('Created', `${answer.tenant.name} can begin as soon as its lead has a passkey.`);
          void client.invalidateQueries({ queryKey: ['tenants'] });
          setOpened(answer);
        }}
      />
    );
  return (
    <Dialog
      open
      onClose={onClose}
      title="New organisation"
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" icon="key" type="submit" form="new-tenant" disabled={!places.data}>
            Go on to approval
          </Button>
        </>
      }
    >
      {places.error && <Failure error={places.error} />}
      {places.data && (
        <form id="new-tenant" className="stack" onSubmit={submit} noValidate>
          <DraftForm draft={whole} onChange={setDraft} faults={isChecked ? faults : {}} places={places.data} />
        </form>
      )}
      {!places.data && !places.error && <output className="muted">Looking up the regions…</output>}
    </Dialog>
  );
}
