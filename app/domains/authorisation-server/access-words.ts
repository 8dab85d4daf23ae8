/** The most that a program may do. Whoever may write may read. */
export type ApiAccess = 'read' | 'write';

/** As scopes of OAuth. There is none for what a person confirms with a passkey, nor for who comes in and how. */
export const SCOPES: Readonly<Record<ApiAccess, string>> = { read: 'read', write: 'read write' };

/** What scopes amount to; undefined when they are none of ours, or none. */
export function accessOf(scope: string | undefined): ApiAccess | undefined {
  const scopes = scope?.split(' ') ?? [];
  if (scopes.includes('write')) return 'write';
  return scopes.includes('read') ? 'read' : undefined;
}

/** The smaller of the two. */
export const least = (one: ApiAccess, other: ApiAccess): ApiAccess =>
  one === 'write' && other === 'write' ? 'write' : 'read';
