import { useQuery } from '@tanstack/react-query';
import { request } from './api.ts';
import { nameOfSelf, useSession } from './session.tsx';
import type { ApiClientsAnswer, Member } from './wire.ts';

export const membersKey = ['members'] as const;

/** The people of the tenant; empty for roles that may not list them. */
export function useMembers() {
  const { role } = useSession();
  return useQuery({
    queryKey: membersKey,
    queryFn: ({ signal }) => request<{ members: readonly Member[] }>('/api/access/members', { signal }),
    enabled: role !== 'client',
    staleTime: 60_000,
  });
}

/** Turns a member id into a label: "you", the person's label, or plain words where the role may not know. */
export function useNames(): (memberId: string) => string {
  const session = useSession();
  const members = useMembers();
  return (memberId) => {
    const known = members.data?.members.find((member) => member.id === memberId);
    if (memberId === session.person.id || known?.self) return `${nameOfSelf(session)} (you)`;
    return known?.label ?? 'another member';
  };
}

/** Turns the id of a program or agent into its name; undefined where it was removed or the role may not know. */
export function useProgramNames(): (id: string) => string | undefined {
  const { role } = useSession();
  const programs = useQuery({
    queryKey: ['api-clients'],
    queryFn: ({ signal }) => request<ApiClientsAnswer>('/api/authorisation-server/clients', { signal }),
    enabled: role === 'lead',
    staleTime: 60_000,
  });
  return (id) => programs.data?.clients.find((one) => one.id === id || one.clientId === id)?.name;
}
