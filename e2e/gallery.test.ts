import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as data from './gallery-data.ts';
import * as connections from './gallery-connections.ts';
import * as production from './gallery-production.ts';
import * as programs from './gallery-programs.ts';
import * as accessReviews from './gallery-reviews.ts';
import * as keys from './gallery-keys.ts';
import * as rules from './gallery-rules.ts';
import * as signals from './gallery-signals.ts';
import * as providerSignals from './gallery-provider-signals.ts';
import { sealSmallLog } from './gallery-log.ts';
import { samplePublicPage } from './gallery-public.ts';
import { MOCK_PART_BYTES, startMockServer, type MockServer } from './gallery-server.ts';

const CHROMIUM = '/usr/bin/chromium';
const root = join(import.meta.dirname, '..');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const widths = [320, 390, 768, 1280, 1920];
const missing = !existsSync(CHROMIUM);

if (missing && process.env['CI'] === 'true')
  throw new Error(`${CHROMIUM} is missing; with CI=true the browser tests may not be skipped`);
if (missing) console.warn(`skipped: ${CHROMIUM} is missing, so nothing was looked at in a browser`);

// Listens before any script of the page, so that nothing is blocked unseen.
const COLLECTOR = `globalThis.__refused = [];
addEventListener('securitypolicyviolation', (event) => globalThis.__refused.push(event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sourceFile + ':' + event.lineNumber + ' ' + event.sample));`;

let browser: Browser;
let server: MockServer;
/** Where pictures for a person's eyes go; without `AUDITRAX_PICTURES` none are taken. */
const pictures = process.env['AUDITRAX_PICTURES'];
let dist: string;

interface Screen {
  readonly name: string;
  readonly path: string;
  readonly role: data.MockRole | 'none' | 'down';
  readonly ready: string;
  readonly act?: (page: Page) => Promise<void>;
}

/** Opens the wizard for a key of one's own and fills in a KMS key of this region. */
async function toKeyCheck(page: Page, region: string): Promise<void> {
  await page.getByRole('button', { name: 'Change to another key' }).click();
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.getByLabel('Key ARN').fill('arn:aws:kms:eu-central-1:111122223333:key/1234abcd');
  await page.getByLabel('Region').fill(region);
  await page.getByRole('button', { name: 'Check it' }).click();
}

/** A virtual authenticator of the browser's own, with a passkey that the mocked ceremonies accept. */
async function givePasskey(page: Page): Promise<void> {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('WebAuthn.enable');
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await cdp.send('WebAuthn.addCredential', {
    authenticatorId,
    credential: {
      credentialId: Buffer.from('credential-one').toString('base64'),
      isResidentCredential: true,
      rpId: 'localhost',
      privateKey: privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
      userHandle: Buffer.from('person').toString('base64'),
      signCount: 1,
    },
  });
}

/** Shows the screen again with another answer to one question. */
async function again(page: Page, path: string, body: unknown): Promise<void> {
  await page.route(`**${path}`, (route) => route.fulfill({ json: body }));
  await page.reload();
}

