import { useQuery } from '@tanstack/react-query';
import { Link, Outlet, useNavigate, useRouterState } from '@tanstack/react-router';
import { lazy, useEffect, useRef, useState, type FormEvent } from 'react';
import { Button, IconButton } from '../ui/button.tsx';
import { SearchField } from '../ui/field.tsx';
import { Icon, Mark, type IconName } from '../ui/icon.tsx';
import { Dialog, Menu, toastError } from '../ui/overlay.tsx';
import { Ago, Instant } from '../ui/time.tsx';
import { request } from './api.ts';
import { Mending } from './mending.tsx';
import { leaveForDoor, nameOfSelf, roleWords, sessionQuery } from './session.tsx';
import { useTheme, type Theme } from './theme.ts';
import type { OncallAnswer, Role, Session } from './wire.ts';

interface NavEntry {
  readonly to:
    | '/'
    | '/people'
    | '/access-reviews'
    | '/departures'
    | '/rules'
    | '/connections'
    | '/api-clients'
    | '/programs'
    | '/audit-trail'
    | '/streams'
    | '/signals'
    | '/export'
    | '/passkeys'
    | '/api-keys'
    | '/all-api-keys'
    | '/oncall'
    | '/attempts'
    | '/keys'
    | '/key-rings'
    | '/organisations'
    | '/production-access';
  readonly label: string;
  readonly icon: IconName;
  readonly roles: readonly Role[];
}

const nav: readonly { readonly label: string; readonly entries: readonly NavEntry[] }[] = [
  {
    label: 'Work',
    entries: [
      { to: '/', label: 'Engagements', icon: 'folder', roles: ['lead', 'auditor', 'client'] },
      { to: '/oncall', label: 'On-call inbox', icon: 'bell', roles: ['operator'] },
      { to: '/attempts', label: 'Denied attempts', icon: 'alert', roles: ['operator'] },
      { to: '/organisations', label: 'Organisations', icon: 'building', roles: ['operator'] },
      { to: '/key-rings', label: 'Key rings', icon: 'shield', roles: ['operator'] },
      { to: '/production-access', label: 'Production access', icon: 'clock', roles: ['operator'] },
    ],
  },
  {
    label: 'People',
    entries: [
      { to: '/people', label: 'People', icon: 'people', roles: ['lead', 'auditor', 'operator'] },
      { to: '/connections', label: 'Single sign-on', icon: 'enter', roles: ['lead'] },
      { to: '/rules', label: 'Access rules', icon: 'sliders', roles: ['lead'] },
      { to: '/access-reviews', label: 'Access reviews', icon: 'clipboard', roles: ['lead', 'operator'] },
      { to: '/departures', label: 'Ended access', icon: 'gone', roles: ['lead', 'operator'] },
    ],
  },
  {
    label: 'Connected systems',
    entries: [
      { to: '/all-api-keys', label: 'API keys', icon: 'code', roles: ['lead', 'operator'] },
      { to: '/api-clients', label: 'Programs', icon: 'terminal', roles: ['lead'] },
      { to: '/signals', label: 'Signals', icon: 'signal', roles: ['lead', 'operator'] },
      { to: '/streams', label: 'Streaming', icon: 'external', roles: ['lead', 'operator'] },
    ],
  },
  {
    label: 'Proof',
    entries: [
      { to: '/audit-trail', label: 'Audit trail', icon: 'list', roles: ['lead', 'auditor', 'operator'] },
      { to: '/export', label: 'Export', icon: 'download', roles: ['lead', 'operator'] },
      { to: '/keys', label: 'Encryption keys', icon: 'lock', roles: ['lead', 'operator'] },
    ],
  },
  {
    label: 'You',
    entries: [
      { to: '/passkeys', label: 'Your passkeys', icon: 'key', roles: ['lead', 'auditor', 'client', 'operator'] },
      { to: '/api-keys', label: 'Your API keys', icon: 'code', roles: ['lead', 'auditor', 'client', 'operator'] },
      { to: '/programs', label: 'Your programs', icon: 'terminal', roles: ['lead', 'auditor', 'client', 'operator'] },
    ],
  },
];

