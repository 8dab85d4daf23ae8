import { useState } from 'react';

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'auditrax.theme';

function stored(): Theme {
  const value = document.documentElement.dataset['theme'];
  return value === 'light' || value === 'dark' ? value : 'system';
}

/** The reader's theme; kept on this machine only. `public/theme.js` applies it before the first paint. */
export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState(stored);
  const choose = (next: Theme) => {
    if (next === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = next;
    try {
      if (next === 'system') localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, next);
    } catch {
      // Storage can be switched off; the choice then lasts for this page.
    }
    setTheme(next);
  };
  return [theme, choose];
}
