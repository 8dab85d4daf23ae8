import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hasSoftToken } from '@auditrax/seal/soft-token';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openKeyOwners, type KeyOwners } from './testing/key-owners.ts';
import { browserMissing, openSite, type Site, type Visitor } from './testing/site.ts';

const ENTERPRISE = 'Lakeside Internal Audit';
const SLUG = 'lakeside';
const TITLE = 'Ferry ticketing 2026';
const DELETION_DELAY_SECONDS = 2;
/** Five seconds until the key store is asked again, five until the holders ask, ten until the page does, and some. */
const FELT_MS_MAX = 40_000;
/** The page says that it opens again within seconds. */
const BACK_MS_MAX = 20_000;
const DAY_MS = 86_400_000;

const KINDS = {
  kms: 'A KMS key in your account',
  imported: 'Key material of your own, imported into your KMS key',
  hsm: 'A key of your own in the HSM',
  xks: 'Your external key store',
} as const;

const rehearsalMissing = !hasSoftToken() && process.env['CI'] !== 'true';
if (rehearsalMissing) console.warn('skipped: softhsm2 is missing, so no key of its own was tried in a browser');

let owners: KeyOwners | undefined;
let site: Site;
/** Has a passkey, and an enrolment link works once. */
let operator: Visitor;

describe.skipIf(browserMissing)('keys and those who look after them', () => {
  beforeAll(async () => {
    owners = rehearsalMissing ? undefined : await openKeyOwners();
    const options = { issuer: { deletionDelaySeconds: DELETION_DELAY_SECONDS } };
    site = await openSite({ ...owners?.house, options });
  });
  afterAll(async () => {
    await site?.close();
    await owners?.close();
  });
  afterEach(() => {
    expect(site.faults()).toEqual([]);
  });

  it('a lead of the Standard tier sees what protects the keys, and why there is no other choice', async () => {
    const lead = await site.visitor();
    await lead.enrol((await site.invitation('Lead auditor')).enrolPath!);
    await lead.goto('/app/keys');
    await lead.sees('This installation’s key');
    await lead.reads('Your organisation is on the Standard tier');
    await expect.poll(() => lead.button('Use a key of your own').count()).toBe(0);
    await lead.look('keys of the Standard tier');
    await lead.close();
  });

  it.skipIf(rehearsalMissing)(
    'a lead of the Enterprise tier moves to each kind of key, withdraws it, and gets it back (rehearsed)',
    async () => {
      const lead = await site.visitor();
      await lead.enrol((await site.invitation('Lead auditor', ENTERPRISE)).enrolPath!);
      await writeSomething(lead);
      await lead.goto('/app/keys');
      await lead.sees('This installation’s key');
      await rotate(lead);
      await wrongInput(lead);
      await ownKmsKey(lead);
      await importedMaterial(lead);
      await externalStore(lead);
      await ownHsmKey(lead);
      await lead.close();
    },
  );

  it('the operator sees every key ring, is shown what a deletion destroys, proposes it and cancels it', async () => {
    operator = await site.visitor();
    await operator.enrol((await site.invitation('Operator', 'Auditrax sample organisation')).enrolPath!);
    await operator.getsProduction(['tenants', 'deletions', 'keys']);
    await operator.goto('/app/key-rings');
    await operator.button('This installation').click();
    await operator.dialog.getByText('Fingerprint').waitFor();
    await operator.page.keyboard.press('Escape');
    await operator.picture('key-rings');
    await propose(operator);
    await operator.picture('organisations');
    await operator.button('Cancel the deletion').click();
    await operator.sees(/^Ended$/);
  });

  it('two operators delete an organisation, and hold the certificate of its destruction', async () => {
    const second = await site.visitor();
    const lead = await site.visitor();
    await lead.follow((await site.invitation('Lead auditor', ENTERPRISE)).linkPath);
    await second.enrol((await site.invitation('Second operator', 'Auditrax sample organisation')).enrolPath!);
    await second.getsProduction(['tenants', 'deletions'], operator);
    await propose(operator);
    await operator.reads('Who proposed a deletion cannot confirm it. Ask another operator.');
    await second.goto('/app/organisations');
    await second.button('Confirm it').click();
    await second.page.getByLabel(`Type ${SLUG}`).fill('harbour');
    await second.button('Go on to approval').click();
    await second.reads(`This is not ${SLUG}.`);
    await second.page.getByLabel(`Type ${SLUG}`).fill(SLUG);
    await second.button('Go on to approval').click();
    await second.dialog.getByRole('heading', { name: 'What you approve' }).waitFor();
    await second.dialog.getByRole('button', { name: 'Confirm the deletion' }).click();
    await second.button('Destruction certificate').waitFor({ timeout: FELT_MS_MAX });
    const saving = second.page.waitForEvent('download');
    await second.button('Destruction certificate').click();
    const { certificate } = JSON.parse(readFileSync(await (await saving).path(), 'utf8')) as Certified;
    expect(certificate.tenant.slug).toBe(SLUG);
    expect(certificate.canaries.map(({ purpose, afterwards }) => [purpose, Object.values(afterwards)])).toEqual([
      ['fields', ['dek_not_usable', 'dek_not_usable']],
      ['objects', ['dek_not_usable', 'dek_not_usable']],
    ]);
    await second.picture('organisation-destroyed');
    lead.expects(/40[13]/);
    await lead.goto('/app/');
    await lead.sees('Sign in');
    await Promise.all([operator, second, lead].map((one) => one.close()));
  });
});

