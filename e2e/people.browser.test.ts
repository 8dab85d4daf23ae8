import { readFileSync } from 'node:fs';
import { systemClock } from '@auditrax/base';
import { LIVE_CLIENT } from '@auditrax/oidc/testing/live-provider';
import { makeTestKey, type TestKey } from '@auditrax/saml/testing/keys';
import { issueEdgeCertificate } from '@auditrax/workload';
import { exportJWK } from 'jose';
import * as oauth from 'openid-client';
import type { Locator } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { askFor, startProgram, type Program } from '../app/domains/authorisation-server/testing/program.ts';
import { startOidcProvider, type OidcProvider } from './identity-providers/oidc-provider.ts';
import { missingForSimpleSaml, startSimpleSaml, type SimpleSaml } from './identity-providers/simplesamlphp.ts';
import { openTlsFront, type TlsFront } from './identity-providers/tls-front.ts';
import { browserMissing, openSite, Visitor, type Site } from './testing/site.ts';
import { certutilMissing, openTrustingBrowser, type TrustingBrowser } from './testing/trusting-browser.ts';

const missing = missingForSimpleSaml();
const providerMissing = missing.length > 0 && process.env['CI'] !== 'true';
if (providerMissing) console.warn(`skipped: SimpleSAMLphp needs ${missing.join(', ')}`);
const ORGANISATION = 'Lakeside Internal Audit';

let site: Site;
/** Of every provider here, whose authority the house is told to believe. */
let certificate: Awaited<ReturnType<typeof issueEdgeCertificate>>;

/** The menu behind the person's own name. */
async function personMenu(visitor: Visitor, label: string, entry: string): Promise<void> {
  await visitor.button(label).click();
  await visitor.page.getByRole('menuitem', { name: entry, exact: true }).click();
}

/** Name of what has the focus, near enough to how a screen reader says it. */
const FOCUSED = `(() => {
  const at = document.activeElement;
  if (!at?.matches('a, button, input, select, textarea, summary, [role]')) return '';
  const labels = [...(at.labels ?? [])].map((label) => label.textContent).join(' ');
  return (at.getAttribute('aria-label') || labels || at.textContent || '').trim();
})()`;
/** Takes the first field of the next screen the moment that it stands there. */
const TYPE_AT_ONCE = `new MutationObserver((_, observer) => {
  const field = document.querySelector('input[name=title]');
  if (!field) return;
  observer.disconnect();
  field.focus();
}).observe(document.body, { childList: true, subtree: true })`;
/** The own pages of `oidc-provider` ask for a font from elsewhere and have no icon. */
const THEIRS = /fonts\.googleapis\.com|favicon\.ico/;
/** Marks the page that is about to be left, so that it is not taken for the next one. */
const LEAVING = 'window.isLeft = true';
const ARRIVED = 'window.isLeft === undefined && document.readyState === "complete"';
/** A deadline for a page that hangs, not a bound. */
const PAGE_MS_MAX = 20_000;
/** Nobody should have to press Tab more often to get anywhere on one of our screens. */
const TABS_MAX = 60;

/** Presses Tab (or Shift+Tab) until the focus is where the person wants it. */
async function walkTo(visitor: Visitor, wanted: RegExp, key: 'Tab' | 'Shift+Tab' = 'Tab'): Promise<void> {
  const passed: string[] = [];
  for (let press = 0; press < TABS_MAX; press += 1) {
    const name = await visitor.page.evaluate<string>(FOCUSED);
    if (wanted.test(name)) return;
    passed.push(name.slice(0, 30));
    await visitor.page.keyboard.press(key);
  }
  throw new Error(`${key} does not lead to ${wanted}: ${passed.join(' > ')}`);
}

