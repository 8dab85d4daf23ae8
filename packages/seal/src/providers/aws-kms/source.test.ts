import { describe, expect, it } from 'vitest';
import { checkSource, type AwsKmsSource } from './source.ts';

const ID = '1234abcd-12ab-34cd-56ef-1234567890ab';
const source: AwsKmsSource = { keyArn: `arn:aws:kms:eu-west-1:111122223333:key/${ID}`, region: 'eu-west-1' };

describe('source of an AWS KMS key', () => {
  it('goes to the region’s own endpoint of its partition unless told', () => {
    expect(checkSource(source, {})).toMatchObject({
      endpoint: 'https://kms.eu-west-1.amazonaws.com',
      stsEndpoint: 'https://sts.eu-west-1.amazonaws.com',
      account: '111122223333',
      isAws: true,
    });
    const china = { keyArn: `arn:aws-cn:kms:cn-north-1:111122223333:key/${ID}`, region: 'cn-north-1' };
    expect(checkSource(china, {}).endpoint).toBe('https://kms.cn-north-1.amazonaws.com.cn');
    expect(checkSource({ ...source, endpoint: 'https://kms-fips.eu-west-1.amazonaws.com' }, {}).isAws).toBe(true);
  });

  it('A2 a tenant cannot aim our requests at another place', () => {
    for (const endpoint of [
      'https://169.254.169.254',
      'https://localhost:8443',
      'https://kms.eu-west-1.amazonaws.com.evil.example',
      'https://kms.us-east-1.amazonaws.com',
      'https://kms.eu-west-1.amazonaws.com:444',
      'http://kms.eu-west-1.amazonaws.com',
      'https://kms.eu-west-1.amazonaws.com/path',
      'https://user@kms.eu-west-1.amazonaws.com',
      'kms.eu-west-1.amazonaws.com',
    ]) {
      expect(() => checkSource({ ...source, endpoint }, {}), endpoint).toThrow(/endpoint/);
    }
    const allowed = { endpoints: ['https://localhost:8443'] };
    expect(checkSource({ ...source, endpoint: 'https://localhost:8443/' }, allowed).isAws).toBe(false);
    expect(() => checkSource({ ...source, endpoint: 'https://localhost:8444' }, allowed)).toThrow(/operator allows/);
  });

  it('says which setting cannot work, and never a secret', () => {
    const refusals: [Partial<AwsKmsSource>, RegExp][] = [
      [{ keyArn: 'arn:aws:kms:eu-west-1:111122223333:alias/mine' }, /keyArn/],
      [{ keyArn: ID }, /keyArn/],
      [{ region: 'us-east-1' }, /region/],
      [{ roleArn: 'arn:aws:iam::111122223333:user/me' }, /roleArn/],
      [{ roleArn: 'arn:aws-cn:iam::111122223333:role/me' }, /roleArn/],
      [{ externalId: 'a b' }, /externalId/],
      [{ accessKeyId: 'AKIA0000000000000001' }, /secretAccessKey belong together/],
      [{ accessKeyId: 'short', secretAccessKey: 'very-secret' }, /accessKeyId/],
    ];
    for (const [change, why] of refusals) {
      let message = '';
      try {
        checkSource({ ...source, ...change }, {});
      } catch (error) {
        message = (error as Error).message;
        expect(error).toMatchObject({ code: 'kek_misconfigured' });
      }
      expect(message).toMatch(why);
      expect(message).not.toContain('very-secret');
    }
  });
});
