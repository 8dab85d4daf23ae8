import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { CreateGrantCommand, RevokeGrantCommand } from '@aws-sdk/client-kms';
import { systemClock, systemRandom, uuidV4, type AppError } from '@auditrax/base';
import { issueEdgeCertificate } from '@auditrax/workload';
import {
  awsKmsProvider,
  keyPolicyStatements,
  wrapKeyMaterial,
  type AwsKmsInput,
  type AwsKmsProvider,
  type ImportParameters,
} from '@auditrax/seal/aws-kms';
import type { DekContext } from '@auditrax/seal';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { defaultPolicy, type Statement } from './policy.ts';
import { HOUSE_USER, TENANT_ACCOUNT, TENANT_ADMIN, TENANT_ROLE, sdkClient, startRig, type Rig } from './testing.ts';

const DAY_MS = 86_400_000;
const TENANT = uuidV4(systemRandom);
const CONTEXT: DekContext = { tenantId: TENANT, purpose: 'fields', dekId: uuidV4(systemRandom), version: 7 };
/** So short that what hangs is given up soon. */
const IMPATIENT = { deadline_ms: 1_500, attempt_ms: 250, attempts_max: 3 };

let rig: Rig;
const providers: AwsKmsProvider[] = [];

beforeAll(async () => {
  rig = await startRig();
});
afterEach(() => rig.simulator.clearFaults());
afterAll(async () => {
  for (const provider of providers) provider.close();
  await rig.simulator.close();
});

type Given = Partial<AwsKmsInput['source']> & Pick<AwsKmsInput['source'], 'keyArn'>;

function open(source: Given, more: Partial<AwsKmsInput> = {}): AwsKmsProvider {
  const { simulator, clock, ca } = rig;
  const { accessKeyId, secretAccessKey } = TENANT_ADMIN;
  const provider = awsKmsProvider({
    source: { region: simulator.region, endpoint: simulator.endpoint, accessKeyId, secretAccessKey, ...source },
    clock,
    random: systemRandom,
    tenantId: TENANT,
    endpoints: [simulator.endpoint],
    stsEndpoint: simulator.endpoint,
    ca,
    ...more,
  });
  providers.push(provider);
  return provider;
}

function newKey(origin: 'AWS_KMS' | 'EXTERNAL' = 'AWS_KMS'): string {
  return rig.simulator.createKey({ account: TENANT_ACCOUNT, origin }).arn;
}

/** A fresh key with a provider of its own. */
function fresh(more: Partial<AwsKmsInput> = {}): { arn: string; provider: AwsKmsProvider } {
  const arn = newKey();
  return { arn, provider: open({ keyArn: arn }, more) };
}

async function failure(work: Promise<unknown>): Promise<AppError> {
  return work.then(
    () => {
      throw new Error('this must fail');
    },
    (error: unknown) => error as AppError,
  );
}

/** Outcomes of the requests that `work` made. */
async function outcomesOf(work: () => Promise<unknown>): Promise<string[]> {
  const before = rig.simulator.events().length;
  await work().catch(() => undefined);
  return rig.simulator
    .events()
    .slice(before)
    .map(({ outcome }) => outcome);
}

