import type { QueryClient } from '@tanstack/react-query';
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router';
import { ErrorInside, ErrorScreen, NotFoundScreen } from './error-screen.tsx';
import { Frame } from './frame.tsx';
import { sessionQuery } from './session.tsx';

interface Context {
  readonly queryClient: QueryClient;
}

const root = createRootRouteWithContext<Context>()({
  component: Outlet,
  notFoundComponent: NotFoundScreen,
  errorComponent: ErrorScreen,
});

/** A path of this app to return to after sign-in; anything else is dropped, so that a link cannot lead elsewhere. */
function returnPath(value: unknown): string | undefined {
  return typeof value === 'string' && /^\/[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/.test(value) ? value : undefined;
}

function words(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, 200) : undefined;
}

/** Keeps only the named texts of an address's search part, without keys that have no value. */
function pick<const K extends string>(search: Record<string, unknown>, keys: readonly K[]): { [P in K]?: string } {
  const found: { [P in K]?: string } = {};
  for (const key of keys) {
    const value = words(search[key]);
    if (value !== undefined) found[key] = value;
  }
  return found;
}

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: (search: Record<string, unknown>): { to?: string } => {
    const to = returnPath(search['to']);
    return to ? { to } : {};
  },
  component: lazyRouteComponent(() => import('../domains/identity/sign-in.page.tsx'), 'SignInPage'),
  errorComponent: ErrorScreen,
});
/** An address that an organisation gives its people: its short name is in it. */
const signInOf = createRoute({
  getParentRoute: () => root,
  path: '/sign-in/$organisation',
  component: lazyRouteComponent(() => import('../domains/identity/sign-in.page.tsx'), 'SignInPage'),
  errorComponent: ErrorScreen,
});
const enrol = createRoute({
  getParentRoute: () => root,
  path: '/enrol',
  component: lazyRouteComponent(() => import('../domains/identity/enrol.page.tsx'), 'EnrolPage'),
  errorComponent: ErrorScreen,
});
const link = createRoute({
  getParentRoute: () => root,
  path: '/link',
  component: lazyRouteComponent(() => import('../domains/identity/link.page.tsx'), 'LinkPage'),
  errorComponent: ErrorScreen,
});
const gallery = createRoute({
  getParentRoute: () => root,
  path: '/gallery',
  component: lazyRouteComponent(() => import('../ui/gallery.tsx'), 'Gallery'),
  errorComponent: ErrorScreen,
});

const inside = createRoute({
  getParentRoute: () => root,
  id: 'inside',
  component: Frame,
  beforeLoad: async ({ context, location }) => {
    const session = await context.queryClient.ensureQueryData(sessionQuery);
    if (session.signedIn) return;
    const to = returnPath(location.pathname);
    throw redirect({ to: '/sign-in', search: to ? { to } : {} });
  },
  errorComponent: ErrorScreen,
});