interface Certified {
  readonly certificate: {
    readonly tenant: { readonly slug: string };
    readonly canaries: readonly {
      readonly purpose: string;
      readonly afterwards: Readonly<Record<string, string>>;
    }[];
  };
}

/** What a deletion would destroy, and the proposal. */
async function propose(operator: Visitor): Promise<void> {
  await operator.goto('/app/organisations');
  await operator.button(`Actions for ${ENTERPRISE}`).click();
  await operator.page.getByRole('menuitem', { name: 'Delete this organisation…' }).click();
  await operator.reads('What becomes unreadable for good');
  await operator.look('what a deletion destroys');
  await operator.button('Go on to approval').click();
  await operator.button('Propose the deletion').click();
  await operator.sees('Deletions under way');
}

async function rotate(lead: Visitor): Promise<void> {
  await lead.button('Rotate now').click();
  await lead.dialog.getByRole('heading', { name: 'What you approve' }).waitFor();
  await lead.dialog.getByRole('button', { name: 'Rotate now' }).click();
  await lead.reads('New data keys seal now');
  await lead.reads('Fields, version 2');
}

/** An engagement, whose title is sealed under the tenant's data key. */
async function writeSomething(lead: Visitor): Promise<void> {
  const { status } = await lead.ask('/api/engagements', {
    title: TITLE,
    clientName: 'Lakeside Ferries',
    periodStart: '2026-01-01',
    periodEnd: '2026-12-31',
    catalogue: { source: 'sample' },
  });
  expect(status).toBe(201);
}

type Filled = Readonly<Record<string, string | undefined>>;

async function fill(lead: Visitor, values: Filled): Promise<void> {
  const more = lead.dialog.locator('details:not([open]) > summary', { hasText: 'More settings' });
  if ((await more.count()) > 0) await more.click();
  for (const [label, value] of Object.entries(values))
    if (value !== undefined) await lead.dialog.getByLabel(new RegExp(`^${label}`)).fill(value);
}

async function openWizard(lead: Visitor, kind: string, values: Filled): Promise<void> {
  await lead.button(/^(Use a key of your own|Change to another key)$/).click();
  await lead.dialog.getByText(kind, { exact: true }).click();
  await lead.button('Go on').click();
  await fill(lead, values);
}

/** Checks, is told that it cannot be used and why, and goes back to the settings. */
async function refusedBecause(lead: Visitor, code: string, words: RegExp): Promise<void> {
  await lead.button(/^Check (it|again)$/).click();
  await lead.dialog.getByText('This key cannot be used yet').waitFor();
  await lead.dialog.getByText('What to do:').waitFor();
  await lead.dialog.getByText(code, { exact: true }).waitFor();
  await lead.dialog.getByText(words).first().waitFor();
}

async function backToSettings(lead: Visitor, values: Filled): Promise<void> {
  await lead.button('Back').click();
  await fill(lead, values);
}

/** Checks, approves with the passkey, and has it. */
async function switchTo(lead: Visitor, kind: string, outcome = 'Your key protects your data now'): Promise<void> {
  await lead.button('Check it').click();
  await lead.reads('A throw-away key was wrapped, unwrapped and compared');
  await lead.button('Go on to approval').click();
  await lead.dialog.getByRole('heading', { name: 'What you approve' }).waitFor();
  await lead.dialog.getByRole('button', { name: 'Switch the key' }).click();
  await lead.reads(outcome);
  await lead.sees(kind);
}

