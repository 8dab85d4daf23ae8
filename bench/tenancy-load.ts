// The clients of bench/tenancy.ts, on a thread of their own.
import { parentPort, workerData } from 'node:worker_threads';
import { Client } from 'undici';

interface Work {
  readonly origin: string;
  readonly clients: number;
  readonly paths: Readonly<Record<string, readonly string[]>>;
}

const { origin, clients, paths } = workerData as Work;
const connections = Array.from({ length: clients }, () => new Client(origin, { pipelining: 1 }));
let turn = 0;

async function ask(connection: Client, path: string): Promise<void> {
  const { statusCode, body } = await connection.request({ method: 'GET', path });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`${path} answered ${statusCode}: ${text.slice(0, 200)}`);
}

async function run(side: string, requests: number): Promise<void> {
  const own = paths[side]!;
  let left = requests;
  const client = async (connection: Client): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await ask(connection, own[(turn += 7) % own.length]!);
    }
  };
  await Promise.all(connections.map(client));
}

const reply = (answer: { readonly fault?: string }): void => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port to our own thread, not a window
  parentPort!.postMessage(answer);
};

parentPort!.on('message', ({ side, requests }: { side: string; requests: number }) => {
  run(side, requests).then(
    () => reply({}),
    (error: unknown) => reply({ fault: String(error) }),
  );
});
