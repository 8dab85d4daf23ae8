import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { browserMissing, openSite, Visitor, type Site } from './testing/site.ts';
import { certutilMissing, openTrustingBrowser } from './testing/trusting-browser.ts';

const WIDTHS = [320, 390, 768, 1280, 1920];
const PAGES = ['/security', '/security/claims/crypto.tls13-only', '/sub-processors', '/disclosure'];
let site: Site;

describe.skipIf(browserMissing)('what everybody may see, and what the operator is told', () => {
  beforeAll(async () => {
    site = await openSite();
    await site.house.supervisor.ask('sentinel', 'begin', null);
    await site.house.supervisor.ask('sentinel', 'prove', { claims: [] });
  });
  afterAll(() => site?.close());
  afterEach(() => {
    expect(site.faults()).toEqual([]);
  });

  it('the address alone leads to the security page', async () => {
    const reader = await site.visitor({ hasPasskeyDevice: false });
    await reader.goto('/');
    expect(new URL(reader.page.url()).pathname).toBe('/security');
    await reader.picture('security');
    await reader.close();
  });

  it.each(PAGES)('%s needs no script and reads well at every width, light, dark and on paper', async (path) => {
    const reader = await site.visitor({ hasPasskeyDevice: false });
    const scripts: string[] = [];
    reader.page.on('request', (request) => {
      if (request.resourceType() === 'script') scripts.push(request.url());
    });
    await reader.goto(path);
    await reader.page.locator('h1').waitFor();
    for (const width of WIDTHS) {
      await reader.page.setViewportSize({ width, height: 900 });
      await reader.fits(`${path} at ${width} px`);
    }
    await reader.look(path);
    await reader.page.emulateMedia({ colorScheme: 'dark' });
    await reader.look(`${path}, dark`);
    await reader.page.emulateMedia({ colorScheme: 'light', media: 'print' });
    expect((await reader.page.pdf()).length).toBeGreaterThan(5_000);
    expect(await reader.page.locator('script').count()).toBe(0);
    expect(scripts).toEqual([]);
    await reader.close();
  });

  it('every link on the security page leads somewhere', async () => {
    const reader = await site.visitor({ hasPasskeyDevice: false });
    await reader.goto('/security');
    const addresses = await reader.page
      .locator('a[href^="/"]')
      .evaluateAll((links) => links.map((link) => String(link.getAttribute('href'))));
    const dead: string[] = [];
    for (const address of new Set(addresses.map((address) => address.split('#')[0]!))) {
      const reply = await reader.context.request.get(site.door + address);
      if (reply.status() !== 200) dead.push(`${reply.status()} ${address}`);
    }
    expect(addresses.length).toBeGreaterThan(20);
    expect(dead).toEqual([]);
    await reader.close();
  });

  it('a page that does not exist says so without a script', async () => {
    const reader = await site.visitor({ hasPasskeyDevice: false });
    reader.expects(/status of 404/);
    await reader.goto('/security/claims/no.such-claim');
    expect(await reader.page.locator('script').count()).toBe(0);
    await reader.close();
  });

  it('an attempt across tenants reaches the operator, who acknowledges it', async () => {
    const lead = await site.visitor({ hasPasskeyDevice: false });
    await lead.follow((await site.invitation('Lead auditor')).linkPath);
    const made = await lead.ask('/api/engagements', {
      title: 'Not for others',
      clientName: 'Auditrax sample organisation',
      periodStart: '2026-01-01',
      periodEnd: '2026-12-31',
      catalogue: { source: 'sample' },
    });
    const { id } = made.body as { id: string };
    await lead.close();
    const stranger = await site.visitor({ hasPasskeyDevice: false });
    await stranger.follow((await site.invitation('Lead auditor', 'Lakeside Internal Audit')).linkPath);
    stranger.expects(/status of 404/);
    expect((await stranger.ask(`/api/engagements/${id}`)).status).toBe(404);
    await stranger.close();

    const operator = await site.visitor();
    await operator.enrol((await site.invitation('Operator', 'Auditrax sample organisation')).enrolPath!);
    await operator.sees('On-call inbox');
    const row = operator.page.locator('main tbody tr', { hasText: 'gateway.id-foreign' }).first();
    await row.waitFor({ timeout: 40_000 });
    await operator.reads('alive');
    await operator.picture('oncall');
    await row.getByRole('button').first().click();
    await operator.dialog.getByText('inbox').first().waitFor();
    await operator.look('page of an attempt');
    await operator.dialog.getByRole('button', { name: /Acknowledge/ }).click();
    await operator.reads('Recorded in the audit trail as yours.');
    await operator.page.keyboard.press('Escape');
    // Gone from what waits; on a busy machine another page may wait there for a reason of its own.
    await row.waitFor({ state: 'hidden' });
    await operator.page.getByRole('combobox', { name: 'Shown' }).click();
    await operator.page.getByRole('option', { name: 'All pages' }).click();
    await row.getByText('acknowledged').waitFor();
    await operator.goto('/app/keys');
    await operator.sees('Encryption keys');
    await operator.look('keys of the operator');
    await operator.close();
  });

  it.skipIf(certutilMissing)(
    'a browser that trusts the edge’s authority shows it without a warning, passkey included',
    async () => {
      const authority = site.house.supervisor.peers().facts['edgeAuthority'] as string;
      const doubter = await openTrustingBrowser([]);
      const shut = await doubter.browser.newPage();
      await expect(shut.goto(`${site.house.edgeUrl}/security`)).rejects.toThrow(/ERR_CERT_AUTHORITY_INVALID/);
      await doubter.close();
      const believer = await openTrustingBrowser([authority]);
      const auditor = await Visitor.open(believer.browser, site.house.edgeUrl, {});
      await auditor.goto('/security');
      await auditor.page.locator('h1').waitFor();
      await auditor.enrol((await site.invitation('Auditor')).enrolPath!);
      await auditor.sees('Engagements');
      expect(await auditor.page.getByText('Try-out door.').count()).toBe(0);
      const [cookie] = await auditor.context.cookies();
      expect(cookie).toMatchObject({ name: '__Host-auditrax', secure: true, httpOnly: true, sameSite: 'Strict' });
      expect(auditor.faults()).toEqual([]);
      await believer.close();
    },
  );
});
