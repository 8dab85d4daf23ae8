import type { Json } from '@auditrax/base';
import type { DoorSettings } from '../domains/identity/index.ts';
import type { EdgeDoor } from '../platform/http/handler.ts';

interface Doors {
  readonly host: string;
  readonly port: number;
  /** As browsers see it; another one where a load balancer stands in front. */
  readonly publicPort: number;
  readonly tryoutPort: number | null;
}

/** The doors of the edge as the supervisor told them. */
export function readDoors(options: Readonly<Record<string, Json>>): Doors {
  return options['doors'] as unknown as Doors;
}

/** Exact origins of each door. The relying party is the host itself, so no sibling host can ask for our passkeys. */
export function doorSettings(options: Readonly<Record<string, Json>>): Readonly<Record<EdgeDoor, DoorSettings>> {
  const doors = readDoors(options);
  const { host, tryoutPort } = doors;
  const name = 'Auditrax';
  return {
    edge: { rpId: host, rpName: name, origins: [`https://${publicHost(doors)}`] },
    tryout: {
      rpId: 'localhost',
      rpName: `${name} (try-out)`,
      origins: tryoutPort === null ? [] : [`http://localhost:${tryoutPort}`],
    },
  };
}

/** As browsers write it in Host: the port of https is left out. */
export function publicHost({ host, publicPort }: Pick<Doors, 'host' | 'publicPort'>): string {
  return publicPort === 443 ? host : `${host}:${publicPort}`;
}