/** The key is gone: the page of the keys says so and why, and the work cannot be read. Then it is given back. */
async function feelsWithdrawal(
  lead: Visitor,
  owner: {
    /** Pictures are kept under this name. */
    readonly name?: string;
    takeAway(): void;
    giveBack(): Promise<void> | void;
    readonly says: RegExp;
  },
): Promise<void> {
  await readsItsWork(lead);
  await lead.goto('/app/keys');
  lead.expects(/503/); // the browser reports each refused request
  owner.takeAway();
  const alarm = lead.page.getByText('The key is withdrawn: your data is unreadable until it is back');
  await alarm.waitFor({ timeout: FELT_MS_MAX });
  await lead.goto('/app/keys'); // whoever comes anew gets in, and sees the same
  await alarm.waitFor();
  await lead.reads(owner.says);
  await lead.reads('What to do:');
  if (owner.name !== undefined) await lead.picture(`key-withdrawn-${owner.name}`);
  await lead.goto('/app/');
  // What is shown is what the workspace holds: until it has asked, a data key that is open already still opens.
  const shut = lead.page.getByText('Your organisation’s own key is withdrawn');
  const deadline = Date.now() + FELT_MS_MAX;
  while ((await shut.count()) === 0 && Date.now() < deadline) {
    await lead.goto('/app/');
    await shut
      .or(lead.page.getByRole('link', { name: TITLE }))
      .first()
      .waitFor();
  }
  expect(await shut.count()).toBe(1);
  await expect.poll(() => lead.page.getByText(TITLE).count()).toBe(0);
  if (owner.name !== undefined) await lead.picture(`work-withdrawn-${owner.name}`);
  await owner.giveBack();
  await readsItsWork(lead);
  await lead.goto('/app/keys');
  await lead.dialog.waitFor({ state: 'detached' });
  await alarm.waitFor({ state: 'detached', timeout: BACK_MS_MAX });
  lead.expectsNothing();
}

async function readsItsWork(lead: Visitor): Promise<void> {
  const work = lead.page.getByRole('link', { name: TITLE });
  const refused = lead.page.getByText('Your organisation’s own key is withdrawn');
  const deadline = Date.now() + BACK_MS_MAX;
  do {
    await lead.goto('/app/');
    await work.or(refused).first().waitFor();
  } while ((await work.count()) === 0 && Date.now() < deadline);
  expect(await work.count()).toBe(1);
}

/** What a person types wrongly, and what each is told. */
async function wrongInput(lead: Visitor): Promise<void> {
  const { kms, store } = owners!.rehearsal;
  const { keyArn, region, endpoint, accessKeyId, secretAccessKey } = kms.source;
  const gone = keyArn.replace(/.{4}$/, '0000');
  await openWizard(lead, KINDS.kms, { 'Key ARN': 'not an ARN', Region: region, Endpoint: endpoint });
  lead.expects(/400/); // the browser reports the refused request
  await lead.button('Check it').click();
  await lead.dialog.getByText('an ARN of the right kind').waitFor();
  lead.expectsNothing();
  await fill(lead, { 'Key ARN': gone, 'Access key id': accessKeyId, 'Secret access key': secretAccessKey });
  await refusedBecause(lead, 'kek_gone', /does not exist/);
  await backToSettings(lead, { 'Key ARN': keyArn, 'Secret access key': 'x'.repeat(40) });
  await refusedBecause(lead, 'kek_denied', /secret access key .* is not the one of its access key id/);
  await lead.picture('key-check-refused');
  await lead.page.keyboard.press('Escape');
  await owners!.rehearsal.store.goAway();
  await openWizard(lead, KINDS.xks, storeFields());
  await refusedBecause(lead, 'kek_unavailable', /does not answer in time/);
  await owners!.rehearsal.store.comeBack();
  await backToSettings(lead, { 'Key id': 'another-key' });
  await refusedBecause(lead, 'kek_gone', /key/);
  await backToSettings(lead, { 'Proxy endpoint': 'https://10.0.0.1', 'Key id': store.source.keyId });
  await refusedBecause(lead, 'kek_misconfigured', /10\.0\.0\.1/);
  await lead.page.keyboard.press('Escape');
  await lead.dialog.waitFor({ state: 'detached' });
}

async function ownKmsKey(lead: Visitor): Promise<void> {
  const { kms } = owners!.rehearsal;
  const { keyArn, region, endpoint, accessKeyId, secretAccessKey } = kms.source;
  await openWizard(lead, KINDS.kms, {
    'Key ARN': keyArn,
    Region: region,
    Endpoint: endpoint,
    'Access key id': accessKeyId,
    'Secret access key': secretAccessKey,
  });
  await lead.picture('key-settings-kms');
  // The store fails as soon as data keys are to be moved: they stay where they are, and go on later.
  kms.simulator.fault({ kind: 'throttle', operation: 'Encrypt', times: 99 });
  await switchTo(lead, KINDS.kms, 'Your key seals what is new; the rest is to be moved');
  await lead.reads(/[34] of [34] data keys still stand under the former key/);
  await lead.picture('keys-moving');
  await lead.button('Go on moving').click();
  await lead.reads('It stopped:');
  kms.simulator.clearFaults();
  await lead.button('Go on moving').click();
  await lead.page.getByText('data keys still stand under the former key').waitFor({ state: 'detached' });
  await lead.picture('keys-kms');
  await feelsWithdrawal(lead, {
    name: 'kms',
    takeAway: () => kms.simulator.setEnabled(keyArn, false),
    giveBack: () => kms.simulator.setEnabled(keyArn, true),
    says: /is disabled\. Its data stay unreadable until somebody enables it/,
  });
}

