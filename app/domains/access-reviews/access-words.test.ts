import { describe, expect, it } from 'vitest';
import { EDGE_ROUTES } from '../../bin/rooms.ts';
import { areaOf, areasOf, growthLine, reachLine } from './access-words.ts';
import { sessionOperations } from './effective.ts';

const operations = sessionOperations(EDGE_ROUTES);

describe('what somebody can do, in words', () => {
  it('calls rooms as people do, and one that it does not know by its name', () => {
    expect(operations.map(({ operation }) => areaOf(operation)).filter((area) => !/^[A-Z]/.test(area))).toEqual([]);
    expect([areaOf('siem.list'), areaOf('new-room.list')]).toEqual(['Streaming', 'New room']);
  });

  it('names the furthest reach in each room, and drops no operation', () => {
    const classes = Object.fromEntries(operations.map((one) => [one.operation, one.class]));
    const areas = areasOf(Object.keys(classes), classes);
    expect(areas.reduce((sum, { operations: count }) => sum + count, 0)).toBe(operations.length);
    expect(areas.find(({ area }) => area === 'People')?.reach).toBe('approve');
    expect(areasOf(['access.list-members'], classes)).toEqual([{ area: 'People', reach: 'see', operations: 1 }]);
    expect(reachLine([])).toBe('Nothing by itself');
    expect(reachLine(areas)).toMatch(/^Approves in .* and \d+ more/);
  });

  it('says what has come since', () => {
    const growth = [
      'operation access.invite',
      'operation access.suspend-member',
      'role lead',
      'key or program',
      'rules',
      'office',
    ];
    expect(growthLine(growth, (role) => role)).toEqual([
      'Is lead now',
      'Can do more in People',
      'Has another key or program',
      'Your own access rules are others now',
      'Belongs to another office now',
    ]);
  });
});
