import { describe, expect, it } from 'vitest';
import { dayText } from './time.tsx';

describe('dayText', () => {
  it('writes every month in three letters, in UTC', () => {
    const months = Array.from({ length: 12 }, (_, month) => dayText(Date.UTC(2026, month, 1)).split(' ')[1]);
    expect(months.map((name) => name?.length)).toEqual(Array.from({ length: 12 }, () => 3));
    expect(dayText('2026-09-14')).toBe('14 Sep 2026');
    expect(dayText('2026-12-31T23:59:59.999Z')).toBe('31 Dec 2026');
  });
});
