import { useQueryClient } from '@tanstack/react-query';
import { Link, useRouter } from '@tanstack/react-router';
import { Button, buttonClass } from '../ui/button.tsx';
import { CodeBlock } from '../ui/display.tsx';
import { Door } from './door.tsx';
import { explain, ProblemError } from './problem.ts';

function ErrorBody({ error }: { error: unknown }) {
  const router = useRouter();
  const client = useQueryClient();
  const { title, meaning, next, requestId } = explain(error);
  const status = error instanceof ProblemError ? error.problem.status : null;
  const again = async () => {
    await client.resetQueries();
    await router.invalidate();
  };
  return (
    <>
      {typeof status === 'number' && <p className="mono muted">{status}</p>}
      <h1>{title}</h1>
      <p>{meaning}</p>
      <p className="muted">{next}</p>
      <div className="row">
        {status === 401 ? (
          <Link className={buttonClass({ look: 'primary' })} to="/sign-in">
            Sign in
          </Link>
        ) : (
          <Button look="primary" onClick={() => void again()}>
            Try again
          </Button>
        )}
        <Link className={buttonClass()} to="/">
          Go to the start
        </Link>
      </div>
      {requestId && (
        <div className="stack stack--tight">
          <p className="muted">If you report it, quote this request:</p>
          <CodeBlock label="request id" code={requestId} wrap />
        </div>
      )}
      {!(error instanceof ProblemError) && error instanceof Error && (
        <CodeBlock label="error" code={`${error.name}: ${error.message}`} wrap />
      )}
    </>
  );
}

/** A whole screen for an error before the door: what happened, what it means, what to do, what to quote. */
export function ErrorScreen({ error }: { error: unknown }) {
  return (
    <Door>
      <ErrorBody error={error} />
    </Door>
  );
}

/** The same inside the frame, where the rooms stay reachable. */
export function ErrorInside({ error }: { error: unknown }) {
  return (
    <div className="stack prose">
      <ErrorBody error={error} />
    </div>
  );
}

/** An address without a screen. */
export function NotFoundScreen() {
  return (
    <Door>
      <p className="mono muted">404</p>
      <h1>There is no such page</h1>
      <p>The address leads nowhere, or to something that you may not see; the answer is the same for both.</p>
      <div className="row">
        <Link className={buttonClass({ look: 'primary' })} to="/">
          Go to the start
        </Link>
      </div>
    </Door>
  );
}
