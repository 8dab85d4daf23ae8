import { useMutation } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Button, buttonClass } from '../../ui/button.tsx';
import { Notice } from '../../ui/display.tsx';
import { request } from '../../shell/api.ts';
import { Door } from '../../shell/door.tsx';
import { Failure } from '../../shell/failure.tsx';
import { createPasskey, passkeyObstacle } from '../../shell/passkey.ts';
import type { Ceremony } from '../../shell/wire.ts';
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

/** The first passkey, from a one-time enrolment link. */
export function EnrolPage() {
  const token = useFragmentToken();
  const enter = useEnter();
  const enrol = useMutation({
    mutationFn: async () => {
      const { challengeId, options } = await request<Ceremony>('/api/identity/enrolment/options', { body: { token } });
      const response = await createPasskey(options);
      await request('/api/identity/enrolment', { body: { token, challengeId, response } });
      await enter();
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
            <li>You are signed in. Add a second passkey on another device soon, so that losing one is no trouble.</li>
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
          <p className="muted">This link works once. It is used up when the passkey has been stored, not before.</p>
        </>
      )}
    </Door>
  );
}