/** Fetches what to pack the material with, packs it on the owner's machine, hands it over and approves. */
async function importMaterial(lead: Visitor, expires: string): Promise<void> {
  await lead.button('Fetch what to wrap it with').click();
  const key = lead.button('Wrapping key (DER)');
  await key.waitFor();
  const saving = lead.page.waitForEvent('download');
  await key.click();
  const der = readFileSync(await (await saving).path());
  expect(createPublicKey({ key: der, format: 'der', type: 'spki' }).asymmetricKeyDetails?.modulusLength).toBe(4096);
  const buffer = owners!.packMaterial(der);
  const file = { name: 'blob.bin', mimeType: 'application/octet-stream', buffer };
  await lead.dialog.locator('input[type=file]').setInputFiles(file);
  await lead.dialog.getByText('blob.bin is here').waitFor();
  await lead.dialog.getByLabel(/^Expires on/).fill(expires);
  await lead.button('Import it').click();
  await lead.dialog.getByRole('heading', { name: 'What you approve' }).waitFor();
  await lead.reads(/until you import the same material again/);
  await lead.dialog.getByRole('button', { name: 'Import it' }).last().click();
  await lead.reads('The material is in your key');
}

function materialFields(): Filled {
  const { importSource, admin } = owners!.rehearsal.kms;
  return {
    'Key ARN': importSource.keyArn,
    Region: importSource.region,
    Endpoint: importSource.endpoint,
    'Access key id': admin.accessKeyId,
    'Secret access key': admin.secretAccessKey,
  };
}

async function importedMaterial(lead: Visitor): Promise<void> {
  const { simulator, importSource } = owners!.rehearsal.kms;
  const expires = new Date(Date.now() + 2 * DAY_MS).toISOString().slice(0, 10);
  await openWizard(lead, KINDS.imported, materialFields());
  await importMaterial(lead, expires);
  await lead.picture('key-material-imported');
  await switchTo(lead, KINDS.kms);
  await feelsWithdrawal(lead, {
    // Two days pass in the account of the key, and its material is gone.
    takeAway: () => {
      simulator.skewBy(3 * DAY_MS);
      simulator.setEnabled(importSource.keyArn, true);
      simulator.skewBy(-3 * DAY_MS);
    },
    giveBack: async () => {
      await lead.goto('/app/keys');
      await openWizard(lead, KINDS.imported, materialFields());
      await importMaterial(lead, expires);
      await lead.button('Cancel').click();
    },
    says: /expired, was deleted or was never imported\. Import the same material again/,
  });
}

function storeFields(): Filled {
  const { source } = owners!.rehearsal.store;
  return {
    'Proxy endpoint': source.endpoint,
    'Path prefix': source.uriPathPrefix,
    'Key id': source.keyId,
    'Access key id': source.accessKeyId,
    'Secret access key': source.secretAccessKey,
    'Certificate authority': source.caCertificate,
    'Client certificate': source.clientCertificate,
    'Client key': source.clientKey,
  };
}

async function externalStore(lead: Visitor): Promise<void> {
  const { store } = owners!.rehearsal;
  await openWizard(lead, KINDS.xks, storeFields());
  await lead.picture('key-settings-xks');
  await switchTo(lead, KINDS.xks);
  await feelsWithdrawal(lead, {
    takeAway: () => store.setKeyEnabled(false),
    giveBack: () => store.setKeyEnabled(true),
    says: /rehearsal-key of the key store is not enabled|disabled/,
  });
}

/** Pulling the token out withdraws nothing: what is open stays open for its time, and the page says so. */
async function ownHsmKey(lead: Visitor): Promise<void> {
  await openWizard(lead, KINDS.hsm, { 'Label of the key': 'lakeside' });
  await switchTo(lead, KINDS.hsm);
  await lead.picture('keys-hsm');
  await readsItsWork(lead); // so that something is open
  await lead.goto('/app/keys');
  owners!.pullOut();
  const silent = lead.page.getByText('Your key store does not answer');
  await silent.waitFor({ timeout: FELT_MS_MAX });
  await lead.reads(/at most 300 seconds more/);
  await lead.picture('key-store-silent');
  await readsItsWork(lead);
  owners!.plugIn();
  await lead.goto('/app/keys');
  await silent.waitFor({ state: 'detached', timeout: BACK_MS_MAX });
}
