import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { houseSockets, parseSocketTable } from './sockets.ts';

const HEADER = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const TABLE = `${HEADER}   0: 0100007F:20FB 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1003        0 4711 1 0 100 0 0 10 0
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0
   2: 0100007F:20FB 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1003        0 4713 1 0 100 0 0 10 0
`;
const TABLE6 = `${HEADER}   0: 00000000000000000000000001000000:20FB 00000000000000000000000000000000:0000 0A 0:0 00:0 0  1003 0 99 1
`;

describe('sockets as the kernel tells them', () => {
  it('are the listening ones, with address, port, owner and inode', () => {
    expect(parseSocketTable(TABLE)).toEqual([
      { host: '127.0.0.1', port: 8443, uid: 1003, inode: '4711' },
      { host: '0.0.0.0', port: 8080, uid: 0, inode: '4712' },
    ]);
    expect(parseSocketTable(TABLE6)).toEqual([{ host: '0:0:0:0:0:0:0:1', port: 8443, uid: 1003, inode: '99' }]);
  });

  it('are found by the descriptors of the house’s processes where they share a user', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const house = {
      pids: [process.pid],
      separation: 'passwords',
      databaseDirectory: undefined,
      tryoutPort: port,
    } as const;
    const { sockets, leftOut } = houseSockets({ ...house, alarmPort: 1, knownPorts: [] });
    expect(sockets).toContainEqual({ host: '127.0.0.1', port, loopbackOnly: true, exception: 'try-out' });
    expect(leftOut).toBe(0);
    await new Promise((resolve) => server.close(resolve));
  });
});
