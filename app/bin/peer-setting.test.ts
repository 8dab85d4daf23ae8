import { describe, expect, it } from 'vitest';
import {
  meshNotes,
  peerSetting,
  readPeerSetting,
  refuseSharedDoors,
  sidecarSocket,
  trustPath,
} from './peer-setting.ts';

const names = 'spiffe://example.org/ns/audit/sa/{service}';
const folder = '/run/auditrax-peers';

describe('by what the processes know each other', () => {
  it('is their own authority unless told', () => {
    expect(peerSetting({ kind: 'own', names: undefined, folder: undefined })).toEqual({ kind: 'own' });
    expect(readPeerSetting({})).toEqual({ kind: 'own' });
    expect(meshNotes({ kind: 'own' })).toEqual([]);
  });

  it('needs names and a folder for everything else, and takes neither for nothing', () => {
    const code = { code: 'bad_setting' };
    for (const kind of ['spiffe', 'istio', 'linkerd'] as const) {
      expect(() => peerSetting({ kind, names: undefined, folder })).toThrow(expect.objectContaining(code));
      expect(() => peerSetting({ kind, names, folder: undefined })).toThrow(expect.objectContaining(code));
      expect(peerSetting({ kind, names, folder })).toEqual({ kind, names, folder });
    }
    expect(() => peerSetting({ kind: 'own', names, folder })).toThrow(expect.objectContaining(code));
    expect(() => peerSetting({ kind: 'linkerd', names: 'no.place', folder })).toThrow(expect.objectContaining(code));
    const dns = '{service}.audit.serviceaccount.identity.linkerd.cluster.local';
    expect(() => peerSetting({ kind: 'istio', names: dns, folder })).toThrow(expect.objectContaining(code));
    expect(peerSetting({ kind: 'linkerd', names: dns, folder })).toMatchObject({ kind: 'linkerd' });
    expect(trustPath(names)).toBe('example.org/ns/audit/sa');
  });

  it('is refused in earnest by a header where processes could open each other’s doors', () => {
    for (const kind of ['istio', 'linkerd'] as const) {
      const peerIdentity = peerSetting({ kind, names, folder });
      expect(() => refuseSharedDoors({ peerIdentity, production: true }, false)).toThrow('a user of its own');
      expect(() => refuseSharedDoors({ peerIdentity, production: true }, true)).not.toThrow();
      expect(() => refuseSharedDoors({ peerIdentity, production: false }, false)).not.toThrow();
      expect(meshNotes(peerIdentity)[0]).toContain(
        'rehearsed with stand-ins of the proxy only, one before each process',
      );
    }
    expect(sidecarSocket(folder, 'keys')).toBe('/run/auditrax-peers/keys/peer.sock');
  });
});
