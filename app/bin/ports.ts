import { createServer, type AddressInfo } from 'node:net';
import { AppError } from '@auditrax/base';
import type { Settings } from './settings.ts';

/** Highest port of TCP. */
const PORT_MAX = 65_535;
/** Where another port is suggested, counted from the busy one. */
const PORT_STEP = 1_000;

/** Asks the system for a free port of the address, or checks that the wanted one is free. Throws `port_busy` with the fix. */
function claimPort(wanted: number, { variable, bind }: { variable: string; bind: string }): Promise<number> {
  const other = wanted + PORT_STEP <= PORT_MAX ? wanted + PORT_STEP : wanted - PORT_STEP;
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE'
          ? 'is in use by another program: stop it'
          : `of ${bind} cannot be used (${error.code})`;
      reject(
        new AppError(
          'port_busy',
          `port ${wanted} ${why}, or start with another port, e.g. ${variable}=${other} npm start`,
        ),
      );
    });
    server.listen(wanted, bind, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** The settings with every port 0 replaced by a free one. Throws `port_busy`. */
export async function withPorts(settings: Settings): Promise<Settings> {
  const { port, tryoutPort, bind } = settings;
  return {
    ...settings,
    port: await claimPort(port, { variable: 'AUDITRAX_PORT', bind }),
    tryoutPort:
      tryoutPort === undefined
        ? undefined
        : await claimPort(tryoutPort, { variable: 'AUDITRAX_TRYOUT_PORT', bind: '127.0.0.1' }),
  };
}
