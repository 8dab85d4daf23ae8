import { describe, expect, it } from 'vitest';
import { meshPeer } from './mesh-peer.ts';
import { peerNames } from './peer-names.ts';

const spiffe = peerNames('spiffe://cluster.local/ns/audit/sa/{service}');
const linkerd = peerNames('{service}.audit.serviceaccount.identity.linkerd.cluster.local');
const GATEWAY = 'spiffe://cluster.local/ns/audit/sa/gateway';
const SELF = 'spiffe://cluster.local/ns/audit/sa/workspace';
const HASH = 'Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688';
// As Envoy's documents and Istio's sidecar write it with SANITIZE_SET.
const XFCC = `By=${SELF};${HASH};Subject="";URI=${GATEWAY}`;
const L5D = 'gateway.audit.serviceaccount.identity.linkerd.cluster.local';

const byIstio = (...headers: string[]) => meshPeer('istio', headers, { names: spiffe, self: 'workspace' });
const byLinkerd = (...headers: string[]) => meshPeer('linkerd', headers, { names: linkerd, self: 'workspace' });
const xfcc = (value: string) => byIstio('x-forwarded-client-cert', value);

describe('the peer that a mesh’s proxy names', () => {
  it('W30 is the one of the only header, whatever its case', () => {
    expect(xfcc(XFCC)).toBe('gateway');
    expect(byIstio('Host', 'x', 'X-Forwarded-Client-Cert', XFCC)).toBe('gateway');
    expect(byLinkerd('l5d-client-id', L5D)).toBe('gateway');
  });

  it('W30 is nobody without the header, or with another mesh’s', () => {
    expect(byIstio('host', 'x')).toBeUndefined();
    expect(byIstio('l5d-client-id', L5D)).toBeUndefined();
    expect(byLinkerd('x-forwarded-client-cert', XFCC)).toBeUndefined();
  });

  it('W31 forged: a doubled header names nobody, in any case and order', () => {
    const other = XFCC.replace('gateway', 'keys');
    expect(byIstio('x-forwarded-client-cert', XFCC, 'X-FORWARDED-CLIENT-CERT', other)).toBeUndefined();
    expect(byIstio('X-Forwarded-Client-Cert', other, 'x-forwarded-client-cert', XFCC)).toBeUndefined();
    expect(byIstio('x-forwarded-client-cert', XFCC, 'x-forwarded-client-cert', XFCC)).toBeUndefined();
    expect(byLinkerd('l5d-client-id', L5D, 'L5D-Client-Id', L5D)).toBeUndefined();
  });

  it('W31 forged: other hops in front or behind name nobody', () => {
    const hop = `By=spiffe://cluster.local/ns/edge/sa/ingress;${HASH};URI=${GATEWAY}`;
    expect(xfcc(`${hop},${XFCC}`)).toBeUndefined();
    expect(xfcc(`${XFCC},${hop}`)).toBeUndefined();
    expect(xfcc(`${XFCC},`)).toBeUndefined();
    expect(byLinkerd('l5d-client-id', `${L5D},${L5D}`)).toBeUndefined();
    expect(byLinkerd('l5d-client-id', ` ${L5D}`)).toBeUndefined();
  });

  it('W31 forged: a hop hidden in quotes, an open quote or a second field of one key names nobody', () => {
    expect(xfcc(`By=${SELF};Subject="a,URI=${GATEWAY}";${HASH}`)).toBeUndefined();
    expect(xfcc(`By=${SELF};Subject="CN=\\",URI=${GATEWAY}`)).toBeUndefined();
    expect(xfcc(`By=${SELF};URI=${GATEWAY.replace('gateway', 'keys')};URI=${GATEWAY}`)).toBeUndefined();
    expect(xfcc(`${XFCC};Role=admin`)).toBeUndefined();
    expect(xfcc(`${XFCC};`)).toBeUndefined();
    expect(xfcc(XFCC.toLowerCase())).toBeUndefined();
  });

  it('W31 forged: what was shown to another service than this one names nobody', () => {
    expect(xfcc(XFCC.replace('sa/workspace', 'sa/keys'))).toBeUndefined();
    expect(xfcc(`${HASH};URI=${GATEWAY}`)).toBeUndefined();
  });

  it('W31 forged: another trust domain, namespace or spelling names nobody', () => {
    for (const [from, to] of [
      ['URI=spiffe://cluster.local', 'URI=spiffe://cluster.local.evil'],
      [`URI=${GATEWAY}`, 'URI=spiffe://cluster.local/ns/other/sa/gateway'],
      ['sa/gateway', 'sa/gateway/'],
      ['sa/gateway', 'sa/Gateway'],
      ['sa/gateway', 'sa/../sa/gateway'],
      ['sa/gateway', 'sa/'],
    ] as const)
      expect(xfcc(XFCC.replace(from, to)), to).toBeUndefined();
    for (const id of [`${L5D}.`, L5D.replace('audit', 'other'), `x.${L5D}`, L5D.toUpperCase(), ''])
      expect(byLinkerd('l5d-client-id', id), id).toBeUndefined();
  });

  it('W31 forged: a header beyond every length is not read', () => {
    expect(xfcc(`Chain="${'a'.repeat(5_000)}";${XFCC}`)).toBeUndefined();
    expect(xfcc(`Chain="${'a'.repeat(500)}";${XFCC}`)).toBe('gateway');
  });
});

describe('names by a pattern', () => {
  it('W32 have one spelling each way', () => {
    expect(spiffe.idOf('keys')).toBe('spiffe://cluster.local/ns/audit/sa/keys');
    expect(spiffe.serviceOf(spiffe.idOf('keys'))).toBe('keys');
    expect(() => spiffe.idOf('../keys')).toThrow(RangeError);
  });

  it('W32 refuse a pattern that could be read in two ways', () => {
    for (const pattern of ['spiffe://x/', '{service}{service}', '{service}s.local', 'x"{service}', 'A/{service}', ''])
      expect(() => peerNames(pattern), pattern).toThrow(RangeError);
  });
});
