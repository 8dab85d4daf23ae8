import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Facts } from '../../ui/display.tsx';
import { Dialog, toast } from '../../ui/overlay.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { PlacesAnswer, TenantsAnswer } from '../../shell/wire.ts';
import { PlaceField } from './place-field.page.tsx';
import { placeText, type PlaceName } from './place-words.page.tsx';

/** Another place for an organisation: what will happen first, then the passkey of who asks for it. */
export function MoveTenant({ tenant, onClose }: { tenant: TenantsAnswer['tenants'][number]; onClose: () => void }) {
  const client = useQueryClient();
  const [place, setPlace] = useState<PlaceName>(tenant.place);
  const [approving, setApproving] = useState(false);
  const places = useQuery({
    queryKey: ['tenants', 'places'],
    queryFn: ({ signal }) => request<PlacesAnswer>('/api/tenants/places', { signal }),
  });
  const isSame = place.kind === tenant.place.kind && place.region === tenant.place.region;
  const body = { slug: tenant.slug, place };
  if (approving)
    return (
      <StepUpDialog
        open
        onClose={() => setApproving(false)}
        operation="tenants.move"
        input={body}
        title={`Move ${tenant.name}`}
        effects={
          <p>
            From {placeText(tenant.place)} to {placeText(place)}. People go on working while rows are copied; for a few
            seconds at the end they can read but not write. You can cancel until the place is switched.
          </p>
        }
        confirm="Move it"
        commit={(stepUp) => request<unknown>('/api/tenants/moves', { body, stepUp })}
        onDone={() => {
          toast('The move begins', 'You see here how far it has come.');
          void client.invalidateQueries({ queryKey: ['tenants'] });
          onClose();
        }}
      />
    );
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Move ${tenant.name}`}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" icon="key" disabled={isSame || !places.data} onClick={() => setApproving(true)}>
            Go on to approval
          </Button>
        </>
      }
    >
      <Facts entries={[['Lives now in', placeText(tenant.place)]]} />
      {places.error && <Failure error={places.error} />}
      {places.data && <PlaceField regions={places.data.regions} tier={tenant.tier} value={place} onChange={setPlace} />}
      {tenant.tier === 'standard' && (
        <p className="muted">An organisation of the Standard tier lives in the shared tables.</p>
      )}
    </Dialog>
  );
}