const connectionPath = (index: number) => `/app/connections/${connections.connections.connections[index]!.id}`;
const engagementPath = `/app/engagements/${data.engagements[0]!.id}`;
const screens: readonly Screen[] = [
  { name: 'gallery', path: '/app/gallery', role: 'none', ready: 'h1' },
  {
    name: 'gallery-dialog',
    path: '/app/gallery',
    role: 'none',
    ready: 'h1',
    act: (page) => page.getByRole('button', { name: 'Open dialog' }).click(),
  },
  { name: 'sign-in', path: '/app/sign-in', role: 'none', ready: 'h1' },
  {
    name: 'sign-in-organisation',
    path: '/app/sign-in/harbour',
    role: 'none',
    ready: 'text=Sign in with Harbour people',
  },
  { name: 'enrol', path: `/app/enrol#${'t'.repeat(43)}`, role: 'none', ready: 'text=Make a passkey and sign in' },
  { name: 'enrol-without-token', path: '/app/enrol', role: 'none', ready: 'text=carries no enrolment' },
  { name: 'link', path: `/app/link#${'t'.repeat(43)}`, role: 'none', ready: 'text=Sign in by this link' },
  { name: 'home', path: '/app/', role: 'lead', ready: 'text=Lakeside Ferries' },
  { name: 'home-empty', path: '/app/', role: 'client', ready: 'text=Nothing is open to you yet' },
  { name: 'home-link-session', path: '/app/', role: 'link', ready: 'text=Try-out door' },
  {
    name: 'new-engagement',
    path: '/app/engagements/new',
    role: 'lead',
    ready: 'text=Catalogue of criteria',
    act: async (page) => {
      await page.getByText('A catalogue of your own').click();
      await page.locator('input[type=file]').setInputFiles({
        name: 'baseline.json',
        mimeType: 'application/json',
        buffer: Buffer.from('{"catalog": {"uuid": "x",\n "metadata": }'),
      });
      await page.getByText('This file cannot be used').waitFor();
    },
  },
  { name: 'engagement', path: engagementPath, role: 'lead', ready: 'text=About this engagement' },
  {
    name: 'engagement-final',
    path: `/app/engagements/${data.engagements[3]!.id}`,
    role: 'lead',
    ready: 'text=About this engagement',
  },
  { name: 'criteria', path: `${engagementPath}?tab=criteria`, role: 'lead', ready: 'text=AC-1' },
  {
    name: 'criterion',
    path: `${engagementPath}?tab=criteria&criterion=${data.criteria[1]!.id}`,
    role: 'lead',
    ready: 'text=What you saw',
  },
  {
    name: 'evidence',
    path: `${engagementPath}?tab=evidence`,
    role: 'lead',
    ready: 'text=account-review-q2.xlsx',
    act: (page) => page.getByRole('button', { name: 'Add evidence' }).click(),
  },
  { name: 'engagement-people', path: `${engagementPath}?tab=people`, role: 'lead', ready: 'text=Add a contact' },
  {
    name: 'departures',
    path: '/app/departures',
    role: 'lead',
    ready: 'text=Auditor, night shift',
  },
  {
    name: 'departure',
    path: '/app/departures',
    role: 'lead',
    ready: 'text=Auditor, night shift',
    act: async (page) => {
      await page.getByRole('button', { name: 'Auditor, night shift' }).click();
      await page.getByText('Pending approvals', { exact: true }).waitFor();
    },
  },
  {
    name: 'departures-empty',
    path: '/app/departures',
    role: 'lead',
    ready: 'text=Auditor, night shift',
    act: async (page) => {
      await again(page, '/api/access/departures', { departures: [], older: null });
      await page.getByText('Nobody’s access has ended').waitFor();
    },
  },
  { name: 'access-reviews', path: '/app/access-reviews', role: 'lead', ready: 'text=For the quarter' },
  {
    name: 'access-reviews-empty',
    path: '/app/access-reviews',
    role: 'lead',
    ready: 'text=For the quarter',
    act: async (page) => {
      await again(page, '/api/access-reviews', accessReviews.none);
      await page.getByText('No review yet').waitFor();
    },
  },
  { name: 'access-review', path: accessReviews.reviewPath, role: 'lead', ready: 'text=Check it yourself' },
  {
    name: 'access-review-item',
    path: accessReviews.reviewPath,
    role: 'lead',
    ready: 'text=Check it yourself',
    act: async (page) => {
      await page.getByRole('button', { name: 'Auditor, night shift' }).click();
      await page.getByText('is Lead auditor now').waitFor();
    },
  },
  {
    name: 'access-review-decide',
    path: accessReviews.reviewPath,
    role: 'lead',
    ready: 'text=Check it yourself',
    act: async (page) => {
      await page.getByRole('checkbox').first().click();
      await page.getByRole('button', { name: 'Decide about 1…' }).click();
      await page.getByRole('radio', { name: 'Remove' }).click();
      await page.getByText('Kept with the decision').waitFor();
    },
  },
  {
    name: 'sign-in-company',
    path: '/app/sign-in/harbour',
    role: 'none',
    ready: 'h1',
    act: async (page) => {
      await again(page, '/api/identity/session', { signedIn: false, ended: 'company' });
      await page.getByText('Sign in by your company again').waitFor();
    },
  },
  {
    name: 'people-erase',
    path: '/app/people',
    role: 'lead',
    ready: 'text=Auditor, night shift',
    act: async (page) => {
      await page.getByRole('button', { name: 'Actions for Client contact, previous' }).click();
      await page.getByRole('menuitem', { name: 'Erase by law…' }).click();
      await page.getByText('Gone for good').waitFor();
      await page.getByRole('button', { name: 'Go on to approval' }).click();
      await page.getByText('Write exactly').waitFor();
    },
  },
  { name: 'people', path: '/app/people', role: 'lead', ready: 'text=Auditor, night shift' },
  {
    name: 'people-recovery-link',
    path: '/app/people',
    role: 'lead',
    ready: 'text=The delay is over',
    act: async (page) => {
      await page.getByRole('button', { name: 'Make the link…' }).click();
      await page.getByText('On record before it').waitFor();
    },
  },
  {
    name: 'people-one-passkey',
    path: '/app/people',
    role: 'lead',
    ready: 'text=Auditor, night shift',
    act: async (page) => {
      const alone = { ...(data.session('lead') as object), passkeys: 1, recoveryDueAt: '2026-12-24T12:00:00.000Z' };
      await again(page, '/api/identity/session', alone);
      await page.getByRole('button', { name: 'Stop it…' }).first().click();
      await page.getByText('Add a second passkey first').waitFor();
    },
  },
  {
    name: 'rules',
    path: '/app/rules',
    role: 'lead',
    ready: 'text=Version 3, in force',
    act: async (page) => {
      await page.getByRole('button', { name: 'Try', exact: true }).click();
      await page.getByText('loses 3 of 4 engagements').waitFor();
    },
  },
  {
    name: 'rules-effect',
    path: '/app/rules',
    role: 'lead',
    ready: 'text=Version 3, in force',
    act: async (page) => {
      await page.getByRole('button', { name: 'Count for everybody' }).click();
      await page
        .getByText(/(?:loses|lose) access/)
        .first()
        .waitFor();
    },
  },
  {
    name: 'rules-fault',
    path: '/app/rules',
    role: 'lead',
    ready: 'text=Version 3, in force',
    act: async (page) => {
      await page
        .getByLabel('Rules')
        .fill('@id("drafts")\nforbid (principal, action, resource is Engagement)\nwhen { resource.stat == "draft" };');
      await page.getByRole('button', { name: 'Try', exact: true }).click();
      await page.getByRole('button', { name: 'Line 3' }).click();
    },
  },
  {
    name: 'rules-empty',
    path: '/app/rules',
    role: 'lead',
    ready: 'text=Version 3, in force',
    act: async (page) => {
      await again(page, '/api/rules', rules.noRules);
      await page.getByText('No rules of your own').waitFor();
    },
  },
  { name: 'passkeys', path: '/app/passkeys', role: 'lead', ready: 'text=Synced passkey' },
  {
    name: 'passkeys-connect',
    path: '/app/passkeys',
    role: 'lead',
    ready: 'text=Sign-in identities',
    act: async (page) => {
      await again(page, '/api/sso/identities', { ...data.identities, isRecent: true });
      await page.getByRole('button', { name: 'Connect another identity…' }).click();
      await page.getByRole('button', { name: 'Go on to Harbour staff' }).waitFor();
    },
  },
  {
    name: 'passkeys-connect-old',
    path: '/app/passkeys',
    role: 'lead',
    ready: 'text=Sign-in identities',
    act: async (page) => {
      await page.getByRole('button', { name: 'Connect another identity…' }).click();
      await page.getByText('Sign in again with Harbour staff').waitFor();
    },
  },
  {
    name: 'passkeys-first',
    path: '/app/passkeys',
    role: 'lead',
    ready: 'text=Sign-in identities',
    act: async (page) => {
      const came = { ...(data.session('lead') as object), method: 'sso', connection: 'Harbour staff', passkeys: 0 };
      await again(page, '/api/identity/passkeys', { passkeys: [] });
      await again(page, '/api/identity/session', came);
      await page.getByRole('button', { name: 'Confirm at Harbour staff' }).waitFor();
    },
  },
  { name: 'audit-trail', path: '/app/audit-trail', role: 'lead', ready: 'text=evidence.received' },
  {
    name: 'audit-trail-broken',
    path: '/app/audit-trail',
    role: 'lead',
    ready: 'text=evidence.received',
    act: async (page) => {
      await again(page, '/api/audit-trail', data.brokenPage());
      await page.getByText('Generation 2 of the log begins here').waitFor();
      await page.getByText('3 entries are missing').waitFor();
    },
  },
  {
    name: 'audit-trail-empty',
    path: '/app/audit-trail?type=nothing.&object=0190a0a0-0000-7000-8000-000000000001&period=7d',
    role: 'lead',
    ready: 'text=No such entries',
  },
  {
    name: 'audit-range',
    path: '/app/audit-trail',
    role: 'lead',
    ready: 'text=evidence.received',
    act: async (page) => {
      await page.getByRole('checkbox', { name: 'Select row' }).nth(3).click();
      await page.getByRole('checkbox', { name: 'Select row' }).nth(30).click();
      await page.getByRole('button', { name: 'Verify the range…' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Verify in your browser' }).click();
      await page.getByText('All 28 entries verified on this machine.').waitFor();
    },
  },
  {
    name: 'audit-entry-approved',
    path: `/app/audit-trail?entry=${data.entries.find(({ type }) => type === 'access.invite')!.id}`,
    role: 'lead',
    ready: 'text=Approved with a passkey',
  },
  {
    name: 'audit-entry-agents',
    path: `/app/audit-trail?entry=${data.entries.find(({ agents }) => agents.length > 0)!.id}`,
    role: 'lead',
    ready: 'text=Handed on to',
  },
  {
    name: 'audit-entry',
    path: `/app/audit-trail?entry=${data.entries[1]!.id}`,
    role: 'lead',
    ready: 'text=Proof that this entry',
    act: async (page) => {
      await page.getByRole('button', { name: 'Verify in your browser' }).click();
      await page.getByText('Verified on this machine').waitFor();
      await page.getByText('1 of 2 (lakeside)').waitFor();
    },
  },
  { name: 'export', path: '/app/export', role: 'lead', ready: 'text=Check a bundle' },
  { name: 'signals', path: '/app/signals', role: 'lead', ready: 'text=does not accept the token' },
  {
    name: 'signals-empty',
    path: '/app/signals',
    role: 'lead',
    ready: 'text=Night watch SIEM',
    act: async (page) => {
      await again(page, '/api/signals', signals.noSignals);
      await page.getByText('Nobody is told').waitFor();
    },
  },
  {
    name: 'signals-undelivered',
    path: '/app/signals',
    role: 'lead',
    ready: 'text=Night watch SIEM',
    act: async (page) => {
      await page.getByRole('button', { name: 'Undelivered: 2' }).click();
      await page.getByText('The receiver refused it').waitFor();
    },
  },
  {
    name: 'signals-new',
    path: '/app/signals',
    role: 'lead',
    ready: 'text=Night watch SIEM',
    act: async (page) => {
      await page.getByRole('button', { name: 'New stream…' }).click();
      const form = page.getByRole('form', { name: 'New stream' });
      await form.getByRole('textbox', { name: 'Name' }).fill('Tide table');
      await form.getByRole('textbox', { name: 'Address' }).fill('https://tides.harbour.example/events');
      await form.getByLabel('Token of the receiver').fill('secret');
      await form.getByRole('button', { name: 'Make the stream…' }).click();
      await page.getByText('From now on it is told').waitFor();
    },
  },
  {
    name: 'signals-token',
    path: '/app/signals',
    role: 'lead',
    ready: 'text=Night watch SIEM',
    act: async (page) => {
      await givePasskey(page);
      await page.getByRole('button', { name: 'New token…' }).first().click();
      await page.getByRole('dialog').getByRole('button', { name: 'Approve with passkey' }).click();
      await page.getByText('Copy the token now').waitFor();
    },
  },
  { name: 'api-keys', path: '/app/api-keys', role: 'auditor', ready: 'text=Nightly export' },
  {
    name: 'api-keys-end',
    path: '/app/api-keys',
    role: 'auditor',
    ready: 'text=Nightly export',
    act: async (page) => {
      await page.getByRole('button', { name: 'End Nightly export…' }).click();
      await page.getByText('cannot be brought back').waitFor();
    },
  },
  { name: 'all-api-keys', path: '/app/all-api-keys', role: 'lead', ready: 'text=Spreadsheet' },
  {
    name: 'streams',
    path: '/app/streams',
    role: 'lead',
    ready: 'text=tls: CERT_HAS_EXPIRED',
    act: async (page) => {
      await page.getByRole('button', { name: 'Test the connection' }).nth(1).click();
      await page.getByText('The port answers').waitFor();
    },
  },
  {
    name: 'streams-change',
    path: '/app/streams',
    role: 'lead',
    ready: 'text=tls: CERT_HAS_EXPIRED',
    act: async (page) => {
      await page.getByRole('button', { name: 'Change…' }).first().click();
      const form = page.getByRole('form', { name: 'New settings for siem.harbour.example' });
      await form.getByLabel('Host').fill('https://siem.harbour.example');
      await form.getByRole('button', { name: 'Save…' }).click();
      await form.getByText('without https://').waitFor();
      await form.getByText('8 to 512 characters').waitFor();
    },
  },
  {
    name: 'streams-empty',
    path: '/app/streams',
    role: 'lead',
    ready: 'text=tls: CERT_HAS_EXPIRED',
    act: async (page) => {
      await again(page, '/api/siem/streams', { streams: [], streamsMax: 4 });
      await page.getByText('No destination yet').waitFor();
    },
  },
  {
    name: 'export-lines',
    path: '/app/export?format=ocsf&outcome=denied',
    role: 'lead',
    ready: 'text=at most 100,000 in one file',
  },
  { name: 'changeover', path: '/app/changeover', role: 'lead', ready: 'text=One person would have no way in' },
  {
    name: 'changeover-begin',
    path: '/app/changeover',
    role: 'lead',
    ready: 'text=One person would have no way in',
    act: async (page) => {
      await again(page, '/api/changeover', { ...connections.change, change: null });
      await page.getByRole('button', { name: 'Begin…' }).waitFor();
    },
  },
  {
    name: 'changeover-suggested',
    path: '/app/changeover',
    role: 'lead',
    ready: 'text=One person would have no way in',
    act: async (page) => {
      await page.getByText('Their address').click();
      await page.getByLabel('Two columns').fill('night.auditor@harbour.example,9a7c0b54');
      await page.getByRole('button', { name: 'Look up the lines' }).click();
      await page.getByText('Suggestions, by an address alone').waitFor();
    },
  },
  { name: 'programs', path: '/app/api-clients', role: 'lead', ready: 'text=Night agent' },
  { name: 'programs-own', path: '/app/programs', role: 'auditor', ready: 'text=Ledger sync' },
  { name: 'programs-consent', path: programs.requestPath, role: 'auditor', ready: 'text=sync.harbour.example' },
  {
    name: 'programs-consent-approve',
    path: programs.requestPath,
    role: 'auditor',
    ready: 'text=sync.harbour.example',
    act: async (page) => {
      await page.getByLabel('Night agent').check();
      await page.getByRole('button', { name: 'Allow…' }).click();
      await page.getByText('It works in your name from then on').waitFor();
    },
  },
  {
    name: 'programs-change',
    path: '/app/api-clients',
    role: 'lead',
    ready: 'text=Night agent',
    act: async (page) => {
      await page.getByRole('button', { name: 'Actions for Ledger sync' }).click();
      await page.getByRole('menuitem', { name: 'Change…' }).click();
      await page.getByRole('dialog').getByLabel('Addresses that it is answered at').waitFor();
    },
  },
  {
    name: 'programs-change-approve',
    path: '/app/api-clients',
    role: 'lead',
    ready: 'text=Night agent',
    act: async (page) => {
      await page.getByRole('button', { name: 'Actions for Ledger sync' }).click();
      await page.getByRole('menuitem', { name: 'Change…' }).click();
      await page.getByRole('dialog').getByLabel('Night agent').uncheck();
      await page.getByRole('button', { name: 'Go on to approval' }).click();
      await page.getByText('What people have allowed it beyond this ends at once').waitFor();
    },
  },
  {
    name: 'programs-agent',
    path: '/app/api-clients',
    role: 'lead',
    ready: 'text=Night agent',
    act: async (page) => {
      await page.getByRole('radio', { name: /^Agent/ }).check();
      await page.getByLabel('Its public key').waitFor();
    },
  },
  { name: 'connections', path: '/app/connections', role: 'lead', ready: 'text=Lakeside, by Entra' },
  {
    name: 'connections-empty',
    path: '/app/connections',
    role: 'lead',
    ready: 'text=Lakeside, by Entra',
    act: async (page) => {
      await again(page, '/api/connections', { connections: [], connectionsMax: 8 });
      await page.getByText('No identity provider yet').waitFor();
    },
  },
  { name: 'connection', path: connectionPath(0), role: 'lead', ready: 'text=ends in 19 days' },
  {
    name: 'directory',
    path: `${connectionPath(0)}/people`,
    role: 'lead',
    ready: 'text=14 people were put out',
  },
  {
    name: 'directory-token',
    path: `${connectionPath(0)}/people`,
    role: 'lead',
    ready: 'text=14 people were put out',
    act: async (page) => {
      const quiet = { ...connections.directoryOf(`/api${connectionPath(0).slice(4)}/people`)!, tokens: [], wave: null };
      await again(page, `/api${connectionPath(0).slice(4)}/people`, quiet);
      await page.getByRole('button', { name: 'New token…' }).click();
      await page.getByRole('dialog').getByText('Half a year').waitFor();
    },
  },
  {
    name: 'directory-empty',
    path: `${connectionPath(1)}/people`,
    role: 'lead',
    ready: 'text=First switch the connection on.',
  },
  {
    name: 'provider-signals',
    path: `/app${providerSignals.path}`,
    role: 'lead',
    ready: 'text=2 people are to be suspended',
  },
  {
    name: 'provider-signals-empty',
    path: `/app${providerSignals.path}`,
    role: 'lead',
    ready: 'text=2 people are to be suspended',
    act: async (page) => {
      await again(page, `/api${providerSignals.path}`, providerSignals.empty);
      await page.getByText('Your provider tells us nothing yet').waitFor();
    },
  },
  {
    name: 'provider-signals-silent',
    path: `/app${providerSignals.path}`,
    role: 'lead',
    ready: 'text=2 people are to be suspended',
    act: async (page) => {
      await again(page, `/api${providerSignals.path}`, providerSignals.silent);
      await page.getByText('The signature of a token does not hold').waitFor();
    },
  },
  {
    name: 'provider-signals-verified',
    path: `/app${providerSignals.path}`,
    role: 'lead',
    ready: 'text=2 people are to be suspended',
    act: async (page) => {
      await page.getByRole('button', { name: 'Verify now' }).click();
      await page.getByText('Asked; waiting for the provider’s answer').waitFor();
      // Without a new start of the page, which knows no more what it asked.
      await page.route(`**/api${providerSignals.path}`, (route) => route.fulfill({ json: providerSignals.answered }));
      await page.getByText(/The provider answered after/).waitFor();
    },
  },
  {
    name: 'provider-signals-new',
    path: `/app${providerSignals.path}`,
    role: 'lead',
    ready: 'text=2 people are to be suspended',
    act: async (page) => {
      await givePasskey(page);
      await page.getByRole('button', { name: 'New stream…' }).click();
      await page.getByRole('button', { name: 'Begin the stream…' }).click();
      await page.route(`**/api${providerSignals.path}`, (route) =>
        route.request().method() === 'GET' ? route.fulfill({ json: providerSignals.draft }) : route.fallback(),
      );
      await page.getByRole('dialog').getByRole('button', { name: 'Approve with passkey' }).click();
      await page.getByText('Copy the token now').waitFor();
      const form = page.getByRole('form', { name: 'Values of Stream 1' });
      await form.getByText('By hand', { exact: true }).click();
      await form.getByRole('button', { name: 'Set it up…' }).click();
      await form.getByText('This is needed.').first().waitFor();
    },
  },
  {
    name: 'provider-signals-suspend',
    path: `/app${providerSignals.path}`,
    role: 'lead',
    ready: 'text=2 people are to be suspended',
    act: async (page) => {
      await page.getByRole('button', { name: 'Suspend…' }).first().click();
      await page.getByRole('heading', { name: 'What you approve' }).waitFor();
    },
  },
  {
    name: 'connection-draft-google',
    path: `/app/connections/${connections.googleId}`,
    role: 'lead',
    ready: 'text=What to do',
  },
  {
    name: 'connection-draft',
    path: connectionPath(1),
    role: 'lead',
    ready: 'text=Check O29',
    act: async (page) => {
      const form = page.getByRole('form', { name: 'Settings' });
      await form.getByLabel('Issuer').fill('https://login.microsoftonline.com/common/v2.0');
      await form.getByRole('button', { name: 'Save…' }).click();
      await form.getByText('never common or organizations').last().waitFor();
    },
  },
  { name: 'keys', path: '/app/keys', role: 'lead', ready: 'text=opens only' },
  {
    name: 'keys-withdrawn',
    path: '/app/keys',
    role: 'lead',
    ready: 'text=opens only',
    act: async (page) => {
      await again(page, '/api/keys/source', keys.keySourceWithdrawn);
      await page.getByText('your data is unreadable until it is back').waitFor();
    },
  },
  {
    name: 'keys-moving',
    path: '/app/keys',
    role: 'lead',
    ready: 'text=opens only',
    act: async (page) => {
      await again(page, '/api/keys/source', keys.keySourceMoving);
      await page.getByRole('button', { name: 'Go on moving' }).waitFor();
    },
  },
  {
    name: 'keys-wizard',
    path: '/app/keys',
    role: 'lead',
    ready: 'text=opens only',
    act: async (page) => {
      await page.getByRole('button', { name: 'Change to another key' }).click();
      await page.getByText('What happens when you withdraw a key of your own').last().click();
    },
  },
  {
    name: 'keys-wizard-import',
    path: '/app/keys',
    role: 'lead',
    ready: 'text=opens only',
    act: async (page) => {
      await page.getByRole('button', { name: 'Change to another key' }).click();
      await page.getByText('Key material of your own').click();
      await page.getByRole('button', { name: 'Go on' }).click();
      await page.getByLabel('Key ARN').fill('arn:aws:kms:eu-central-1:111122223333:key/1234abcd');
      await page.getByLabel('Region').fill('eu-central-1');
      await page.getByRole('button', { name: 'Fetch what to wrap it with' }).click();
      await page.getByRole('button', { name: 'Wrapping key (DER)' }).waitFor();
    },
  },
  {
    name: 'keys-wizard-xks',
    path: '/app/keys',
    role: 'lead',
    ready: 'text=opens only',
    act: async (page) => {
      await page.getByRole('button', { name: 'Change to another key' }).click();
      await page.getByText('Your external key store').click();
      await page.getByRole('button', { name: 'Go on' }).click();
      await page.getByRole('button', { name: 'Check it' }).click();
      await page.getByText('This is needed.').waitFor();
      await page.getByText('More settings').click();
    },
  },
  {
    name: 'keys-wizard-refused',
    path: '/app/keys',
    role: 'lead',
    ready: 'text=opens only',
    act: async (page) => {
      await toKeyCheck(page, 'xx-none-1');
      await page.getByText('This key cannot be used yet').waitFor();
    },
  },
  {
    name: 'keys-switch',
    path: '/app/keys',
    role: 'lead',
    ready: 'text=opens only',
    act: async (page) => {
      await toKeyCheck(page, 'eu-central-1');
      await page.getByRole('button', { name: 'Go on to approval' }).click();
      await page.getByRole('heading', { name: 'What you approve' }).waitFor();
    },
  },
  { name: 'key-rings', path: '/app/key-rings', role: 'operator', ready: 'text=lakeside: the key is withdrawn' },
  { name: 'organisations', path: '/app/organisations', role: 'operator', ready: 'text=Deletions under way' },
  {
    name: 'deletion-preview',
    path: '/app/organisations',
    role: 'operator',
    ready: 'text=Deletions under way',
    act: async (page) => {
      await page.getByRole('button', { name: 'Actions for Harbour Street Audit' }).click();
      await page.getByRole('menuitem', { name: 'Delete this organisation…' }).click();
      await page.getByText('What becomes unreadable for good').waitFor();
    },
  },
  {
    name: 'new-organisation',
    path: '/app/organisations',
    role: 'operator',
    ready: 'text=Moves under way',
    act: async (page) => {
      await page.getByRole('button', { name: 'New organisation' }).click();
      await page.getByLabel('Name', { exact: true }).fill('Quay Lane Assurance');
      await page.getByText('Enterprise', { exact: true }).click();
      await page.getByText('Database of its own', { exact: true }).click();
    },
  },
  {
    name: 'move-organisation',
    path: '/app/organisations',
    role: 'operator',
    ready: 'text=Moves under way',
    act: async (page) => {
      await page.getByRole('button', { name: 'Actions for Orchard Row Assurance' }).click();
      await page.getByRole('menuitem', { name: 'Move it…' }).click();
      await page.getByText('Where its data lives').waitFor();
    },
  },
  { name: 'production-access', path: '/app/production-access', role: 'operator', ready: 'text=You are let in' },
  {
    name: 'production-access-ask',
    path: '/app/production-access',
    role: 'operator',
    ready: 'text=You are let in',
    act: async (page) => {
      await page.getByRole('button', { name: 'Ask for access…' }).click();
      await page.getByRole('button', { name: 'Go on to approval' }).click();
      await page.getByText('Say what for').waitFor();
    },
  },
  {
    name: 'production-access-approve',
    path: '/app/production-access',
    role: 'operator',
    ready: 'text=You are let in',
    act: async (page) => {
      await page.getByRole('button', { name: 'Let them in…' }).click();
      await page.getByRole('heading', { name: 'What you approve' }).waitFor();
    },
  },
  {
    name: 'production-access-glass',
    path: '/app/production-access',
    role: 'operator',
    ready: 'text=You are let in',
    act: async (page) => {
      await page.getByRole('button', { name: 'Break the glass…' }).click();
      await page.getByRole('heading', { name: 'Break the glass' }).waitFor();
    },
  },
  {
    name: 'production-access-review',
    path: '/app/production-access',
    role: 'operator',
    ready: 'text=You are let in',
    act: async (page) => {
      await page.getByRole('button', { name: 'Night operator' }).click();
      await page.getByRole('button', { name: 'It was justified' }).waitFor();
    },
  },
  {
    name: 'production-access-empty',
    path: '/app/production-access',
    role: 'operator',
    ready: 'text=You are let in',
    act: async (page) => {
      await again(page, '/api/production-access', production.nobody);
      await page.getByText('Nobody is let in', { exact: true }).waitFor();
    },
  },
  {
    name: 'organisations-not-let-in',
    path: '/app/organisations',
    role: 'operator',
    ready: 'text=Deletions under way',
    act: async (page) => {
      await page.route('**/api/production-access', (route) => route.fulfill({ json: production.nobody }));
      await page.route('**/api/tenants**', (route) => route.fulfill({ status: 403, json: production.refused }));
      await page.route('**/api/tenants/**', (route) => route.fulfill({ status: 403, json: production.refused }));
      await page.reload();
      await page.getByText('This needs production access').waitFor();
    },
  },
  { name: 'oncall', path: '/app/oncall', role: 'operator', ready: 'text=Canary channel' },
  {
    name: 'oncall-page',
    path: '/app/oncall',
    role: 'operator',
    ready: 'text=Canary channel',
    act: (page) => page.getByRole('button', { name: 'A request named an id' }).click(),
  },
  { name: 'attempts', path: '/app/attempts', role: 'operator', ready: 'text=Denied attempts' },
  {
    name: 'attempts-detail',
    path: '/app/attempts',
    role: 'operator',
    ready: 'text=A statement met a row',
    act: async (page) => {
      await page.getByRole('button', { name: 'A genuine id of another' }).first().click();
      await page.getByText('In the name of').waitFor();
    },
  },
  {
    name: 'attempts-empty',
    path: '/app/attempts',
    role: 'operator',
    ready: 'text=A statement met a row',
    act: async (page) => {
      const nothing = { attempts: [], canaryLastHour: 61, tenants: [], next: null };
      await page.route('**/api/oncall/attempts?*', (route) => route.fulfill({ json: nothing }));
      await page.route('**/api/oncall/attempts', (route) => route.fulfill({ json: nothing }));
      await page.reload();
      await page.getByText('Nothing was refused').waitFor();
    },
  },
  {
    name: 'session-ended',
    path: '/app/sign-in',
    role: 'none',
    ready: 'h1',
    act: async (page) => {
      await again(page, '/api/identity/session', { signedIn: false, ended: 'attempts' });
      await page.getByText('Your session was ended').waitFor();
    },
  },
  { name: 'not-found', path: '/app/nowhere', role: 'lead', ready: 'text=There is no such page' },
  {
    name: 'engagement-not-found',
    path: `/app/engagements/${data.id('eng', 77)}`,
    role: 'lead',
    ready: 'text=Not found',
  },
  { name: 'down', path: '/app/', role: 'down', ready: 'text=Nothing was lost' },
];

async function contextFor(role: Screen['role']): Promise<BrowserContext> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 860 },
    colorScheme: 'light',
    reducedMotion: 'reduce',
  });
  await context.addInitScript(COLLECTOR);
  if (role !== 'none') await context.addCookies([{ name: 'mock', value: role, url: server.origin }]);
  return context;
}

