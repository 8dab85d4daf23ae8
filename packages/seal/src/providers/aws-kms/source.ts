import { sealError } from '../../errors.ts';
import type { AwsKmsKeySource } from '../../key-source.ts';

/** Where a tenant's key lies and who may use it. The secrets are never part of a message. */
export type AwsKmsSource = Omit<AwsKmsKeySource, 'kind'>;

/** A source that has been looked at: everything in it can work. */
export interface CheckedSource {
  readonly source: AwsKmsSource;
  readonly account: string;
  /** Origin without a path. */
  readonly endpoint: string;
  readonly stsEndpoint: string;
  /** True for an endpoint of AWS; only then may hardware be claimed. */
  readonly isAws: boolean;
}

const KEY_ARN =
  /^arn:(aws|aws-cn|aws-us-gov|aws-eusc):kms:([a-z]{2,4}(?:-[a-z]+)+-\d):(\d{12}):key\/((?:mrk-)?[0-9a-f-]{32,36})$/;
const ROLE_ARN = /^arn:(aws|aws-cn|aws-us-gov|aws-eusc):iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/;
const ACCESS_KEY_ID = /^[\w]{16,128}$/;
const EXTERNAL_ID = /^[\w+=,.@:/-]{2,1224}$/;

const DNS_SUFFIX: Readonly<Record<string, string>> = {
  aws: 'amazonaws.com',
  'aws-us-gov': 'amazonaws.com',
  'aws-cn': 'amazonaws.com.cn',
  'aws-eusc': 'amazonaws.eu',
};

function misconfigured(message: string): Error {
  return sealError('kek_misconfigured', message);
}

/** An endpoint is a bare https origin; everything else would let a tenant aim our requests at paths of its choosing. */
function originOf(text: string, setting: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw misconfigured(`${setting} is not an address: write it as https://kms.REGION.amazonaws.com`);
  }
  const isBare = url.pathname === '/' && url.search === '' && url.hash === '' && url.username + url.password === '';
  if (url.protocol !== 'https:' || !isBare) {
    throw misconfigured(`${setting} must be https:// and a host name, without path, query or user`);
  }
  return url.origin;
}

/**
 * Looks at a source before anything is sent: the ARN names one symmetric-key id, its region is the one given, role and
 * credentials are whole, and the endpoint is AWS's own of that region or one that the operator allows in `endpoints`
 * (origins). A tenant names the endpoint, so any other would let it aim our signed requests into our own network.
 * Throws `kek_misconfigured`, naming the setting.
 */
export function checkSource(
  source: AwsKmsSource,
  allowed: { readonly endpoints?: readonly string[] | undefined; readonly stsEndpoint?: string | undefined },
): CheckedSource {
  const arn = KEY_ARN.exec(source.keyArn);
  if (!arn) throw misconfigured('keyArn is not the ARN of a KMS key: arn:aws:kms:REGION:ACCOUNT:key/ID (no alias)');
  const [, partition, region, account] = arn as unknown as [string, string, string, string];
  if (region !== source.region) throw misconfigured(`keyArn names region ${region}, but region is another one`);
  if (source.roleArn !== undefined && ROLE_ARN.exec(source.roleArn)?.[1] !== partition) {
    throw misconfigured('roleArn is not the ARN of a role in the partition of the key');
  }
  if (source.externalId !== undefined && !EXTERNAL_ID.test(source.externalId)) {
    throw misconfigured('externalId has characters that AWS does not allow, or is longer than 1224');
  }
  if ((source.accessKeyId === undefined) !== (source.secretAccessKey === undefined)) {
    throw misconfigured('accessKeyId and secretAccessKey belong together: give both or none');
  }
  if (source.accessKeyId !== undefined && !ACCESS_KEY_ID.test(source.accessKeyId)) {
    throw misconfigured('accessKeyId is not the id of an access key (16 to 128 letters and digits)');
  }
  const suffix = DNS_SUFFIX[partition]!;
  const own = [`https://kms.${region}.${suffix}`, `https://kms-fips.${region}.${suffix}`];
  const endpoint = source.endpoint === undefined ? own[0]! : originOf(source.endpoint, 'endpoint');
  const isAws = own.includes(endpoint);
  const isAllowed = isAws || (allowed.endpoints ?? []).map((one) => originOf(one, 'endpoints')).includes(endpoint);
  if (!isAllowed) {
    throw misconfigured(`endpoint ${endpoint} is neither AWS KMS of ${region} nor one that the operator allows`);
  }
  const stsEndpoint = originOf(allowed.stsEndpoint ?? `https://sts.${region}.${suffix}`, 'stsEndpoint');
  return { source, account, endpoint, stsEndpoint, isAws };
}
