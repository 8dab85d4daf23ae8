import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DRILLED, PLACED, REHEARSALS } from '../probes/registry.ts';
import { CLAIM_IDS } from './ids.ts';
import { FRESHNESS_SECONDS, SECTIONS } from './model.ts';
import { allClaims, probedClaims } from './register.ts';

const MISSION = new URL('../../../shared/mission/', import.meta.url);
const mustHave = process.env['CI'] === 'true';
const NOT_EVERYWHERE = [...REHEARSALS, ...DRILLED, ...PLACED.c, ...PLACED.d];

/** Words only, so that neither punctuation nor case hides a copied run. */
function words(text: string): string[] {
  return text
    .toLowerCase()
    .replaceAll('’', "'")
    .split(/[^a-z0-9']+/)
    .filter((word) => word !== '');
}

/** Runs of `size` words. */
function shingles(text: string, size: number): Set<string> {
  const list = words(text);
  return new Set(
    list.slice(0, Math.max(0, list.length - size + 1)).map((_, at) => list.slice(at, at + size).join(' ')),
  );
}

// Six words in a row are a phrase; five can be a name with its number ("ISO/IEC 27001:2022 …").
const COPIED_RUN_WORDS = 6;

describe('the register of claims', () => {
  it('holds exactly the 81 ids, once each and in the order of the page', () => {
    expect(allClaims.map((claim) => claim.id)).toEqual([...CLAIM_IDS]);
    expect(new Set(CLAIM_IDS).size).toBe(81);
  });

  it('names the same ids and kinds of proof as the requirement', (ctx) => {
    const file = new URL('claims.md', MISSION);
    if (!existsSync(file)) {
      if (mustHave) throw new Error('the requirement is not beside the repository');
      return ctx.skip('the requirement is not beside the repository');
    }
    const rows = readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => /^\| [a-z]+\./.test(line));
    const required = rows.flatMap((row) => {
      const cells = row.split('|').map((cell) => cell.trim());
      return cells[1]!.split(',').map((id) => ({ id: id.trim(), kind: /^[a-z]+/.exec(cells[4]!)![0] }));
    });
    const byId = new Map(allClaims.map((claim) => [claim.id as string, claim.kind]));
    expect(required).toHaveLength(81);
    expect(required.map((row) => row.id).toSorted()).toEqual([...byId.keys()].toSorted());
    for (const row of required) expect({ id: row.id, kind: byId.get(row.id) }).toEqual(row);
  });

  it('uses its own words: no run of six words of the requirement page', (ctx) => {
    const file = new URL('security-page.txt', MISSION);
    if (!existsSync(file)) {
      if (mustHave) throw new Error('the requirement page is not beside the repository');
      return ctx.skip('the requirement page is not beside the repository');
    }
    const page = shingles(readFileSync(file, 'utf8'), COPIED_RUN_WORDS);
    const copied = allClaims.flatMap((claim) =>
      [claim.sentence, ...(claim.exceptions ?? []), claim.wouldTurnRed, claim.assertedBecause ?? ''].flatMap((text) =>
        [...shingles(text, COPIED_RUN_WORDS)].filter((run) => page.has(run)).map((run) => `${claim.id}: ${run}`),
      ),
    );
    expect(copied).toEqual([]);
  });

  it('never says one thing twice', () => {
    expect(new Set(allClaims.map((claim) => claim.sentence)).size).toBe(81);
  });

  it('gives each claim a budget, a section, a way to turn red and a whole sentence', () => {
    const budgets = new Set<number>(Object.values(FRESHNESS_SECONDS));
    const sections = new Set<string>(SECTIONS.map((section) => section.id));
    for (const claim of allClaims) {
      expect(budgets.has(claim.freshness_seconds_max), claim.id).toBe(true);
      expect(sections.has(claim.section), claim.id).toBe(true);
      expect(claim.sentence, claim.id).toMatch(/^[A-Z].*\.$/s);
      expect(claim.wouldTurnRed.length, claim.id).toBeGreaterThan(20);
    }
  });

  it('says what is missing wherever no probe decides, and nothing of the kind where one does', () => {
    for (const claim of allClaims) {
      // Neither a rehearsal, nor what takes hours, nor what needs a place of its own can run in every house: what is missing is said as well.
      const isElsewhere = NOT_EVERYWHERE.some((probe) => probe.id === claim.probe);
      expect(claim.probe === undefined || isElsewhere, claim.id).toBe(claim.assertedBecause !== undefined);
    }
  });

  it('has probes for at least 22 claims, and a limit for each measured one', () => {
    expect(probedClaims.length).toBeGreaterThanOrEqual(22);
    for (const claim of probedClaims) {
      if (claim.kind === 'measured') expect(claim.limit, claim.id).toBeDefined();
      // What an attester says in a document no probe can see.
      expect(claim.kind, claim.id).not.toBe('attested');
    }
  });
});
