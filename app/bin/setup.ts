// One-shot process: brings roles and schema to what the program needs, then ends. It is the only one that ever holds
// the database superuser's or the migration role's credentials.
import { chownSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError, systemRandom, toBase64Url } from '@auditrax/base';
import { countHoldings, type Holdings } from '../platform/db/holdings.ts';
import { migrate } from '../platform/db/migrate.ts';
import { LOGIN_ROLES, setUpRoles, type LoginRole } from '../platform/db/roles.ts';
import { DATABASE_PASSWORD_FILE, type DatabaseAccess } from '../platform/supervisor/messages.ts';
import { ROOT } from './root.ts';
import { verifiedTls } from './verified-tls.ts';

/** What the set-up process answers. */
export type SetupAnswer =
  | {
      readonly ok: true;
      /** Migrations applied now. */
      readonly applied: readonly string[];
      readonly holdings: Holdings;
    }
  | { readonly ok: false; readonly code: string; readonly message: string };

/** What the supervisor tells the set-up process. */
export interface SetupOrder {
  readonly address: Omit<DatabaseAccess, 'user' | 'passwordFile'>;
  /** Who may create roles and the database. */
  readonly creator: { readonly user: string; readonly password?: string };
  /** `peer`: the kernel tells who calls. Else each role gets a password in the named folder. */
  readonly logins: 'peer' | 'password';
  /** Folder that keeps the role's password, and its owner. */
  readonly folders: Readonly<
    Record<LoginRole, { readonly path: string; readonly uid?: number; readonly gid?: number }>
  >;
}

/** Passwords of an earlier start are kept; missing ones are made. The verifier in the database follows the file. */
function passwords(order: SetupOrder): Record<LoginRole, string> {
  return Object.fromEntries(
    LOGIN_ROLES.map((role) => {
      const folder = order.folders[role];
      const file = join(folder.path, DATABASE_PASSWORD_FILE);
      if (!existsSync(file)) {
        writeFileSync(file, toBase64Url(systemRandom.bytes(32)), { mode: 0o600 });
        if (folder.uid !== undefined && folder.gid !== undefined) chownSync(file, folder.uid, folder.gid);
      }
      return [role, readFileSync(file, 'utf8')];
    }),
  ) as Record<LoginRole, string>;
}

async function setUp(order: SetupOrder): Promise<SetupAnswer> {
  const { host, port, database, tls } = order.address;
  const server = { host, port, ...(tls === undefined ? {} : { ssl: verifiedTls(tls) }) };
  const creator = { ...server, ...order.creator };
  const logins = order.logins === 'peer' ? ('peer' as const) : passwords(order);
  await setUpRoles({ connection: { ...creator, database: 'postgres' }, database, logins });
  const connection = {
    ...server,
    database,
    user: 'ax_migrate',
    ...(logins === 'peer' ? {} : { password: logins.ax_migrate }),
  };
  const { applied } = await migrate({ connection, roots: [join(ROOT, 'app')], log: () => {} });
  return { ok: true, applied, holdings: await countHoldings({ ...creator, database }) };
}

process.once('message', (message) => {
  setUp(message as SetupOrder).then(
    (answer) => process.send!(answer, () => process.exit(0)),
    (error: unknown) => {
      const code = error instanceof AppError ? error.code : 'unexpected';
      process.send!({ ok: false, code, message: (error as Error).message }, () => process.exit(1));
    },
  );
});
// The supervisor is gone: what is half done is rolled back by the server, and the next start does it again.
process.once('disconnect', () => process.exit(1));
