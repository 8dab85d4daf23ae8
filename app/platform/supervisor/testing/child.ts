// A process for the supervisor's own tests: gets a certificate, says it is ready, answers, or dies as told.
import { AppError, type Json } from '@auditrax/base';
import { joinSupervisor } from '../member.ts';
import type { ProvisionOrder } from '../messages.ts';

const service = (['issuer', 'sentinel'] as const).find((name) => name === process.argv[2]) ?? 'signer';
const member = await joinSupervisor(service);
if (service === 'issuer') {
  member.onSign((asks, csrPem) => Promise.resolve({ certificatePem: `${asks}:${csrPem}`, bundlePem: 'ca' }));
}
if (member.boot.options['fatal'] === true)
  member.fatal(new AppError('key_lost', 'the key is gone: restore the backup'));
const certificate = await member.certify(`csr of ${service}`);
member.onAsk('certificate', () => Promise.resolve(certificate.certificatePem));
member.onAsk('identity', () => Promise.resolve({ uid: process.getuid!(), groups: process.getgroups!().length }));
member.onAsk('die', () => process.exit(3));
member.onAsk('fail', () => Promise.reject(new AppError('said_no', 'no')));
member.onAsk('provision', async (order) => ({ ...(await member.provision(order as unknown as ProvisionOrder)) }));
member.onAsk('inventory', async () => (await member.inventory()) as unknown as Json);
member.onAsk('announce', (facts) => {
  member.announce(facts as Record<string, Json>);
  return Promise.resolve(null);
});
member.announce({ [`${service}Key`]: 'public' });
member.ready(process.pid);
setInterval(() => {}, 1_000);
