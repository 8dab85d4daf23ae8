import { systemClock } from '@auditrax/base';
import { issueEdgeCertificate, type EdgeCertificate } from '@auditrax/workload';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAddressGuard } from './address-guard.ts';
import { deliver, tryTarget } from './delivery.ts';
import type { StreamEvent } from './event.ts';
import type { Target } from './target-contract.ts';
import { openHec, openSyslog, type HecEvent, type Receiver } from './testing/receivers.ts';

const TOKEN = 'token-of-the-test';
const event: StreamEvent = {
  origin: 'log.example/x/1',
  index: 0,
  time_ms: 1,
  type: 'a.b',
  outcome: 'allowed',
  entryId: 'e',
  body: { says: 'ä'.repeat(3) },
};
const events = Array.from({ length: 30 }, (_, index) => ({ ...event, index }));
const guard = createAddressGuard({
  allowed: ['127.0.0.0/8'],
  lookup: async () => [{ address: '127.0.0.1', family: 4 }],
});

let certificate: EdgeCertificate;
let hec: Receiver<HecEvent>;
let old: Receiver<HecEvent>;
let syslog: Receiver<string>;
beforeAll(async () => {
  certificate = await issueEdgeCertificate({ clock: systemClock, name: 'Receiver' });
  hec = await openHec(certificate, { token: TOKEN });
  old = await openHec(certificate, { token: TOKEN, maxVersion: 'TLSv1.2' });
  syslog = await openSyslog(certificate);
});
afterAll(async () => {
  await Promise.all([hec, old, syslog].map((receiver) => receiver?.close()));
});

const toHec = (more: object = {}): Target => ({
  kind: 'splunk-hec',
  host: 'localhost',
  port: hec.port,
  path: '/services/collector/event',
  token: TOKEN,
  ca: certificate.authorityPem,
  ...more,
});
const toSyslog = (more: object = {}): Target => ({
  kind: 'syslog-tls',
  host: 'localhost',
  port: syslog.port,
  ca: certificate.authorityPem,
  ...more,
});

describe('S6, S8 a delivery', () => {
  it('arrives whole and in order, by HEC and by syslog over TLS', async () => {
    await deliver(toHec(), events, { guard });
    expect(hec.received.map(({ fields }) => fields.auditrax_position)).toEqual(events.map(({ index }) => index));
    await deliver(toSyslog(), events, { guard });
    expect(syslog.received).toHaveLength(30);
    expect(syslog.received[29]).toContain('position="29"');
  });

  it('is no delivery without the receiver’s word', async () => {
    for (const [manner, code] of [
      ['refuses', 'HTTP_503'],
      ['pretends', 'NOT_A_HEC_ANSWER'],
      ['breaks', 'ECONNRESET'],
      ['lost', 'ECONNRESET'],
    ] as const) {
      hec.manner = manner;
      await expect(deliver(toHec(), events, { guard }), manner).rejects.toMatchObject({ step: 'answer', code });
    }
    hec.manner = 'takes';
    syslog.manner = 'breaks';
    await expect(deliver(toSyslog(), events, { guard })).rejects.toMatchObject({ step: 'answer' });
    syslog.manner = 'takes';
  });

  it('a test says at which step it ended: address, connection, TLS, answer', async () => {
    const ended = async (target: Target) => (await tryTarget(target, event, guard)).at(-1);
    expect(await tryTarget(toHec(), event, guard)).toMatchObject([
      { step: 'address', ok: true },
      { step: 'connect', ok: true },
      { step: 'tls', ok: true },
      { step: 'answer', ok: true },
    ]);
    const shut = createAddressGuard({ allowed: [] });
    expect(await tryTarget(toHec({ host: '127.0.0.1' }), event, shut)).toEqual([
      { step: 'address', ok: false, detail: 'PRIVATE_ADDRESS' },
    ]);
    expect(await ended(toHec({ port: 1 }))).toEqual({ step: 'connect', ok: false, detail: 'ECONNREFUSED' });
    const { authorityPem } = await issueEdgeCertificate({ clock: systemClock, name: 'Another' });
    expect(await ended(toHec({ ca: authorityPem }))).toMatchObject({ step: 'tls', ok: false });
    expect(await ended(toHec({ ca: undefined }))).toMatchObject({ step: 'tls', ok: false });
    const otherName = { step: 'tls', ok: false, detail: 'ERR_TLS_CERT_ALTNAME_INVALID' };
    expect(await ended(toSyslog({ host: 'siem.example' }))).toEqual(otherName);
    expect(await ended(toHec({ port: old.port }))).toMatchObject({ step: 'tls', ok: false });
    expect(await ended(toHec({ token: 'another-token' }))).toEqual({ step: 'answer', ok: false, detail: 'HTTP_403' });
  });
});
