import { readFileSync } from 'node:fs';
import { systemClock } from '@auditrax/base';
import { makeTestKey, type TestKey } from '@auditrax/saml/testing/keys';
import { issueEdgeCertificate } from '@auditrax/workload';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { missingForSimpleSaml, startSimpleSaml, type SimpleSaml } from './identity-providers/simplesamlphp.ts';
import { openTlsFront, type TlsFront } from './identity-providers/tls-front.ts';
import { browserMissing, openSite, Visitor, type Site } from './testing/site.ts';
import { certutilMissing, openTrustingBrowser, type TrustingBrowser } from './testing/trusting-browser.ts';

const missing = missingForSimpleSaml();
const providerMissing = missing.length > 0 && process.env['CI'] !== 'true';
if (providerMissing) console.warn(`skipped: SimpleSAMLphp needs ${missing.join(', ')}`);
const ORGANISATION = 'Lakeside Internal Audit';

let site: Site;

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
    site = await openSite();
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

  describe.skipIf(providerMissing || certutilMissing)('a provider of their own: SimpleSAMLphp, live', () => {
    let believer: TrustingBrowser;
    let front: TlsFront;
    let provider: SimpleSaml;
    let idpKey: TestKey;
    /** The lead at the TLS edge: no provider leads to the try-out door. */
    let admin: Visitor;
    const opened: Visitor[] = [];
    const visitor = async () => {
      const one = await Visitor.open(believer.browser, site.house.edgeUrl, {});
      opened.push(one);
      return one;
    };

    beforeAll(async () => {
      const certificate = await issueEdgeCertificate({ clock: systemClock, name: 'Identity provider' });
      front = await openTlsFront({ key: certificate.keyPem, cert: certificate.certificatePem });
      const edgeAuthority = site.house.supervisor.peers().facts['edgeAuthority'] as string;
      believer = await openTrustingBrowser([edgeAuthority, certificate.authorityPem]);
      idpKey = await makeTestKey('simplesamlphp');
    });
    afterAll(async () => {
      await believer?.close();
      await provider?.stop();
      front?.close();
    });
    afterEach(() => {
      expect(opened.flatMap((one) => one.faults())).toEqual([]);
    });

    /** Presses Test, passes the provider's own page where it asks, and is back at the connection. */
    async function test(): Promise<void> {
      const back = admin.page.url();
      await admin.button('Test the connection').click();
      await passProvider(admin);
      await admin.page.waitForURL(back);
    }

    async function passProvider({ page }: Visitor): Promise<void> {
      await page.waitForURL(`${front.origin}/**`);
      if ((await page.locator('input[name=password]').count()) === 0) return;
      await page.locator('input[name=username]').fill('alice');
      await page.locator('input[name=password]').fill('alicepass');
      await page.locator('input[name=password]').press('Enter');
    }

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

    it('a lead begins a connection and pastes the values that each side needs', async () => {
      admin = await visitor();
      await admin.enrol(await inviteLead());
      await admin.goto('/app/connections');
      await admin.page.getByRole('radio', { name: 'Another provider' }).check();
      await admin.page.getByRole('radio', { name: /^SAML/ }).check();
      await admin.page.getByRole('textbox', { name: 'Name' }).fill('Lakeside staff');
      await admin.button('Begin…').click();
      await admin.button('Approve with passkey').click();
      await admin.sees('Values to paste there');
      const address = (label: string) => admin.page.getByLabel(label, { exact: true }).innerText();
      const entityId = (await address('Entity ID and metadata URL')).trim();
      const acsUrl = (await address('Assertion Consumer Service URL (HTTP POST)')).trim();
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
      await expect.poll(() => admin.page.getByLabel('Entity ID of the provider').inputValue()).toBe(provider.entityId);
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
      await admin.button('g-2').click();
      await admin.button('Save the mapping…').click();
      await admin.button('Approve with passkey').click();
      await admin.dialog.waitFor({ state: 'detached' });
      await admin.button('Switch on…').click();
      await admin.button('Approve with passkey').click();
      await admin.button('Switch off…').waitFor();
      const alice = await visitor();
      await alice.goto('/app/sign-in');
      await alice.page.getByLabel('Short name of your organisation').fill('lakeside');
      await alice.button('Go on with single sign-on').click();
      await alice.page.getByRole('link', { name: 'Sign in with Lakeside staff' }).click();
      await passProvider(alice);
      await alice.sees('Engagements');
      const { body } = await alice.ask('/api/identity/session');
      expect(body).toMatchObject({ signedIn: true, method: 'sso', role: 'auditor', connection: 'Lakeside staff' });
      await alice.close();
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
});
