import { Client } from 'undici';

export interface LoadTarget {
  readonly origin: string;
  /** PEM of the CA that signed the target's certificate. */
  readonly ca: string;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface LoadRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
}

export interface Load {
  /** Each has one keep-alive connection and one request under way. */
  readonly clients: number;
  readonly duration_ms: number;
  readonly requests_max: number;
  next(client: number): LoadRequest;
  /** Throws when an answer is not what it must be: a fast refusal is no figure. */
  accept(client: number, status: number, body: Buffer): void;
}

export interface LoadResult {
  readonly requests: number;
  readonly duration_ms: number;
  readonly latency_ms: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };
}

/** Larger answers are a mistake of the set-up. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** An answer that takes this long ends the run. */
const ANSWER_MS_MAX = 30_000;

function open(target: LoadTarget): Client {
  return new Client(target.origin, {
    pipelining: 1,
    headersTimeout: ANSWER_MS_MAX,
    bodyTimeout: ANSWER_MS_MAX,
    maxResponseSize: ANSWER_BYTES_MAX,
    connect: { ca: target.ca, minVersion: 'TLSv1.3', timeout: 5_000 },
  });
}

async function exchange(
  connection: Client,
  target: LoadTarget,
  request: LoadRequest,
): Promise<{ status: number; body: Buffer }> {
  const { method, path, body } = request;
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  const answer = await connection.request({
    method,
    path,
    headers: { ...target.headers, ...type },
    body: body ?? null,
  });
  return { status: answer.statusCode, body: Buffer.from(await answer.body.arrayBuffer()) };
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/**
 * Keeps `clients` connections busy, each with one request after another, until the time or the number of requests is
 * reached. TLS 1.3 only, certificates checked. Throws what `accept` throws, and when nothing at all was answered.
 */
export async function runLoad(target: LoadTarget, load: Load): Promise<LoadResult> {
  const connections = Array.from({ length: load.clients }, () => open(target));
  const latencies: number[] = [];
  const started = performance.now();
  const deadline = started + load.duration_ms;
  let begun = 0;
  let failed = false;
  const client = async (connection: Client, index: number): Promise<void> => {
    while (!failed && performance.now() < deadline && begun < load.requests_max) {
      begun += 1;
      const sent = performance.now();
      try {
        const { status, body } = await exchange(connection, target, load.next(index));
        load.accept(index, status, body);
      } catch (error) {
        failed = true;
        throw error;
      }
      latencies.push(performance.now() - sent);
    }
  };
  try {
    await Promise.all(connections.map(client));
  } finally {
    await Promise.all(connections.map((connection) => connection.close().catch(() => undefined)));
  }
  if (latencies.length === 0) throw new Error('no request was answered');
  latencies.sort((a, b) => a - b);
  return {
    requests: latencies.length,
    duration_ms: performance.now() - started,
    latency_ms: {
      p50: percentile(latencies, 0.5),
      p95: percentile(latencies, 0.95),
      p99: percentile(latencies, 0.99),
      max: latencies.at(-1)!,
    },
  };
}
