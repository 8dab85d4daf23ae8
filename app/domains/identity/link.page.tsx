import { useMutation } from '@tanstack/react-query';
import { Button } from '../../ui/button.tsx';
import { Notice } from '../../ui/display.tsx';
import { request } from '../../shell/api.ts';
import { Door } from '../../shell/door.tsx';
import { Failure } from '../../shell/failure.tsx';
import { NoToken } from './enrol.page.tsx';
import { useFragmentToken } from './fragment.page.tsx';
import { useEnter } from './sign-in.page.tsx';

/** Sign-in by a one-time link; sample organisations only, and never good for approving. */
export function LinkPage() {
  const token = useFragmentToken();
  const enter = useEnter();
  const signIn = useMutation({
    mutationFn: async () => {
      await request('/api/identity/link', { body: { token } });
      await enter();
    },
  });
  return (
    <Door>
      <h1>Sign in by link</h1>
      {token === null ? (
        <NoToken what="sign-in link" />
      ) : (
        <>
          <p className="muted">
            For trying out on a machine without a passkey device. It works once, and only in the sample organisations.
          </p>
          <Notice kind="stale" title="What such a session cannot do">
            <p>
              It can look and work, but not approve. Inviting people, changing roles, exporting and finalising ask for a
              passkey: a phone, a laptop with a screen lock, or a security key.
            </p>
          </Notice>
          <Button look="primary" wide busy={signIn.isPending} onClick={() => signIn.mutate()}>
            Sign in by this link
          </Button>
          <Failure error={signIn.error} />
        </>
      )}
    </Door>
  );
}
