import { describe, expect, it } from 'vitest';
import { shownName } from './shown-name.ts';

describe('the name of somebody', () => {
  it.each([
    ['turned around', 'Ann \u202Edael si ,\u202C', 'Ann dael si ,'],
    ['isolated', '\u2066Ann\u2069', 'Ann'],
    ['over two lines', 'Ann\nrole: lead\u2028state: active', 'Ann role: lead state: active'],
    ['with zero widths', 'A\u200Bn\uFEFFn', 'A n n'],
    ['with a joiner between blanks', 'Ann \u200D \u200C Lee', 'Ann Lee'],
    ['of nothing', ' \u202E\u200B ', ''],
  ])('%s is what can be seen of it', (_what, given, shown) => {
    expect(shownName(given)).toBe(shown);
  });

  it('keeps letters of every script, their joiners, and its length', () => {
    for (const name of ['نمی\u200Cدانم', '👩\u200D👧', 'Ünal Ó', 'שלום', '山田']) expect(shownName(name)).toBe(name);
    expect(shownName('x'.repeat(500))).toHaveLength(120);
    expect(shownName(`${'x'.repeat(119)}👩`).isWellFormed()).toBe(true);
  });
});
