import { Link } from '@tanstack/react-router';

const PLACES = [
  { to: '/connections/$connectionId', label: 'Setup' },
  { to: '/connections/$connectionId/people', label: 'Directory' },
  { to: '/connections/$connectionId/signals', label: 'Provider’s signals' },
] as const;

/** The pages of one connection, beside each other on each of them. */
export function ConnectionTabs({ connectionId }: { connectionId: string }) {
  return (
    <nav className="tabs__list" aria-label="Connection">
      {PLACES.map(({ to, label }) => (
        <Link
          key={to}
          className="tab"
          to={to}
          params={{ connectionId }}
          activeOptions={{ exact: true }}
          activeProps={{ 'aria-current': 'page' }}
        >
          {label}
        </Link>
      ))}
    </nav>
  );
}
