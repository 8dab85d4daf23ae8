import { manualClock, systemRandom, type Clock } from '@auditrax/base';
import { KMSClient } from '@aws-sdk/client-kms';
import { issueEdgeCertificate } from '@auditrax/workload';
import { startKmsSimulator, type KmsSimulator, type SimulatedRole, type SimulatedUser } from './index.ts';

/** The tenant's account and ours. */
export const TENANT_ACCOUNT = '111122223333';
export const HOUSE_ACCOUNT = '444455556666';

const ALL = [{ Effect: 'Allow', Action: ['kms:*', 'sts:*'], Resource: '*' }] as const;

export const TENANT_ADMIN: SimulatedUser = {
  arn: `arn:aws:iam::${TENANT_ACCOUNT}:user/key-admin`,
  accessKeyId: 'AKIATENANTADMIN00001',
  secretAccessKey: 'tenant-admin/secret+0000000000000000000A',
  identity: ALL,
};
export const HOUSE_USER: SimulatedUser = {
  arn: `arn:aws:iam::${HOUSE_ACCOUNT}:user/auditrax`,
  accessKeyId: 'AKIAHOUSEUSER0000001',
  secretAccessKey: 'house-user/secret+000000000000000000000B',
  identity: ALL,
};
export const TENANT_ROLE: SimulatedRole = {
  arn: `arn:aws:iam::${TENANT_ACCOUNT}:role/auditrax-keys`,
  identity: ALL,
  trusts: HOUSE_USER.arn,
  externalId: 'tenant-lakeside-7f3a',
};

export interface Rig {
  readonly simulator: KmsSimulator;
  readonly clock: ReturnType<typeof manualClock>;
  /** PEM of the authority that the simulator's certificate is under. */
  readonly ca: string;
}

/** A simulator with two accounts, at the present time unless told. */
export async function startRig(nowMs: number = Date.now()): Promise<Rig> {
  const clock = manualClock(nowMs);
  const certificate = await issueEdgeCertificate({ clock, name: 'KMS protocol simulator' });
  const simulator = await startKmsSimulator({
    tls: { key: certificate.keyPem, cert: certificate.certificatePem },
    clock,
    random: systemRandom,
    users: [TENANT_ADMIN, HOUSE_USER],
    roles: [TENANT_ROLE],
  });
  return { simulator, clock, ca: certificate.authorityPem };
}

/** The SDK as anybody would use it, with its own signer and its own clock (set to the rig's once). */
export function sdkClient(
  rig: { readonly simulator: KmsSimulator; readonly clock: Clock; readonly ca: string },
  user: { readonly accessKeyId: string; readonly secretAccessKey: string },
): KMSClient {
  return new KMSClient({
    region: rig.simulator.region,
    endpoint: rig.simulator.endpoint,
    credentials: { accessKeyId: user.accessKeyId, secretAccessKey: user.secretAccessKey },
    maxAttempts: 1,
    retryMode: 'standard',
    defaultsMode: 'standard',
    systemClockOffset: rig.clock.nowMs() - Date.now(),
    requestHandler: { httpsAgent: { ca: rig.ca, minVersion: 'TLSv1.3', keepAlive: true } },
  });
}
