import { queryOptions, useQuery } from '@tanstack/react-query';
import { request } from './api.ts';
import type { Role, Session, SessionAnswer } from './wire.ts';

/** A session is looked at again at this interval, so that a suspended person sees it soon. */
const SESSION_FRESH_MS = 60_000;

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: ({ signal }) => request<SessionAnswer>('/api/identity/session', { signal }),
  staleTime: SESSION_FRESH_MS,
  retry: 1,
});

/** The session of a screen behind the door; the router has made sure that there is one. */
export function useSession(): Session {
  const { data } = useQuery(sessionQuery);
  if (!data?.signedIn) throw new Error('A screen behind the door was shown without a session.');
  return data;
}

/**
 * Leaves the app for the door by loading the page anew: what had been loaded for this person is then in no memory, and
 * the notes of unfinished uploads are erased.
 */
export function leaveForDoor(): void {
  for (const key of Object.keys(localStorage)) if (key.startsWith('auditrax.upload.')) localStorage.removeItem(key);
  window.location.assign('/app/sign-in');
}

export const roleWords: Readonly<Record<Role, string>> = {
  lead: 'Lead auditor',
  auditor: 'Auditor',
  client: 'Client contact',
  operator: 'Operator',
};

/** What the person is called; by the role while the organisation's own key is withdrawn. */
export function nameOfSelf({ person, role }: Pick<Session, 'person' | 'role'>): string {
  return person.label ?? roleWords[role];
}

/** What a role may do, in one line, for forms that hand it out. */
export const roleHelp: Readonly<Record<Role, string>> = {
  lead: 'Creates and finalises engagements, invites people, exports the audit trail.',
  auditor: 'Records results and handles evidence in engagements.',
  client: 'Sees only the engagements they are a contact of, and uploads evidence there.',
  operator: 'Runs the installation: pages, keys, detections. Sees no engagement.',
};
