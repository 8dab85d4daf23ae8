import { Suspense } from 'react';
import { CodeBlock, Notice } from '../ui/display.tsx';
import { useMending } from './mending.tsx';
import { passkeyFailure } from './passkey.ts';
import { explain, ProblemError } from './problem.ts';

/**
 * An error where the action was: what happened, what it means for the data, what to do, and the id to quote; or the way out,
 * where there is one.
 */
export function Failure({ error }: { error: unknown }) {
  const way = useMending(error);
  if (!error) return null;
  // Its own boundary: while it is fetched, what stands around it stays.
  if (way)
    return (
      <Suspense fallback={null}>
        <way.Mend problem={way.problem} />
      </Suspense>
    );
  const device = passkeyFailure(error);
  if (device)
    return (
      <Notice kind={device.cancelled ? 'stale' : 'failing'} title={device.title}>
        <p>{device.next}</p>
      </Notice>
    );
  const { title, meaning, next, requestId } = explain(error);
  const field = error instanceof ProblemError ? error.problem.field : null;
  return (
    <Notice kind="failing" title={title}>
      <p>{meaning}</p>
      {field && (
        <p>
          It is about <code>{field}</code>.
        </p>
      )}
      <p className="muted">{next}</p>
      {requestId && (
        <p className="muted">
          Request <code>{requestId}</code>
        </p>
      )}
      {!(error instanceof ProblemError) && error instanceof Error && (
        <CodeBlock label="error" code={`${error.name}: ${error.message}`} wrap />
      )}
    </Notice>
  );
}
