import { spawn, type ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { parseInternet, parseUnix, takeInventory } from './inventory.ts';

const HEADER = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const TABLE = `${HEADER}   0: 0100007F:20FB 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1003        0 4711 1 0 100 0 0 10 0
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0
   2: 0100007F:20FB 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1003        0 4713 1 0 100 0 0 10 0
`;
const TABLE6 = `${HEADER}   0: 00000000000000000000000001000000:20FB 00000000000000000000000000000000:0000 0A 0:0 00:0 0  1003 0 99 1
`;
const UNIX = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 501 /run/a house/.s.PGSQL.5432
0000000000000000: 00000003 00000000 00000000 0001 03 502 /run/a house/.s.PGSQL.5432
0000000000000000: 00000002 00000000 00010000 0001 01 503 @hidden
0000000000000000: 00000002 00000000 00010000 0001 01   504
`;

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

async function listening(server: Server, where: number | string): Promise<Server> {
  const ready = new Promise<void>((resolve) => server.once('listening', resolve));
  if (typeof where === 'number') server.listen(where, '127.0.0.1');
  else server.listen(where);
  await ready;
  undo.push(() => new Promise((resolve) => server.close(resolve)));
  return server;
}

/** A process that listens by itself, without a word to anybody, below a process that does not. */
async function quietGrandchild(): Promise<{ parent: ChildProcess; port: number }> {
  const listen = `require('node:net').createServer().listen(0,'127.0.0.1',function(){console.log(this.address().port)})`;
  const parent = spawn(process.execPath, [
    '-e',
    `require('node:child_process').spawn(process.execPath,['-e',${JSON.stringify(listen)}],{stdio:['ignore','inherit','inherit']});setInterval(()=>{},1000)`,
  ]);
  const port = await new Promise<number>((resolve) => parent.stdout.once('data', (text) => resolve(Number(text))));
  const members = takeInventory({ trees: [parent.pid!], alone: [] }).sockets.flatMap(({ pids }) => pids);
  undo.push(() => {
    for (const pid of [...members, parent.pid!]) process.kill(pid, 'SIGKILL');
  });
  return { parent, port };
}

describe('sockets as the kernel tells them', () => {
  it('are the listening ones, with address, port, owner and inode', () => {
    const tcp = { kind: 'tcp', state: '0A' } as const;
    expect(parseInternet(TABLE, tcp)).toEqual([
      { kind: 'tcp', host: '127.0.0.1', port: 8443, uid: 1003, inode: '4711' },
      { kind: 'tcp', host: '0.0.0.0', port: 8080, uid: 0, inode: '4712' },
    ]);
    expect(parseInternet(TABLE6, tcp)).toEqual([
      { kind: 'tcp', host: '0:0:0:0:0:0:0:1', port: 8443, uid: 1003, inode: '99' },
    ]);
  });

  it('are the Unix sockets that accept, with spaces in the path, in the abstract namespace, and nameless', () => {
    expect(parseUnix(UNIX)).toEqual([
      { kind: 'unix', host: '/run/a house/.s.PGSQL.5432', port: 0, inode: '501' },
      { kind: 'unix', host: '@hidden', port: 0, inode: '503' },
      { kind: 'unix', host: '', port: 0, inode: '504' },
    ]);
  });
});

describe('the inventory', () => {
  it('finds what this process listens at: TCP, UDP and Unix', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'inventory-'));
    undo.push(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'a socket');
    const tcp = await listening(createServer(), 0);
    await listening(createServer(), path);
    const udp = createSocket('udp4');
    await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
    undo.push(() => new Promise<void>((resolve) => udp.close(() => resolve())));
    const { sockets, unread } = takeInventory({ trees: [], alone: [process.pid] });
    const pids = [process.pid];
    expect(sockets).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ kind: 'tcp', port: (tcp.address() as AddressInfo).port, pids }),
        expect.objectContaining({ kind: 'udp', port: udp.address().port, pids }),
        expect.objectContaining({ kind: 'unix', host: path, pids }),
      ]),
    );
    expect(unread).toBe(0);
  });

  it('finds what a process far below listens at, which nobody told of', async () => {
    const { parent, port } = await quietGrandchild();
    const found = takeInventory({ trees: [parent.pid!], alone: [] }).sockets;
    expect(found).toEqual([expect.objectContaining({ kind: 'tcp', host: '127.0.0.1', port })]);
    expect(found[0]!.pids).not.toContain(parent.pid);
  });

  it('has nothing of processes that are not the house’s', async () => {
    await listening(createServer(), 0);
    const { parent, port } = await quietGrandchild();
    const { sockets } = takeInventory({ trees: [parent.pid!], alone: [] });
    expect(sockets.map((socket) => socket.port)).toEqual([port]);
  });
});
