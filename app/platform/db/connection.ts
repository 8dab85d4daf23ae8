import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { Connection } from '@auditrax/tenancy';
import { databaseError } from './errors.ts';

const DEFAULT_PORT = 5432;
const PARAMETERS: ReadonlySet<string> = new Set(['sslmode', 'sslrootcert', 'host', 'user', 'application_name']);

/**
 * Reads a connection address such as `postgresql://role@db.example:5432/name?sslmode=verify-full` or
 * `postgresql:///name?host=/run/postgresql&user=role`. A host is reached only with a verified certificate and TLS 1.3;
 * there is no way to ask for less. `sslrootcert` names a PEM file, or `system` (the default) for the well-known ones.
 *
 * Throws `database_url_invalid` or `database_url_insecure`; the messages never repeat the address, which holds a secret.
 */
export function parseDatabaseUrl(text: string, name = 'DATABASE_URL'): Connection {
  const url = URL.canParse(text) ? new URL(text) : invalid(name, 'it is not an address of the form postgresql://…');
  if (url.protocol !== 'postgresql:' && url.protocol !== 'postgres:') invalid(name, 'it must begin with postgresql://');
  for (const parameter of url.searchParams.keys()) {
    if (!PARAMETERS.has(parameter))
      invalid(name, `the parameter ${JSON.stringify(parameter.slice(0, 40))} is not known`);
  }
  const database = decode(url.pathname.slice(1), name) || invalid(name, 'it names no database');
  const user = decode(url.username, name) || url.searchParams.get('user') || invalid(name, 'it names no user');
  const password = decode(url.password, name);
  const common = {
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
    database,
    user,
    ...(password === '' ? {} : { password }),
  };
  const host = url.searchParams.get('host') ?? decode(url.hostname, name);
  if (host === '') return invalid(name, 'it names no host and no socket folder');
  if (host.startsWith('/')) return { ...common, socketDirectory: host };
  return { ...common, host: host.replace(/^\[|\]$/g, ''), tls: tlsOptions(url, name) };
}

function tlsOptions(url: URL, name: string): ConnectionOptions {
  const mode = url.searchParams.get('sslmode');
  if (mode !== 'verify-full') {
    throw databaseError(
      'database_url_insecure',
      `${name} reaches a host with sslmode=${mode === null ? '(none)' : JSON.stringify(mode.slice(0, 20))}: only sslmode=verify-full is accepted`,
    );
  }
  const root = url.searchParams.get('sslrootcert') ?? 'system';
  const authority = root === 'system' ? {} : { ca: readAuthority(root, name) };
  return { minVersion: 'TLSv1.3', rejectUnauthorized: true, ...authority };
}

function readAuthority(path: string, name: string): string {
  try {
    const text = readFileSync(path, 'utf8');
    if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  } catch {
    // the same answer: it cannot be used
  }
  return invalid(name, 'its sslrootcert is not a readable PEM certificate');
}

function decode(part: string, name: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return invalid(name, 'it has a broken %-escape');
  }
}

function invalid(name: string, what: string): never {
  throw databaseError('database_url_invalid', `${name} cannot be used: ${what}`);
}
