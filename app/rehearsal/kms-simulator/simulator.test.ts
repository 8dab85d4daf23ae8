import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as sdk from '@aws-sdk/client-kms';
import type { SimulatedUser } from './index.ts';
import { startAwsCli, type AwsCli } from './awscli-testing.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  HOUSE_ACCOUNT,
  HOUSE_USER,
  TENANT_ACCOUNT,
  TENANT_ADMIN,
  TENANT_ROLE,
  sdkClient,
  startRig,
  type Rig,
} from './testing.ts';

const run = promisify(execFile);
const DAY_MS = 86_400_000;
const CONTEXT = { tenantId: '0190a0b0-0000-7000-8000-000000000001', purpose: 'fields' };
const OTHER_CONTEXT = { ...CONTEXT, purpose: 'objects' };
const AWS = '/usr/bin/aws';
/** A dozen calls of a slow starter, on a machine that may be busy. */
const AWSCLI_MS = 120_000;

let rig: Rig;
let client: sdk.KMSClient;
const opened: sdk.KMSClient[] = [];

function as(user: { accessKeyId: string; secretAccessKey: string }): sdk.KMSClient {
  const made = sdkClient(rig, user);
  opened.push(made);
  return made;
}

beforeAll(async () => {
  rig = await startRig();
  client = as(TENANT_ADMIN);
});
afterAll(async () => {
  for (const one of opened) one.destroy();
  await rig.simulator.close();
});

async function errorName(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'no error',
    (error: unknown) => (error as Error).name,
  );
}

function newKey(origin: 'AWS_KMS' | 'EXTERNAL' = 'AWS_KMS'): string {
  return rig.simulator.createKey({ account: TENANT_ACCOUNT, origin }).arn;
}

const encrypt = (KeyId: string, text = 'marker') =>
  client.send(new sdk.EncryptCommand({ KeyId, Plaintext: Buffer.from(text), EncryptionContext: CONTEXT }));
const decrypt = (KeyId: string, blob: Uint8Array, EncryptionContext: Record<string, string> = CONTEXT) =>
  client.send(new sdk.DecryptCommand({ KeyId, CiphertextBlob: blob, EncryptionContext }));

