import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom, uuidV4 } from '@auditrax/base';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mergeErasures, openErasureRegister } from './erasure-register.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ax-erasures-'));
  file = join(folder, 'erasures.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const somebody = () => ({ tenantId: uuidV4(systemRandom), subject: uuidV4(systemRandom), at: 1_700_000_000_000 });

describe('the register of erasures', () => {
  it('is on disk after each addition, names nobody twice, and says ids and a time only', () => {
    const [one, two] = [somebody(), somebody()];
    const register = openErasureRegister(file);
    for (const erasure of [one, two, { ...one, at: one.at + 1 }]) register.add(erasure);
    expect(openErasureRegister(file).all()).toEqual([one, two]);
    expect(register.has(one.tenantId, two.subject)).toBe(false);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => Object.keys(JSON.parse(line) as object).sort())).toEqual(
      Array.from({ length: 2 }, () => ['at', 'subject', 'tenant', 'v']),
    );
  });

  it('goes on after a line that a crash cut off, wherever it was cut', () => {
    const [one, two, three] = [somebody(), somebody(), somebody()];
    openErasureRegister(file).add(one);
    const whole = readFileSync(file, 'utf8');
    openErasureRegister(file).add(two);
    const cut = readFileSync(file, 'utf8').slice(whole.length, -1);
    for (let length = 0; length <= cut.length; length += 13) {
      writeFileSync(file, whole + cut.slice(0, length));
      const register = openErasureRegister(file);
      expect(register.all(), `${length} bytes of the line`).toEqual([one]);
      register.add(three);
      expect(openErasureRegister(file).all(), `${length} bytes of the line`).toEqual([one, three]);
    }
  });

  it.each(['{}', '', 'x', '{"v":2,"tenant":"a","subject":"b","at":1}', '[]', 'null', '{"v":1,"at":1}'])(
    'is refused when a line of it is %j: an empty register would bring everybody back',
    (line) => {
      openErasureRegister(file).add(somebody());
      appendFileSync(file, `${line}\n`);
      expect(() => openErasureRegister(file)).toThrow(
        expect.objectContaining({ code: 'erasure_register_malformed', message: expect.stringContaining('line 2') }),
      );
    },
  );

  it('takes over what another one knows, once', () => {
    const [one, two] = [somebody(), somebody()];
    const other = join(folder, 'other.jsonl');
    openErasureRegister(file).add(one);
    for (const erasure of [one, two]) openErasureRegister(other).add(erasure);
    expect([mergeErasures(file, other), mergeErasures(file, other)]).toEqual([1, 0]);
    expect(openErasureRegister(file).all()).toEqual([one, two]);
  });
});
