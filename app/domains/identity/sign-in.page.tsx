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
          Ask your lead auditor for an enrolment link: it works once and makes your first passkey. For the sample
          organisations the links are printed at start.
        </p>
        <p>
          Your organisation’s own sign-in lets in whom it knows and your administrator allows. What needs approval asks
          for a passkey all the same.
        </p>
        <p>Lost every device? Ask a lead auditor of your organisation to recover your access; it takes a day.</p>
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
  // Whom the company has to confirm anew gets no further with a passkey: the other way stands out then.
  const isByCompany = session.data?.signedIn === false && session.data.ended === 'company';
  return (
    <Door>
      <div className="stack stack--tight">
        <h1>Sign in</h1>
        <p className="muted">
          Your device offers the passkey that it keeps for this address. There is no password to type or to steal.
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
      {isByCompany && (
        <Notice kind="stale" title="Sign in by your company again">
          <p>
            For almost four hours your company has not confirmed that you work there, so your session has ended. Nothing
            is lost. A passkey alone does not sign you in now: use your organisation’s own sign-in below.
          </p>
        </Notice>
      )}
      {session.data?.signedIn && (
        <Notice title={`You are signed in as ${nameOfSelf(session.data)}`}>
          <p>Signing in again replaces that session.</p>
        </Notice>
      )}
      <Button
        look={isByCompany ? 'plain' : 'primary'}
        wide
        icon="key"
        busy={signIn.isPending}
        disabled={passkeyObstacle() !== null}
        onClick={() => signIn.mutate()}
      >
        Sign in with a passkey
      </Button>
      <p className="or">or with your organisation’s account</p>
      <ProviderSignIn organisation={organisation} isFirst={isByCompany} />
      <Failure error={signIn.error ?? (session.error && !session.data ? session.error : null)} />
      <FirstTime />
    </Door>
  );
}
