// Debian's rsyslog as a receiver on loopback: a syslog server over TLS that nobody here wrote.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Certificate } from './receivers.ts';

const PROGRAM = '/usr/sbin/rsyslogd';
/** Its driver for TLS is a package of its own; where its file lies differs from machine to machine. */
const DRIVER = '/var/lib/dpkg/info/rsyslog-openssl.list';
const START_MS_MAX = 15_000;
const POLL_MS = 20;

/** One message as rsyslog has taken it apart (RFC 5424). */
export interface ForeignMessage {
  readonly host: string;
  readonly app: string;
  readonly msgid: string;
  readonly severity: string;
  readonly facility: string;
  readonly time: string;
  readonly data: string;
  readonly text: string;
}

export interface Rsyslog {
  readonly port: number;
  /** What it has stored so far, in the order in which it did. */
  received(): ForeignMessage[];
  /** Waits until it has stored that many. */
  until(count: number): Promise<ForeignMessage[]>;
  stop(): Promise<void>;
}

export function hasRsyslog(): boolean {
  return existsSync(PROGRAM) && existsSync(DRIVER);
}

function configurationOf(folder: string): string {
  const at = (name: string) => join(folder, name);
  return `global(
  workDirectory="${folder}" maxMessageSize="256k" defaultNetstreamDriver="ossl"
  defaultNetstreamDriverCAFile="${at('ca.pem')}"
  defaultNetstreamDriverCertFile="${at('certificate.pem')}"
  defaultNetstreamDriverKeyFile="${at('key.pem')}")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
template(name="taken" type="list" option.jsonf="on") {
  property(outname="host" name="hostname" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="msgid" name="msgid" format="jsonf")
  property(outname="severity" name="syslogseverity-text" format="jsonf")
  property(outname="facility" name="syslogfacility" format="jsonf")
  property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="data" name="structured-data" format="jsonf")
  property(outname="text" name="msg" format="jsonf")
}
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="${at('port')}" ruleset="all")
ruleset(name="all") { action(type="omfile" file="${at('received')}" template="taken") }
`;
}

async function started(child: ChildProcess, portFile: string, said: () => string): Promise<number> {
  const end = performance.now() + START_MS_MAX;
  for (;;) {
    const port = existsSync(portFile) ? Number(readFileSync(portFile, 'utf8')) : 0;
    if (port > 0) return port;
    if (child.exitCode !== null || performance.now() > end) throw new Error(`rsyslogd does not start: ${said()}`);
    await sleep(POLL_MS);
  }
}

/** Starts one on a free port. Throws when it does not start. */
export async function startRsyslog(certificate: Certificate & { readonly authorityPem: string }): Promise<Rsyslog> {
  const folder = mkdtempSync(join(tmpdir(), 'ax-rsyslog-'));
  const file = (name: string) => join(folder, name);
  writeFileSync(file('ca.pem'), certificate.authorityPem);
  writeFileSync(file('certificate.pem'), certificate.certificatePem);
  writeFileSync(file('key.pem'), certificate.keyPem, { mode: 0o600 });
  writeFileSync(file('rsyslog.conf'), configurationOf(folder));
  let said = '';
  const child = spawn(PROGRAM, ['-n', '-f', file('rsyslog.conf'), '-i', file('pid')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin' },
  });
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (said += part.toString()));
  const received = (): ForeignMessage[] =>
    existsSync(file('received'))
      ? readFileSync(file('received'), 'utf8')
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as ForeignMessage)
      : [];
  const stop = async (): Promise<void> => {
    const over = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null && child.kill('SIGTERM')) await over;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const port = await started(child, file('port'), () => said);
    return {
      port,
      received,
      stop,
      async until(count) {
        const end = performance.now() + START_MS_MAX;
        while (received().length < count && performance.now() < end) await sleep(POLL_MS);
        return received();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
