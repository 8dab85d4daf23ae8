import type { Clock, Random } from '@auditrax/base';
import type { AwsKmsKeySource } from '@auditrax/seal/key-source';
import type { ThrowAwayAuthority } from './certificates.ts';
import { startKmsSimulator, type KmsSimulator, type SimulatedUser } from './kms-simulator/index.ts';

/** Numbers that AWS's own documentation uses for nobody. */
const TENANT_ACCOUNT = '111122223333';
const SECRET_BYTES = 30;
const KEY_ID_BYTES = 8;
const USE = ['kms:DescribeKey', 'kms:Encrypt', 'kms:Decrypt', 'kms:GenerateDataKey', 'kms:ReEncrypt*'];

/** The protocol simulator of AWS KMS with one tenant's account in it. A simulator: what passes here says nothing of AWS. */
export interface RehearsedKms {
  /** A key that the simulator made, as a tenant's administrator would name it; its credentials may use, not manage. */
  readonly source: AwsKmsKeySource;
  /** The same for a key without material, which waits for an import (`simulator`, or the SDK as `admin`). */
  readonly importSource: AwsKmsKeySource;
  /** The tenant's own administrator: may do everything in its account. */
  readonly admin: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Disables keys, makes them fail, moves its clock, tells what it was asked. */
  readonly simulator: KmsSimulator;
}

function user(name: string, random: Random, actions: readonly string[]): SimulatedUser {
  return {
    arn: `arn:aws:iam::${TENANT_ACCOUNT}:user/rehearsal-${name}`,
    accessKeyId: `AKIA${Buffer.from(random.bytes(KEY_ID_BYTES)).toString('hex').toUpperCase()}`,
    secretAccessKey: Buffer.from(random.bytes(SECRET_BYTES)).toString('base64'),
    identity: [{ Effect: 'Allow', Action: actions, Resource: '*' }],
  };
}

/** Starts the simulator on a free loopback port, with two keys. */
export async function startRehearsedKms(parts: {
  readonly authority: ThrowAwayAuthority;
  readonly clock: Clock;
  readonly random: Random;
}): Promise<RehearsedKms> {
  const { authority, clock, random } = parts;
  const { certificatePem, keyPem } = await authority.server();
  const admin = user('admin', random, ['kms:*']);
  const house = user('auditrax', random, USE);
  const simulator = await startKmsSimulator({
    tls: { key: keyPem, cert: certificatePem },
    clock,
    random,
    users: [admin, house],
  });
  const sourceOf = (origin: 'AWS_KMS' | 'EXTERNAL'): AwsKmsKeySource => ({
    kind: 'aws-kms',
    keyArn: simulator.createKey({ account: TENANT_ACCOUNT, origin }).arn,
    region: simulator.region,
    endpoint: simulator.endpoint,
    accessKeyId: house.accessKeyId,
    secretAccessKey: house.secretAccessKey,
  });
  return {
    source: sourceOf('AWS_KMS'),
    importSource: sourceOf('EXTERNAL'),
    admin: { accessKeyId: admin.accessKeyId, secretAccessKey: admin.secretAccessKey },
    simulator,
  };
}