describe('protocol simulator of AWS KMS, through the AWS SDK', () => {
  it('opens what it sealed under the same key and context, and names the key', async () => {
    const key = newKey();
    const { CiphertextBlob, KeyId } = await encrypt(key);
    expect(KeyId).toBe(key);
    const answer = await decrypt(key, CiphertextBlob!);
    expect(Buffer.from(answer.Plaintext!).toString()).toBe('marker');
    expect(answer.KeyId).toBe(key);
    const without = await client.send(
      new sdk.DecryptCommand({ CiphertextBlob: CiphertextBlob!, EncryptionContext: CONTEXT }),
    );
    expect(without.KeyId).toBe(key);
  });

  it('refuses another context, other bytes, another key', async () => {
    const key = newKey();
    const blob = (await encrypt(key)).CiphertextBlob!;
    const changed = Buffer.from(blob);
    changed[changed.length - 1]! ^= 1;
    expect(await errorName(decrypt(key, blob, OTHER_CONTEXT))).toBe('InvalidCiphertextException');
    expect(await errorName(decrypt(key, blob, {}))).toBe('InvalidCiphertextException');
    expect(await errorName(decrypt(key, changed))).toBe('InvalidCiphertextException');
    expect(await errorName(decrypt(key, Buffer.from('rubbish')))).toBe('InvalidCiphertextException');
    expect(await errorName(decrypt(newKey(), blob))).toBe('IncorrectKeyException');
    expect(await errorName(decrypt(`${key.slice(0, -4)}0000`, blob))).toBe('NotFoundException');
  });

  it('refuses a wrong secret, an unknown key id, and a time more than five minutes off', async () => {
    const key = newKey();
    const describe = (with_: sdk.KMSClient) => errorName(with_.send(new sdk.DescribeKeyCommand({ KeyId: key })));
    expect(await describe(as({ ...TENANT_ADMIN, secretAccessKey: 'another' }))).toBe('InvalidSignatureException');
    expect(await describe(as({ ...TENANT_ADMIN, accessKeyId: 'AKIANOBODY0000000001' }))).toBe(
      'UnrecognizedClientException',
    );
    rig.simulator.skewBy(6 * 60_000);
    const late = as(TENANT_ADMIN);
    expect(await describe(late)).toBe('InvalidSignatureException');
    rig.simulator.skewBy(-6 * 60_000);
    expect(await describe(as(TENANT_ADMIN))).toBe('no error');
  });

  it('a key disabled, waiting for deletion, unavailable or without material is used for nothing', async () => {
    const key = newKey();
    const blob = (await encrypt(key)).CiphertextBlob!;
    await client.send(new sdk.DisableKeyCommand({ KeyId: key }));
    expect(await errorName(decrypt(key, blob))).toBe('DisabledException');
    expect(await errorName(encrypt(key))).toBe('DisabledException');
    await client.send(new sdk.EnableKeyCommand({ KeyId: key }));
    expect(await errorName(decrypt(key, blob))).toBe('no error');

    await client.send(new sdk.ScheduleKeyDeletionCommand({ KeyId: key, PendingWindowInDays: 7 }));
    expect(await errorName(decrypt(key, blob))).toBe('KMSInvalidStateException');
    await client.send(new sdk.CancelKeyDeletionCommand({ KeyId: key }));
    expect(await errorName(decrypt(key, blob))).toBe('DisabledException');
    await client.send(new sdk.EnableKeyCommand({ KeyId: key }));

    rig.simulator.setUnavailable(key, true);
    expect(await errorName(decrypt(key, blob))).toBe('KMSInvalidStateException');
    rig.simulator.setUnavailable(key, false);
    expect(await errorName(decrypt(key, blob))).toBe('no error');
    expect(await errorName(encrypt(newKey('EXTERNAL')))).toBe('KMSInvalidStateException');
  });

  it('a scheduled deletion comes: the key is gone and stays gone', async () => {
    const own = await startRig();
    const admin = sdkClient(own, TENANT_ADMIN);
    try {
      const KeyId = own.simulator.createKey({ account: TENANT_ACCOUNT }).arn;
      await admin.send(new sdk.ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
      own.clock.advance(7 * DAY_MS);
      const later = sdkClient(own, TENANT_ADMIN);
      expect(await errorName(later.send(new sdk.CancelKeyDeletionCommand({ KeyId })))).toBe('NotFoundException');
      later.destroy();
    } finally {
      admin.destroy();
      await own.simulator.close();
    }
  });

  it('rotation, on demand and by time, seals under a new backing key and opens what the old ones sealed', async () => {
    const own = await startRig();
    const admin = sdkClient(own, TENANT_ADMIN);
    const KeyId = own.simulator.createKey({ account: TENANT_ACCOUNT }).arn;
    const data = () =>
      admin.send(new sdk.GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', EncryptionContext: CONTEXT }));
    const first = await data();
    await admin.send(new sdk.EnableKeyRotationCommand({ KeyId, RotationPeriodInDays: 90 }));
    await admin.send(new sdk.RotateKeyOnDemandCommand({ KeyId }));
    const second = await data();
    own.clock.advance(91 * DAY_MS);
    const later = sdkClient(own, TENANT_ADMIN);
    const third = await later.send(
      new sdk.GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', EncryptionContext: CONTEXT }),
    );
    expect(new Set([first.KeyMaterialId, second.KeyMaterialId, third.KeyMaterialId]).size).toBe(3);
    for (const { CiphertextBlob, Plaintext } of [first, second, third]) {
      const answer = await later.send(new sdk.DecryptCommand({ KeyId, CiphertextBlob, EncryptionContext: CONTEXT }));
      expect(Buffer.from(answer.Plaintext!)).toEqual(Buffer.from(Plaintext!));
    }
    const moved = await later.send(
      new sdk.ReEncryptCommand({
        CiphertextBlob: first.CiphertextBlob,
        SourceKeyId: KeyId,
        SourceEncryptionContext: CONTEXT,
        DestinationKeyId: KeyId,
        DestinationEncryptionContext: OTHER_CONTEXT,
      }),
    );
    expect(moved.SourceKeyMaterialId).toBe(first.KeyMaterialId);
    expect(moved.DestinationKeyMaterialId).toBe(third.KeyMaterialId);
    const { Rotations } = await later.send(new sdk.ListKeyRotationsCommand({ KeyId }));
    expect(Rotations!.map(({ RotationType }) => RotationType)).toEqual(['ON_DEMAND', 'AUTOMATIC']);
    admin.destroy();
    later.destroy();
    await own.simulator.close();
  });

  it('another account uses a key only as policy or grant allow, with the context that they name', async () => {
    const key = newKey();
    const house = as(HOUSE_USER);
    const generate = (context: Record<string, string>) =>
      errorName(
        house.send(new sdk.GenerateDataKeyCommand({ KeyId: key, KeySpec: 'AES_256', EncryptionContext: context })),
      );
    expect(await generate(CONTEXT)).toBe('AccessDeniedException');
    const grant = await client.send(
      new sdk.CreateGrantCommand({
        KeyId: key,
        GranteePrincipal: HOUSE_USER.arn,
        Operations: ['GenerateDataKey'],
        Constraints: { EncryptionContextSubset: { tenantId: CONTEXT.tenantId } },
      }),
    );
    expect(await generate(CONTEXT)).toBe('no error');
    expect(await generate({ ...CONTEXT, tenantId: 'another' })).toBe('AccessDeniedException');
    await client.send(new sdk.RevokeGrantCommand({ KeyId: key, GrantId: grant.GrantId }));
    expect(await generate(CONTEXT)).toBe('AccessDeniedException');

    const statement = {
      Effect: 'Allow',
      Principal: { AWS: `arn:aws:iam::${HOUSE_ACCOUNT}:root` },
      Action: 'kms:GenerateDataKey',
      Resource: '*',
      Condition: { StringEquals: { 'kms:EncryptionContext:tenantId': CONTEXT.tenantId } },
    };
    const { Policy } = await client.send(new sdk.GetKeyPolicyCommand({ KeyId: key }));
    const document = JSON.parse(Policy!) as { Statement: object[] };
    const put = (added: object) =>
      client.send(
        new sdk.PutKeyPolicyCommand({
          KeyId: key,
          Policy: JSON.stringify({ ...document, Statement: [...document.Statement, added] }),
        }),
      );
    await put(statement);
    expect(await generate(CONTEXT)).toBe('no error');
    expect(await generate({ ...CONTEXT, tenantId: 'another' })).toBe('AccessDeniedException');
    expect(await errorName(put({ ...statement, Condition: { IpAddress: { 'aws:SourceIp': '0.0.0.0/0' } } }))).toBe(
      'MalformedPolicyDocumentException',
    );
  });
});

type Schema = readonly [number, string, string, unknown, readonly string[], readonly unknown[]];
/** Type of a member in the SDK's schemas: 0 text, 1 number, 2 flag, 4 time, 21 bytes. */
function conforms(value: unknown, type: unknown): boolean {
  const resolved = typeof type === 'function' ? (type as () => unknown)() : Array.isArray(type) ? type : undefined;
  if (resolved !== undefined) {
    const schema = resolved as unknown as Schema;
    if (schema[0] === 3) return conformsToStructure(value, schema);
    if (schema[0] === 1) return Array.isArray(value) && value.every((one) => conforms(one, schema[4]));
    if (Array.isArray(type) && typeof type[0] === 'function') return conforms(value, type[0]);
    return typeof value === 'string';
  }
  const bare = Number(type);
  if (bare >= 128) return typeof value === 'object';
  if (bare >= 64) return Array.isArray(value);
  if (bare === 1 || bare === 4) return typeof value === 'number';
  if (bare === 2) return typeof value === 'boolean';
  return typeof value === 'string';
}

function conformsToStructure(value: unknown, schema: Schema): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).every(([name, member]) => {
    const at = schema[4].indexOf(name);
    return at !== -1 && conforms(member, schema[5][at]);
  });
}