async function open(screen: Screen): Promise<Page> {
  const page = await (await contextFor(screen.role)).newPage();
  await page.goto(`${server.origin}${screen.path}`);
  await page.locator(screen.ready).first().waitFor();
  await screen.act?.(page);
  await page.evaluate('document.fonts.ready.then(() => undefined)');
  return page;
}

async function picture(page: Page, name: string): Promise<void> {
  if (pictures !== undefined) await page.screenshot({ path: join(pictures, name), fullPage: true });
}

/** The other theme has the same document in other colours. */
const COLOUR_RULES = ['color-contrast', 'link-in-text-block'];

/** Findings of axe-core, one line each; best practices included. */
async function axeFindings(page: Page, rules?: readonly string[]): Promise<readonly string[]> {
  await page.evaluate(axe);
  const options = { resultTypes: ['violations'], ...(rules && { runOnly: { type: 'rule', values: rules } }) };
  return page.evaluate<readonly string[]>(
    `axe.run(document, ${JSON.stringify(options)}).then((r) => r.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.target.join(" ") + " (" + (n.any[0]?.message ?? n.all[0]?.message ?? n.none[0]?.message ?? "") + ")").slice(0, 4).join(" | ")))`,
  );
}

async function overflowAt(page: Page, width: number): Promise<string | null> {
  await page.setViewportSize({ width, height: 860 });
  await page.waitForTimeout(50);
  const wide = await page.evaluate<number>(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth',
  );
  if (wide <= 0) return null;
  const culprits = await page.evaluate<string>(
    '[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map((e) => e.tagName + "." + e.className).slice(0, 5).join(", ")',
  );
  return `${width} px: ${wide} px too wide (${culprits})`;
}

