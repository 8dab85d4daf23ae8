import type { LookupAddress } from 'node:dns';
import { describe, expect, it } from 'vitest';
import { outgoingGuard } from './outgoing.ts';
import type { OutgoingGuard } from './outgoing.ts';

const resolvesTo = (...addresses: string[]) => outgoingGuard({ resolve: async () => addresses });
const refused = expect.objectContaining({ code: 'kek_misconfigured' });

/** What a socket would dial. */
function dialled(guard: OutgoingGuard, origin: string, host = new URL(origin).hostname): Promise<string[]> {
  return new Promise((resolve, reject) => {
    guard.lookup(guard.endpoint(origin))(host, { all: true }, (error, found) =>
      error === null ? resolve((found as LookupAddress[]).map(({ address }) => address)) : reject(error),
    );
  });
}

describe('O1: the text of an endpoint is https, by name, on a listed port, in its one spelling', () => {
  it.each(['https://keys.example.com', 'https://keys.example.com/', 'https://keys.example.com:8443'])(
    '%s is taken',
    (text) => {
      expect(outgoingGuard().endpoint(text).origin).toBe(text.replace(/\/$/, ''));
    },
  );

  it.each([
    'http://keys.example.com',
    'ftp://keys.example.com',
    'file:///etc/passwd',
    'https://user@keys.example.com',
    'https://user:word@keys.example.com',
    'https://keys.example.com@169.254.169.254',
    'https://keys.example.com:22',
    'https://keys.example.com:5432',
    'https://keys.example.com:8443.evil.example',
    'https://keys.example.com:443',
    'https://keys.example.com/path',
    'https://keys.example.com/?a',
    'https://keys.example.com#a',
    'https://keys.example.com\\@10.0.0.1',
    'https:\\\\keys.example.com',
    ' https://keys.example.com',
    'https://keys.exa\tmple.com',
    'https://KEYS.example.com',
    'https://keys。example。com',
    'https://keys.example.com.',
    'https://localhost',
    'https://metadata',
    'https://127.0.0.1',
    'https://127.1',
    'https://2130706433',
    'https://0x7f000001',
    'https://0177.0.0.1',
    'https://8.8.8.8',
    'https://169.254.169.254',
    'https://[::1]',
    'https://[::ffff:127.0.0.1]',
    'https://[::ffff:7f00:1]',
    'https://[fd00:ec2::254]',
    'https://[2606:4700::1111]',
    'https://%31%32%37.0.0.1',
    'https://a_b.example.com',
    'https://',
    '',
    `https://${'a'.repeat(300)}.example`,
  ])('%j is refused', (text) => {
    expect(() => outgoingGuard().endpoint(text)).toThrow(refused);
  });
});

describe('O2: a connection goes to a public address that was checked, or nowhere', () => {
  it.each(['93.184.215.14', '2606:2800:21f:cb07:6820:80da:af6b:8b2c'])('%s is dialled', async (address) => {
    expect(await dialled(resolvesTo(address), 'https://keys.example.com')).toEqual([address]);
  });

  it.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '100.100.100.200',
    '127.0.0.1',
    '127.255.255.254',
    '168.63.129.16',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.192',
    '192.0.2.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::127.0.0.1',
    '::ffff:10.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::7f00:1',
    '64:ff9b:1::7f00:1',
    '100::1',
    '2001:0:7f00:1::',
    '2001:db8::1',
    '2002:7f00:1::',
    '3fff::1',
    '4000::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    'not an address',
  ])('%s is refused', async (address) => {
    const guard = resolvesTo(address);
    await expect(guard.check('https://keys.example.com')).rejects.toThrow(refused);
    await expect(dialled(guard, 'https://keys.example.com')).rejects.toThrow(refused);
  });

  it('one bad address among good ones refuses the name', async () => {
    const guard = resolvesTo('93.184.215.14', '10.0.0.1');
    await expect(dialled(guard, 'https://keys.example.com')).rejects.toThrow(refused);
  });

  it('a name that changes between check and use is checked again in the very step that dials', async () => {
    const answers = [['93.184.215.14'], ['127.0.0.1']];
    const guard = outgoingGuard({ resolve: async () => answers.shift()! });
    await guard.check('https://rebind.example.com');
    await expect(dialled(guard, 'https://rebind.example.com')).rejects.toThrow(refused);
    expect(answers).toEqual([]);
  });

  it('a lookup serves its own endpoint alone', async () => {
    await expect(dialled(resolvesTo('93.184.215.14'), 'https://a.example.com', 'b.example.com')).rejects.toThrow(
      refused,
    );
  });

  it('no answer of the resolver is an outage, not a refusal', async () => {
    const unavailable = expect.objectContaining({ code: 'kek_unavailable' });
    const failing = outgoingGuard({ resolve: () => Promise.reject(new Error('SERVFAIL')) });
    await expect(failing.check('https://keys.example.com')).rejects.toThrow(unavailable);
    await expect(dialled(resolvesTo(), 'https://keys.example.com')).rejects.toThrow(unavailable);
  });
});

describe('O3: loopback is reached only by an origin that was named for the rehearsal', () => {
  const origins = ['https://127.0.0.1:18443', 'https://rig.localhost:18443', 'https://[::1]:18443'];

  it.each(origins)('%s', async (origin) => {
    const guard = outgoingGuard({ loopbackOrigins: origins, resolve: async () => ['127.0.0.1'] });
    expect((await guard.check(origin)).port).toBe(18443);
  });

  it('another port or name is refused, and the named one may not leave loopback', async () => {
    const guard = outgoingGuard({ loopbackOrigins: origins, resolve: async () => ['10.0.0.1'] });
    expect(() => guard.endpoint('https://127.0.0.1:18444')).toThrow(refused);
    await expect(guard.check('https://rig.localhost:18443')).rejects.toThrow(refused);
    await expect(guard.check('https://keys.example.com')).rejects.toThrow(refused);
  });
});
