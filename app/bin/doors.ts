import type { Json } from '@auditrax/base';
import type { DoorSettings } from '../domains/identity/index.ts';
import type { EdgeDoor } from '../platform/http/handler.ts';

interface Doors {
  readonly host: string;
  readonly port: number;
  readonly tryoutPort: number | null;
}

/** The doors of the edge as the supervisor told them. */
export function readDoors(options: Readonly<Record<string, Json>>): Doors {
  return options['doors'] as unknown as Doors;
}

/** Exact origins of each door. The relying party is the host itself, so no sibling host can ask for our passkeys. */
export function doorSettings(options: Readonly<Record<string, Json>>): Readonly<Record<EdgeDoor, DoorSettings>> {
  const { host, port, tryoutPort } = readDoors(options);
  const name = 'Auditrax';
  return {
    edge: { rpId: host, rpName: name, origins: [port === 443 ? `https://${host}` : `https://${host}:${port}`] },
    tryout: {
      rpId: 'localhost',
      rpName: `${name} (try-out)`,
      origins: tryoutPort === null ? [] : [`http://localhost:${tryoutPort}`],
    },
  };
}
