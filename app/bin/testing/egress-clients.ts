// Program of the egress test: started with the arguments that every process of the house gets, it dials two servers with
// each kind of client there is, most of them without a word about TLS, and tells what became of it as JSON.
import { generateKeyPairSync } from 'node:crypto';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:tls';
import { systemClock } from '@auditrax/base';
import { CONNECTION_FAILED_CHANNEL, openDatabase } from '@auditrax/tenancy';
import { preferHybridGroups, watchEgress } from '@auditrax/workload';
import { Client } from 'pg';
import { request as undiciRequest } from 'undici';
import { deliverWebhook } from '../../domains/oncall/webhook.ts';
import { verifiedTls } from '../verified-tls.ts';

/** What it is told on the command line. The authority arrives as NODE_EXTRA_CA_CERTS, believed by all clients. */
interface Order {
  readonly httpsPort: number;
  readonly databasePort: number;
  readonly ca: string;
}

const order = JSON.parse(process.argv[2]!) as Order;
const url = `https://localhost:${order.httpsPort}/`;
const key = generateKeyPairSync('ed25519').privateKey;
const address = { host: '127.0.0.1', port: order.databasePort, database: 'none', user: 'nobody' };
const database = verifiedTls({ ca: order.ca, servername: 'localhost' });

function finished(start: (done: (outcome: string) => void) => void): Promise<string> {
  return new Promise(start);
}

function codeOf(error: unknown): string {
  const { code, cause } = error as NodeJS.ErrnoException;
  return code ?? (cause === undefined ? 'failed' : codeOf(cause));
}

/** Each resolves with `connected`, or with the code of the error. */
const CLIENTS: Readonly<Record<string, () => Promise<string>>> = {
  tls: () =>
    finished((done) => {
      const socket = connect({ host: 'localhost', port: order.httpsPort });
      socket.once('secureConnect', () => done((socket.destroy(), 'connected')));
      socket.once('error', (error) => done(codeOf(error)));
    }),
  https: () =>
    finished((done) => {
      const call = httpsRequest(url, { agent: false }, (reply) => done((reply.destroy(), 'connected')));
      call.once('error', (error) => done(codeOf(error))).end();
    }),
  fetch: () => fetch(url).then(() => 'connected', codeOf),
  undici: () => undiciRequest(url).then(() => 'connected', codeOf),
  webhook: async () => {
    const receipt = await deliverWebhook({ url, key, clock: systemClock }, { id: 'msg_1', body: '{}' });
    return receipt.accepted ? 'connected' : receipt.outcome;
  },
  'database of a room': async () => {
    const pool = openDatabase({
      connection: { ...address, tls: database },
      poolSize: 1,
      clock: systemClock,
      onRefusal: () => Promise.resolve(),
      systemTables: [],
    });
    const outcome = await pool.ping().then(() => 'connected', codeOf);
    await pool.close();
    return outcome;
  },
  'database of the set-up': async () => {
    const client = new Client({ ...address, ssl: database });
    client.on('error', () => undefined);
    return client.connect().then(() => 'connected', codeOf);
  },
};

preferHybridGroups();
const outcomes: Record<string, { outcome: string; counted: number }> = {};
for (const [name, dial] of Object.entries(CLIENTS)) {
  const watch = watchEgress({ onRefusal: () => undefined, channels: [CONNECTION_FAILED_CHANNEL] });
  outcomes[name] = { outcome: await dial(), counted: watch.refused() };
  watch.stop();
}
process.stdout.write(JSON.stringify(outcomes));
process.exit(0);
