import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Route } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { unzipSync } from 'fflate';
import { browserMissing, openSite, type Site, type Visitor } from './testing/site.ts';

const ROOT = join(import.meta.dirname, '..');
/** Where Debian puts the Node that most people have; older than the one this house runs on. */
const SYSTEM_NODE = '/usr/bin/node';
/** RFC 8410: what stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

let site: Site;
let lead: Visitor;
let disk: string;

interface Finished {
  readonly code: number;
  readonly said: string;
}

function run(program: string, args: readonly string[], cwd: string): Promise<Finished> {
  return new Promise((resolve) => {
    execFile(program, [...args], { cwd }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, said: stdout + stderr });
    });
  });
}

/** The log's key as a person would note it down from another place than the bundle. */
async function noteKey(visitor: Visitor): Promise<string> {
  return ((await visitor.ask('/api/audit-trail/checkpoint')).body as { vkey: string }).vkey;
}

function pemOf(vkey: string): string {
  const raw = Buffer.from(vkey.split('+').slice(2).join('+'), 'base64').subarray(1);
  const body = Buffer.concat([SPKI_PREFIX, raw]).toString('base64');
  return `-----BEGIN PUBLIC KEY-----\n${body}\n-----END PUBLIC KEY-----\n`;
}

/** Another byte somewhere in the middle. */
function changed(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const at = copy.length >> 1;
  copy[at] = copy[at]! ^ 1;
  return copy;
}

