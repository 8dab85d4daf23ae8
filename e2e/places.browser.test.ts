// An operator opens an organisation with a database of its own in another region, and moves one that is at work: from the
// shared tables to tables of its own, and on to another region, while its lead goes on writing.
import { randomBytes } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CELLS_FACT, type CellAddress } from '../app/platform/supervisor/messages.ts';
import { Person } from './testing/house.ts';
import { openAsSuperuser, openCellAsSuperuser } from './testing/log-check.ts';
import { browserMissing, openSite, type Site, type Visitor } from './testing/site.ts';
import { beginWork, historyOf, recordResult, startWriters, type Work } from './testing/writers.ts';

const MOVING = 'Lakeside Internal Audit';
/** A move of a few thousand rows on a loaded machine. */
const MOVED_MS_MAX = 60_000;
/** Written by people through the screens and the API; no file of the house may hold one in the clear. */
const MARKERS = Object.fromEntries(
  ['title', 'note', 'quay', 'label'].map((name) => [name, `marker-${name}-${randomBytes(9).toString('hex')}`]),
) as Record<'title' | 'note' | 'quay' | 'label', string>;
let site: Site;
let operator: Visitor;
let lead: Person;
let work: Work;

describe.skipIf(browserMissing)('where organisations live', () => {
  beforeAll(async () => {
    site = await openSite();
    operator = await site.visitor();
    await operator.enrol((await site.invitation('Operator', 'Auditrax sample organisation')).enrolPath!);
    lead = await Person.signIn(site.house, 'Lead auditor', MOVING);
    work = await beginWork(lead, `Moved while at work ${MARKERS.title}`);
  });
  afterAll(async () => {
    await lead?.close();
    await site?.close();
  });
  afterEach(() => {
    expect(site.faults()).toEqual([]);
  });

  it('a new organisation gets a database in the region that it chose, and its lead begins there', async () => {
    // A browser reports every refusal; what was refused goes on by itself once they are let in.
    operator.expects(/403/);
    await operator.goto('/app/organisations');
    await operator.reads('This needs production access');
    await operator.look('an organisations page that nobody is let into');
    await operator.asksForProduction([]);
    await operator.reads('Harbour Street Audit');
    operator.expectsNothing();
    await operator.button('New organisation').click();
    await operator.page.getByLabel('Name', { exact: true }).fill('Quay Lane Assurance');
    await operator.page.getByText('Enterprise', { exact: true }).click();
    await operator.page.getByText('Database of its own', { exact: true }).click();
    await operator.page.getByRole('combobox', { name: 'Region' }).click();
    await operator.page.getByRole('option', { name: 'south' }).click();
    await operator.page.getByLabel('First lead auditor').fill(`Lead ${MARKERS.label}`);
    await operator.picture('new-organisation');
    await operator.button('Go on to approval').click();
    await operator.button('Create it').click();
    await operator.reads('Hand this link to its first lead');
    const link = await operator.dialog.locator('code').first().innerText();
    await operator.button('I have it').click();
    await operator.reads('database of its own');
    const first = await site.visitor();
    await first.enrol(new URL(link.trim()).pathname + new URL(link.trim()).hash);
    const made = await first.ask('/api/engagements', {
      title: `First of the quay ${MARKERS.quay}`,
      clientName: 'Auditrax sample organisation',
      periodStart: '2026-01-01',
      periodEnd: '2026-12-31',
      catalogue: { source: 'sample' },
    });
    expect(made.status).toBe(201);
    expect(await rowsOf('quay-lane-assurance')).toEqual({ home: 0, elsewhere: 1 });
    await first.close();
  });

  it.each([
    ['Tables of its own', undefined],
    ['Database of its own', 'south'],
    ['Shared tables', undefined],
  ])('an organisation at work moves to: %s %s', async (kind, region) => {
    const writers = startWriters(lead, work, 2);
    await operator.goto('/app/organisations');
    await operator.button(`Actions for ${MOVING}`).click();
    await operator.page.getByRole('menuitem', { name: 'Move it…' }).click();
    await operator.page.getByText(kind, { exact: true }).click();
    if (region !== undefined) {
      await operator.page.getByRole('combobox', { name: 'Region' }).click();
      await operator.page.getByRole('option', { name: region }).click();
    }
    const before = await endedMoves();
    await operator.button('Go on to approval').click();
    await operator.button('Move it').click();
    await operator.sees('Organisations');
    await expect.poll(endedMoves, { timeout: MOVED_MS_MAX, interval: 250 }).toHaveLength(before.length + 1);
    await writers.stop();
    const [move] = await endedMoves();
    expect(move).toMatchObject({ state: 'done', failure: null });
    expect(move!.proof!.find(({ table }) => table === 'app.result')!.rows).toBeGreaterThan(0);
    console.info(`moved to ${kind} ${region ?? ''}: read-only for ${move!.frozenMs} ms`);
    // What was acknowledged is there, under the session from before the move, and nothing else.
    expect(writers.acknowledged.length).toBeGreaterThan(0);
    for (const { criterion, id } of writers.acknowledged.slice(-5))
      expect((await historyOf(lead, work, criterion)).map((result) => result.id)).toContain(id);
    // 503 is "read-only for a moment", 409 what a person is told who tries again after it.
    expect([...writers.statuses.keys()].filter((status) => ![201, 409, 503].includes(status))).toEqual([]);
    await operator.goto('/app/organisations');
    await operator.sees('Ended');
    await operator.picture(`moved-${kind.split(' ')[0]!.toLowerCase()}`);
  });

  it('nothing that people wrote lies in the clear in any file of the house: data, write-ahead logs, what processes said', async () => {
    const written = await recordResult(lead, work, {
      criterion: work.criteria.at(-1)!,
      revision: 0,
      note: `Seen ${MARKERS.note}`,
    });
    expect(written.status).toBe(201);
    await checkpointAll();
    const folder = site.house.state.path;
    expect(await filesHolding(folder, Object.values(MARKERS))).toEqual([]);
    // The search itself: a file that holds one is found.
    const planted = join(folder, 'planted.log');
    writeFileSync(planted, `${'x'.repeat(200_000)}${MARKERS.note}`);
    expect(await filesHolding(folder, Object.values(MARKERS))).toEqual([planted]);
  });
});