describe('replies of the protocol simulator', () => {
  it('have the members and types of the SDK’s own schemas, and no others', async () => {
    const bodies = new Map<string, unknown>();
    const watched = as(TENANT_ADMIN);
    watched.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args);
        const { response } = result as { response: { statusCode: number; body: AsyncIterable<Buffer> } };
        const chunks: Buffer[] = [];
        for await (const chunk of response.body) chunks.push(chunk);
        const whole = Buffer.concat(chunks);
        const target = (args.request as { headers: Record<string, string> }).headers['x-amz-target']!;
        bodies.set(target.split('.')[1]!, JSON.parse(whole.toString()));
        (response as { body: unknown }).body = whole;
        return result;
      },
      { step: 'deserialize', priority: 'low', name: 'watch' },
    );
    const created = await watched.send(new sdk.CreateKeyCommand({ Description: 'watched' }));
    const KeyId = created.KeyMetadata!.Arn!;
    const sealed = await watched.send(
      new sdk.EncryptCommand({ KeyId, Plaintext: Buffer.from('x'), EncryptionContext: CONTEXT }),
    );
    const blob = { CiphertextBlob: sealed.CiphertextBlob };
    await watched.send(new sdk.DecryptCommand({ ...blob, EncryptionContext: CONTEXT }));
    await watched.send(
      new sdk.ReEncryptCommand({ ...blob, DestinationKeyId: KeyId, SourceEncryptionContext: CONTEXT }),
    );
    await watched.send(new sdk.GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' }));
    await watched.send(new sdk.GenerateDataKeyWithoutPlaintextCommand({ KeyId, NumberOfBytes: 64 }));
    await watched.send(new sdk.EnableKeyRotationCommand({ KeyId }));
    await watched.send(new sdk.GetKeyRotationStatusCommand({ KeyId }));
    await watched.send(new sdk.RotateKeyOnDemandCommand({ KeyId }));
    await watched.send(new sdk.ListKeyRotationsCommand({ KeyId }));
    await watched.send(
      new sdk.CreateGrantCommand({
        KeyId,
        GranteePrincipal: HOUSE_USER.arn,
        Operations: ['Decrypt'],
        Constraints: { EncryptionContextEquals: CONTEXT },
      }),
    );
    await watched.send(new sdk.ListGrantsCommand({ KeyId }));
    await watched.send(new sdk.GetKeyPolicyCommand({ KeyId }));
    await watched.send(new sdk.ScheduleKeyDeletionCommand({ KeyId }));
    await watched.send(new sdk.DescribeKeyCommand({ KeyId }));
    await watched.send(new sdk.CancelKeyDeletionCommand({ KeyId }));
    const schemas = sdk as unknown as Record<string, Schema | undefined>;
    const wrong = [...bodies]
      .filter(([operation]) => schemas[`${operation}Response$`] !== undefined)
      .filter(([operation, body]) => !conformsToStructure(body, schemas[`${operation}Response$`]!));
    expect(wrong).toEqual([]);
    expect(bodies.size).toBe(16);
    expect(conformsToStructure({ KeyId: 1 }, schemas['DecryptResponse$']!)).toBe(false);
    expect(conformsToStructure({ Invented: '1' }, schemas['DecryptResponse$']!)).toBe(false);
  });
});

