import { request } from 'node:http';
import { connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls, rootCertificates, type TLSSocket } from 'node:tls';
import type { AddressGuard } from './address-guard.ts';
import { DeliveryError, errorCode, type Step, type StreamEvent } from './event.ts';
import type { HecTarget, Target } from './target-contract.ts';

/** To connect, and again for the handshake. */
const CONNECT_MS_MAX = 10_000;
/** From the first byte of a batch to the receiver's word. */
const ANSWER_MS_MAX = 20_000;
/** Of an answer no more is read than an error message needs. */
const ANSWER_BYTES_MAX = 16_384;
/** RFC 5612: the number for examples. Nobody here has one of their own yet, and inventing one would take somebody's. */
const ENTERPRISE = 32473;
/** RFC 5424 section 6.2.1: facility 13 (log audit); severity 6 (informational), 4 (warning) for what was refused. */
const FACILITY = 13;

export interface Delivery {
  readonly guard: AddressGuard;
  /** Told once the connection stands, before the first byte of an event leaves. */
  readonly onSending?: () => Promise<void>;
  /** Told of each step that succeeded. */
  readonly onStep?: (step: Step, detail: string) => void;
}

function within<T>(step: Step, ms_max: number, work: (done: (value: T) => void, fail: (why: unknown) => void) => void) {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(new DeliveryError(step, 'TIMEOUT')), ms_max);
    work(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (why) => {
        clearTimeout(timer);
        reject(why instanceof DeliveryError ? why : new DeliveryError(step, errorCode(why, 'FAILED'), why));
      },
    );
  });
}

/** A verified TLS connection to an address that was looked at. Throws `DeliveryError`, naming the step. */
async function dial(target: Target, { guard, onStep }: Delivery): Promise<TLSSocket> {
  const { address } = await guard(target.host);
  onStep?.('address', address);
  const tcp = connectTcp({ host: address, port: target.port });
  tcp.on('error', () => undefined);
  try {
    await within<void>('connect', CONNECT_MS_MAX, (done, fail) =>
      tcp.once('connect', () => done()).once('error', fail),
    );
    onStep?.('connect', `port ${target.port}`);
    const named = isIP(target.host) === 0 ? { servername: target.host } : {};
    const secure = connectTls({
      socket: tcp,
      ...named,
      host: target.host,
      ca: target.ca === undefined ? [...rootCertificates] : [target.ca],
      minVersion: 'TLSv1.3',
      rejectUnauthorized: true,
    });
    secure.on('error', () => undefined);
    await within<void>('tls', CONNECT_MS_MAX, (done, fail) =>
      secure
        .once('secureConnect', () => done())
        .once('error', fail)
        .once('close', () => fail(new DeliveryError('tls', 'CLOSED'))),
    );
    onStep?.('tls', `${secure.getProtocol() ?? ''}, certificate verified`);
    return secure;
  } catch (error) {
    tcp.destroy();
    throw error;
  }
}

/** HEC's form: concatenated JSON objects, the position as an indexed field, so that a repeat is found by it. */
export function hecBody(events: readonly StreamEvent[]): string {
  return events
    .map(({ origin, index, time_ms, body }) =>
      JSON.stringify({
        time: time_ms / 1000,
        source: origin,
        sourcetype: 'auditrax:ocsf',
        event: body,
        fields: { auditrax_id: `${origin}#${index}`, auditrax_position: index },
      }),
    )
    .join('\n');
}

