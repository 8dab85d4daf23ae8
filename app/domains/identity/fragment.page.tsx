import { useEffect, useState } from 'react';

/**
 * The one-time token of the address's fragment. Fragments are never sent to a server, so it reaches no log; here it is
 * also taken out of the address and the history at once, so that nobody reads it over a shoulder or with the back key.
 */
export function useFragmentToken(): string | null {
  const [token] = useState(() => {
    const text = window.location.hash.slice(1);
    return /^[A-Za-z0-9_-]{43}$/.test(text) ? text : null;
  });
  useEffect(() => {
    if (window.location.hash) window.history.replaceState(window.history.state, '', window.location.pathname);
  }, []);
  return token;
}