describe.skipIf(missing)('the app in a browser under the production policy', () => {
  beforeAll(async () => {
    dist = mkdtempSync(join(tmpdir(), 'auditrax-dist-'));
    await build({
      configFile: join(root, 'vite.config.ts'),
      logLevel: 'error',
      build: { outDir: dist, emptyOutDir: true },
    });
    server = await startMockServer(dist, samplePublicPage);
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--disable-dev-shm-usage',
      ],
    });
    if (pictures !== undefined) console.info(`pictures: ${pictures}`);
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    await server?.close();
    if (dist) rmSync(dist, { recursive: true, force: true });
  });

  it('the build carries nothing inline and names only its own origin', () => {
    const html = readFileSync(join(dist, 'index.html'), 'utf8');
    expect(html).not.toMatch(/<style|style=|onload=|<script(?![^>]*src=)/);
    expect(
      [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]).filter((url) => !url?.startsWith('/app/')),
    ).toEqual([]);
    expect(readFileSync(join(dist, 'public.css'), 'utf8')).not.toMatch(/@import|data:|https?:/);
  });

  it.each(screens)(
    '$name: no refused content, no axe finding, no overflow from 320 to 1920 px, in light and dark',
    async (screen) => {
      const page = await open(screen);
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(error.message));
      try {
        await picture(page, `${screen.name}-light.png`);
        const light = await axeFindings(page);
        await page.emulateMedia({ colorScheme: 'dark' });
        await picture(page, `${screen.name}-dark.png`);
        const dark = await axeFindings(page, COLOUR_RULES);
        const overflow: (string | null)[] = [];
        for (const width of widths) {
          overflow.push(await overflowAt(page, width));
          if (width === 390) await picture(page, `${screen.name}-phone.png`);
        }
        expect({
          light,
          dark,
          overflow: overflow.filter(Boolean),
          refused: await page.evaluate('globalThis.__refused'),
          errors,
        }).toEqual({ light: [], dark: [], overflow: [], refused: [], errors: [] });
      } finally {
        await page.context().close();
      }
    },
  );

  it('the public stylesheet carries a page without script, in light, dark, narrow and print', async () => {
    const context = await browser.newContext({ javaScriptEnabled: true, viewport: { width: 1280, height: 900 } });
    await context.addInitScript(COLLECTOR);
    const page = await context.newPage();
    await page.goto(`${server.origin}/security`);
    await picture(page, 'public-light.png');
    const light = await axeFindings(page);
    await page.emulateMedia({ colorScheme: 'dark' });
    await picture(page, 'public-dark.png');
    const dark = await axeFindings(page, COLOUR_RULES);
    const overflow: (string | null)[] = [];
    for (const width of widths) overflow.push(await overflowAt(page, width));
    await page.setViewportSize({ width: 390, height: 860 });
    await picture(page, 'public-phone.png');
    await page.setViewportSize({ width: 794, height: 1123 });
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    await picture(page, 'public-print.png');
    expect({
      light,
      dark,
      overflow: overflow.filter(Boolean),
      refused: await page.evaluate('globalThis.__refused'),
    }).toEqual({ light: [], dark: [], overflow: [], refused: [] });
    await context.close();
  });

  it('the collector would have seen it: an inline style and a string as markup are refused', async () => {
    const page = await open(screens.find((screen) => screen.name === 'sign-in')!);
    await page.evaluate(
      'document.head.append(Object.assign(document.createElement("style"), { textContent: "a { color: red }" }))',
    );
    const thrown = await page.evaluate(
      '(() => { try { document.body.innerHTML = "<b>x</b>"; return "accepted"; } catch (e) { return e.name; } })()',
    );
    expect(thrown).toBe('TypeError');
    const refused = await page.evaluate<readonly string[]>('globalThis.__refused');
    expect(refused.map((line) => line.split(' ')[0])).toEqual(['style-src-elem', 'require-trusted-types-for']);
    await page.context().close();
  });

  it('an explicit theme wins over the system and is kept on this machine', async () => {
    const page = await open(screens.find((screen) => screen.name === 'sign-in')!);
    const paper = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
    const light = await paper();
    await page.getByRole('button', { name: 'Theme' }).click();
    await page.getByRole('menuitemcheckbox', { name: 'Dark' }).click();
    const dark = await paper();
    expect(dark).not.toBe(light);
    await page.reload();
    await page.locator('h1').waitFor();
    expect(await paper()).toBe(dark);
    await page.context().close();
  });

  it('a session that ended on the server leads to the door and back to where one was', async () => {
    const page = await open(screens.find((screen) => screen.name === 'home')!);
    await page.context().clearCookies();
    await page.getByRole('link', { name: 'Encryption keys', exact: true }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    expect(new URL(page.url()).searchParams.get('to')).toBe('/keys');
    await page.context().addCookies([{ name: 'mock', value: 'lead', url: server.origin }]);
    await page.goto(`${server.origin}/app/keys`);
    await page.getByRole('button', { name: 'Lead auditor' }).click();
    await page.getByRole('menuitem', { name: 'Sign out', exact: true }).click();
    await page.waitForURL('**/app/sign-in');
    await page.context().close();
  });

  it('a fragment token leaves the address at once and goes only into the body of the request', async () => {
    const context = await contextFor('none');
    const page = await context.newPage();
    const token = 'Q'.repeat(43);
    const urls: string[] = [];
    page.on('request', (request) => urls.push(request.url()));
    await page.goto(`${server.origin}/app/link#${token}`);
    await page.getByRole('button', { name: 'Sign in by this link' }).waitFor();
    expect(page.url()).toBe(`${server.origin}/app/link`);
    const sent = page.waitForRequest((request) => request.url().endsWith('/api/identity/link'));
    await page.getByRole('button', { name: 'Sign in by this link' }).click();
    expect((await sent).postDataJSON()).toEqual({ token });
    expect(urls.filter((url) => new URL(url).pathname.includes(token) || new URL(url).search.includes(token))).toEqual(
      [],
    );
    await context.close();
  });

  it('a journey by keyboard alone: search, rows, open, close, focus returns', async () => {
    const page = await open(screens.find((screen) => screen.name === 'criteria')!);
    await page.keyboard.press('Escape');
    await page.locator('body').press('/');
    expect(await page.evaluate('document.activeElement.getAttribute("aria-label")')).toBe('Search criteria');
    await page.keyboard.type('least');
    await page.getByText('8 criteria', { exact: true }).waitFor();
    await page.evaluate('document.activeElement.blur()');
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    expect(await page.evaluate('document.activeElement.closest("tr").rowIndex')).toBe(2);
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    expect(await page.evaluate('document.querySelector("[role=dialog]").contains(document.activeElement)')).toBe(true);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.keyboard.press('?');
    await page.getByRole('heading', { name: 'Keyboard shortcuts' }).waitFor();
    await page.context().close();
  });

  it('by keyboard alone an attempt is opened, read and left, and the focus is where it was', async () => {
    const page = await open(screens.find((screen) => screen.name === 'attempts')!);
    await page.getByText('A statement met a row').waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    const row = 'document.activeElement.closest("tr").rowIndex';
    expect(await page.evaluate(row)).toBe(2);
    await page.keyboard.press('Enter');
    await page.getByText('In the name of').waitFor();
    expect(await page.evaluate('document.querySelector("[role=dialog]").contains(document.activeElement)')).toBe(true);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(await page.evaluate(row)).toBe(2);
    await page.keyboard.press('k');
    expect(await page.evaluate(row)).toBe(1);
    await page.context().close();
  });

  it('by keyboard alone a rule is written, mended where its fault is, and tried: no key is caught in the field', async () => {
    const page = await open({ name: '', path: '/app/rules', role: 'lead', ready: 'text=Version 3, in force' });
    const editor = page.getByLabel('Rules', { exact: true });
    await editor.focus();
    await page.keyboard.press('Control+A');
    await page.keyboard.type('@id("drafts")');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.type('forbid (principal, action, resource is Engagement)');
    await page.keyboard.press('Enter');
    await page.keyboard.type('when { resource.stat == "draft" };');
    expect(await editor.inputValue()).toContain('\n  forbid (principal');
    const leave = async (): Promise<void> => {
      await page.keyboard.press('Escape');
      await page.keyboard.press('Tab');
    };
    const named = (): Promise<string> => page.evaluate<string>('document.activeElement.textContent.trim()');
    /** On from where the focus is to the control of that name; fails when it is not among the next ones. */
    const tabTo = async (name: string): Promise<void> => {
      for (let steps = 0; steps < 12 && (await named()) !== name; steps += 1) await page.keyboard.press('Tab');
      expect(await named()).toBe(name);
    };
    await leave();
    await tabTo('Try');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Line 3' }).waitFor();
    await page.keyboard.press('Shift+Tab');
    for (let steps = 0; steps < 12 && (await named()) !== 'Line 3'; steps += 1) await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    expect(await page.evaluate('document.activeElement.tagName')).toBe('TEXTAREA');
    expect(await page.evaluate('getSelection().toString()')).toContain('resource.stat ==');
    await page.keyboard.type('when { resource.state == "draft" };');
    await leave();
    await tabTo('Try');
    await page.keyboard.press('Enter');
    await page.getByText('loses 3 of 4 engagements').waitFor();
    await page.context().close();
  });

  it('finalising shows what the server composed and sends the assertion over it', async () => {
    const review = data.engagements[1]!;
    const page = await open({
      name: '',
      path: `/app/engagements/${review.id}`,
      role: 'lead',
      ready: 'text=Make final',
    });
    await givePasskey(page);
    await page.getByRole('button', { name: 'Make final…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('engagements.finalise').first().waitFor();
    await dialog.getByText(review.id).first().waitFor();
    await picture(page, 'step-up-light.png');
    await dialog.getByRole('button', { name: 'Approve with passkey' }).click();
    await page.getByText('The engagement is final').waitFor();
    const header = JSON.parse(Buffer.from(server.stepUps.at(-1)!, 'base64url').toString('utf8')) as {
      challengeId: string;
      assertion: { type: string; response: { signature: string } };
    };
    expect(header.challengeId).toBe('f4b0a1de-6e0b-4d56-9a53-6f5b2f3f7a11');
    expect(header.assertion.response.signature.length).toBeGreaterThan(60);
    expect(await page.evaluate('globalThis.__refused')).toEqual([]);
    await page.context().close();
  });

  it('a link session is told which device it needs, and no challenge is made', async () => {
    const before = server.log.length;
    const page = await open({
      name: '',
      path: `/app/engagements/${data.engagements[1]!.id}`,
      role: 'link',
      ready: 'text=Make final',
    });
    await page.getByRole('button', { name: 'Make final…' }).click();
    await page.getByText('This session cannot approve it').waitFor();
    await picture(page, 'step-up-link-light.png');
    expect(server.log.slice(before)).not.toContain('POST /api/access/step-up');
    await page.context().close();
  });

  it('verifying in the browser says no to a changed entry and to a key that is not the log’s', async () => {
    const entry = data.entries[1]!;
    const path = `/app/audit-trail?entry=${entry.id}`;
    const screen: Screen = { name: '', path, role: 'lead', ready: 'text=Proof that this entry' };
    const changed = await (await contextFor('lead')).newPage();
    await changed.route(`**/api/audit-trail/entries/${entry.id}`, async (route) => {
      const response = await route.fetch();
      const body = (await response.json()) as { leaf: string };
      await route.fulfill({ response, json: { ...body, leaf: body.leaf.replace('"v":1', '"v":2') } });
    });
    await changed.goto(`${server.origin}${path}`);
    await changed.getByRole('button', { name: 'Verify in your browser' }).click();
    await changed.getByText('Not verified. Do not rely on this entry.').waitFor();
    await picture(changed, 'audit-entry-changed-light.png');
    await changed.context().close();

    const page = await open(screen);
    const other = sealSmallLog('auditrax.example/log/harbour', ['another log']);
    await page.getByText('Use a log key that you got elsewhere').click();
    await page.getByLabel('Verifier key').fill(other.vkey);
    await page.getByRole('button', { name: 'Verify in your browser' }).click();
    await page.getByText('Not verified. Do not rely on this entry.').waitFor();
    await page.context().close();
  });

  it('an upload goes on after a torn line, and after a reload when the same file is chosen again', async () => {
    const file = join(dist, 'logs.bin');
    const other = join(dist, 'other.bin');
    writeFileSync(file, Buffer.alloc(MOCK_PART_BYTES * 3 + 1000, 7));
    writeFileSync(other, 'something else');
    const page = await open({
      name: '',
      path: `${engagementPath}?tab=criteria&criterion=${data.criteria[0]!.id}`,
      role: 'lead',
      ready: 'text=Add evidence',
    });
    const dialog = page.getByRole('dialog');
    server.tear(99);
    await dialog.getByText('Add evidence').click();
    await dialog.locator('input[type=file]').setInputFiles(file);
    await dialog.getByRole('button', { name: 'Upload', exact: true }).click();
    await dialog.getByText('the line is bad').first().waitFor();
    await picture(page, 'upload-waiting-light.png');
    server.tear(0);
    const sentBefore = server.log.filter((line) => line.startsWith('PUT ')).length;
    await page.reload();
    await dialog.getByText('Choose logs.bin again to go on').waitFor();
    const again = dialog.locator('.upload input[type=file]');
    await again.setInputFiles(other);
    await dialog.getByText('This is another file').waitFor();
    await picture(page, 'upload-resume-light.png');
    expect(server.log.filter((line) => line.startsWith('PUT ')).length).toBe(sentBefore);
    await again.setInputFiles(file);
    await page.getByText('Evidence received').waitFor({ timeout: 20_000 });
    expect(server.log.some((line) => line.endsWith('/complete'))).toBe(true);
    expect(
      await page.evaluate('Object.keys(localStorage).filter((key) => key.startsWith("auditrax.upload."))'),
    ).toEqual([]);
    expect(await page.evaluate('globalThis.__refused')).toEqual([]);
    await page.context().close();
  });
});
