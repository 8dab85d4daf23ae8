import { useMutation, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Button, buttonClass } from '../../ui/button.tsx';
import { Notice } from '../../ui/display.tsx';
import { request } from '../../shell/api.ts';
import { Door } from '../../shell/door.tsx';
import { Failure } from '../../shell/failure.tsx';
import { createPasskey, passkeyObstacle } from '../../shell/passkey.ts';
import type { InvitationOffersAnswer, Ceremony, Role } from '../../shell/wire.ts';
import { useFragmentToken } from './fragment.page.tsx';
import { Obstacle, useEnter } from './sign-in.page.tsx';

/** What to do when the address carries no usable token. */
export function NoToken({ what }: { what: string }) {
  return (
    <>
      <Notice kind="stale" title={`This address carries no ${what}`}>
        <p>
          The part after # is missing or was used up. It is removed from the address when the page opens, so a reload
          cannot repeat it.
        </p>
        <p>
          Open the link again as you received it. Each works once and for a limited time; a lead auditor can make a new
          one.
        </p>
      </Notice>
      <div className="row">
        <Link className={buttonClass()} to="/sign-in">
          Go to sign-in
        </Link>
      </div>
    </>
  );
}

/** The other way to use an enrolment link: by the organisation's own provider, where it has one in use. */
function InvitationOffers({ token }: { token: string }) {
  const offers = useQuery({
    queryKey: ['invitation-offers'],
    queryFn: ({ signal }) => request<InvitationOffersAnswer>('/api/sso/invitation/offers', { body: { token }, signal }),
    retry: false,
    staleTime: Infinity,
    gcTime: 0,
  });
  const leave = useMutation({
    mutationFn: async (connection: string) => {
      const { url } = await request<{ url: string }>('/api/sso/invitation', { body: { token, connection } });
      window.location.assign(url);
    },
  });
  // A link that is used up says so when a passkey is tried with it; here it offers nothing.
  if (!offers.data || offers.data.offers.length === 0) return null;
  return (
    <div className="stack stack--tight">
      <p className="muted">
        Or use your organisation’s own sign-in. You can then look and work. Approving asks for a passkey, and for that
        you need another link.
      </p>
      {offers.data.offers.map(({ connection, name }) => (
        <Button key={connection} wide busy={leave.isPending} onClick={() => leave.mutate(connection)}>
          Come in with {name}
        </Button>
      ))}
      <Failure error={leave.error} />
    </div>
  );
}

/** The first passkey, from a one-time enrolment link. */
export function EnrolPage() {
  const token = useFragmentToken();
  const enter = useEnter();
  const enrol = useMutation({
    mutationFn: async () => {
      const { challengeId, options } = await request<Ceremony>('/api/identity/enrolment/options', { body: { token } });
      const response = await createPasskey(options);
      const body = { token, challengeId, response };
      const { role } = await request<{ role: Role }>('/api/identity/enrolment', { body });
      // Who leads or operates approves nothing with one passkey: the second is made at once.
      await enter(role === 'lead' || role === 'operator' ? '/passkeys' : undefined);
    },
  });
  return (
    <Door>
      <div className="stack stack--tight">
        <h1>Make your passkey</h1>
        <p className="muted">
          A passkey stays on your device or in your password manager and is unlocked by its screen lock. Only its public
          half comes to us.
        </p>
      </div>
      {token === null ? (
        <NoToken what="enrolment" />
      ) : (
        <>
          <Obstacle />
          <ol className="steps-list">
            <li>Press the button; your browser asks where to keep the passkey.</li>
            <li>Confirm with your screen lock, fingerprint or security key.</li>
            <li>
              You are signed in. Add a second passkey on another device right away: then losing one is no trouble. Lead
              auditors and operators need two before they can approve.
            </li>
          </ol>
          <Button
            look="primary"
            wide
            icon="key"
            busy={enrol.isPending}
            disabled={passkeyObstacle() !== null}
            onClick={() => enrol.mutate()}
          >
            Make a passkey and sign in
          </Button>
          <Failure error={enrol.error} />
          <InvitationOffers token={token} />
          <p className="muted">This link works once. It is used up when the passkey has been stored, not before.</p>
        </>
      )}
    </Door>
  );
}