async function sendHec(socket: TLSSocket, target: HecTarget, events: readonly StreamEvent[]): Promise<string> {
  const body = hecBody(events);
  return within<string>('answer', ANSWER_MS_MAX, (done, fail) => {
    const call = request({
      createConnection: () => socket,
      method: 'POST',
      path: target.path,
      headers: {
        host: `${target.host}:${target.port}`,
        authorization: `Splunk ${target.token}`,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        connection: 'close',
      },
    });
    call.once('error', fail).once('response', (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on('error', fail).on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes <= ANSWER_BYTES_MAX) parts.push(part);
      });
      response.once('end', () => {
        if (response.statusCode !== 200) return fail(new DeliveryError('answer', `HTTP_${response.statusCode}`));
        // A proxy's friendly page is no receipt: only HEC's own word counts.
        const said = parseAnswer(Buffer.concat(parts).toString('utf8'));
        return said === 0 ? done('200, code 0') : fail(new DeliveryError('answer', 'NOT_A_HEC_ANSWER'));
      });
    });
    call.end(body);
  });
}

function parseAnswer(text: string): unknown {
  try {
    return (JSON.parse(text) as { code?: unknown } | null)?.code;
  } catch {
    return undefined;
  }
}

/** A value of structured data (RFC 5424 section 6.3.3). */
function quoted(value: string): string {
  return `"${value.replaceAll(/["\\\]]/g, '\\$&')}"`;
}

/** One message of RFC 5424, in the frame of RFC 5425: its length in bytes, a blank, itself. */
export function syslogFrame(event: StreamEvent): Buffer {
  const severity = event.outcome === 'allowed' ? 6 : 4;
  const data = [
    ['origin', event.origin],
    ['position', String(event.index)],
    ['id', event.entryId],
    ['type', event.type],
    ['outcome', event.outcome],
  ]
    .map(([name, value]) => `${name}=${quoted(value!)}`)
    .join(' ');
  const head = `<${FACILITY * 8 + severity}>1 ${new Date(event.time_ms).toISOString()} auditrax auditrax - entry [auditrax@${ENTERPRISE} ${data}]`;
  const message = Buffer.from(`${head} ${JSON.stringify(event.body)}`, 'utf8');
  return Buffer.concat([Buffer.from(`${message.length} `, 'ascii'), message]);
}

/**
 * Syslog has no receipts. What there is: the receiver ends the connection after we have, which it does once it has read
 * to the end. One that is reset, or stays open, counts as not delivered and the batch goes again.
 */
async function sendSyslog(socket: TLSSocket, events: readonly StreamEvent[]): Promise<string> {
  return within<string>('answer', ANSWER_MS_MAX, (done, fail) => {
    let ended = false;
    socket
      .once('error', fail)
      .once('end', () => {
        ended = true;
      })
      .once('close', () =>
        ended ? done('closed after the last message') : fail(new DeliveryError('answer', 'BROKEN_OFF')),
      );
    // Without reading, the receiver's end is never noticed.
    socket.resume();
    socket.end(Buffer.concat(events.map(syslogFrame)));
  });
}

/**
 * Delivers a batch over a connection of its own. When it resolves the receiver has taken all of it; when it throws
 * (`DeliveryError`) nobody knows how much, unless `onSending` was not called.
 */
export async function deliver(target: Target, events: readonly StreamEvent[], delivery: Delivery): Promise<void> {
  const socket = await dial(target, delivery);
  try {
    await delivery.onSending?.();
    const told =
      target.kind === 'splunk-hec' ? await sendHec(socket, target, events) : await sendSyslog(socket, events);
    delivery.onStep?.('answer', told);
  } finally {
    socket.destroy();
  }
}

export interface TriedStep {
  readonly step: Step;
  readonly ok: boolean;
  readonly detail: string;
}

/** Tries a destination with one event and says how far it got. Never throws what the receiver did. */
export async function tryTarget(target: Target, event: StreamEvent, guard: AddressGuard): Promise<TriedStep[]> {
  const steps: TriedStep[] = [];
  try {
    await deliver(target, [event], { guard, onStep: (step, detail) => steps.push({ step, ok: true, detail }) });
  } catch (error) {
    if (!(error instanceof DeliveryError)) throw error;
    steps.push({ step: error.step, ok: false, detail: error.code });
  }
  return steps;
}