describe('AWS KMS driver, against the protocol simulator', () => {
  it('A1 a data key comes back under its whole context and under no other', async () => {
    const { arn, provider } = fresh();
    const { dek, ...wrapped } = await provider.generateDek(CONTEXT);
    expect(dek.length).toBe(32);
    expect(wrapped.kekRef).toBe(`aws-kms:${arn}`);
    expect(wrapped.wrapped.length).toBeGreaterThanOrEqual(48);
    expect(await provider.unwrap(wrapped, CONTEXT)).toEqual(dek);
    for (const other of [
      { ...CONTEXT, tenantId: uuidV4(systemRandom) },
      { ...CONTEXT, purpose: 'objects' },
      { ...CONTEXT, dekId: uuidV4(systemRandom) },
      { ...CONTEXT, version: 8 },
    ]) {
      expect((await failure(provider.unwrap(wrapped, other))).code).toBe('authentication_failed');
    }
    const short = { ...wrapped, wrapped: wrapped.wrapped.subarray(0, 47) };
    expect((await failure(provider.unwrap(short, CONTEXT))).code).toBe('blob_malformed');
    const own = randomBytes(32);
    expect(await provider.unwrap(await provider.wrap(own, CONTEXT), CONTEXT)).toEqual(own);
    expect((await failure(provider.wrap(randomBytes(31), CONTEXT))).code).toBe('key_length');
  });

  it('A1 tells AWS ids and nothing else', async () => {
    const { provider } = fresh();
    await provider.generateDek(CONTEXT);
    const { tenantId, purpose, dekId } = CONTEXT;
    expect(rig.simulator.events().at(-1)?.encryptionContext).toEqual({ tenantId, purpose, dekId, version: '7' });
  });

  it('A3 nothing in the environment moves it elsewhere or makes it talk about this machine', async () => {
    const { accessKeyId, secretAccessKey } = HOUSE_USER;
    vi.stubEnv('AWS_ENDPOINT_URL_KMS', 'https://localhost:9');
    vi.stubEnv('AWS_ENDPOINT_URL', 'https://localhost:9');
    vi.stubEnv('AWS_REGION', 'us-east-1');
    vi.stubEnv('AWS_MAX_ATTEMPTS', '9');
    vi.stubEnv('AWS_EXECUTION_ENV', 'somewhere');
    vi.stubEnv('AWS_ACCESS_KEY_ID', accessKeyId);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', secretAccessKey);
    try {
      const { arn, provider } = fresh();
      await provider.generateDek(CONTEXT);
      const { caller, userAgent } = rig.simulator.events().at(-1)!;
      expect(caller).toBe(TENANT_ADMIN.arn);
      expect(userAgent).not.toMatch(/node|linux|somewhere|os\//i);
      rig.simulator.fault({ kind: 'outage', times: 9 });
      expect((await outcomesOf(() => provider.generateDek(CONTEXT))).length).toBe(3);
      rig.simulator.clearFaults();
      // Only the default chain, where the operator asks for it, takes credentials from there.
      const nobody = { keyArn: arn, accessKeyId: undefined, secretAccessKey: undefined };
      await failure(open(nobody, { installation: 'default-chain' }).generateDek(CONTEXT));
      expect(rig.simulator.events().at(-1)).toMatchObject({ caller: HOUSE_USER.arn, outcome: 'AccessDeniedException' });
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it('a blob of another KMS key is refused, whatever the record says', async () => {
    const [one, two] = [fresh(), fresh()];
    const { dek: _, ...wrapped } = await one.provider.generateDek(CONTEXT);
    expect((await failure(two.provider.unwrap(wrapped, CONTEXT))).code).toBe('kek_unknown');
    const relabelled = { ...wrapped, kekRef: `aws-kms:${two.arn}` };
    expect((await failure(two.provider.unwrap(relabelled, CONTEXT))).code).toBe('kek_foreign');
    expect(rig.simulator.events().at(-1)?.outcome).toBe('IncorrectKeyException');
  });

  it('a data key is moved to another KMS key without its plaintext coming here', async () => {
    const [one, two] = [fresh(), fresh()];
    const { dek, ...wrapped } = await one.provider.generateDek(CONTEXT);
    const outcomes = await outcomesOf(async () => {
      const moved = await two.provider.rewrap(wrapped, CONTEXT);
      expect(moved.kekRef).toBe(`aws-kms:${two.arn}`);
      expect(await two.provider.unwrap(moved, CONTEXT)).toEqual(dek);
    });
    expect(outcomes).toEqual(['ok', 'ok']);
    expect((await failure(two.provider.rewrap(wrapped, { ...CONTEXT, version: 1 }))).code).toBe(
      'authentication_failed',
    );
  });

  it('A4 withdrawn, restored: each state of the key is told apart and says what to do', async () => {
    const { arn, provider } = fresh();
    const { dek, ...wrapped } = await provider.generateDek(CONTEXT);
    const { simulator } = rig;
    const codeNow = async () => {
      const error = await failure(provider.unwrap(wrapped, CONTEXT));
      return `${error.code}: ${error.message}`;
    };
    simulator.setEnabled(arn, false);
    expect(await codeNow()).toMatch(/^kek_disabled: .* disabled.*enable/);
    expect(await provider.health()).toMatchObject({ ok: false, code: 'kek_disabled' });
    simulator.setEnabled(arn, true);
    simulator.setUnavailable(arn, true);
    expect(await codeNow()).toMatch(/^kek_unavailable: .*Unavailable/);
    simulator.setUnavailable(arn, false);
    const closed = [{ Effect: 'Allow', Principal: { AWS: TENANT_ADMIN.arn }, Action: 'kms:DescribeKey' }] as const;
    simulator.setPolicy(arn, { Statement: closed });
    expect(await codeNow()).toMatch(/^kek_denied: .*policy/);
    expect(await provider.health()).toMatchObject({ ok: false, code: 'kek_denied' });
    simulator.setPolicy(arn, defaultPolicy(TENANT_ACCOUNT));
    expect(await provider.unwrap(wrapped, CONTEXT)).toEqual(dek);
    expect(await provider.health()).toEqual({ ok: true });
    const missing = open({ keyArn: arn.replace(/....$/, '0000') });
    expect(await provider.unwrap(wrapped, CONTEXT)).toEqual(dek);
    expect((await failure(missing.generateDek(CONTEXT))).code).toBe('kek_gone');
    expect((await failure(open({ keyArn: newKey('EXTERNAL') }).generateDek(CONTEXT))).message).toMatch(/[Ii]mport/);
  });

  it('A3 A4 wrong credentials and a wrong clock are not mistaken for each other', async () => {
    const arn = newKey();
    const codeOf = async (source: Partial<AwsKmsInput['source']>) =>
      (await failure(open({ keyArn: arn, ...source }).generateDek(CONTEXT))).code;
    expect(await codeOf({ secretAccessKey: 'another' })).toBe('kek_denied');
    expect(await codeOf({ accessKeyId: 'AKIANOBODY0000000001' })).toBe('kek_denied');
    rig.simulator.skewBy(7 * 60_000);
    try {
      const error = await failure(open({ keyArn: arn }).generateDek(CONTEXT));
      expect(error.code).toBe('clock_skew');
      expect(error.message).toMatch(/4[12]\d s behind AWS/);
    } finally {
      rig.simulator.skewBy(-7 * 60_000);
    }
  });

  it('A6 describes the key, and claims no hardware behind an endpoint that is not AWS', async () => {
    const { arn, provider } = fresh();
    const described = await provider.describe();
    expect(described).toMatchObject({ provider: 'aws-kms', hardware: false, keyCount: 1 });
    expect(described.details).toMatchObject({
      keyArn: arn,
      account: TENANT_ACCOUNT,
      state: 'Enabled',
      origin: 'AWS_KMS',
      manager: 'CUSTOMER',
      rotation: 'on demand',
    });
    expect((await fresh().provider.describe()).fingerprint).not.toBe(described.fingerprint);
  });
});

/** Error names of the API reference, what each comes to, and whether a lost attempt is made again. */
const FAULTS: readonly [name: string, status: number, code: string, attempts: number][] = [
  ['ThrottlingException', 400, 'kek_throttled', 3],
  ['LimitExceededException', 400, 'kek_misconfigured', 1],
  ['KMSInternalException', 500, 'kek_unavailable', 3],
  ['KeyUnavailableException', 500, 'kek_unavailable', 3],
  ['DependencyTimeoutException', 503, 'kek_unavailable', 3],
  ['ServiceUnavailableException', 503, 'kek_unavailable', 3],
  ['NameOfAnotherDay', 500, 'kek_unavailable', 3],
  ['NameOfAnotherDay', 400, 'kek_misconfigured', 1],
  ['constructor', 400, 'kek_misconfigured', 1],
  ['AccessDeniedException', 400, 'kek_denied', 1],
  ['NotFoundException', 400, 'kek_gone', 1],
  ['IncorrectKeyException', 400, 'kek_foreign', 1],
  ['InvalidCiphertextException', 400, 'authentication_failed', 1],
  ['InvalidKeyUsageException', 400, 'kek_misconfigured', 1],
  ['ValidationException', 400, 'kek_misconfigured', 1],
  ['InvalidGrantTokenException', 400, 'kek_misconfigured', 1],
  ['InvalidSignatureException', 400, 'kek_denied', 1],
  ['SignatureDoesNotMatch', 403, 'kek_denied', 1],
  ['IncompleteSignature', 400, 'kek_misconfigured', 1],
  ['InvalidClientTokenId', 403, 'kek_denied', 1],
  ['UnrecognizedClientException', 400, 'kek_denied', 1],
  ['RequestExpired', 400, 'clock_skew', 1],
  ['CloudHsmClusterInvalidConfigurationException', 400, 'kek_misconfigured', 1],
  ['CloudHsmClusterNotActiveException', 400, 'kek_unavailable', 1],
  ['CustomKeyStoreInvalidStateException', 400, 'kek_unavailable', 1],
  ['XksProxyUriUnreachableException', 400, 'kek_unavailable', 1],
  ['XksKeyNotFoundException', 400, 'kek_misconfigured', 1],
];

describe('AWS KMS driver, when the protocol simulator fails', () => {
  it.each(FAULTS)('%s (%i) is %s, after %i attempts', async (...[name, status, code, attempts]) => {
    const { arn, provider } = fresh();
    rig.simulator.fault({ kind: 'error', name, status, times: 9, operation: 'GenerateDataKey' });
    let error: AppError | undefined;
    const outcomes = await outcomesOf(async () => {
      error = await failure(provider.generateDek(CONTEXT));
    });
    expect(error).toMatchObject({ name: 'AppError', code });
    expect(error?.message).toContain(arn);
    expect(outcomes.length).toBe(attempts);
  });

  it('A5 throttled, cut off or out of service for a moment: the call is repeated and succeeds', async () => {
    const { provider } = fresh();
    const { dek, ...wrapped } = await provider.generateDek(CONTEXT);
    const { simulator } = rig;
    for (const fault of [
      { kind: 'throttle' },
      { kind: 'outage' },
      { kind: 'cut' },
      { kind: 'cut', after: true },
      { kind: 'garble' },
    ] as const) {
      simulator.fault(fault);
      expect(await provider.unwrap(wrapped, CONTEXT)).toEqual(dek);
    }
  });

  it('A5 a store that hangs costs the deadline and no more', async () => {
    const { provider } = fresh({ limits: IMPATIENT });
    rig.simulator.fault({ kind: 'hang', times: 9 });
    const startedMs = performance.now();
    expect((await failure(provider.generateDek(CONTEXT))).code).toBe('kek_unavailable');
    expect(performance.now() - startedMs).toBeLessThan(IMPATIENT.deadline_ms + 5_000);
    expect(performance.now() - startedMs).toBeGreaterThan(IMPATIENT.attempt_ms * 2);
  });

  it('after five failures in a row nobody waits for it; one call tries again after the pause', async () => {
    const { provider } = fresh();
    rig.simulator.fault({ kind: 'outage', times: 6 });
    await failure(provider.generateDek(CONTEXT));
    await failure(provider.generateDek(CONTEXT));
    expect(await outcomesOf(() => provider.generateDek(CONTEXT))).toEqual([]);
    expect((await failure(provider.generateDek(CONTEXT))).code).toBe('kek_unavailable');
    rig.clock.advance(6_000);
    rig.simulator.clearFaults();
    expect(await outcomesOf(() => provider.generateDek(CONTEXT))).toEqual(['ok']);
  });

  it('A1 an answer for another key, or of another length, is refused', async () => {
    const { provider } = fresh();
    const { dek: _, ...wrapped } = await provider.generateDek(CONTEXT);
    const { simulator } = rig;
    const forged = async (members: Record<string, string>) => {
      simulator.fault({ kind: 'forge', members });
      return (await failure(provider.unwrap(wrapped, CONTEXT))).code;
    };
    expect(await forged({ KeyId: newKey() })).toBe('kek_foreign');
    expect(await forged({ Plaintext: Buffer.alloc(16).toString('base64') })).toBe('key_length');
    simulator.fault({ kind: 'forge', members: { CiphertextBlob: 'AAAA' } });
    expect((await failure(provider.wrap(randomBytes(32), CONTEXT))).code).toBe('kek_unavailable');
    simulator.fault({
      kind: 'forge',
      operation: 'Decrypt',
      members: { Plaintext: Buffer.alloc(32).toString('base64') },
    });
    expect(await provider.health()).toMatchObject({ ok: false, code: 'commitment_mismatch' });
  });

  it('A4 no error holds a data key or a secret, however it is printed', async () => {
    const dek = randomBytes(32);
    const { provider } = fresh({ limits: { ...IMPATIENT, attempts_max: 1 } });
    const wrapped = await provider.wrap(dek, CONTEXT);
    const secrets = [dek.toString('base64'), dek.toString('hex'), TENANT_ADMIN.secretAccessKey];
    const faults = [
      { kind: 'garble' },
      { kind: 'forge', members: { KeyId: 'other' } },
      { kind: 'error', name: 'AccessDeniedException', message: `leak ${dek.toString('base64')}` },
      { kind: 'error', name: `Odd ${dek.toString('hex')}`, message: dek.toString('hex'), status: 500 },
    ] as const;
    for (const fault of faults) {
      rig.simulator.fault({ ...fault, operation: 'Decrypt' });
      const error = await failure(provider.unwrap(wrapped, CONTEXT));
      expect(error.name).toBe('AppError');
      const shown = inspect(error, { depth: 20, showHidden: true, getters: true });
      for (const secret of secrets) expect(shown).not.toContain(secret);
    }
  });

  it('A3 a peer that speaks nothing newer than TLS 1.2 is refused as a wrong endpoint', async () => {
    const certificate = await issueEdgeCertificate({ clock: rig.clock, name: 'old peer' });
    const tls = { key: certificate.keyPem, cert: certificate.certificatePem, maxVersion: 'TLSv1.2' } as const;
    let reached = 0;
    const server = createServer(tls, (_, response) => (reached++, response.end('{}')));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const endpoint = `https://localhost:${(server.address() as AddressInfo).port}`;
      const given = { endpoints: [endpoint], ca: certificate.authorityPem };
      const provider = open({ keyArn: newKey(), endpoint }, given);
      const error = await failure(provider.generateDek(CONTEXT));
      expect(error).toMatchObject({ code: 'kek_misconfigured' });
      expect(error.message).toMatch(/TLS 1\.3/);
      expect(reached).toBe(0);
      const stranger = open({ keyArn: newKey() }, { ca: certificate.authorityPem });
      expect((await failure(stranger.generateDek(CONTEXT))).code).toBe('kek_misconfigured');
    } finally {
      server.close();
    }
  });

  it('an endpoint where nobody listens is unreachable, and stays typed', async () => {
    const endpoint = 'https://localhost:9';
    const provider = open({ keyArn: newKey(), endpoint }, { endpoints: [endpoint] });
    expect((await failure(provider.generateDek(CONTEXT))).code).toBe('kek_unavailable');
  });
});

describe('a key of another account, in the protocol simulator', () => {
  const house = { accessKeyId: HOUSE_USER.accessKeyId, secretAccessKey: HOUSE_USER.secretAccessKey };

  it('our own user works under the documented key policy, for that tenant’s context alone', async () => {
    const arn = newKey();
    const statements = keyPolicyStatements({ principalArn: HOUSE_USER.arn, tenantId: TENANT }) as Statement[];
    const root = defaultPolicy(TENANT_ACCOUNT).Statement;
    const provider = open({ keyArn: arn, ...house });
    expect((await failure(provider.generateDek(CONTEXT))).code).toBe('kek_denied');
    rig.simulator.setPolicy(arn, { Version: '2012-10-17', Statement: [...root, ...statements] });
    const { dek, ...wrapped } = await provider.generateDek(CONTEXT);
    expect(await provider.unwrap(wrapped, CONTEXT)).toEqual(dek);
    expect((await provider.rewrap(wrapped, CONTEXT)).kekRef).toBe(wrapped.kekRef);
    expect(await provider.health()).toEqual({ ok: true });
    const other = { ...CONTEXT, tenantId: uuidV4(systemRandom) };
    expect((await failure(provider.generateDek(other))).code).toBe('kek_denied');
  });

  it('a grant with the tenant’s context does as well, until it is revoked', async () => {
    const arn = newKey();
    const admin = sdkClient(rig, TENANT_ADMIN);
    const grant = await admin.send(
      new CreateGrantCommand({
        KeyId: arn,
        GranteePrincipal: HOUSE_USER.arn,
        Operations: ['Encrypt', 'Decrypt', 'GenerateDataKey', 'ReEncryptFrom', 'ReEncryptTo', 'DescribeKey'],
        Constraints: { EncryptionContextSubset: { tenantId: TENANT } },
      }),
    );
    const provider = open({ keyArn: arn, ...house });
    const { dek, ...wrapped } = await provider.generateDek(CONTEXT);
    expect(await provider.unwrap(await provider.rewrap(wrapped, CONTEXT), CONTEXT)).toEqual(dek);
    expect(await provider.health()).toEqual({ ok: true });
    expect((await provider.describe()).details['rotation']).toBe('unknown (kek_denied)');
    const other = { ...CONTEXT, tenantId: uuidV4(systemRandom) };
    expect((await failure(provider.generateDek(other))).code).toBe('kek_denied');
    await admin.send(new RevokeGrantCommand({ KeyId: arn, GrantId: grant.GrantId }));
    expect((await failure(provider.unwrap(wrapped, CONTEXT))).code).toBe('kek_denied');
    admin.destroy();
  });

  it('a role of the tenant is assumed with the external id; without it there is nothing', async () => {
    const arn = newKey();
    const source = { keyArn: arn, roleArn: TENANT_ROLE.arn, accessKeyId: undefined, secretAccessKey: undefined };
    const provider = open({ ...source, externalId: TENANT_ROLE.externalId! }, { installation: house });
    const { dek, ...wrapped } = await provider.generateDek(CONTEXT);
    expect(rig.simulator.events().at(-1)?.caller).toBe(
      `arn:aws:sts::${TENANT_ACCOUNT}:assumed-role/auditrax-keys/auditrax-${TENANT}`,
    );
    expect(await outcomesOf(() => provider.unwrap(wrapped, CONTEXT))).toEqual(['ok']);
    rig.clock.advance(56 * 60_000);
    const before = rig.simulator.events().length;
    expect(await provider.unwrap(wrapped, CONTEXT)).toEqual(dek);
    expect(
      rig.simulator
        .events()
        .slice(before)
        .map(({ operation }) => operation),
    ).toEqual(['AssumeRole', 'Decrypt']);

    rig.simulator.fault({ kind: 'error', name: 'ExpiredTokenException', operation: 'Decrypt' });
    expect(await provider.unwrap(wrapped, CONTEXT)).toEqual(dek);
    expect(rig.simulator.events().at(-2)?.operation).toBe('AssumeRole');

    const wrong = open({ ...source, externalId: 'another' }, { installation: house });
    expect(await failure(wrong.generateDek(CONTEXT))).toMatchObject({ code: 'kek_denied' });
    expect((await failure(wrong.generateDek(CONTEXT))).message).toMatch(/external id/);
    const unsigned = { ...house, secretAccessKey: 'another' };
    const unknown = open({ ...source, externalId: TENANT_ROLE.externalId! }, { installation: unsigned });
    expect(await failure(unknown.generateDek(CONTEXT))).toMatchObject({ code: 'kek_denied' });
    expect(() => open(source)).toThrow(/no AWS identity/);
  });
});

describe('imported key material, in the protocol simulator', () => {
  /** `openssl` instead of our own code: RSA-OAEP-SHA-256 of an ephemeral key, then AES-KWP of the material. */
  function wrappedByOpenssl(publicKey: Buffer, material: Buffer): Buffer {
    const folder = mkdtempSync(join(tmpdir(), 'byok-'));
    try {
      const at = (name: string) => join(folder, name);
      writeFileSync(at('public.der'), publicKey);
      writeFileSync(at('material'), material);
      const ephemeral = randomBytes(32);
      writeFileSync(at('ephemeral'), ephemeral);
      const oaep = ['rsa_padding_mode:oaep', 'rsa_oaep_md:sha256', 'rsa_mgf1_md:sha256'].flatMap((one) => [
        '-pkeyopt',
        one,
      ]);
      const files = ['-in', at('ephemeral'), '-out', at('one'), '-inkey', at('public.der'), '-keyform', 'DER'];
      execFileSync('openssl', ['pkeyutl', '-encrypt', '-pubin', ...files, ...oaep]);
      const kwp = ['-id-aes256-wrap-pad', '-K', ephemeral.toString('hex'), '-iv', 'A65959A6'];
      execFileSync('openssl', ['enc', ...kwp, '-in', at('material'), '-out', at('two')]);
      return Buffer.concat([readFileSync(at('one')), readFileSync(at('two'))]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  it('A7 openssl and we pack alike; expiry and deletion withdraw, only the same material brings the data back', async () => {
    const arn = newKey('EXTERNAL');
    const slow = { deadline_ms: 60_000, attempt_ms: 30_000, attempts_max: 3 }; // making 4096-bit keys takes its time
    let provider = open({ keyArn: arn }, { limits: slow });
    const material = randomBytes(32);
    const parameters: ImportParameters = await provider.importParameters();
    expect(parameters.validToMs).toBe(rig.clock.nowMs() + DAY_MS);
    const { publicKey, importToken } = parameters;
    const pack = (bytes: Uint8Array) => wrapKeyMaterial({ publicKey, material: bytes, random: systemRandom });
    const send = (wrappedMaterial: Buffer, expiresAtMs?: number) =>
      provider.importKeyMaterial({ wrappedMaterial, importToken, ...(expiresAtMs ? { expiresAtMs } : {}) });

    expect((await failure(send(randomBytes(552)))).code).toBe('authentication_failed');
    await send(wrappedByOpenssl(publicKey, material), rig.clock.nowMs() + 3_600_000);
    const described = await provider.describe();
    expect(described.details).toMatchObject({ origin: 'EXTERNAL', state: 'Enabled' });
    expect(described.details['materialExpiresAt']).toBe(new Date(rig.clock.nowMs() + 3_600_000).toISOString());
    const { dek, ...wrapped } = await provider.generateDek(CONTEXT);

    rig.clock.advance(3_600_000);
    expect(await failure(provider.unwrap(wrapped, CONTEXT))).toMatchObject({ code: 'kek_disabled' });
    expect((await failure(send(pack(randomBytes(32))))).message).toMatch(/not the key material/);
    await send(pack(material));
    expect(await provider.unwrap(wrapped, CONTEXT)).toEqual(dek);
    await provider.deleteImportedKeyMaterial();
    expect((await failure(provider.unwrap(wrapped, CONTEXT))).message).toMatch(/no key material/);

    const cut = await outcomesOf(async () => {
      rig.simulator.fault({ kind: 'cut' });
      await send(pack(material));
    });
    expect(cut).toEqual(['fault: cut']); // whether AWS acted is unknown, so a person decides
    const busy = await outcomesOf(async () => {
      rig.simulator.fault({ kind: 'throttle' });
      await send(pack(material));
    });
    expect(busy).toEqual(['fault: throttle', 'ok']);
    expect(await provider.unwrap(wrapped, CONTEXT)).toEqual(dek);

    const other = open({ keyArn: newKey('EXTERNAL') });
    const foreign = other.importKeyMaterial({ wrappedMaterial: pack(material), importToken });
    expect((await failure(foreign)).message).toMatch(/import token/);
    rig.clock.advance(DAY_MS);
    provider = open({ keyArn: arn }, { limits: slow });
    expect((await failure(send(pack(material)))).message).toMatch(/older than 24 hours/);
    expect((await failure(open({ keyArn: newKey() }).importParameters())).code).toBe('kek_misconfigured');
  });
});

/** A key of AWS itself, which a person makes for this test; see docs/runbooks/byok.md. Never needed, never assumed. */
const LIVE_KEY_ARN = process.env['AUDITRAX_LIVE_KMS_KEY_ARN'];
if (LIVE_KEY_ARN === undefined) {
  console.info(
    'AWS KMS itself is not asked: AUDITRAX_LIVE_KMS_KEY_ARN names no key (the simulator says nothing of AWS)',
  );
} else {
  describe('AWS KMS itself', () => {
    it('wraps, unwraps, moves and refuses as the simulator does', async () => {
      const roleArn = process.env['AUDITRAX_LIVE_KMS_ROLE_ARN'];
      const externalId = process.env['AUDITRAX_LIVE_KMS_EXTERNAL_ID'];
      const provider = awsKmsProvider({
        source: { keyArn: LIVE_KEY_ARN, region: LIVE_KEY_ARN.split(':')[3] ?? '', roleArn, externalId },
        clock: systemClock,
        random: systemRandom,
        tenantId: TENANT,
        installation: 'default-chain',
      });
      providers.push(provider);
      expect(await provider.health()).toEqual({ ok: true });
      const { dek, ...wrapped } = await provider.generateDek(CONTEXT);
      expect(await provider.unwrap(wrapped, CONTEXT)).toEqual(dek);
      expect(await provider.unwrap(await provider.rewrap(wrapped, CONTEXT), CONTEXT)).toEqual(dek);
      const other = { ...CONTEXT, version: CONTEXT.version + 1 };
      expect((await failure(provider.unwrap(wrapped, other))).code).toBe('authentication_failed');
      const changed = { ...wrapped, wrapped: Buffer.from(wrapped.wrapped).fill(0, -1) };
      expect((await failure(provider.unwrap(changed, CONTEXT))).code).toBe('authentication_failed');
      expect((await provider.describe()).details['state']).toBe('Enabled');
    });
  });
}
