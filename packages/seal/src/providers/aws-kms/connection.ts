import { Agent } from 'node:https';
import { KMSClient } from '@aws-sdk/client-kms';
import type { Clock } from '@auditrax/base';
import { sealError } from '../../errors.ts';
import { assumedRole } from './assume-role.ts';
import type { CheckedSource } from './source.ts';
import { clockSigner, type AwsCredentials } from './signer.ts';

/** Far more than one process needs; a flood waits here instead of opening sockets. */
const SOCKETS_MAX = 16;
/** AWS closes idle connections after about a minute; ours go first, so that none is used as it dies. */
const IDLE_MS = 30_000;

export interface ConnectionInput {
  readonly checked: CheckedSource;
  readonly clock: Clock;
  /** Who this installation is at AWS, for sources without an access key of their own. */
  readonly installation: 'none' | 'default-chain' | AwsCredentials;
  /** Roots to trust instead of the system's, PEM. */
  readonly ca?: string | readonly string[] | undefined;
  readonly sessionName: string;
  readonly attempt_ms: number;
}

export interface Connection {
  readonly client: KMSClient;
  /** Temporary credentials are asked for anew at the next call. */
  forgetSession(): void;
  close(): void;
}

/**
 * One connection to AWS KMS: TLS 1.3 or nothing, our clock in each signature, one attempt a call (repetition is
 * `calls.ts`). Nothing is read from the environment or from the files of AWS, and nothing about this machine is told,
 * except that the default chain, where it is asked for, looks for credentials where AWS documents.
 */
export function connect(input: ConnectionInput): Connection {
  const { checked, clock } = input;
  const agent = new Agent({
    keepAlive: true,
    maxSockets: SOCKETS_MAX,
    timeout: IDLE_MS,
    minVersion: 'TLSv1.3',
    ...(input.ca === undefined ? {} : { ca: [input.ca].flat() }),
  });
  const base = baseCredentials(input);
  const role =
    checked.source.roleArn === undefined
      ? undefined
      : assumedRole({ checked, base, clock, agent, sessionName: input.sessionName, attempt_ms: input.attempt_ms });
  const credentials = role ? role.credentials : base;
  const signer = clockSigner({ clock, region: checked.source.region, service: 'kms', credentials });
  const client = new KMSClient({
    ...QUIET,
    region: checked.source.region,
    endpoint: checked.endpoint,
    credentials,
    signer: async () => signer,
    disableClockSkewCorrection: true,
    requestHandler: { httpsAgent: agent, connectionTimeout: input.attempt_ms },
  });
  return {
    client,
    forgetSession: () => role?.forget(),
    close() {
      client.destroy();
      agent.destroy();
    },
  };
}

/** Every setting that the SDK would otherwise look up in the environment or in `~/.aws`. */
const QUIET = {
  defaultsMode: 'standard' as const,
  maxAttempts: 1,
  retryMode: 'standard',
  useDualstackEndpoint: false,
  useFipsEndpoint: false,
  userAgentAppId: undefined,
  authSchemePreference: ['sigv4'],
  defaultUserAgentProvider: async (): Promise<[string, string][]> => [['auditrax', '1']],
};

function baseCredentials(input: ConnectionInput): () => Promise<AwsCredentials> {
  const { source } = input.checked;
  if (source.accessKeyId !== undefined && source.secretAccessKey !== undefined) {
    const own = { accessKeyId: source.accessKeyId, secretAccessKey: source.secretAccessKey };
    return async () => own;
  }
  const { installation } = input;
  if (installation === 'none') {
    const message = `KMS key ${source.keyArn}: no access key is given, and this installation has no AWS identity of its own`;
    throw sealError('kek_misconfigured', message);
  }
  if (installation !== 'default-chain') return async () => installation;
  // The client's own way to the default chain; this client sends nothing.
  const finder = new KMSClient({ ...QUIET, region: source.region, endpoint: input.checked.endpoint });
  return () => finder.config.credentials();
}
