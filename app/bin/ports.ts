import { randomInt } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import { AppError } from '@auditrax/base';
import type { Settings } from './settings.ts';

/** Highest port of TCP. */
const PORT_MAX = 65_535;
/** Where another port is suggested, counted from the busy one. */
const PORT_STEP = 1_000;

/**
 * Where a free port is looked for: below those that Linux gives to outgoing connections (from 32,768). One of those could
 * be gone again before the gateway listens on it, or while the gateway is started anew.
 */
const FREE_PORTS = { from: 15_000, to: 32_000 } as const;
const FREE_PORT_TRIES_MAX = 50;

/** A port that nobody uses at the moment. Throws `port_busy`. */
export async function freePort(bind: string, variable = 'AUDITRAX_PORT'): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await tryPort(randomInt(FREE_PORTS.from, FREE_PORTS.to), { variable, bind });
    } catch (error) {
      if (attempt === FREE_PORT_TRIES_MAX) throw error;
    }
  }
}

/** A free port when 0 is wanted, else the wanted one if it is free. Throws `port_busy` with the fix. */
async function claimPort(wanted: number, { variable, bind }: { variable: string; bind: string }): Promise<number> {
  return wanted === 0 ? freePort(bind, variable) : tryPort(wanted, { variable, bind });
}

function tryPort(wanted: number, { variable, bind }: { variable: string; bind: string }): Promise<number> {
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
