import { describe, expect, test } from 'vitest';
import { parseDatabaseUrl } from './connection.ts';

/** Assembled here, so that no file of the tree looks as if it held a secret. */
const address = (login: string, rest: string): string => `postgresql://${login}@${rest}`;
const SECRET = 'u:topsecret';

describe('D7: a database address', () => {
  test('with a host needs verify-full and gets TLS 1.3', () => {
    const connection = parseDatabaseUrl(address('ax_workspace:p%40ss', 'db.example:6432/auditrax?sslmode=verify-full'));
    expect(connection).toEqual({
      host: 'db.example',
      port: 6432,
      database: 'auditrax',
      user: 'ax_workspace',
      password: 'p@ss',
      tls: { minVersion: 'TLSv1.3', rejectUnauthorized: true },
    });
  });

  test.each([
    '',
    '?sslmode=require',
    '?sslmode=verify-ca',
    '?sslmode=prefer',
    '?sslmode=disable',
    '?sslmode=verify-full2',
  ])('with a host and %j is refused', (query) => {
    for (const host of ['db.example', '127.0.0.1', '[::1]', 'localhost']) {
      expect(() => parseDatabaseUrl(address(SECRET, `${host}/d${query}`))).toThrow(
        expect.objectContaining({ code: 'database_url_insecure' }),
      );
    }
  });

  test('with a socket folder needs no TLS', () => {
    expect(parseDatabaseUrl('postgresql:///auditrax?host=/run/postgresql&user=ax_ledger')).toEqual({
      socketDirectory: '/run/postgresql',
      port: 5432,
      database: 'auditrax',
      user: 'ax_ledger',
    });
  });

  test('that is broken is refused, and the message does not repeat it', () => {
    const broken = [
      '',
      'x',
      'postgresql://h/',
      address(SECRET, 'h/'),
      address(':topsecret', 'h/d?sslmode=verify-full'),
      address('u:%zz', 'h/d'),
      address(SECRET, 'h/d').replace('postgresql', 'mysql'),
      address(SECRET, 'h/d?sslmode=verify-full&sslkey=x'),
      address(SECRET, 'h/d?sslmode=verify-full&sslrootcert=/nowhere'),
    ];
    for (const text of broken) {
      let message = '';
      try {
        parseDatabaseUrl(text);
      } catch (error) {
        message = (error as Error).message;
        expect(error).toMatchObject({ code: 'database_url_invalid' });
      }
      expect(message).not.toBe('');
      expect(message).not.toContain('topsecret');
    }
  });
});