/** What waits for the operator: pages of the on-call channel that nobody has acknowledged; canaries never count here. */
function useWaiting(role: Role): number {
  const { data } = useQuery({
    queryKey: ['oncall', 'pages'],
    queryFn: ({ signal }) => request<OncallAnswer>('/api/oncall/pages', { signal }),
    enabled: role === 'operator',
    refetchInterval: 15_000,
  });
  return data?.pages.filter((page) => page.acknowledgedAt === null).length ?? 0;
}

function SideNav({ role, waiting, open }: { role: Role; waiting: number; open: boolean }) {
  return (
    <nav className="sidenav" aria-label="Rooms" data-open={open} id="rooms">
      {nav.map((group) => {
        const entries = group.entries.filter((entry) => entry.roles.includes(role));
        if (entries.length === 0) return null;
        return (
          <div key={group.label} className="sidenav__group">
            <div className="sidenav__label">{group.label}</div>
            {entries.map((entry) => (
              <Link
                key={entry.to}
                to={entry.to}
                activeOptions={{ exact: entry.to === '/' }}
                activeProps={{ 'aria-current': 'page' }}
              >
                <Icon name={entry.icon} />
                {entry.label}
                {entry.to === '/oncall' && waiting > 0 && (
                  <span className="sidenav__count">
                    {waiting}
                    <span className="vh"> waiting</span>
                  </span>
                )}
              </Link>
            ))}
          </div>
        );
      })}
      <div className="sidenav__group">
        <div className="sidenav__label">Public</div>
        <a href="/security">
          <Icon name="external" />
          Security page
        </a>
      </div>
    </nav>
  );
}

const themes: readonly { readonly value: Theme; readonly label: string; readonly icon: IconName }[] = [
  { value: 'system', label: 'As the system', icon: 'screen' },
  { value: 'light', label: 'Light', icon: 'sun' },
  { value: 'dark', label: 'Dark', icon: 'moon' },
];

/** Theme choice, in the frame and on the pages before the door. */
export function ThemeMenu() {
  const [theme, choose] = useTheme();
  return (
    <Menu
      trigger={<IconButton icon={themes.find((entry) => entry.value === theme)?.icon ?? 'screen'} label="Theme" />}
      entries={themes.map((entry) => ({
        label: entry.label,
        icon: entry.icon,
        checked: theme === entry.value,
        onSelect: () => choose(entry.value),
      }))}
    />
  );
}

/** How the person came in, as the menu says it. */
function wayIn({ method, connection }: Session): string {
  if (method === 'sso') return `Signed in through ${connection ?? 'single sign-on'}`;
  return `Signed in by ${method === 'passkey' ? 'passkey' : 'link'}`;
}

function PersonMenu({ session }: { session: Session }) {
  const navigate = useNavigate();
  const name = nameOfSelf(session);
  const leave = async (everywhere: boolean) => {
    try {
      await request(everywhere ? '/api/identity/sign-out-everywhere' : '/api/identity/sign-out', { method: 'POST' });
      leaveForDoor();
    } catch {
      toastError('You are still signed in', 'The server did not confirm. Try again, or close the browser.');
    }
  };
  return (
    <Menu
      trigger={
        <button type="button" className="btn btn--quiet" aria-label={name}>
          <Icon name="people" />
          <span>{name}</span>
          <Icon name="down" />
        </button>
      }
      head={
        <>
          {roleWords[session.role]}, {session.tenant.name}
          <br />
          {wayIn(session)}, until <Ago at={session.expiresAt} />
        </>
      }
      entries={[
        { label: 'Your passkeys', icon: 'key', onSelect: () => void navigate({ to: '/passkeys' }) },
        { label: 'Sign out', icon: 'out', onSelect: () => void leave(false) },
        { label: 'Sign out everywhere', icon: 'out', onSelect: () => void leave(true) },
      ]}
    />
  );
}

