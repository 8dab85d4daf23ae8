// One-shot process: brings roles and schema to what the program needs, then ends. It is the only one that ever holds
// the database superuser's or the migration role's credentials.
import { chownSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError, systemRandom, toBase64Url } from '@auditrax/base';
import { migrate } from '../platform/db/migrate.ts';
import { LOGIN_ROLES, setUpRoles, type LoginRole } from '../platform/db/roles.ts';
import { ROOT } from './root.ts';

/** What the supervisor tells the set-up process. */
export interface SetupOrder {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly superuser: string;
  readonly superuserPassword?: string;
  /** `peer`: the kernel tells who calls. Else each role gets a password in the named folder. */
  readonly logins: 'peer' | 'password';
  /** Folder that keeps the role's password, and its owner. */
  readonly folders: Readonly<
    Record<LoginRole, { readonly path: string; readonly uid?: number; readonly gid?: number }>
  >;
}

export const PASSWORD_FILE = 'database.secret';

/** Passwords of an earlier start are kept; missing ones are made. The verifier in the database follows the file. */
function passwords(order: SetupOrder): Record<LoginRole, string> {
  return Object.fromEntries(
    LOGIN_ROLES.map((role) => {
      const folder = order.folders[role];
      const file = join(folder.path, PASSWORD_FILE);
      if (!existsSync(file)) {
        writeFileSync(file, toBase64Url(systemRandom.bytes(32)), { mode: 0o600 });
        if (folder.uid !== undefined && folder.gid !== undefined) chownSync(file, folder.uid, folder.gid);
      }
      return [role, readFileSync(file, 'utf8')];
    }),
  ) as Record<LoginRole, string>;
}

async function setUp(order: SetupOrder): Promise<string[]> {
  const server = { host: order.host, port: order.port };
  const superuser = {
    ...server,
    user: order.superuser,
    ...(order.superuserPassword === undefined ? {} : { password: order.superuserPassword }),
  };
  const logins = order.logins === 'peer' ? ('peer' as const) : passwords(order);
  await setUpRoles({ connection: { ...superuser, database: 'postgres' }, database: order.database, logins });
  const connection = {
    ...server,
    database: order.database,
    user: 'ax_migrate',
    ...(logins === 'peer' ? {} : { password: logins.ax_migrate }),
  };
  const { applied } = await migrate({ connection, roots: [join(ROOT, 'app')], log: () => {} });
  return applied;
}

process.once('message', (message) => {
  setUp(message as SetupOrder).then(
    (applied) => process.send!({ ok: true, applied }, () => process.exit(0)),
    (error: unknown) => {
      const code = error instanceof AppError ? error.code : 'unexpected';
      process.send!({ ok: false, code, message: (error as Error).message }, () => process.exit(1));
    },
  );
});