const home = createRoute({
  getParentRoute: () => inside,
  path: '/',
  validateSearch: (search: Record<string, unknown>) => pick(search, ['search', 'state']),
  beforeLoad: async ({ context }) => {
    const session = await context.queryClient.ensureQueryData(sessionQuery);
    if (session.signedIn && session.role === 'operator') throw redirect({ to: '/oncall' });
  },
  component: lazyRouteComponent(() => import('../domains/engagements/engagements.page.tsx'), 'EngagementsPage'),
});
const newEngagement = createRoute({
  getParentRoute: () => inside,
  path: '/engagements/new',
  component: lazyRouteComponent(() => import('../domains/engagements/new-engagement.page.tsx'), 'NewEngagementPage'),
});
const engagement = createRoute({
  getParentRoute: () => inside,
  path: '/engagements/$engagementId',
  validateSearch: (search: Record<string, unknown>) => pick(search, ['tab', 'group', 'search', 'criterion']),
  component: lazyRouteComponent(() => import('./engagement-screen.tsx'), 'EngagementScreen'),
});
const people = createRoute({
  getParentRoute: () => inside,
  path: '/people',
  component: lazyRouteComponent(() => import('../domains/access/people.page.tsx'), 'PeoplePage'),
});
const accessReviews = createRoute({
  getParentRoute: () => inside,
  path: '/access-reviews',
  component: lazyRouteComponent(() => import('../domains/access-reviews/access-reviews.page.tsx'), 'AccessReviewsPage'),
});
const accessReview = createRoute({
  getParentRoute: () => inside,
  path: '/access-reviews/$reviewId',
  component: lazyRouteComponent(() => import('../domains/access-reviews/access-review.page.tsx'), 'AccessReviewPage'),
});
const departures = createRoute({
  getParentRoute: () => inside,
  path: '/departures',
  validateSearch: (search: Record<string, unknown>) => pick(search, ['cause', 'state']),
  component: lazyRouteComponent(() => import('../domains/access/departures.page.tsx'), 'DeparturesPage'),
});
const rules = createRoute({
  getParentRoute: () => inside,
  path: '/rules',
  component: lazyRouteComponent(() => import('../domains/rules/rules.page.tsx'), 'RulesPage'),
});
const connections = createRoute({
  getParentRoute: () => inside,
  path: '/connections',
  component: lazyRouteComponent(() => import('../domains/connections/connections.page.tsx'), 'ConnectionsPage'),
});
const changeover = createRoute({
  getParentRoute: () => inside,
  path: '/changeover',
  component: lazyRouteComponent(() => import('../domains/connections/changeover.page.tsx'), 'ChangeoverPage'),
});
const connection = createRoute({
  getParentRoute: () => inside,
  path: '/connections/$connectionId',
  component: lazyRouteComponent(() => import('../domains/connections/connection.page.tsx'), 'ConnectionPage'),
});
const directory = createRoute({
  getParentRoute: () => inside,
  path: '/connections/$connectionId/people',
  component: lazyRouteComponent(() => import('../domains/provisioning/directory.page.tsx'), 'DirectoryPage'),
});
const providerSignals = createRoute({
  getParentRoute: () => inside,
  path: '/connections/$connectionId/signals',
  component: lazyRouteComponent(
    () => import('../domains/signal-receiver/provider-signals.page.tsx'),
    'ProviderSignalsPage',
  ),
});
const passkeys = createRoute({
  getParentRoute: () => inside,
  path: '/passkeys',
  component: lazyRouteComponent(() => import('../domains/identity/passkeys.page.tsx'), 'PasskeysPage'),
});
const apiKeys = createRoute({
  getParentRoute: () => inside,
  path: '/api-keys',
  component: lazyRouteComponent(() => import('../domains/api-access/api-keys.page.tsx'), 'ApiKeysPage'),
});
const allApiKeys = createRoute({
  getParentRoute: () => inside,
  path: '/all-api-keys',
  component: lazyRouteComponent(() => import('../domains/api-access/all-api-keys.page.tsx'), 'AllApiKeysPage'),
});
const apiClients = createRoute({
  getParentRoute: () => inside,
  path: '/api-clients',
  component: lazyRouteComponent(() => import('../domains/authorisation-server/api-clients.page.tsx'), 'ApiClientsPage'),
});
const apiGrants = createRoute({
  getParentRoute: () => inside,
  path: '/programs',
  component: lazyRouteComponent(() => import('../domains/authorisation-server/api-grants.page.tsx'), 'ApiGrantsPage'),
});
/** Where a program sends a person's browser: it asks, and they decide. */
const authorise = createRoute({
  getParentRoute: () => inside,
  path: '/authorise/$clientId/$request',
  component: lazyRouteComponent(() => import('../domains/authorisation-server/authorise.page.tsx'), 'AuthorisePage'),
});
const auditTrail = createRoute({
  getParentRoute: () => inside,
  path: '/audit-trail',
  validateSearch: (search: Record<string, unknown>) =>
    pick(search, [
      'type',
      'person',
      'outcome',
      'kind',
      'object',
      'session',
      'ai',
      'period',
      'from',
      'to',
      'text',
      'entry',
    ]),
  component: lazyRouteComponent(() => import('../domains/audit-trail/audit-trail.page.tsx'), 'AuditTrailPage'),
});
const exportBundle = createRoute({
  getParentRoute: () => inside,
  path: '/export',
  validateSearch: (search: Record<string, unknown>) =>
    pick(search, ['format', 'type', 'person', 'outcome', 'kind', 'object', 'session', 'ai', 'from', 'to', 'text']),
  component: lazyRouteComponent(() => import('../domains/audit-trail/export.page.tsx'), 'ExportPage'),
});
const streams = createRoute({
  getParentRoute: () => inside,
  path: '/streams',
  component: lazyRouteComponent(() => import('../domains/siem/streams.page.tsx'), 'StreamsPage'),
});
const signals = createRoute({
  getParentRoute: () => inside,
  path: '/signals',
  component: lazyRouteComponent(() => import('../domains/signal-transmitter/signals.page.tsx'), 'SignalsPage'),
});
const oncall = createRoute({
  getParentRoute: () => inside,
  path: '/oncall',
  validateSearch: (search: Record<string, unknown>) => pick(search, ['page']),
  component: lazyRouteComponent(() => import('../domains/oncall/oncall.page.tsx'), 'OncallInbox'),
});
const attempts = createRoute({
  getParentRoute: () => inside,
  path: '/attempts',
  validateSearch: (search: Record<string, unknown>) => pick(search, ['layer', 'tenant', 'canary']),
  component: lazyRouteComponent(() => import('../domains/oncall/attempts.page.tsx'), 'AttemptsPage'),
});
const keys = createRoute({
  getParentRoute: () => inside,
  path: '/keys',
  component: lazyRouteComponent(() => import('../domains/keys/keys.page.tsx'), 'KeysPage'),
});
const productionAccess = createRoute({
  getParentRoute: () => inside,
  path: '/production-access',
  component: lazyRouteComponent(
    () => import('../domains/privileged-access/production-access.page.tsx'),
    'ProductionAccessPage',
  ),
});
const keyRings = createRoute({
  getParentRoute: () => inside,
  path: '/key-rings',
  component: lazyRouteComponent(() => import('../domains/keys/key-rings.page.tsx'), 'KeyRingsPage'),
});
const tenants = createRoute({
  getParentRoute: () => inside,
  path: '/organisations',
  component: lazyRouteComponent(() => import('../domains/tenants/tenants.page.tsx'), 'TenantsPage'),
});

const tree = root.addChildren([
  signIn,
  signInOf,
  enrol,
  link,
  gallery,
  inside.addChildren([
    home,
    newEngagement,
    engagement,
    people,
    accessReviews,
    accessReview,
    departures,
    rules,
    connections,
    connection,
    directory,
    providerSignals,
    changeover,
    passkeys,
    apiKeys,
    allApiKeys,
    apiClients,
    apiGrants,
    authorise,
    auditTrail,
    streams,
    signals,
    exportBundle,
    oncall,
    attempts,
    keys,
    keyRings,
    productionAccess,
    tenants,
  ]),
]);

/** The app's screens. One router a page. */
export function createAppRouter(queryClient: QueryClient) {
  return createRouter({
    routeTree: tree,
    basepath: '/app',
    context: { queryClient },
    defaultPreload: 'intent',
    defaultPreloadStaleTime: 0,
    scrollRestoration: false,
    defaultNotFoundComponent: NotFoundScreen,
    defaultErrorComponent: ErrorInside,
  });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createAppRouter>;
  }
}