const shortcuts: readonly (readonly [string, string])[] = [
  ['/', 'Search'],
  ['j  k', 'Next and previous row of a table'],
  ['Enter', 'Open the row'],
  ['x', 'Select the row'],
  ['g then e', 'Engagements'],
  ['g then a', 'Audit trail'],
  ['g then p', 'People'],
  ['Esc', 'Close a dialog or a menu'],
  ['?', 'This list'],
];

const jumps: Readonly<Record<string, NavEntry['to']>> = {
  e: '/',
  a: '/audit-trail',
  p: '/people',
  o: '/oncall',
  k: '/keys',
};
/** Time between `g` and its second key. */
const JUMP_MS_MAX = 1_200;

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('input, textarea, select, [contenteditable], [role=combobox]');
}

/** Single keys, never with a modifier and never while somebody types. */
function useShortcuts(role: Role, onHelp: () => void): void {
  const navigate = useNavigate();
  const jumpAt = useRef(0);
  useEffect(() => {
    const allowed = new Set(
      nav
        .flatMap((group) => group.entries)
        .filter((entry) => entry.roles.includes(role))
        .map((entry) => entry.to),
    );
    const listen = (event: KeyboardEvent) => {
      if (
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        isTyping(event.target) ||
        document.querySelector('[role=dialog]:not(.toast)')
      )
        return;
      const jump = jumps[event.key];
      if (jump && allowed.has(jump) && event.timeStamp - jumpAt.current < JUMP_MS_MAX) void navigate({ to: jump });
      jumpAt.current = event.key === 'g' ? event.timeStamp : 0;
      if (event.key === '?') onHelp();
      if (event.key === '/') {
        (
          document.querySelector<HTMLElement>('main input[data-search]') ??
          document.querySelector<HTMLElement>('input[type=search]')
        )?.focus();
        event.preventDefault();
      }
      if ((event.key === 'j' || event.key === 'k') && !(event.target as HTMLElement).closest?.('.grid-box'))
        document.querySelector<HTMLElement>('main .grid .row-link')?.focus();
    };
    document.addEventListener('keydown', listen);
    return () => document.removeEventListener('keydown', listen);
  }, [navigate, onHelp, role]);
}

function Banners({ session }: { session: Session }) {
  return (
    <section aria-label="About this session" className="banners">
      {session.door === 'tryout' && (
        <div className="banner">
          <b>Try-out door.</b>{' '}
          <span>Loopback only, without TLS, sample organisations only. Do not put real evidence here.</span>
        </div>
      )}
      {session.recoveryDueAt !== null && (
        <div className="banner banner--link">
          <b>A recovery of your passkeys is open.</b>
          <span>
            A colleague says that you lost them all. Unless you stop it, all of them and this session end after{' '}
            <Instant at={session.recoveryDueAt} />. If you have one: sign in with it anew, which ends the recovery.
          </span>
          <Link to="/sign-in">Sign in with a passkey</Link>
        </div>
      )}
      {session.method === 'link' && (
        <div className="banner banner--link">
          <b>Signed in by link.</b>
          <span>
            You can look and work, but not approve: inviting, exporting and finalising ask for a passkey on a phone, a
            laptop with a screen lock or a security key.
          </span>
          <Link to="/passkeys">About passkeys</Link>
        </div>
      )}
    </section>
  );
}

/** A new screen has drawn its heading by then. */
const ARRIVAL_MS = 60;

/** After a change of screen the reader's place is the new heading, and its name is announced. */
function useArrival(): string {
  const path = useRouterState({ select: (state) => state.resolvedLocation?.pathname ?? '' });
  const [name, setName] = useState('');
  const before = useRef<string | null>(null);
  useEffect(() => {
    const timer = setTimeout(() => {
      const heading = document.querySelector<HTMLElement>('main h1');
      document.title = heading ? `${heading.textContent} · Auditrax` : 'Auditrax';
      const moved = before.current !== null && before.current !== '' && before.current !== path;
      before.current = path;
      if (!moved) return;
      setName(heading?.textContent ?? '');
      const main = document.getElementById('main');
      // Whoever is already at work on the new screen keeps their place: keys typed into a field would be lost.
      if (main && !main.contains(document.activeElement)) main.focus({ preventScroll: true });
    }, ARRIVAL_MS);
    return () => clearTimeout(timer);
  }, [path]);
  return name;
}

