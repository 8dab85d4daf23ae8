import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { browserMissing, openSite, type Site, type Visitor } from './testing/site.ts';

const ENTERPRISE = 'Lakeside Internal Audit';
let site: Site;

describe.skipIf(browserMissing)('keys and those who look after them', () => {
  beforeAll(async () => {
    site = await openSite();
  });
  afterAll(() => site?.close());
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

  it('a lead of the Enterprise tier rotates with a passkey, and rehearses a key that does not fit', async () => {
    const lead = await site.visitor();
    await lead.enrol((await site.invitation('Lead auditor', ENTERPRISE)).enrolPath!);
    await lead.goto('/app/keys');
    await lead.sees('This installation’s key');
    await rotate(lead);
    await lead.button('Use a key of your own').click();
    await lead.page.getByText('Your external key store').click();
    await lead.button('Go on').click();
    await lead.page.getByLabel('Proxy endpoint').fill('https://localhost:1');
    await lead.page.getByLabel('Key id', { exact: true }).fill('wharf');
    await lead.page.getByLabel('Access key id').fill('A'.repeat(20));
    await lead.page.getByLabel('Secret access key').fill('b'.repeat(43));
    await lead.button('Check it').click();
    await lead.reads('This key cannot be used yet');
    await lead.reads('What to do:');
    await lead.picture('keys-check-refused');
    await lead.page.keyboard.press('Escape');
    await lead.reads('This installation’s key');
    await lead.picture('keys');
    await lead.close();
  });

  it('the operator sees every key ring, is shown what a deletion destroys, proposes it and cancels it', async () => {
    const operator = await site.visitor();
    await operator.enrol((await site.invitation('Operator', 'Auditrax sample organisation')).enrolPath!);
    await operator.goto('/app/key-rings');
    await operator.button('This installation').click();
    await operator.dialog.getByText('Fingerprint').waitFor();
    await operator.page.keyboard.press('Escape');
    await operator.picture('key-rings');
    await operator.goto('/app/organisations');
    await operator.button(`Actions for ${ENTERPRISE}`).click();
    await operator.page.getByRole('menuitem', { name: 'Delete this organisation…' }).click();
    await operator.reads('What becomes unreadable for good');
    await operator.look('what a deletion destroys');
    await operator.button('Go on to approval').click();
    await operator.button('Propose the deletion').click();
    await operator.sees('Deletions under way');
    await operator.picture('organisations');
    await operator.button('Cancel the deletion').click();
    await operator.sees('Ended deletions');
    await operator.close();
  });
});

async function rotate(lead: Visitor): Promise<void> {
  await lead.button('Rotate now').click();
  await lead.dialog.getByText('What you approve').waitFor();
  await lead.dialog.getByRole('button', { name: 'Rotate now' }).click();
  await lead.reads('New data keys seal now');
  await lead.reads('Fields, version 2');
}
