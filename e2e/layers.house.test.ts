// Each wall between tenants is taken away in a running house, and every door is attacked. AUDITRAX_MATRIX=write writes
// the document.
import { expect, test } from 'vitest';
import { holds, measureLayers, readLayers, renderLayers, writeLayers } from './mutants/layers.ts';

test('with any one wall between tenants gone, the next one refuses, and it is seen and paged', async () => {
  const rows = await measureLayers(() => undefined);
  expect(rows.filter((row) => !holds(row))).toEqual([]);
  if (process.env['AUDITRAX_MATRIX'] === 'write') writeLayers(rows);
  expect(readLayers()).toBe(renderLayers(rows));
}, 480_000);

test('a door that let one attempt through, or one unseen or unpaged, does not hold', () => {
  const row = { removed: 'none', door: 'guard', attempts: 3, refused: 3, seen: 3, paged: 3 } as const;
  const rest = { page_latency_ms_max: 1, stopped_by: ['guard'] };
  expect(holds({ ...row, ...rest })).toBe(true);
  for (const fault of [{ refused: 2 }, { seen: 2 }, { paged: 2 }, { attempts: 0, refused: 0, seen: 0, paged: 0 }])
    expect(holds({ ...row, ...rest, ...fault })).toBe(false);
});