describe.skipIf(browserMissing)('the audit trail, checked without believing the server', () => {
  beforeAll(async () => {
    disk = mkdtempSync(join(tmpdir(), 'auditrax-disk-'));
    site = await openSite();
    lead = await site.visitor();
    await lead.enrol((await site.invitation('Lead auditor')).enrolPath!);
    for (const title of ['First audit', 'Second audit']) {
      const made = await lead.ask('/api/engagements', {
        title,
        clientName: 'Auditrax sample organisation',
        periodStart: '2026-01-01',
        periodEnd: '2026-12-31',
        catalogue: { source: 'sample' },
      });
      expect(made.status).toBe(201);
    }
  });
  afterAll(async () => {
    await site?.close();
    rmSync(disk, { recursive: true, force: true });
  });
  afterEach(() => {
    expect(site.faults()).toEqual([]);
  });

  it('is narrowed by type, person and outcome', async () => {
    await lead.goto('/app/audit-trail');
    await lead.sees('Audit trail');
    await lead.page.locator('main tbody tr').first().waitFor();
    const all = await lead.page.locator('main tbody tr').count();
    await lead.page.getByRole('searchbox', { name: 'Type of entry' }).fill('engagement.');
    await lead.page.keyboard.press('Enter');
    await expect.poll(() => lead.page.locator('main tbody tr').count()).toBe(2);
    expect(all).toBeGreaterThan(2);
    await lead.page.getByRole('combobox', { name: 'Outcome' }).click();
    await lead.page.getByRole('option', { name: 'Denied' }).click();
    await lead.reads('No such entries');
    await lead.button('Clear').click();
    await lead.page.getByRole('combobox', { name: 'Person' }).click();
    await lead.page.getByRole('option', { name: 'Lead auditor' }).click();
    await lead.page.locator('main tbody tr', { hasText: 'engagement.created' }).first().waitFor();
    await lead.picture('audit-trail');
  });

  it('an entry is verified in the browser, and no longer when one byte of it was changed on the way', async () => {
    await lead.goto('/app/audit-trail?type=engagement.');
    await lead.page.locator('main tbody tr .row-link').first().click();
    await lead.button('Verify in your browser').click();
    await lead.reads('Verified on this machine');
    await lead.reads('The checkpoint is signed with it');
    expect(await lead.dialog.locator('.check--failed').count()).toBe(0);
    expect(await lead.dialog.locator('.check--ok').count()).toBeGreaterThan(2);
    await lead.picture('audit-entry');

    const alter = async (route: Route) => {
      const reply = await route.fetch();
      const entry = (await reply.json()) as { leaf: string };
      const leaf = Buffer.from(changed(Buffer.from(entry.leaf))).toString('utf8');
      expect(leaf).not.toBe(entry.leaf);
      await route.fulfill({ response: reply, json: { ...entry, leaf } });
    };
    const single = /\/api\/audit-trail\/entries\/[^/]+$/;
    await lead.page.route(single, alter);
    await lead.page.reload();
    await lead.button('Verify in your browser').click();
    await lead.reads('Not verified. Do not rely on this entry.');
    expect(await lead.dialog.locator('.check--failed').count()).toBeGreaterThan(0);
    await lead.page.unroute(single);
  });

  it('a key that is not the log’s verifies nothing', async () => {
    await lead.goto('/app/audit-trail?type=engagement.');
    await lead.page.locator('main tbody tr .row-link').first().click();
    await lead.dialog.getByText('Use a log key that you got elsewhere').click();
    const own = await noteKey(lead);
    const stranger = await site.visitor({ hasPasskeyDevice: false });
    await stranger.follow((await site.invitation('Lead auditor', 'Lakeside Internal Audit')).linkPath);
    const foreign = await noteKey(stranger);
    await stranger.close();
    const field = lead.page.getByLabel('Verifier key');
    // Typed, not pasted: the field must stay where it is while the key grows.
    await field.pressSequentially(foreign.slice(0, 12));
    expect(await field.inputValue()).toBe(foreign.slice(0, 12));
    for (const wrong of [foreign, own.slice(0, -1)]) {
      await field.fill(wrong);
      await lead.button('Verify in your browser').click();
      await lead.reads('Not verified. Do not rely on this entry.');
    }
    await field.fill(own);
    await lead.button('Verify in your browser').click();
    await lead.reads('Verified on this machine');
    await lead.reads('Checked with the key that you gave.');
  });

  it('a bundle is approved, saved, and verified by openssl, by a Node of the system and by the product', async () => {
    const vkey = await noteKey(lead);
    await lead.goto('/app/export');
    await lead.picture('export');
    await lead.button('Export…').click();
    const card = lead.page.getByLabel('What you approve');
    await card.getByText('audit-trail.export').first().waitFor();
    await lead.look('approving an export');
    const [download] = await Promise.all([
      lead.page.waitForEvent('download'),
      lead.button('Approve with passkey').click(),
    ]);
    await lead.reads(/^Saved as auditrax-proof-/);
    const bundle = join(disk, 'bundle.zip');
    await download.saveAs(bundle);
    const bytes = readFileSync(bundle);
    const folder = join(disk, 'bundle');
    for (const [name, content] of Object.entries(unzipSync(bytes))) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    const pem = join(disk, 'log-key.pem');
    writeFileSync(pem, pemOf(vkey));
    const node = existsSync(SYSTEM_NODE) ? SYSTEM_NODE : process.execPath;
    const product = ['exec', '--no', '--', 'auditrax', 'verify', bundle];
    const [shell, script, alone, house, own] = await Promise.all([
      run('sh', ['verify.sh', pem], folder),
      run(node, ['verify.mjs', '--key', vkey], folder),
      run(node, ['verify.mjs'], folder),
      run('npm', [...product, '--key', vkey], ROOT),
      run('npm', product, ROOT),
    ]);
    expect(shell).toMatchObject({ code: 0, said: expect.stringContaining('verdict: verified\n') });
    expect(script).toMatchObject({ code: 0, said: expect.stringContaining('0 independent witnesses') });
    expect(alone.code).toBe(2);
    expect(house).toMatchObject({ code: 0, said: expect.stringContaining('0 independent witnesses') });
    expect(own.code).toBe(2);

    const forged = join(disk, 'forged.zip');
    writeFileSync(forged, changed(bytes));
    const entry = join(folder, 'entries', '000000000001.json');
    writeFileSync(entry, changed(readFileSync(entry)));
    const refused = await Promise.all([
      run('sh', ['verify.sh', pem], folder),
      run(node, ['verify.mjs', '--key', vkey], folder),
      run('npm', ['exec', '--no', '--', 'auditrax', 'verify', forged, '--key', vkey], ROOT),
    ]);
    expect(refused.map((result) => result.code)).toEqual([1, 1, 1]);
  });

  it('an export without the approval, or with one for other days, is refused', async () => {
    lead.expects(/status of 403/);
    const bare = await lead.ask('/api/audit-trail/export', { from: '2026-01-01', to: '2026-01-31' });
    expect(bare.status).toBe(403);
    // The page asks approval for the days on the form; the request is changed afterwards, as a script in it could.
    await lead.goto('/app/export');
    await lead.page.route('**/api/audit-trail/export', (route) =>
      route.continue({ postData: JSON.stringify({ from: '2020-01-01', to: '2026-12-31' }) }),
    );
    await lead.button('Export…').click();
    await lead.button('Approve with passkey').click();
    await lead.dialog.locator('.notice--failing').waitFor();
    await lead.page.unroute('**/api/audit-trail/export');
    lead.expectsNothing();
    const { body } = await lead.ask('/api/audit-trail?outcome=denied');
    const types = (body as { entries: { type: string }[] }).entries.map((entry) => entry.type);
    expect(types).toEqual(['step-up.refused', 'step-up.missing']);
  });
});