const awscliMissing = !existsSync(AWS);
if (awscliMissing && process.env['CI'] === 'true') throw new Error('awscli is missing (apt-get install awscli)');
if (awscliMissing) console.warn('skipped: awscli is not installed (apt-get install awscli)');

/** Debian's client knows nothing of the SDK: botocore signs, packs and reads by itself. */
describe.skipIf(awscliMissing)('protocol simulator of AWS KMS, through awscli', () => {
  let folder = '';
  let cli: AwsCli | undefined;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kms-'));
    await writeFile(join(folder, 'ca.pem'), rig.ca);
    cli = startAwsCli(folder);
  });
  afterAll(async () => {
    cli?.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function said(args: readonly string[], user: SimulatedUser) {
    const common = ['--endpoint-url', rig.simulator.endpoint, '--ca-bundle', join(folder, 'ca.pem')];
    const more = ['--region', rig.simulator.region, '--output', 'json'];
    const env = { AWS_ACCESS_KEY_ID: user.accessKeyId, AWS_SECRET_ACCESS_KEY: user.secretAccessKey };
    return cli!.run([...args, ...common, ...more], env);
  }
  async function aws(args: readonly string[], user = TENANT_ADMIN): Promise<Record<string, string>> {
    const { code, out, err } = await said(args, user);
    expect(`${code} ${err.trim()}`).toBe('0 ');
    return out.trim() === '' ? {} : (JSON.parse(out) as Record<string, string>);
  }
  async function refusalOf(args: readonly string[], user = TENANT_ADMIN): Promise<string> {
    const { code, err } = await said(args, user);
    return code === 0 ? 'no error' : (/An error occurred \((\w+)\)/.exec(err)?.[1] ?? err);
  }
  const file = (name: string) => join(folder, name);
  const context = ['--encryption-context', `tenantId=${CONTEXT.tenantId},purpose=${CONTEXT.purpose}`];

  it(
    'both clients open what the other sealed; both are refused a wrong context, key and secret',
    async () => {
      const made = await aws(['kms', 'create-key', '--description', 'by awscli']);
      const key = (made['KeyMetadata'] as unknown as { Arn: string }).Arn;
      const generated = await aws(['kms', 'generate-data-key', '--key-id', key, '--key-spec', 'AES_256', ...context]);
      const bySdk = await decrypt(key, Buffer.from(generated['CiphertextBlob']!, 'base64'));
      expect(Buffer.from(bySdk.Plaintext!).toString('base64')).toBe(generated['Plaintext']);

      const { CiphertextBlob } = await encrypt(key, 'sealed by the SDK');
      await writeFile(file('blob'), CiphertextBlob!);
      const open = ['kms', 'decrypt', '--key-id', key, '--ciphertext-blob', `fileb://${file('blob')}`];
      const opened = await aws([...open, ...context]);
      expect(Buffer.from(opened['Plaintext']!, 'base64').toString()).toBe('sealed by the SDK');

      expect(await refusalOf([...open, '--encryption-context', 'tenantId=another'])).toBe('InvalidCiphertextException');
      expect(await refusalOf([...open, ...context], { ...TENANT_ADMIN, secretAccessKey: 'another' })).toBe(
        'InvalidSignatureException',
      );
      const other = ['kms', 'decrypt', '--key-id', newKey(), ...open.slice(4)];
      expect(await refusalOf([...other, ...context])).toBe('IncorrectKeyException');
      await aws(['kms', 'disable-key', '--key-id', key]);
      expect(await refusalOf([...open, ...context])).toBe('DisabledException');
    },
    AWSCLI_MS,
  );

  it(
    'awscli and openssl import key material that the SDK then uses; STS lends a role',
    async () => {
      const key = newKey('EXTERNAL');
      const ask = ['--wrapping-algorithm', 'RSAES_OAEP_SHA_256', '--wrapping-key-spec', 'RSA_2048'];
      const parameters = await aws(['kms', 'get-parameters-for-import', '--key-id', key, ...ask]);
      await writeFile(file('public.der'), Buffer.from(parameters['PublicKey']!, 'base64'));
      await writeFile(file('token'), Buffer.from(parameters['ImportToken']!, 'base64'));
      await writeFile(file('material'), createHash('sha256').update('material').digest());
      const oaep = ['rsa_padding_mode:oaep', 'rsa_oaep_md:sha256', 'rsa_mgf1_md:sha256'].flatMap((one) => [
        '-pkeyopt',
        one,
      ]);
      const files = ['-in', file('material'), '-out', file('wrapped'), '-inkey', file('public.der'), '-keyform', 'DER'];
      await run('openssl', ['pkeyutl', '-encrypt', '-pubin', ...files, ...oaep]);
      const material = [
        '--encrypted-key-material',
        `fileb://${file('wrapped')}`,
        '--import-token',
        `fileb://${file('token')}`,
      ];
      const model = ['--expiration-model', 'KEY_MATERIAL_DOES_NOT_EXPIRE'];
      await aws(['kms', 'import-key-material', '--key-id', key, ...material, ...model]);
      expect((await readFile(file('wrapped'))).length).toBe(256);
      const { CiphertextBlob } = await encrypt(key);
      expect(await errorName(decrypt(key, CiphertextBlob!))).toBe('no error');
      const identity = await aws(['sts', 'get-caller-identity']);
      expect(identity['Arn']).toBe(TENANT_ADMIN.arn);
      const role = ['sts', 'assume-role', '--role-arn', TENANT_ROLE.arn, '--role-session-name', 'awscli'];
      expect(await refusalOf([...role, '--external-id', 'another'])).toBe('AccessDenied');
      const session = await aws([...role, '--external-id', TENANT_ROLE.externalId!], HOUSE_USER);
      expect(session['Credentials']).toMatchObject({ AccessKeyId: expect.stringMatching(/^ASIA/) });
    },
    AWSCLI_MS,
  );
});
