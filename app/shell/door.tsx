import type { ReactNode } from 'react';
import { Mark } from '../ui/icon.tsx';
import { ThemeMenu } from './frame.tsx';

/** The frame of pages before the door: one task, and the public documents below. */
export function Door({ children, wide = false }: { children: ReactNode; wide?: boolean }) {
  return (
    <div className="door">
      <main className={wide ? 'door__in door__in--wide' : 'door__in'} id="main">
        <div className="row row--between">
          <a className="door__brand" href="/security">
            <Mark />
            Auditrax
          </a>
          <ThemeMenu />
        </div>
        {children}
      </main>
      <footer className="door__foot">
        <a href="/security">Security, and how to check it</a>
        <a href="/sub-processors">Sub-processors</a>
        <a href="/disclosure">Report a vulnerability</a>
      </footer>
    </div>
  );
}
