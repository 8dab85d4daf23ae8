// Once before all tests that start a house: what two first houses at the same time would both try to make.
import { buildBrowser } from '../../app/bin/browser-build.ts';
import { SERVICES } from '../../app/bin/house.ts';
import { buildNative } from '../../app/bin/native-build.ts';
import { ROOT } from '../../app/bin/root.ts';
import { ensureServiceUsers } from '../../app/platform/supervisor/service-users.ts';

const quiet = (): void => undefined;

/** Users of the processes, the browser's files, the native parts. */
export async function setup(): Promise<void> {
  if (process.getuid!() === 0) ensureServiceUsers([...SERVICES, 'postgres'], quiet);
  await Promise.all([buildBrowser(ROOT, quiet), buildNative(ROOT, quiet)]);
}
