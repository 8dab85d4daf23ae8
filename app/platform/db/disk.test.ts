import { manualClock } from '@auditrax/base';
import { describe, expect, test } from 'vitest';
import { diskFloor, freeBytes } from './disk.ts';

describe('D8: the disk floor', () => {
  test('refuses writes below it, lets them through above it, and looks again after a second', async () => {
    const clock = manualClock(0);
    let free = 1_000;
    const floor = diskFloor({
      directories: ['/a', '/b'],
      clock,
      freeBytesMin: 500,
      probe: async (directory) => (directory === '/a' ? 9_999 : free),
    });
    await floor.require();
    await floor.require(500);
    await expect(floor.require(501)).rejects.toMatchObject({ code: 'disk_full' });
    free = 499;
    clock.advance(1_001);
    await expect(floor.require()).rejects.toMatchObject({ code: 'disk_full' });
    free = 500;
    clock.advance(1_001);
    await floor.require();
  });

  test('counts a file system that cannot be asked as full', async () => {
    const floor = diskFloor({ directories: ['/nowhere/at/all'], clock: manualClock(0), freeBytesMin: 1 });
    await expect(floor.require()).rejects.toMatchObject({ code: 'disk_full' });
  });

  test('asks the real file system', async () => {
    expect(await freeBytes('/')).toBeGreaterThan(0);
  });
});