function TopBar({
  session,
  menu,
  onMenu,
  onHelp,
}: {
  session: Session;
  menu: boolean;
  onMenu: () => void;
  onHelp: () => void;
}) {
  const navigate = useNavigate();
  const path = useRouterState({ select: (state) => state.location.pathname });
  const [words, setWords] = useState('');
  const search = (event: FormEvent) => {
    event.preventDefault();
    void navigate({ to: '/', search: { search: words } });
  };
  return (
    <header className="topbar">
      <span className="topbar__menu">
        <button
          type="button"
          className="btn btn--quiet btn--icon"
          aria-expanded={menu}
          aria-controls="rooms"
          aria-label="Rooms"
          onClick={onMenu}
        >
          <Icon name={menu ? 'cross' : 'menu'} />
        </button>
      </span>
      <Link to="/" className="topbar__brand" aria-label="Auditrax, start">
        <Mark />
        <span>Auditrax</span>
      </Link>
      <span className="topbar__tenant">{session.tenant.name}</span>
      {session.role !== 'operator' && path !== '/' ? (
        <search className="topbar__search">
          <form onSubmit={search}>
            <SearchField label="Search engagements" value={words} onChange={(event) => setWords(event.target.value)} />
          </form>
        </search>
      ) : (
        <span className="topbar__search" />
      )}
      <div className="topbar__end">
        <IconButton icon="help" label="Keyboard shortcuts" onClick={onHelp} />
        <ThemeMenu />
        <PersonMenu session={session} />
      </div>
    </header>
  );
}

/** Ways out of refusals that a person can mend on the spot. */
const ways = {
  production_access_required: lazy(async () => ({
    default: (await import('../domains/privileged-access/ask.page.tsx')).NeedsProduction,
  })),
};

/** The frame around every screen behind the door; nothing at all once the session is gone. */
export function Frame() {
  const { data } = useQuery(sessionQuery);
  return data?.signedIn ? <FrameInside session={data} /> : null;
}

function FrameInside({ session }: { session: Session }) {
  const waiting = useWaiting(session.role);
  const path = useRouterState({ select: (state) => state.location.pathname });
  // The menu of narrow screens belongs to the screen it was opened on: elsewhere it is closed.
  const [menuAt, setMenuAt] = useState<string | null>(null);
  const menu = menuAt === path;
  const [help, setHelp] = useState(false);
  const arrived = useArrival();
  useShortcuts(session.role, () => setHelp(true));
  return (
    <div className="frame">
      <a className="skip" href="#main">
        Skip to content
      </a>
      <Banners session={session} />
      <TopBar session={session} menu={menu} onMenu={() => setMenuAt(menu ? null : path)} onHelp={() => setHelp(true)} />
      <div className="frame__body">
        <SideNav role={session.role} waiting={waiting} open={menu} />
        <main className="main" id="main" tabIndex={-1}>
          <div className="main__in">
            <Mending value={ways}>
              <Outlet />
            </Mending>
          </div>
        </main>
      </div>
      <div className="vh" aria-live="polite">
        {arrived}
      </div>
      <Dialog
        open={help}
        onClose={() => setHelp(false)}
        title="Keyboard shortcuts"
        foot={<Button onClick={() => setHelp(false)}>Close</Button>}
      >
        <dl className="facts">
          {shortcuts.map(([keys, what]) => (
            <div key={keys}>
              <dt>
                <kbd>{keys}</kbd>
              </dt>
              <dd>{what}</dd>
            </div>
          ))}
        </dl>
      </Dialog>
    </div>
  );
}
