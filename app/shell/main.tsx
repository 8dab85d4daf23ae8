import { CSPProvider } from '@base-ui/react/csp-provider';
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { OverlayProvider } from '../ui/overlay.tsx';
import '../ui/styles/index.css';
import { ProblemError } from './problem.ts';
import { createAppRouter } from './router.tsx';
import { sessionQuery } from './session.tsx';

/** Answers that say "try again" are tried this often, other refusals never. */
const RETRIES_MAX = 2;

function worthRetrying(count: number, error: Error): boolean {
  return (
    count < RETRIES_MAX &&
    error instanceof ProblemError &&
    (error.problem.status === 503 || error.problem.status === 'network')
  );
}

/** Why a session is over, by what an answer says of it. */
const ENDED: Readonly<Record<string, 'attempts' | 'company'>> = {
  session_ended: 'attempts',
  company_sign_in_required: 'company',
};

/** A session that ended on the server ends here: back to the door, and to where one was afterwards. */
function onFailure(error: Error): void {
  if (!(error instanceof ProblemError) || error.problem.status !== 401) return;
  if (!queryClient.getQueryData(sessionQuery.queryKey)?.signedIn) return;
  const ended = ENDED[error.problem.code];
  queryClient.setQueryData(sessionQuery.queryKey, { signedIn: false, ...(ended !== undefined && { ended }) });
  void router.invalidate();
}

const queryClient: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError: onFailure }),
  mutationCache: new MutationCache({ onError: onFailure }),
  defaultOptions: { queries: { retry: worthRetrying, staleTime: 10_000 }, mutations: { retry: false } },
});
const router = createAppRouter(queryClient);

const place = document.getElementById('root');
if (!place) throw new Error('The page has no root element.');
place.className = 'app-root';
createRoot(place).render(
  <StrictMode>
    <CSPProvider disableStyleElements>
      <QueryClientProvider client={queryClient}>
        <OverlayProvider>
          <RouterProvider router={router} />
        </OverlayProvider>
      </QueryClientProvider>
    </CSPProvider>
  </StrictMode>,
);