async function checkpointAll(): Promise<void> {
  const cells = site.house.supervisor.peers().facts[CELLS_FACT] as unknown as CellAddress[];
  const clients = [await openAsSuperuser(site.house)];
  for (const cell of cells) if (cell.cell !== 'home') clients.push(await openCellAsSuperuser(site.house, cell));
  for (const client of clients) {
    await client.query('checkpoint');
    await client.end();
  }
}

/** Code of the house itself, not written by anybody's work. */
const PROGRAM = /\/(compile-cache|browser)(\/|$)/;

/** Files below the folder that hold one of the words, as a disk would be searched. */
async function filesHolding(folder: string, words: readonly string[]): Promise<string[]> {
  const holding: string[] = [];
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || PROGRAM.test(entry.parentPath)) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path).catch(() => Buffer.alloc(0)); // a file that has gone meanwhile
    if (words.some((word) => bytes.includes(word))) holding.push(path);
  }
  return holding;
}

interface EndedMove {
  readonly state: string;
  readonly failure: string | null;
  readonly frozenMs: number | null;
  readonly proof: readonly { readonly table: string; readonly rows: number }[] | null;
}

/** Newest first. */
async function endedMoves(): Promise<EndedMove[]> {
  const { body } = await operator.ask('/api/tenants/moves');
  return (body as { moves: (EndedMove & { endedAt: string | null })[] }).moves.filter(
    ({ endedAt }) => endedAt !== null,
  );
}

/** Engagements of a tenant in home's shared tables, and in all other databases together. */
async function rowsOf(slug: string): Promise<{ home: number; elsewhere: number }> {
  const home = await openAsSuperuser(site.house);
  try {
    const { rows } = await home.query<{ id: string }>('select id from platform.tenant where slug = $1', [slug]);
    const count = async (client: Client): Promise<number> => {
      const found = await client.query<{ n: number }>(
        'select count(*)::int as n from app.engagement where tenant_id = $1',
        [rows[0]!.id],
      );
      return found.rows[0]!.n;
    };
    let elsewhere = 0;
    for (const cell of site.house.supervisor.peers().facts[CELLS_FACT] as unknown as CellAddress[]) {
      if (cell.cell === 'home') continue;
      const client = await openCellAsSuperuser(site.house, cell);
      elsewhere += await count(client);
      await client.end();
    }
    return { home: await count(home), elsewhere };
  } finally {
    await home.end();
  }
}
