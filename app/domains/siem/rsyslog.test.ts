// The stream against Debian's rsyslog, which takes frames, TLS and structured data apart in its own way.
import { systemClock } from '@auditrax/base';
import { issueEdgeCertificate, type EdgeCertificate } from '@auditrax/workload';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAddressGuard } from './address-guard.ts';
import { deliver, tryTarget } from './delivery.ts';
import type { StreamEvent } from './event.ts';
import type { Target } from './target-contract.ts';
import { hasRsyslog, startRsyslog, type Rsyslog } from './testing/rsyslog.ts';

const missing = !hasRsyslog();
if (missing && process.env['CI'] === 'true')
  throw new Error('rsyslog or rsyslog-openssl is missing; with CI=true the foreign receiver may not be skipped');
if (missing) console.warn('skipped: rsyslog or rsyslog-openssl is missing, so no foreign receiver took the stream');

const BATCH = 200;
const event: StreamEvent = {
  origin: 'log.example/"a]\\b/1',
  index: 0,
  time_ms: Date.UTC(2026, 10, 23, 12, 0, 0, 123),
  type: 'engagement.created',
  outcome: 'allowed',
  entryId: 'e',
  body: { says: 'ä – 漢字', long: 'x'.repeat(3_000) },
};
const events = Array.from({ length: BATCH }, (_, index) => ({
  ...event,
  index,
  outcome: index % 2 === 0 ? 'allowed' : 'denied',
}));
const guard = createAddressGuard({
  allowed: ['127.0.0.0/8'],
  lookup: async () => [{ address: '127.0.0.1', family: 4 }],
});

describe.skipIf(missing)('S6, S8 a foreign receiver (rsyslog)', () => {
  let certificate: EdgeCertificate;
  let rsyslog: Rsyslog;
  const to = (more: object = {}): Target => ({
    kind: 'syslog-tls',
    host: 'localhost',
    port: rsyslog.port,
    ca: certificate.authorityPem,
    ...more,
  });
  beforeAll(async () => {
    certificate = await issueEdgeCertificate({ clock: systemClock, name: 'Receiver' });
    rsyslog = await startRsyslog(certificate);
  });
  afterAll(() => rsyslog?.stop());

  it('takes each message of a batch apart as it was meant: frames, order, position, words of any script', async () => {
    await deliver(to(), events, { guard });
    const taken = await rsyslog.until(BATCH);
    expect(taken).toHaveLength(BATCH);
    expect(taken.map(({ data }) => /position="(\d+)"/.exec(data)?.[1])).toEqual(events.map(({ index }) => `${index}`));
    for (const [at, one] of taken.entries()) {
      expect(one).toMatchObject({
        host: 'auditrax',
        app: 'auditrax',
        msgid: 'entry',
        facility: '13',
        severity: at % 2 === 0 ? 'info' : 'warning',
      });
      expect(new Date(one.time).getTime()).toBe(event.time_ms);
      expect(one.data).toContain('[auditrax@32473 origin="log.example/\\"a\\]\\\\b/1"');
      expect(JSON.parse(one.text)).toEqual(event.body);
    }
  });

  it('is tried step by step, over TLS 1.3, and refused with another authority', async () => {
    const steps = await tryTarget(to(), event, guard);
    expect(steps.map(({ step, ok }) => [step, ok])).toEqual([
      ['address', true],
      ['connect', true],
      ['tls', true],
      ['answer', true],
    ]);
    expect(steps[2]!.detail).toContain('TLSv1.3');
    const { authorityPem } = await issueEdgeCertificate({ clock: systemClock, name: 'Another' });
    expect((await tryTarget(to({ ca: authorityPem }), event, guard)).at(-1)).toMatchObject({ step: 'tls', ok: false });
    await rsyslog.until(BATCH + 1);
  });
});
