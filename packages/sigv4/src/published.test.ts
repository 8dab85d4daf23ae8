import { manualClock } from '@auditrax/base';
import { describe, expect, it } from 'vitest';
import { verifySigV4, type SigV4Check } from './verify.ts';

// The key, requests and signatures that AWS publishes with its description of Signature Version 4.
const SECRET = ['wJalrXUtnFEMI', 'K7MDENG+bPxRfiCYEXAMPLEKEY'].join('/');
const AT = Date.parse('2015-08-30T12:36:00Z');

function published(signature: string, request: Partial<SigV4Check> & { names: string }): SigV4Check {
  const scope = `AKIDEXAMPLE/20150830/us-east-1/${request.service ?? 'service'}/aws4_request`;
  return {
    method: 'GET',
    path: '/',
    query: '',
    body: Buffer.alloc(0),
    service: 'service',
    credentials: (id) => (id === 'AKIDEXAMPLE' ? { secretAccessKey: SECRET } : undefined),
    clock: manualClock(AT),
    ...request,
    headers: [
      ...(request.headers ?? [['Host', 'example.amazonaws.com']]),
      ['X-Amz-Date', '20150830T123600Z'],
      ['Authorization', `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=${request.names}, Signature=${signature}`],
    ],
  };
}

const CASES: Record<string, SigV4Check> = {
  'the walk-through, listing users': published('5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7', {
    service: 'iam',
    query: 'Action=ListUsers&Version=2010-05-08',
    names: 'content-type;host;x-amz-date',
    headers: [
      ['Content-Type', 'application/x-www-form-urlencoded; charset=utf-8'],
      ['Host', 'iam.amazonaws.com'],
    ],
  }),
  'a bare GET': published('5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31', {
    names: 'host;x-amz-date',
  }),
  'a bare POST': published('5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b', {
    method: 'POST',
    names: 'host;x-amz-date',
  }),
  'a query in another order': published('b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500', {
    query: 'Param2=value2&Param1=value1',
    names: 'host;x-amz-date',
  }),
};

describe('V1: examples that AWS publishes', () => {
  it.each(Object.entries(CASES))('%s', (_name, check) => {
    expect(verifySigV4(check)).toEqual({
      ok: true,
      accessKeyId: 'AKIDEXAMPLE',
      region: 'us-east-1',
      signedAtMs: AT,
      signedHeaders: expect.arrayContaining(['host']),
    });
    const later = { ...check, query: `${check.query}x` };
    expect(verifySigV4(later)).toMatchObject({ ok: false, reason: 'signature' });
  });
});
