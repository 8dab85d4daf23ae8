import { request as httpsRequest, type Agent } from 'node:https';
import type { Clock } from '@auditrax/base';
import { HttpRequest } from '@smithy/protocol-http';
import type { CheckedSource } from './source.ts';
import { clockSigner, type AwsCredentials } from './signer.ts';

/** As long as a role gives without being asked to allow more. */
const SESSION_SECONDS = 3_600;
/** Asked for anew before AWS would refuse them. */
const RENEW_BEFORE_MS = 5 * 60_000;
const ANSWER_BYTES_MAX = 64 * 1024;
const STS_VERSION = '2011-06-15';

/** Error of STS, in the shape that the SDK throws (see `faults.ts`). */
class StsError extends Error {
  readonly $metadata: { readonly httpStatusCode: number; readonly requestId: string | undefined };
  readonly $response: { readonly headers: Readonly<Record<string, string>> };

  constructor(name: string, answer: Answer) {
    super(tagOf(answer.body, 'Message') ?? '');
    this.name = name;
    this.$metadata = { httpStatusCode: answer.status, requestId: tagOf(answer.body, 'RequestId') };
    this.$response = { headers: { date: answer.date } };
  }
}

interface Answer {
  readonly status: number;
  readonly date: string;
  readonly body: string;
}

/** Text of the first element called `tag`. Enough for two answers of known shape, and nothing in them is nested XML. */
function tagOf(xml: string, tag: string): string | undefined {
  const text = new RegExp(`<${tag}>([^<]*)</${tag}>`).exec(xml)?.[1];
  return text?.replaceAll('&amp;', '&').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"');
}

function post(request: HttpRequest, agent: Agent, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port, path, headers } = request;
    const outgoing = httpsRequest({ hostname, port, path, headers, agent, signal, method: 'POST' }, (incoming) => {
      const chunks: Buffer[] = [];
      let length_bytes = 0;
      incoming.on('data', (chunk: Buffer) => {
        length_bytes += chunk.length;
        if (length_bytes > ANSWER_BYTES_MAX) incoming.destroy(new Error('the answer of STS is too long'));
        else chunks.push(chunk);
      });
      incoming.on('error', reject);
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          date: incoming.headers.date ?? '',
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    });
    outgoing.on('error', reject);
    outgoing.end(request.body as string);
  });
}

export interface RoleInput {
  readonly checked: CheckedSource;
  readonly base: () => Promise<AwsCredentials>;
  readonly clock: Clock;
  readonly agent: Agent;
  /** Shows in the tenant's CloudTrail. */
  readonly sessionName: string;
  readonly attempt_ms: number;
}

/**
 * Temporary credentials of the role in the tenant's account, asked of STS with the external id and kept until five
 * minutes before they end; concurrent callers share one request. `forget` drops them.
 */
export function assumedRole(input: RoleInput): { credentials(): Promise<AwsCredentials>; forget(): void } {
  let current: AwsCredentials | undefined;
  let pending: Promise<AwsCredentials> | undefined;
  return {
    async credentials() {
      const endsMs = current?.expiration?.getTime() ?? 0;
      if (current && endsMs - RENEW_BEFORE_MS > input.clock.nowMs()) return current;
      pending ??= assume(input).finally(() => (pending = undefined));
      current = await pending;
      return current;
    },
    forget() {
      current = undefined;
    },
  };
}

async function assume(input: RoleInput): Promise<AwsCredentials> {
  const { source, stsEndpoint } = input.checked;
  const form = new URLSearchParams({
    Action: 'AssumeRole',
    Version: STS_VERSION,
    RoleArn: source.roleArn!,
    RoleSessionName: input.sessionName,
    DurationSeconds: String(SESSION_SECONDS),
    ...(source.externalId === undefined ? {} : { ExternalId: source.externalId }),
  });
  const url = new URL(stsEndpoint);
  const unsigned = new HttpRequest({
    method: 'POST',
    protocol: 'https:',
    hostname: url.hostname,
    ...(url.port === '' ? {} : { port: Number(url.port) }),
    path: '/',
    headers: { host: url.host, 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
    body: form.toString(),
  });
  const signer = clockSigner({ clock: input.clock, region: source.region, service: 'sts', credentials: input.base });
  const signed = (await signer.sign(unsigned)) as HttpRequest;
  const answer = await post(signed, input.agent, AbortSignal.timeout(input.attempt_ms));
  if (answer.status !== 200) throw new StsError(tagOf(answer.body, 'Code') ?? 'ServiceUnavailable', answer);
  const accessKeyId = tagOf(answer.body, 'AccessKeyId');
  const secretAccessKey = tagOf(answer.body, 'SecretAccessKey');
  const sessionToken = tagOf(answer.body, 'SessionToken');
  const expiration = new Date(tagOf(answer.body, 'Expiration') ?? Number.NaN);
  if (!accessKeyId || !secretAccessKey || !sessionToken || Number.isNaN(expiration.getTime())) {
    throw new StsError('InternalFailure', answer);
  }
  return { accessKeyId, secretAccessKey, sessionToken, expiration };
}
