import { describe, expect, it } from 'vitest';
import { target } from './target-contract.ts';
import { readTarget, type TypedTarget } from './target-form.ts';

const PEM = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----';
const hec: TypedTarget = {
  kind: 'splunk-hec',
  host: 'siem.example.org',
  port: '8088',
  path: '/services/collector/event',
  token: 'token-of-the-test',
  ca: '',
};
const syslog: TypedTarget = { ...hec, kind: 'syslog-tls', port: '6514', path: '', token: '' };

/** The same without the form: what the route would say to these values as they stand. */
function routeTakes({ kind, host, port, path, token, ca }: TypedTarget): boolean {
  const common = { kind, host, port: Number(port), ...(ca === '' ? {} : { ca }) };
  return target.safeParse(kind === 'syslog-tls' ? common : { ...common, path, token }).success;
}

describe('the form of a destination', () => {
  it('takes what the route takes, and refuses what it refuses, naming the field', () => {
    const values: Readonly<Record<Exclude<keyof TypedTarget, 'kind'>, readonly string[]>> = {
      host: [
        'siem.example.org',
        '10.1.2.3',
        '::1',
        'https://siem.example.org',
        '...',
        '',
        'a b',
        'x'.repeat(254),
        'ä.de',
      ],
      port: ['1', '65535', '0', '65536', '-1', '', 'x', '80.5'],
      path: ['/', '/a/b_c.d', 'a', '/a?b', '/a b', `/${'x'.repeat(200)}`],
      token: ['12345678', '1234567', 'has space', 'ä'.repeat(9), 'x'.repeat(513), 'x'.repeat(512)],
      ca: ['', PEM, 'PEM', '-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----', `${PEM}${'x'.repeat(9)}`],
    };
    for (const base of [hec, syslog]) {
      for (const [field, tried] of Object.entries(values)) {
        for (const value of tried) {
          const typed = { ...base, [field]: value };
          const read = readTarget(typed);
          expect(read.ok, `${base.kind} ${field} ${value.slice(0, 40)}`).toBe(routeTakes(typed));
          if (!read.ok) expect(Object.keys(read.errors)).toEqual([field]);
          else expect(target.safeParse(read.target).success).toBe(true);
        }
      }
    }
  });

  it('sends no secret that its kind has no field for, and nothing that was typed around a value', () => {
    expect(readTarget({ ...syslog, token: 'left-over-token' })).toEqual({
      ok: true,
      target: { kind: 'syslog-tls', host: 'siem.example.org', port: 6514 },
    });
    expect(readTarget({ ...hec, host: '  siem.example.org ', ca: `\n${PEM}\n` })).toMatchObject({
      ok: true,
      target: { host: 'siem.example.org', ca: PEM },
    });
  });
});
