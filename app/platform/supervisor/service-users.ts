import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { AppError } from '@auditrax/base';

export interface ServiceUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

const PREFIX = 'auditrax-';

function lookUp(name: string): ServiceUser | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((row) => row.startsWith(`${name}:`));
  if (line === undefined) return undefined;
  const [, , uid, gid] = line.split(':');
  return { name, uid: Number(uid), gid: Number(gid) };
}

/**
 * One system user a process (no shell, no home), made with `useradd` when missing. Only root can; PostgreSQL's peer
 * authentication needs an entry in /etc/passwd for each. Throws `service_user_failed` with what to do.
 */
export function ensureServiceUsers(
  services: readonly string[],
  log: (line: string) => void,
): Record<string, ServiceUser> {
  const users: Record<string, ServiceUser> = {};
  for (const service of services) {
    const name = `${PREFIX}${service}`;
    let user = lookUp(name);
    if (user === undefined) {
      try {
        execFileSync(
          'useradd',
          [
            '--system',
            '--user-group',
            '--no-create-home',
            '--home-dir',
            '/nonexistent',
            '--shell',
            '/usr/sbin/nologin',
            name,
          ],
          { stdio: 'pipe' },
        );
      } catch (error) {
        throw new AppError(
          'service_user_failed',
          `could not add the system user ${name}: run as an ordinary user instead, or install the "passwd" package`,
          { cause: error },
        );
      }
      log(`added the system user ${name}`);
      user = lookUp(name);
    }
    if (user === undefined || user.uid === 0)
      throw new AppError('service_user_failed', `${name} is not usable as a system user`);
    users[service] = user;
  }
  return users;
}
