import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useParams, useRouter, useSearch } from '@tanstack/react-router';
import { Button } from '../../ui/button.tsx';
import { Notice } from '../../ui/display.tsx';
import { request } from '../../shell/api.ts';
import { Door } from '../../shell/door.tsx';
import { Failure } from '../../shell/failure.tsx';
import { assertPasskey, passkeyObstacle } from '../../shell/passkey.ts';
import { ProviderSignIn } from './providers.page.tsx';
import { nameOfSelf, sessionQuery } from '../../shell/session.tsx';
import type { Ceremony } from '../../shell/wire.ts';

/** Why passkeys cannot work here, with the way out. Nothing when they can. */
export function Obstacle() {
  const obstacle = passkeyObstacle();
  if (obstacle === 'insecure')
    return (
      <Notice kind="stale" title="Passkeys do not work at this address">
        <p>
          Browsers allow them only over HTTPS without a certificate warning, or on <code>http://localhost</code>.
        </p>
        <p>
          Use the try-out address that was printed at start, or run <code>npm exec --no -- auditrax trust</code> on this
          machine and open the HTTPS address again.
        </p>
      </Notice>
    );
  if (obstacle === 'unsupported')
    return (
      <Notice kind="stale" title="This browser has no passkeys">
        <p>Use a current Firefox, Chrome, Edge or Safari on a device with a screen lock, or a security key.</p>
        <p>
          In the sample organisations a one-time sign-in link works too; it was printed at start. It can look and work,
          but not approve.
        </p>
      </Notice>
    );
  return null;
}

/** Opens the session that the server has just begun, and leads to where the person wanted to go. */
export function useEnter(): (to?: string) => Promise<void> {
  const client = useQueryClient();
  const router = useRouter();
  return async (to) => {
    client.clear();
    await client.fetchQuery(sessionQuery);
    await router.navigate({ to: to ?? '/' });
  };
}

function FirstTime() {
  return (
    <details>
      <summary>First time here, or without a passkey</summary>
      <div className="prose muted">
        <p>
          Everybody comes in by an enrolment link from the lead auditor (or, in the sample organisations, from the lines
          printed at start). It works once and makes the first passkey.
        </p>
        <p>
          Your organisation’s own sign-in lets in whom it knows and your administrator allows. It approves nothing: for
          that everybody has a passkey.
        </p>
        <p>Lost every device? A lead auditor of your organisation invites you again; the old passkeys end with it.</p>
      </div>
    </details>
  );
}

/** Sign-in: one button, because a passkey knows who one is. */
export function SignInPage() {
  const { to } = useSearch({ strict: false });
  const { organisation } = useParams({ strict: false });
  const enter = useEnter();
  const session = useQuery(sessionQuery);
  const signIn = useMutation({
    mutationFn: async () => {
      const { challengeId, options } = await request<Ceremony>('/api/identity/passkey/sign-in/options', {
        method: 'POST',
      });
      const response = await assertPasskey(options);
      await request('/api/identity/passkey/sign-in', { body: { challengeId, response } });
      await enter(to);
    },
  });
  return (
    <Door>
      <div className="stack stack--tight">
        <h1>Sign in</h1>
        <p className="muted">
          With a passkey, no name and no password is typed, so none can be stolen: your device shows which it holds for
          this address. Or go through your organisation’s own sign-in.
        </p>
      </div>
      <Obstacle />
      {session.data?.signedIn === false && session.data.ended === 'attempts' && (
        <Notice kind="failing" title="Your session was ended">
          <p>
            It asked for things that belong to other organisations, again and again. Each time was refused, nothing was
            shown or changed, and your organisation’s audit trail and the operator know of it.
          </p>
          <p>
            If that was not you, somebody or something else used this browser: tell your lead auditor before you go on.
            Otherwise sign in again; links that others sent you may be meant for their own organisation.
          </p>
        </Notice>
      )}
      {session.data?.signedIn === false && session.data.ended === 'company' && (
        <Notice kind="stale" title="Sign in by your company again">
          <p>
            Your company has not confirmed for almost four hours that you work there, so your session has ended. Nothing
            is lost, and a passkey alone does not open another one: use your organisation’s own sign-in below.
          </p>
        </Notice>
      )}
      {session.data?.signedIn && (
        <Notice title={`You are signed in as ${nameOfSelf(session.data)}`}>
          <p>Signing in again replaces that session.</p>
        </Notice>
      )}
      <Button
        look="primary"
        wide
        icon="key"
        busy={signIn.isPending}
        disabled={passkeyObstacle() !== null}
        onClick={() => signIn.mutate()}
      >
        Sign in with a passkey
      </Button>
      <ProviderSignIn organisation={organisation} />
      <Failure error={signIn.error ?? (session.error && !session.data ? session.error : null)} />
      <FirstTime />
    </Door>
  );
}