describe.skipIf(browserMissing)('people and their devices', () => {
  let lead: Visitor;
  /** Leads the second organisation. */
  let typist: Visitor;

  beforeAll(async () => {
    certificate = await issueEdgeCertificate({ clock: systemClock, name: 'Identity provider' });
    // Providers of a tenant are on the Internet; these ones on loopback, as in a company's own network.
    const issuer = { identityNetworks: ['127.0.0.0/8'], identityAuthorities: [certificate.authorityPem] };
    site = await openSite({ options: { issuer } });
  });
  afterAll(() => site?.close());
  afterEach(() => {
    expect(site.faults()).toEqual([]);
  });

  it('a lead auditor makes a passkey from the link that was printed, leaves, and comes back with it', async () => {
    lead = await site.visitor();
    const { enrolPath } = await site.invitation('Lead auditor');
    await lead.goto('/app/');
    await lead.sees('Sign in');
    await lead.picture('sign-in');
    await lead.goto(enrolPath!);
    await lead.sees('Make your passkey');
    await lead.look('enrol');
    expect(lead.page.url()).not.toContain('#');
    await lead.button('Make a passkey and sign in').click();
    await lead.sees('Your passkeys');
    await lead.reads('Until then you can read, but approve nothing');
    await lead.picture('one-passkey');
    const early = { operation: 'access.invite', input: { label: 'X', role: 'auditor' } };
    lead.expects(/409/);
    expect(await lead.ask('/api/access/step-up', early)).toMatchObject({
      status: 409,
      body: { code: 'second_passkey_needed' },
    });
    lead.expectsNothing();
    await lead.goto('/app/');
    await lead.sees('Engagements');
    await lead.reads('Start with the sample');
    await lead.reads('Try-out door.');
    await lead.picture('home-empty');
    await personMenu(lead, 'Lead auditor', 'Sign out');
    await lead.sees('Sign in');
    await lead.signInWithPasskey();
    await lead.sees('Engagements');
  });

  it('the enrolment link works once', async () => {
    const other = await site.visitor();
    const { enrolPath } = await site.invitation('Auditor', 'Lakeside Internal Audit');
    await other.enrol(enrolPath!);
    const thief = await site.visitor();
    thief.expects(/Failed to load resource/);
    await thief.goto(enrolPath!);
    await thief.button('Make a passkey and sign in').click();
    await thief.page.getByRole('status').or(thief.page.locator('.notice')).first().waitFor();
    expect((await thief.ask('/api/identity/session')).body).toMatchObject({ signedIn: false });
    await thief.close();
    await other.close();
  });

  it('a second passkey on another device signs the same person in', async () => {
    await lead.goto('/app/passkeys');
    await lead.reads('You have one passkey');
    await lead.look('passkeys');
    // The first device refuses to hold a second passkey of the same account; the person takes another one.
    await lead.plugIn();
    await lead.button('Add a passkey').click();
    await lead.reads('Passkey added');
    await expect.poll(() => lead.page.locator('tbody tr').count()).toBe(2);
    await personMenu(lead, 'Lead auditor', 'Sign out');
    await lead.sees('Sign in');
    await lead.signInWithPasskey();
    await lead.sees('Engagements');
  });

  it('signing out everywhere ends the sessions on other machines too', async () => {
    const elsewhere = await site.visitor();
    await elsewhere.follow((await site.invitation('Lead auditor')).linkPath);
    await elsewhere.sees('Engagements');
    await personMenu(lead, 'Lead auditor', 'Sign out everywhere');
    await lead.sees('Sign in');
    await elsewhere.goto('/app/people');
    await elsewhere.sees('Sign in');
    await elsewhere.close();
    await lead.signInWithPasskey();
  });

  it('a session by link can look, and is told which device approving needs', async () => {
    const guest = await site.visitor({ hasPasskeyDevice: false });
    await guest.follow((await site.invitation('Lead auditor', 'Lakeside Internal Audit')).linkPath);
    await guest.reads('Signed in by link.');
    await guest.goto('/app/people');
    await guest.button('Invite a person').click();
    await guest.page.getByLabel('Label').fill('Auditor, day shift');
    await guest.button('Go on to approval').click();
    await guest.reads('This session cannot approve it');
    await guest.reads(/phone or laptop with a screen lock, or a security key/);
    expect(await guest.button('Approve with passkey').count()).toBe(0);
    await guest.look('step-up without a passkey');
    guest.expects(/Failed to load resource/);
    const refused = await guest.ask('/api/access/step-up', {
      operation: 'access.invite',
      input: { label: 'Auditor, day shift', role: 'auditor' },
    });
    expect(refused.status).toBe(403);
    const bare = await guest.ask('/api/access/invitations', { label: 'Auditor, day shift', role: 'auditor' });
    expect(bare.status).toBe(403);
    await guest.close();
  });

  it('an invited auditor comes in with the link that was shown, works in the role, and is out when suspended', async () => {
    await lead.goto('/app/people');
    await lead.button('Invite a person').click();
    await lead.page.getByLabel('Label').fill('Auditor, night shift');
    await lead.page.getByLabel('Full name').fill('Sample Person');
    await lead.button('Go on to approval').click();
    const card = lead.page.getByLabel('What you approve');
    await card.getByText('Auditor, night shift').first().waitFor();
    await lead.picture('step-up');
    await lead.button('Approve with passkey').click();
    await lead.reads('Auditor, night shift is invited');
    const address = await lead.dialog.locator('pre, code').first().innerText();
    await lead.button('I have handed it over').click();

    const night = await site.visitor();
    await night.enrol(new URL(address.trim()).pathname + new URL(address.trim()).hash);
    await night.sees('Engagements');
    await night.goto('/app/people');
    await night.sees('People');
    expect(await night.button('Invite a person').count()).toBe(0);

    await lead.goto('/app/people');
    await lead.button('Actions for Auditor, night shift').click();
    await lead.page.getByRole('menuitem', { name: 'Change role…' }).click();
    await lead.page.getByRole('radio', { name: /^Lead auditor/ }).click();
    await lead.button('Go on to approval').click();
    await lead.page.getByLabel('What you approve').getByText('active', { exact: true }).waitFor();
    lead.expects(/409/);
    await lead.button('Approve with passkey').click();
    await lead.reads('This person needs two passkeys');
    lead.expectsNothing();
    await night.goto('/app/passkeys');
    await night.addPasskey();
    await lead.button('Approve with passkey').click();
    await lead.reads('Auditor, night shift is now lead auditor');
    await night.goto('/app/people');
    await night.button('Invite a person').waitFor();

    await lead.button('Actions for Auditor, night shift').click();
    await lead.page.getByRole('menuitem', { name: 'Suspend…' }).click();
    await lead.button('Suspend with passkey').click();
    await lead.reads('Auditor, night shift is suspended');
    await night.goto('/app/people');
    await night.sees('Sign in');
    night.expects(/Failed to load resource/);
    await night.button('Sign in with a passkey').click();
    await night.page.locator('.notice').first().waitFor();
    expect((await night.ask('/api/identity/session')).body).toMatchObject({ signedIn: false });
    await night.close();
  });

  it('what was approved is recorded with the hash of the approval', async () => {
    await lead.goto('/app/people');
    await lead.reads('suspended');
    await lead.picture('people');
    await lead.goto('/app/audit-trail?type=member.');
    await lead.sees('Audit trail');
    await lead.page.locator('tbody tr').first().waitFor();
    await lead.look('audit trail');
    const { body } = await lead.ask('/api/audit-trail?limit=100');
    const entries = (body as { entries: { id: string; type: string; outcome: string }[] }).entries;
    for (const type of ['invitation.created', 'member.role-changed', 'member.suspended']) {
      const entry = entries.find((candidate) => candidate.type === type);
      expect(entry, `${type} among ${entries.map((candidate) => candidate.type).join(', ')}`).toBeDefined();
      const detail = await lead.ask(`/api/audit-trail/entries/${entry!.id}`);
      expect(detail.body).toMatchObject({
        stepUpHash: expect.stringMatching(/\S/),
        approval: { origin: new URL(lead.page.url()).origin, failed: null },
      });
    }
  });

  it('a device that stays locked approves nothing', async () => {
    await lead.goto('/app/people');
    await lead.unlocks(false);
    await lead.button('Invite a person').click();
    await lead.page.getByLabel('Label').fill('Auditor, early shift');
    await lead.button('Go on to approval').click();
    await lead.button('Approve with passkey').click();
    await lead.dialog.locator('.notice').first().waitFor();
    await lead.button('Cancel').click();
    await lead.unlocks(true);
    const { body } = await lead.ask('/api/access/invitations');
    expect(JSON.stringify(body)).not.toContain('early shift');
  });

  it('a new screen does not take the focus from whoever is already typing there', async () => {
    await lead.goto('/app/');
    await lead.page.evaluate(TYPE_AT_ONCE);
    await lead.page.getByRole('link', { name: 'New engagement' }).first().click();
    await lead.sees('New engagement');
    // Longer than the shell waits before it moves the reader's place to a new screen.
    await lead.page.waitForTimeout(300);
    expect(await lead.page.evaluate<string>(FOCUSED)).toMatch(/^Title/);
  });

  it('a lead auditor makes a passkey, an engagement, and finds it again, by keyboard alone', async () => {
    typist = await site.visitor();
    const { page } = typist;
    await typist.goto((await site.invitation('Lead auditor', ORGANISATION)).enrolPath!);
    await typist.sees('Make your passkey');
    await walkTo(typist, /Make a passkey and sign in/);
    await page.keyboard.press('Enter');
    await typist.addPasskey(async () => {
      await walkTo(typist, /^Add a passkey/);
      await page.keyboard.press('Enter');
    });
    await typist.goto('/app/');
    await typist.sees('Engagements');
    await page.keyboard.press('Tab');
    await walkTo(typist, /New engagement/);
    await page.keyboard.press('Enter');
    await typist.sees('New engagement');
    for (const [field, keys] of [
      [/^Title/, 'By keyboard'],
      [/^Client/, 'Auditrax sample organisation'],
      [/^Period from/, '01012026'],
      [/^to/, '12312026'],
    ] as const) {
      await walkTo(typist, field);
      await page.keyboard.type(keys);
    }
    await walkTo(typist, /Create engagement/);
    await page.keyboard.press('Enter');
    await typist.sees('By keyboard');
    await walkTo(typist, /^Overview/);
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    await page.getByRole('tab', { name: 'Criteria', selected: true }).waitFor();
    await page.locator('main tbody tr .row-link').nth(1).waitFor();
    // The message that the engagement was made still stands there; single keys work beside it.
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await typist.dialog.getByText('Fieldwork has not started').waitFor();
    await page.keyboard.press('Escape');
    await typist.dialog.waitFor({ state: 'detached' });
    await page.keyboard.press('g');
    await page.keyboard.press('a');
    await typist.sees('Audit trail');
    await page.keyboard.press('?');
    await typist.dialog.getByText('Keyboard shortcuts').waitFor();
    await page.keyboard.press('Escape');
    await walkTo(typist, /^Lead auditor/, 'Shift+Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('menuitem', { name: 'Sign out', exact: true }).waitFor();
    await page.keyboard.type('Sign out');
    await page.keyboard.press('Enter');
    await typist.sees('Sign in');
    await walkTo(typist, /Sign in with a passkey/);
    await page.keyboard.press('Enter');
    await typist.sees('Engagements');
    await typist.reads('By keyboard');
    await walkTo(typist, /^By keyboard/);
    await page.keyboard.press('Enter');
    await typist.sees('By keyboard');
  });

  it('whoever leads goes through who has access by keyboard: several by one touch, never themselves', async () => {
    const { page } = lead;
    await lead.goto('/app/access-reviews');
    await lead.sees('Access reviews');
    await walkTo(lead, /^Start a review/);
    await page.keyboard.press('Enter');
    await walkTo(lead, /^Start with passkey/);
    await page.keyboard.press('Enter');
    await lead.reads('The review has begun');
    const newest = page.locator('main tbody .row-link').first();
    await newest.waitFor();
    await newest.focus();
    await page.keyboard.press('Enter');
    await lead.sees('Check it yourself');
    await lead.look('access review');
    // One's own row has no box to tick, and says who decides instead.
    const own = page.locator('main tbody tr', { hasText: 'Yours' }).first();
    expect(await own.getByRole('checkbox').count()).toBe(0);
    await own.locator('.row-link').focus();
    await page.keyboard.press('Enter');
    await lead.dialog.getByText('Somebody else decides about you').waitFor();
    expect(await lead.dialog.getByRole('button', { name: /^Decide/ }).count()).toBe(0);
    await page.keyboard.press('Escape');
    await lead.dialog.waitFor({ state: 'detached' });
    const open = page.locator('main tbody tr').filter({ has: page.getByRole('checkbox') });
    const before = await open.count();
    expect(before).toBeGreaterThan(1);
    for (const row of [open.nth(0), open.nth(1)]) {
      await row.getByRole('checkbox').focus();
      await page.keyboard.press('Space');
    }
    await walkTo(lead, /^Decide about 2…/, 'Shift+Tab');
    await page.keyboard.press('Enter');
    await lead.dialog.getByText('Decide about 2 at once').waitFor();
    await walkTo(lead, /^Go on/);
    await page.keyboard.press('Enter');
    await walkTo(lead, /^Confirm with passkey/);
    await page.keyboard.press('Enter');
    await lead.reads(/left to decide/);
    await expect.poll(() => open.count()).toBe(before - 2);
  });

  it('glass is broken in two browsers: one asks, another lets in, neither judges it', async () => {
    const operators = 'Auditrax sample organisation';
    const [first, second] = [await site.visitor(), await site.visitor()];
    await first.enrol((await site.invitation('Operator', operators)).enrolPath!);
    await second.enrol((await site.invitation('Second operator', operators)).enrolPath!);
    const { page } = first;
    await first.goto('/app/production-access');
    await first.sees('Production access');
    await walkTo(first, /^Break the glass/);
    await page.keyboard.press('Enter');
    await first.dialog.waitFor();
    await walkTo(first, /^Reason/);
    await page.keyboard.type('Nobody can sign in');
    await walkTo(first, /^Go on to approval/);
    await page.keyboard.press('Enter');
    await walkTo(first, /^Approve with passkey/);
    await page.keyboard.press('Enter');
    await first.reads('You have asked');
    expect(await first.button('Let them in…').count(), 'nobody lets themselves in').toBe(0);
    await second.goto('/app/production-access');
    await second.reads(/breaks the glass/);
    await second.look('broken glass that waits');
    await walkTo(second, /^Let them in/);
    await second.page.keyboard.press('Enter');
    await walkTo(second, /^Approve with passkey/);
    await second.page.keyboard.press('Enter');
    await first.reads('You are let in');
    await first.goto('/app/organisations');
    await first.reads('Harbour Street Audit');
    await first.goto('/app/production-access');
    await first.look('let in by broken glass');
    await first.button('End now').first().click();
    await first.reads(/^review: not yet, due/);
    for (const one of [first, second]) {
      await one.goto('/app/production-access');
      await one.page.locator('main tbody .row-link').first().click();
      await one.dialog.getByText('Nobody can sign in').waitFor();
      expect(await one.button('It was justified').count(), 'neither of the two judges').toBe(0);
      await one.close();
    }
  });

  describe.skipIf(certutilMissing)('at the organisation’s own address', () => {
    let believer: TrustingBrowser;
    /** The lead at the TLS edge: no provider leads to the try-out door. */
    let admin: Visitor;
    const opened: Visitor[] = [];
    const visitor = async () => {
      const one = await Visitor.open(believer.browser, site.house.edgeUrl, {});
      opened.push(one);
      return one;
    };

    beforeAll(async () => {
      const edgeAuthority = site.house.supervisor.peers().facts['edgeAuthority'] as string;
      believer = await openTrustingBrowser([edgeAuthority, certificate.authorityPem]);
      admin = await visitor();
      await admin.enrol(await inviteLead());
    });
    afterAll(() => believer?.close());
    afterEach(() => {
      expect(opened.flatMap((one) => one.faults())).toEqual([]);
    });

    /** Presses Test, passes the provider's own page where it asks, and is back at the connection. */
    async function testBy(passProvider: (visitor: Visitor) => Promise<void>): Promise<void> {
      const back = admin.page.url();
      await admin.page.evaluate(LEAVING);
      await admin.button('Test the connection').click();
      await passProvider(admin);
      await admin.page.waitForURL(back);
    }

    /** Begins a connection to a provider that none of the six is. */
    async function begin(kind: RegExp, name: string): Promise<void> {
      await admin.goto('/app/connections');
      await admin.page.getByRole('radio', { name: 'Another provider' }).check();
      await admin.page.getByRole('radio', { name: kind }).check();
      await admin.page.getByRole('textbox', { name: 'Name' }).fill(name);
      await admin.button('Begin…').click();
      await admin.button('Approve with passkey').click();
      await admin.sees('Values to paste there');
    }

    /** Gives the people of a group the role of an auditor, and switches the connection on. */
    async function mapAndSwitchOn(group: string): Promise<void> {
      await admin.button(group).click();
      await admin.button('Save the mapping…').click();
      await admin.button('Approve with passkey').click();
      await admin.dialog.waitFor({ state: 'detached' });
      await admin.button('Switch on…').click();
      await admin.button('Approve with passkey').click();
      await admin.button('Switch off…').waitFor();
    }

    /** Somebody who was never here comes in by a connection, in the role of their group. */
    async function newcomer(connection: string, passProvider: (visitor: Visitor) => Promise<void>): Promise<void> {
      const one = await visitor();
      one.expects(THEIRS);
      await one.goto('/app/sign-in');
      await one.page.getByLabel('Short name of your organisation').fill('lakeside');
      await one.button('Go on with single sign-on').click();
      await one.page.evaluate(LEAVING);
      await one.page.getByRole('link', { name: `Sign in with ${connection}` }).click();
      await passProvider(one);
      await one.sees('Engagements');
      const { body } = await one.ask('/api/identity/session');
      expect(body).toMatchObject({ signedIn: true, method: 'sso', role: 'auditor', connection });
      await one.close();
    }

    const pasted = (label: string) => admin.page.getByLabel(label, { exact: true }).innerText();

    /** The organisation's printed link was used up by keyboard: its lead invites a second one. */
    async function inviteLead(): Promise<string> {
      await typist.goto('/app/people');
      await typist.button('Invite a person').click();
      await typist.page.getByLabel('Label').fill('Second lead');
      await typist.page.getByLabel('Full name').fill('Sample Person');
      await typist.page.getByRole('radio', { name: /^Lead auditor/ }).check();
      await typist.button('Go on to approval').click();
      await typist.button('Approve with passkey').click();
      await typist.reads('Second lead is invited');
      const { pathname, hash } = new URL((await typist.dialog.locator('pre, code').first().innerText()).trim());
      return pathname + hash;
    }

    async function save(): Promise<void> {
      await admin.button('Save…').click();
      await admin.button('Approve with passkey').click();
      await admin.dialog.waitFor({ state: 'detached' });
    }

    describe.skipIf(providerMissing)('a provider of their own: SimpleSAMLphp, live', () => {
      let front: TlsFront;
      let provider: SimpleSaml;
      let idpKey: TestKey;

      beforeAll(async () => {
        front = await openTlsFront({ key: certificate.keyPem, cert: certificate.certificatePem });
        idpKey = await makeTestKey('simplesamlphp');
      });
      afterAll(async () => {
        await provider?.stop();
        front?.close();
      });

      async function passProvider({ page }: Visitor): Promise<void> {
        await page.waitForURL(`${front.origin}/**`);
        if ((await page.locator('input[name=password]').count()) === 0) return;
        await page.locator('input[name=username]').fill('alice');
        await page.locator('input[name=password]').fill('alicepass');
        await page.locator('input[name=password]').press('Enter');
      }
      const test = () => testBy(passProvider);

      it('a lead begins a connection and pastes the values that each side needs', async () => {
        await begin(/^SAML/, 'Lakeside staff');
        const entityId = (await pasted('Entity ID and metadata URL')).trim();
        const acsUrl = (await pasted('Assertion Consumer Service URL (HTTP POST)')).trim();
        // A browser keeps our document as a file; nothing of the provider has been written here yet.
        const reader = await admin.context.newPage();
        const [download] = await Promise.all([
          reader.waitForEvent('download'),
          reader.goto(entityId).catch(() => undefined),
        ]);
        const metadata = readFileSync(await download.path(), 'utf8');
        await reader.close();
        const [signing] = /<ds:X509Certificate>([^<]+)/.exec(metadata)!.slice(1);
        const pem = `-----BEGIN CERTIFICATE-----\n${signing!.trim()}\n-----END CERTIFICATE-----\n`;
        const service = { entityId, acsUrl, certificate: pem, signResponse: true, signAssertion: true, encrypt: false };
        provider = await startSimpleSaml(idpKey, () => [service], front.origin);
        front.lead(provider.port);
        const document = await (await fetch(provider.metadataUrl)).text();
        await admin.page.getByText('Fill in from the provider’s metadata document').click();
        await admin.page.getByLabel('Metadata (XML)').fill(document);
        await admin.button('Read it').click();
        await expect
          .poll(() => admin.page.getByLabel('Entity ID of the provider').inputValue())
          .toBe(provider.entityId);
        // As somebody who types it by hand gets it wrong.
        await admin.page.getByLabel('Entity ID of the provider').fill(`${provider.entityId}/`);
        await admin.page.getByLabel('Attribute with the e-mail').fill('mail');
        await admin.page.getByRole('radio', { name: /^Becomes a member with the role of a mapped group/ }).check();
        await save();
      });

      it('the test names the exact check that failed, and nothing can be switched on', async () => {
        await test();
        await admin.reads('Check G25: The issuer is not the connection’s provider.');
        await admin.reads('saml_issuer');
        expect(await admin.button('Switch on…').isDisabled()).toBe(true);
        await admin.look('a test that failed');
      });

      it('with the right value the test shows every claim as it came, and signs nobody in', async () => {
        await admin.page.getByLabel('Entity ID of the provider').fill(provider.entityId);
        await save();
        await test();
        await admin.reads('Accepted, with these settings');
        const claims = admin.page.locator('details', { hasText: 'What the provider said, as it came' });
        for (const said of ['alice-0451', 'alice@acme.test', 'g-1', 'g-2'])
          await claims.getByText(said).first().waitFor();
        await admin.look('a test that was accepted');
        const { body } = await admin.ask('/api/identity/session');
        expect(body).toMatchObject({ method: 'passkey', role: 'lead' });
      });

      it('a group of the test is mapped, the connection goes on, and a new person comes in by it with that role', async () => {
        await mapAndSwitchOn('g-2');
        await newcomer('Lakeside staff', passProvider);
      });

      it('after the provider has changed its key the test names that, and people are let in by nothing else', async () => {
        provider.rekey(await makeTestKey('simplesamlphp, a year later'));
        await test();
        await admin.reads(/^Check G18: /);
        await admin.reads('saml_signer_unknown');
        const alice = await visitor();
        alice.expects(/401/);
        await alice.goto('/app/sign-in/lakeside');
        await alice.page.getByRole('link', { name: 'Sign in with Lakeside staff' }).click();
        await passProvider(alice);
        await alice.page.waitForURL(`${site.house.edgeUrl}/sso/**`);
        const told = await alice.page.locator('body').innerText();
        expect(told).not.toMatch(/saml_|G18|certificate/);
        await alice.close();
      });
    });

    describe('a provider of their own: oidc-provider, live', () => {
      let provider: OidcProvider;
      const WRONG_CLOCK = 'Let both follow a time server (NTP)';

      afterAll(() => provider?.stop());

      /** Its pages of a try-out: a name with any password, then a question. */
      const passAs =
        (name: string) =>
        async ({ page }: Visitor): Promise<void> => {
          for (;;) {
            await expect.poll(() => page.evaluate(ARRIVED).catch(() => false), { timeout: PAGE_MS_MAX }).toBe(true);
            if (!page.url().startsWith(provider.issuer)) return;
            if ((await page.locator('input[name=login]').count()) > 0) {
              await page.locator('input[name=login]').fill(name);
              await page.locator('input[name=password]').fill('any');
            }
            await page.evaluate(LEAVING);
            await page.locator('button[type=submit]').click();
          }
        };
      const test = () => testBy(passAs('bob-0007'));

      it('a lead begins a connection, pastes the values that each side needs, and one of them wrong', async () => {
        admin.expects(THEIRS);
        await begin(/^OpenID Connect/, 'Lakeside by OpenID');
        const redirectUris = [(await pasted('Redirect URI')).trim()];
        const tls = { key: certificate.keyPem, cert: certificate.certificatePem };
        provider = await startOidcProvider({ tls, redirectUris });
        await admin.page.getByLabel('Issuer').fill(provider.issuer);
        await admin.page.getByLabel('Client ID').fill(LIVE_CLIENT.id);
        await admin.page.getByLabel('Client secret').fill('not-the-secret-of-it');
        await admin.page.getByRole('radio', { name: /^Becomes a member with the role of a mapped group/ }).check();
        await save();
      });

      it('a wrong secret: the test names the check, says what the provider said, and what to do', async () => {
        await test();
        await admin.reads('Check O19: The provider does not give tokens for the code.');
        await admin.reads('Paste the client secret once more');
        await admin.reads(/invalid_client/);
        expect(await admin.button('Switch on…').isDisabled()).toBe(true);
        await admin.look('a test that failed, by OpenID Connect');
        await admin.page.getByLabel('Client secret').fill(LIVE_CLIENT.secret);
        await save();
      });

      it('a token for another application (a box in front of the provider swaps the client, rehearsed)', async () => {
        await provider.suffers({ swapsClient: true });
        await test();
        await admin.reads('Check O27: The audience is not exactly this client.');
        await admin.reads('Compare the client ID here with the one of the application at the provider.');
        expect(await admin.button('Switch on…').isDisabled()).toBe(true);
      });

      it('a provider whose clock is ahead, and one whose clock is behind', async () => {
        await provider.suffers({ ahead_ms: 5 * 60_000 });
        await test();
        await admin.reads('Check O28: A token was issued before the request or in the future.');
        await admin.reads(WRONG_CLOCK);
        await provider.suffers({ ahead_ms: -10 * 60_000 });
        await test();
        await admin.reads('Check O28: A token has expired.');
        await admin.reads(WRONG_CLOCK);
        expect(await admin.button('Switch on…').isDisabled()).toBe(true);
      });

      /** A secret belongs to one client: with another one it is given again. */
      async function callOurselves(clientId: string): Promise<void> {
        await admin.page.getByLabel('Client ID').fill(clientId);
        await admin.page.getByLabel('Client secret').fill(LIVE_CLIENT.secret);
        await save();
      }

      it('a client that the provider does not know: it says so itself, and the page has said what that means', async () => {
        await provider.suffers({});
        await callOurselves('another-one');
        await admin.reads('it does not know what you have pasted');
        const back = admin.page.url();
        admin.expects(/400/);
        await admin.button('Test the connection').click();
        await admin.page.waitForURL(`${provider.issuer}/**`);
        await admin.reads(/invalid_client/);
        await admin.page.goto(back);
        await callOurselves(LIVE_CLIENT.id);
      });

      it('with the right values the test shows every claim as it came, and signs nobody in', async () => {
        await test();
        await admin.reads('Accepted, with these settings');
        const claims = admin.page.locator('details', { hasText: 'What the provider said, as it came' });
        for (const said of ['bob-0007', 'bob-0007@acme.test', LIVE_CLIENT.id, provider.issuer])
          await claims.getByText(said).first().waitFor();
        const { body } = await admin.ask('/api/identity/session');
        expect(body).toMatchObject({ method: 'passkey', role: 'lead' });
      });

      it('a group of the test is mapped, the connection goes on, and a new person comes in by it with that role', async () => {
        await mapAndSwitchOn('auditors');
        await newcomer('Lakeside by OpenID', passAs('carol-0008'));
      });
    });

    describe('a program and an agent', () => {
      /** A port of the program's own, as RFC 8252 has it. */
      const BACK = 'http://127.0.0.1:49152/back';
      let program: Program;
      let agent: Program;
      /** What the agent works with. */
      let token: string;

      const create = () =>
        oauth
          .fetchProtectedResource(
            agent.config,
            token,
            new URL('/api/engagements', site.house.edgeUrl),
            'POST',
            JSON.stringify({
              title: 'Begun by an agent',
              clientName: 'Auditrax sample organisation',
              periodStart: '2026-01-01',
              periodEnd: '2026-12-31',
              catalogue: { source: 'sample' },
            }),
            new Headers({ 'content-type': 'application/json' }),
            { DPoP: agent.dpop },
          )
          .then(({ status }) => status)
          .catch((error: unknown) => (error as { status: number }).status);

      /** Fills in the form for a new program and approves it. */
      async function register(name: string, fill: (form: Locator) => Promise<void>): Promise<void> {
        await admin.goto('/app/api-clients');
        const form = admin.page.getByRole('form', { name: 'New program' });
        await form.getByLabel('Name').fill(name);
        await form.getByRole('radio', { name: 'Read and change' }).check();
        await form.getByLabel('Addresses that it is answered at').fill('http://127.0.0.1/back');
        await fill(form);
        await admin.button('Register…').click();
        await admin.button('Approve with passkey').click();
        await admin.button(`Actions for ${name}`).waitFor();
      }

      it('a lead registers an agent, and a program that may hand work on to it', async () => {
        const keys = await oauth.randomDPoPKeyPair('ES256', { extractable: true });
        const { kty, crv, x, y } = await exportJWK(keys.publicKey);
        await register('Night agent', async (form) => {
          await form.getByRole('radio', { name: /^Agent/ }).check();
          await form.getByLabel('Its public key').fill(JSON.stringify({ kty, crv, x, y }));
        });
        await register('Ledger sync', (form) => form.getByLabel('Night agent').check());
        const { body } = await admin.ask('/api/authorisation-server/clients');
        const { issuer, clients } = body as { issuer: string; clients: { name: string; clientId: string }[] };
        const idOf = (name: string) => clients.find((one) => one.name === name)!.clientId;
        const ca = site.house.supervisor.peers().facts['edgeAuthority'] as string;
        const edge = { edgePort: Number(new URL(site.house.edgeUrl).port), tls: { ca } };
        program = await startProgram(edge, { issuer, clientId: idOf('Ledger sync') });
        const authentication = oauth.PrivateKeyJwt(keys.privateKey);
        agent = await startProgram(edge, { issuer, clientId: idOf('Night agent'), authentication });
      });

      it('the program asks, the person reads who it is and what it may, names the agent, and says yes with a passkey', async () => {
        await admin.page.route(`${BACK}**`, (route) => route.fulfill({ body: 'back at the program' }));
        const { url, verifier, state } = await askFor(program, { redirectUri: BACK });
        await admin.page.goto(url.href);
        await admin.sees('A program asks for access');
        await admin.reads('Read and change what you may read and change, never more than you may yourself');
        await admin.reads('Did you start this yourself, just now?');
        await admin.page.getByLabel('Night agent').check();
        await admin.picture('consent');
        await admin.button('Allow…').click();
        const card = admin.page.getByLabel('What you approve');
        for (const shown of ['Ledger sync', 'Night agent', '127.0.0.1:49152'])
          await card.getByText(shown, { exact: true }).first().waitFor();
        await admin.button('Approve with passkey').click();
        await admin.page.waitForURL(`${BACK}**`);
        const checks = { pkceCodeVerifier: verifier, expectedState: state };
        const back = new URL(admin.page.url());
        const given = await oauth.authorizationCodeGrant(program.config, back, checks, undefined, {
          DPoP: program.dpop,
        });
        const exchanged = await oauth.genericGrantRequest(
          agent.config,
          'urn:ietf:params:oauth:grant-type:token-exchange',
          {
            subject_token: given.access_token,
            subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
          },
          { DPoP: agent.dpop },
        );
        token = exchanged.access_token;
      });

      it('the agent works in the person’s name, and their page and the entry name it', async () => {
        expect(await create()).toBe(201);
        await admin.goto('/app/programs');
        const row = admin.page.getByRole('row', { name: /Ledger sync/ });
        await row.getByText('Night agent').waitFor();
        await row.getByText(/^acted/).waitFor();
        await admin.look('your programs');
        const { body } = await admin.ask('/api/audit-trail?limit=100');
        const entries = (body as { entries: { id: string; type: string; agents: string[] }[] }).entries;
        const entry = entries.find(({ type, agents }) => type === 'engagement.created' && agents.length > 0);
        await admin.goto(`/app/audit-trail?entry=${entry!.id}`);
        const chain = admin.page.locator('dl > div', { hasText: 'Handed on to' });
        await chain.getByText('Night agent').waitFor();
        await admin.picture('entry-of-an-agent');
      });

      it('a lead gives the program another name: what was allowed goes on', async () => {
        await admin.goto('/app/api-clients');
        await admin.button('Actions for Ledger sync').click();
        await admin.page.getByRole('menuitem', { name: 'Change…' }).click();
        await admin.dialog.getByLabel('Name').fill('Ledger sync, nightly');
        await admin.button('Go on to approval').click();
        await admin.page.getByLabel('What you approve').getByText('Ledger sync', { exact: true }).waitFor();
        await admin.button('Approve with passkey').click();
        await admin.reads('What people have allowed goes on.');
        await admin.button('Actions for Ledger sync, nightly').waitFor();
        expect(await create()).toBe(201);
      });

      it('the person ends it, and neither works any more', async () => {
        await admin.goto('/app/programs');
        await admin.button('End what Ledger sync, nightly may do').click();
        await admin.reads('The program can do nothing in your name any more.');
        await admin.reads('No program works in your name');
        expect(await create()).toBe(401);
      });
    });
  });
});
