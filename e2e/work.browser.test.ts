import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { browserMissing, openSite, type Site, type Visitor } from './testing/site.ts';

const NIST = join(import.meta.dirname, '../../shared/vectors/oscal/NIST_SP-800-53_rev5_MODERATE_resolved_catalog.json');
const TITLE = 'Security page of Auditrax 2026';
/** A valid check digit, from the payment industry's published test range. */
const CARD = '4111 1111 1111 1111';
/** More than one part, so that an interruption leaves something to go on from. */
const FILE_BYTES = 10 * 1024 * 1024;

let site: Site;
let lead: Visitor;
/** Files as they lie on a person's disk. */
let disk: string;

async function describeEngagement(visitor: Visitor, title: string): Promise<void> {
  await visitor.goto('/app/engagements/new');
  await visitor.sees('New engagement');
  await visitor.page.getByLabel('Title').fill(title);
  await visitor.page.getByLabel('Client').fill('Auditrax sample organisation');
  await visitor.page.getByLabel('Period from').fill('2026-01-01');
  await visitor.page.getByLabel('to', { exact: true }).fill('2026-12-31');
}

async function chooseCatalogue(visitor: Visitor, name: string, content: string): Promise<void> {
  await visitor.page.getByRole('radio', { name: /^A catalogue of your own/ }).check();
  await visitor.page
    .locator('input[type=file]')
    .setInputFiles({ name, mimeType: 'application/json', buffer: Buffer.from(content) });
}

async function tab(visitor: Visitor, name: string): Promise<void> {
  await visitor.page.getByRole('tab', { name }).click();
}

/** Opens the engagement of this title from the start page, as a person finds it again. */
async function openEngagement(visitor: Visitor, title: string): Promise<string> {
  await visitor.goto('/app/');
  await visitor.page.getByRole('link', { name: title }).click();
  await visitor.sees(title);
  return /eng_[A-Za-z0-9_-]+/.exec(visitor.page.url())![0];
}

async function closeDrawer(visitor: Visitor): Promise<void> {
  await visitor.page.keyboard.press('Escape');
  await visitor.dialog.waitFor({ state: 'detached' });
}

