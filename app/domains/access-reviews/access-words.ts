/** Rooms of the house as people call them, by the first word of an operation. */
const AREAS: Readonly<Record<string, string>> = {
  access: 'People',
  'access-reviews': 'Access reviews',
  'api-keys': 'API keys',
  'audit-trail': 'Audit trail',
  'authorisation-server': 'Programs',
  connections: 'Single sign-on',
  engagements: 'Engagements',
  evidence: 'Evidence',
  identity: 'Their own passkeys',
  keys: 'Keys',
  oncall: 'On-call inbox',
  'production-access': 'Production access',
  provisioning: 'Directories',
  rules: 'Access rules',
  siem: 'Streaming',
  signals: 'Signals',
  sso: 'Their own sign-ins',
  tenants: 'Organisations',
};

/** The most that somebody can do in a room. */
export type Reach = 'see' | 'change' | 'approve';
const RANK: Readonly<Record<Reach, number>> = { see: 0, change: 1, approve: 2 };
const REACH_OF_CLASS: Readonly<Record<string, Reach>> = { read: 'see', write: 'change', privileged: 'approve' };

export const reachWords: Readonly<Record<Reach, string>> = {
  see: 'sees',
  change: 'sees and changes',
  approve: 'sees, changes and approves',
};

export interface AreaReach {
  readonly area: string;
  readonly reach: Reach;
  readonly operations: number;
}

export function areaOf(operation: string): string {
  const room = operation.split('.')[0]!;
  const plain = room.replaceAll('-', ' ');
  return AREAS[room] ?? plain.charAt(0).toUpperCase() + plain.slice(1);
}

/** Operations by room, the furthest reach first. `classes`: class of each operation. */
export function areasOf(operations: readonly string[], classes: Readonly<Record<string, string>>): AreaReach[] {
  const byArea = Map.groupBy(operations, areaOf);
  return [...byArea]
    .map(([area, own]) => {
      const reaches = own.map((operation) => REACH_OF_CLASS[classes[operation] ?? 'read'] ?? 'see');
      const reach = reaches.toSorted((a, b) => RANK[b] - RANK[a])[0]!;
      return { area, reach, operations: own.length };
    })
    .toSorted((a, b) => RANK[b.reach] - RANK[a.reach] || a.area.localeCompare(b.area, 'en'));
}

/** In one line, for a table. */
export function reachLine(areas: readonly AreaReach[]): string {
  const named = (reach: Reach) => areas.flatMap((one) => (one.reach === reach ? [one.area] : []));
  const parts = (['approve', 'change', 'see'] as const).flatMap((reach) => {
    const names = named(reach);
    if (names.length === 0) return [];
    const verb = { approve: 'Approves in', change: 'Changes', see: 'Sees' }[reach];
    const shown = names.slice(0, NAMED_MAX).join(', ');
    return [`${verb} ${shown}${names.length > NAMED_MAX ? ` and ${names.length - NAMED_MAX} more` : ''}`];
  });
  return parts.length === 0 ? 'Nothing by itself' : parts.join('. ');
}

/** Rooms of one reach that a line of a table has room for. */
const NAMED_MAX = 3;

/** What has come since the snapshot, in words. */
export function growthLine(growth: readonly string[], roleWord: (role: string) => string): string[] {
  const rooms = new Set(growth.flatMap((one) => (one.startsWith('operation ') ? [areaOf(one.slice(10))] : [])));
  const count = (word: string) => growth.filter((one) => one === word).length;
  const many = (word: string, one: string, more: string) =>
    count(word) === 0 ? [] : [count(word) === 1 ? one : `${count(word)} ${more}`];
  return [
    ...growth.flatMap((one) => (one.startsWith('role ') ? [`Is ${roleWord(one.slice(5))} now`] : [])),
    ...(rooms.size === 0 ? [] : [`Can do more in ${[...rooms].join(', ')}`]),
    ...many('key or program', 'Has another key or program', 'further keys or programs'),
    ...many('connection', 'Is managed by another connection', 'further connections'),
    ...(growth.includes('rules') ? ['Your own access rules are others now'] : []),
    ...(growth.includes('office') ? ['Belongs to another office now'] : []),
    ...(growth.includes('accepted') ? ['Has accepted the invitation'] : []),
  ];
}
