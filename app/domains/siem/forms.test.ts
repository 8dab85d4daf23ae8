import { describe, expect, it } from 'vitest';
import { createAddressGuard, parseNetwork } from './address-guard.ts';
import { hecBody, syslogFrame } from './delivery.ts';
import { target } from './target-contract.ts';

const PRIVATE = [
  '127.0.0.1',
  '10.1.2.3',
  '172.31.255.255',
  '192.168.0.1',
  '169.254.169.254',
  '100.64.0.1',
  '0.0.0.0',
  '224.0.0.1',
  '255.255.255.255',
  '::1',
  '::',
  '::ffff:127.0.0.1',
  '::ffff:8.8.8.8',
  '64:ff9b::7f00:1',
  'fe80::1',
  'fd00::1',
  'ff02::1',
  '2001:db8::1',
  '2002:7f00:1::',
];

describe('S5 the address guard', () => {
  it('refuses what is not public, by number and by name, also when only one of its addresses is', async () => {
    for (const address of PRIVATE) {
      const family = address.includes(':') ? 6 : 4;
      const guard = createAddressGuard({
        allowed: [],
        lookup: async () => [
          { address: '8.8.8.8', family: 4 },
          { address, family },
        ],
      });
      await expect(guard(address), address).rejects.toMatchObject({ step: 'address', code: 'PRIVATE_ADDRESS' });
      await expect(guard('siem.example'), address).rejects.toMatchObject({ code: 'PRIVATE_ADDRESS' });
    }
    const open = createAddressGuard({ allowed: [], lookup: async () => [{ address: '2606:4700::1', family: 6 }] });
    expect(await open('siem.example')).toEqual({ address: '2606:4700::1', family: 6 });
    expect(await open('8.8.8.8')).toEqual({ address: '8.8.8.8', family: 4 });
  });

  it('lets through what the operator allowed, and nothing beside it', async () => {
    const guard = createAddressGuard({ allowed: ['10.9.0.0/16', '::1/128'] });
    expect(await guard('10.9.8.7')).toMatchObject({ family: 4 });
    expect(await guard('::1')).toMatchObject({ family: 6 });
    await expect(guard('10.8.0.1')).rejects.toMatchObject({ code: 'PRIVATE_ADDRESS' });
    for (const bad of ['10.0.0.0', '10.0.0.0/33', 'x/8', '10.0.0.0/8/8', '::/129'])
      expect(() => parseNetwork(bad), bad).toThrow(RangeError);
  });

  it('a name that does not resolve is said to be unknown', async () => {
    const guard = createAddressGuard({ allowed: [], lookup: () => Promise.reject(new Error('ENOTFOUND')) });
    await expect(guard('nowhere.example')).rejects.toMatchObject({ step: 'address', code: 'NAME_UNKNOWN' });
  });
});

describe('settings', () => {
  it('a token that would end its header, a path with a query, another host form: refused', () => {
    const good = { kind: 'splunk-hec', host: 'siem.example', port: 8088, token: 'abcdefgh' };
    expect(target.safeParse(good).success).toBe(true);
    for (const bad of [
      { token: 'abcdefgh\r\nx: y' },
      { token: 'short' },
      { path: '/x?y' },
      { path: 'x' },
      { host: 'a b' },
      { host: 'user@host' },
      { host: '' },
      { port: 0 },
      { ca: 'no certificate' },
      { kind: 'udp' },
      { more: 1 },
    ])
      expect(target.safeParse({ ...good, ...bad }).success, JSON.stringify(bad)).toBe(false);
  });
});

const event = {
  origin: 'log.example/x/1',
  index: 7,
  time_ms: Date.UTC(2026, 10, 22, 19, 31, 7, 5),
  type: 'tenant.attempt.refused',
  outcome: 'denied',
  entryId: 'e1"]\\',
  body: { text: 'ä\n' },
};

describe('S3 the forms', () => {
  it('syslog: RFC 5425 frames count bytes, RFC 5424 escapes what would end its data', () => {
    const frame = syslogFrame(event).toString('utf8');
    const message =
      '<108>1 2026-11-22T19:31:07.005Z auditrax auditrax - entry [auditrax@32473 origin="log.example/x/1" ' +
      'position="7" id="e1\\"\\]\\\\" type="tenant.attempt.refused" outcome="denied"] {"text":"ä\\n"}';
    expect(frame).toBe(`${Buffer.byteLength(message)} ${message}`);
  });

  it('HEC: an object an event, the position in an indexed field', () => {
    const lines = hecBody([event, { ...event, index: 8 }]).split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { time: 1795375867.005, source: 'log.example/x/1', fields: { auditrax_id: 'log.example/x/1#7' } },
      { fields: { auditrax_position: 8 }, event: { text: 'ä\n' } },
    ]);
  });
});