/** Opens the first criterion of the engagement beside the list. */
async function openFirstCriterion(visitor: Visitor): Promise<void> {
  await tab(visitor, 'Criteria');
  await visitor.page.locator('main tbody tr .row-link').first().click();
  await visitor.dialog.getByLabel('Evidence', { exact: true }).first().waitFor();
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

describe.skipIf(browserMissing)('an engagement from the first field to the seal', () => {
  beforeAll(async () => {
    disk = mkdtempSync(join(tmpdir(), 'auditrax-disk-'));
    site = await openSite();
    lead = await site.visitor();
    await lead.enrol((await site.invitation('Lead auditor')).enrolPath!);
  });
  afterAll(async () => {
    await site?.close();
    rmSync(disk, { recursive: true, force: true });
  });
  afterEach(() => {
    expect(site.faults()).toEqual([]);
  });

  it('an empty form says at each field what is missing', async () => {
    await lead.goto('/app/engagements/new');
    await lead.button('Create engagement').click();
    await lead.reads('Give it a title, as it should stand on the report.');
    await lead.reads('Name the organisation that is audited.');
    await lead.picture('new-engagement');
  });

  it('the sample catalogue becomes an engagement with all its criteria', async () => {
    await describeEngagement(lead, TITLE);
    await lead.button('Create engagement').click();
    await lead.sees(TITLE);
    await lead.reads('About this engagement');
    await expect.poll(() => lead.page.getByRole('tab', { name: 'Criteria' }).innerText()).toMatch(/81/);
    await lead.picture('engagement');
  });

  it.skipIf(!existsSync(NIST) && process.env['CI'] !== 'true')(
    'the real NIST catalogue is imported and searched',
    async () => {
      await describeEngagement(lead, 'NIST SP 800-53 moderate');
      await chooseCatalogue(lead, 'moderate.json', readFileSync(NIST, 'utf8'));
      await lead.reads(/controls in 1[78] groups/);
      await lead.button('Create engagement').click();
      await lead.sees('NIST SP 800-53 moderate');
      await tab(lead, 'Criteria');
      await lead.reads('AC-1');
      await lead.page.getByRole('searchbox', { name: 'Search criteria' }).fill('device lock');
      await expect.poll(() => lead.page.locator('main tbody tr').count()).toBeLessThan(5);
      await lead.page
        .locator('main')
        .getByRole('button', { name: /Device Lock/ })
        .first()
        .waitFor();
      await lead.picture('criteria');
      await lead.page.getByRole('searchbox', { name: 'Search criteria' }).fill('no such words anywhere');
      await lead.reads('No criterion has all these words');
    },
  );

  it('a broken catalogue is refused with the path of its first fault, by the page or by the service', async () => {
    await describeEngagement(lead, 'Broken');
    await chooseCatalogue(lead, 'broken.json', '{"catalog": {"uuid": "x",\n "metadata": }');
    await lead.reads('This file cannot be used');
    await lead.reads('$.catalog.metadata');
    const subtle = {
      catalog: {
        uuid: '5f3b5c8e-8a1c-4d36-9d9f-0d9b7c1f1f11',
        metadata: { title: 'Subtle', 'last-modified': '2026-01-01T00:00:00Z', version: '1', 'oscal-version': '1.1.3' },
        groups: [
          {
            id: 'g',
            title: 'Group',
            controls: [
              { id: 'c-1', title: 'First' },
              { id: 7, title: 'Second' },
            ],
          },
        ],
      },
    };
    await chooseCatalogue(lead, 'subtle.json', JSON.stringify(subtle));
    await lead.reads('2 controls in 1 groups');
    lead.expects(/status of 422/);
    await lead.button('Create engagement').click();
    await lead.reads('The catalogue is not valid OSCAL');
    await lead.reads(/groups\[0\]\.controls\[1\]\.id/);
    await lead.look('broken catalogue');
    expect(lead.faults()).toEqual([]);
    lead.expectsNothing();
    const { body } = await lead.ask('/api/engagements');
    expect(JSON.stringify(body)).not.toContain('Broken');
  });

  it('a card number in a title is refused until the person declares that it is none', async () => {
    await describeEngagement(lead, `Card ${CARD}`);
    lead.expects(/status of 422/);
    await lead.button('Create engagement').click();
    await lead.reads('A number in this text reads like a payment card');
    expect((await lead.ask('/api/engagements')).body).toMatchObject({
      engagements: expect.not.arrayContaining([expect.objectContaining({ title: expect.stringContaining('4111') })]),
    });
    await lead.button('It is not a card number: send it so').click();
    await lead.sees(`Card ${CARD}`);
    lead.expectsNothing();
  });

  it('results are recorded in fieldwork only, and each change stays in the history', async () => {
    await openEngagement(lead, TITLE);
    await openFirstCriterion(lead);
    await lead.reads('Fieldwork has not started');
    await closeDrawer(lead);
    await tab(lead, 'Overview');
    await lead.button('Start fieldwork').click();
    await lead.reads('Fieldwork is open');
    await openFirstCriterion(lead);
    const drawer = lead.dialog;
    await drawer.getByRole('radio', { name: 'Not satisfied' }).check();
    await drawer.getByRole('button', { name: 'Record result' }).click();
    await lead.reads('Say what was not as it should be.');
    lead.expects(/status of 422/);
    await drawer.getByLabel('What you saw').fill(`Found ${CARD} in a log.`);
    await drawer.getByRole('button', { name: 'Record result' }).click();
    await lead.reads('A number in this text reads like a payment card');
    lead.expectsNothing();
    await drawer.getByLabel('What you saw').fill('TLS 1.2 was still offered on one socket.');
    await drawer.getByRole('button', { name: 'Record result' }).click();
    await lead.reads('Recorded, with an entry in the audit trail.');
    await drawer.getByLabel('History').getByText('TLS 1.2 was still offered').waitFor();
    await drawer.getByRole('radio', { name: 'Satisfied', exact: true }).check();
    await drawer.getByLabel('What you saw').fill('Every socket refused TLS 1.2 today.');
    await drawer.getByRole('button', { name: 'Record result' }).click();
    await drawer.getByLabel('History').getByText('Every socket refused').waitFor();
    expect(await drawer.getByLabel('History').getByRole('listitem').count()).toBe(2);
    await lead.picture('criterion');
    await closeDrawer(lead);
  });

  it('evidence survives a lost line and a reload, and comes back byte for byte as a sandboxed attachment', async () => {
    const content = randomBytes(FILE_BYTES);
    const path = join(disk, 'system image.bin');
    writeFileSync(path, content);
    writeFileSync(join(disk, 'other.bin'), 'other');
    await openEngagement(lead, TITLE);
    await openFirstCriterion(lead);
    await lead.dialog.getByText('Add evidence').click();
    await lead.dialog.locator('input[type=file]').last().setInputFiles(path);
    // The second part never arrives: the line is cut, and stays cut.
    const second = /\/api\/evidence\/uploads\/[^/]+\?offset=[1-9]/;
    await lead.page.route(second, (route) => route.abort('connectionreset'));
    lead.expects(/net::ERR_CONNECTION_RESET/);
    await lead.button('Upload').click();
    await lead.reads(/the line is bad, trying again/);
    await lead.look('upload on a bad line');
    await lead.page.reload();
    await lead.page.unroute(second);
    await lead.reads('Choose system image.bin again to go on');
    await lead.reads('8.0 MiB of 10 MiB, unfinished');
    lead.expectsNothing();
    const sent: string[] = [];
    lead.page.on('request', (request) => {
      if (request.method() === 'PUT') sent.push(new URL(request.url()).search);
    });
    const again = lead.dialog.locator('.upload input[type=file]');
    await again.setInputFiles(join(disk, 'other.bin'));
    await lead.reads('This is another file');
    await again.setInputFiles(path);
    await lead.reads('Evidence received');
    expect(sent).toEqual([`?offset=${8 * 1024 * 1024}`]);

    const row = lead.dialog.getByRole('row', { name: /system image\.bin/ });
    await row.waitFor();
    const [download] = await Promise.all([
      lead.page.waitForEvent('download'),
      row.getByRole('link', { name: 'Download system image.bin' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('system image.bin');
    expect(sha256(readFileSync(await download.path()))).toBe(sha256(content));
    const address = await row.getByRole('link').first().getAttribute('href');
    const reply = await lead.context.request.get(new URL(address!, site.door).href);
    expect(reply.headers()).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-security-policy': expect.stringContaining('sandbox'),
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    });
    expect(reply.headers()['content-disposition']).toMatch(/^attachment; /);
    await closeDrawer(lead);
    await tab(lead, 'Evidence');
    await lead.reads('system image.bin');
    await lead.picture('evidence');
  });

  it('a page of hostile script is kept and handed out, and runs nowhere', async () => {
    const path = join(disk, 'report.html');
    writeFileSync(path, '<script>fetch("/api/identity/session").then(() => { document.title = "ran"; })</script>');
    await openEngagement(lead, TITLE);
    await openFirstCriterion(lead);
    await lead.dialog.getByText('Add evidence').click();
    await lead.dialog.locator('input[type=file]').last().setInputFiles(path);
    await lead.button('Upload').click();
    await lead.dialog.getByRole('row', { name: /report\.html/ }).waitFor();
    const link = lead.dialog.getByRole('link', { name: 'Download report.html' });
    const address = (await link.getAttribute('href'))!;
    const [download] = await Promise.all([
      lead.page.waitForEvent('download'),
      lead.page.evaluate(`void window.open(${JSON.stringify(address)})`),
    ]);
    expect(download.suggestedFilename()).toBe('report.html');
    await closeDrawer(lead);
  });

  it('file names that deceive or escape are refused in words, with nothing stored', async () => {
    const id = await openEngagement(lead, TITLE);
    await openFirstCriterion(lead);
    await lead.dialog.getByText('Add evidence').click();
    lead.expects(/status of 422/);
    for (const [name, word] of [
      ['invoice\u202Efdp.exe', /must not hold control or invisible characters/],
      ['CON.txt', /is the name of a device/],
    ] as const) {
      await lead.dialog
        .locator('input[type=file]')
        .last()
        .setInputFiles({ name, mimeType: 'text/plain', buffer: Buffer.from('hostile') });
      await lead.button('Upload').click();
      await lead.reads(word);
    }
    const crt = await lead.ask(`/api/engagements/${id}/criteria?limit=1`);
    const [criterion] = (crt.body as { criteria: { id: string }[] }).criteria;
    for (const fileName of ['../../etc/passwd', 'C:\\autoexec.bat', 'a\r\nset-cookie: x', '..', 'x'.repeat(256)]) {
      const reply = await lead.ask(`/api/engagements/${id}/evidence/uploads`, {
        criterionId: criterion!.id,
        fileName,
        mediaType: 'text/plain',
        sizeBytes: 1,
        speaksAbout: { from: '2026-01-01', to: '2026-01-02' },
      });
      expect([fileName, reply.status]).toEqual([fileName, 422]);
    }
    const { body } = await lead.ask(`/api/engagements/${id}/evidence`);
    expect((body as { evidence: unknown[] }).evidence).toHaveLength(2);
    await closeDrawer(lead);
    lead.expectsNothing();
  });

  it('a client contact sees what they were added to, and hands in evidence there', async () => {
    const client = await site.visitor();
    await client.follow((await site.invitation('Client contact')).linkPath);
    await client.sees('Engagements');
    await client.reads('Nothing is open to you yet');
    await client.look('client without an engagement');
    await openEngagement(lead, TITLE);
    await tab(lead, 'People');
    await lead.page.getByRole('combobox', { name: 'Add a contact' }).click();
    await lead.page.getByRole('option', { name: 'Client contact' }).click();
    await lead.button('Add contact').click();
    await lead.reads('Client contact now sees this engagement');
    await lead.look('people of an engagement');

    await client.goto('/app/');
    await client.page.getByRole('link', { name: TITLE }).waitFor();
    expect(await client.page.locator('main tbody tr').count()).toBe(1);
    await openEngagement(client, TITLE);
    expect(await client.button('Send to review').count()).toBe(0);
    await openFirstCriterion(client);
    expect(await client.button('Record result').count()).toBe(0);
    await client.dialog.getByText('Add evidence').click();
    const path = join(disk, 'tickets 2026.csv');
    writeFileSync(path, 'ticket,closed\n1,yes\n');
    await client.dialog.locator('input[type=file]').last().setInputFiles(path);
    await client.button('Upload').click();
    await client.dialog.getByRole('row', { name: /tickets 2026\.csv/ }).waitFor();
    await client.look('client hands in evidence');
    expect(client.faults()).toEqual([]);
    client.expects(/status of 40[34]/);
    const other = await lead.ask('/api/engagements');
    const closed = (other.body as { engagements: { id: string; title: string }[] }).engagements.find(
      (engagement) => engagement.title !== TITLE,
    )!;
    expect((await client.ask(`/api/engagements/${closed.id}`)).status).toBe(404);
    expect((await client.ask('/api/audit-trail')).status).toBe(403);
    await client.close();
  });

  it('an id of another organisation is the same page as an id of nothing, and the attempt is in the record', async () => {
    const stranger = await site.visitor({ hasPasskeyDevice: false });
    await stranger.follow((await site.invitation('Lead auditor', 'Lakeside Internal Audit')).linkPath);
    const id = await openEngagement(lead, TITLE);
    stranger.expects(/status of 404/);
    const shown: string[] = [];
    for (const address of [id, `${id.slice(0, -4)}AAAA`]) {
      await stranger.goto(`/app/engagements/${address}`);
      await stranger.sees('Not found');
      const words = await stranger.page.locator('main').innerText();
      shown.push(words.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'REQUEST'));
    }
    expect(shown[0]).toBe(shown[1]);
    await stranger.look('not found');
    await stranger.goto('/app/audit-trail?type=tenant.attempt');
    await stranger.page.locator('main tbody tr .row-link').first().click();
    await stranger.dialog.getByText('gateway').first().waitFor();
    await stranger.dialog.getByText('foreign').or(stranger.dialog.getByText('forged')).first().waitFor();
    const { body } = await stranger.ask('/api/audit-trail?type=tenant.attempt.refused');
    const reasons = (body as { entries: { public: { reason: string } }[] }).entries.map((entry) => entry.public.reason);
    expect(reasons.sort()).toEqual(['foreign', 'forged']);
    const own = await lead.ask('/api/audit-trail?type=tenant.attempt.refused');
    expect((own.body as { entries: unknown[] }).entries).toEqual([]);
    await stranger.close();
  });

  it('finalising shows exactly what is approved, asks for the passkey, and ends every change', async () => {
    const id = await openEngagement(lead, TITLE);
    await lead.button('Send to review').click();
    await lead.button('Make final…').click();
    await lead.dialog.getByText('80 of 81 criteria have no result').waitFor();
    const card = lead.page.getByLabel('What you approve');
    await card.getByText('engagements.finalise').first().waitFor();
    await card.getByText(id).first().waitFor();
    await lead.picture('approving');
    const revision = /\d+/.exec(await card.locator('div', { hasText: /^Revision/ }).innerText())![0];
    await lead.button('Approve with passkey').click();
    await lead.sees(TITLE);
    await lead.reads('This engagement is final');
    await lead.picture('final');
    await openFirstCriterion(lead);
    expect(await lead.button('Record result').count()).toBe(0);
    expect(await lead.dialog.getByText('Add evidence').count()).toBe(0);
    await closeDrawer(lead);
    lead.expects(/status of 4\d\d/);
    const bare = await lead.ask(`/api/engagements/${id}/finalise`, { revision: Number(revision) });
    expect(bare.status).toBe(403);
    const back = await lead.ask(`/api/engagements/${id}/state`, { to: 'fieldwork', revision: Number(revision) + 1 });
    expect(back.status).toBe(409);
    lead.expectsNothing();
    const { body } = await lead.ask('/api/audit-trail?type=engagement.final');
    const [entry] = (body as { entries: { id: string }[] }).entries;
    const detail = await lead.ask(`/api/audit-trail/entries/${entry!.id}`);
    expect((detail.body as { stepUpHash: string | null }).stepUpHash).toMatch(/\S/);
  });
});
