import 'reflect-metadata';
import { X509Certificate as NodeCertificate } from 'node:crypto';
import { manualClock, type Clock } from '@auditrax/base';
import { createAuthority, startIdentity } from '@auditrax/workload';
import { expect, it } from 'vitest';
import { drillTokenRoutes } from './routes.ts';

it('is expired or nobody’s, and never another process’s', async () => {
  const clock = manualClock(Date.UTC(2026, 10, 20));
  const authorityAt = (at: Clock, leafLife_seconds: number) =>
    createAuthority({ trustDomain: 'auditrax', clock: at, leafLife_seconds });
  const { handlers } = drillTokenRoutes({ clock, authorityAt } as never);
  const ask = async (fault: 'expired' | 'nobody', service: string): Promise<NodeCertificate> => {
    let certificate: NodeCertificate | undefined;
    const obtain = async (csrPem: string) => {
      const call = { peer: 'sentinel', body: { csrPem, fault } };
      const { body } = (await (handlers['certificate'] as (call: unknown) => Promise<unknown>)(call)) as {
        body: { certificatePem: string; bundlePem: string };
      };
      certificate = new NodeCertificate(body.certificatePem);
      return body;
    };
    const identity = await startIdentity({ service, trustDomain: 'auditrax', clock, obtain, onFailure: () => {} });
    identity.close();
    return certificate!;
  };
  const expired = await ask('expired', 'sentinel');
  expect(expired.subjectAltName).toBe('URI:spiffe://auditrax/sentinel');
  expect(clock.nowMs() - expired.validToDate.getTime()).toBe(3_600_000);
  const nobody = await ask('nobody', 'nobody');
  expect(nobody.subjectAltName).toBe('URI:spiffe://auditrax/nobody');
  expect(nobody.validToDate.getTime() - clock.nowMs()).toBe(60_000);
});
