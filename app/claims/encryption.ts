import { FRESHNESS_SECONDS } from './model.ts';
import type { Claim } from './model.ts';

const shared = { section: 'encryption', owner: 'Security engineering lead' } as const;

/** Claims about data on the wire, data at rest, and the keys to both. */
export const encryptionClaims: readonly Claim[] = [
  {
    ...shared,
    id: 'crypto.tls13-only',
    sentence:
      'TLS 1.3 is the only version spoken: at the edge, between our own processes, and outwards; a handshake with anything older gets nowhere.',
    exceptions: [
      'A listener for trying out, bound to this machine’s loopback address only, speaks plain HTTP.',
      'The embedded database is reached by a Unix socket, which is no wire and no TLS.',
      'The supervisor’s alarm hears canary pages over plain HTTP on the loopback address; each message is signed.',
    ],
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.minutes,
    module: 'app/platform/http',
    enforcers: [{ file: 'packages/workload/src/strict-tls.ts', export: 'strictTls', necessary: true }],
    probe: 'edge.tls-versions',
    wouldTurnRed:
      'Any listening socket of the house completes a handshake older than TLS 1.3 or answers in plain text beyond the named exceptions, or a client of ours connects to a peer that speaks nothing newer than TLS 1.2.',
  },
  {
    ...shared,
    id: 'crypto.weak-ciphers',
    sentence:
      'A connection is only ever made with one of the authenticated-encryption suites of TLS 1.3, its keys agreed on by the post-quantum hybrid group X25519MLKEM768 with whoever knows it.',
    exceptions: ['The loopback-only listeners for trying out and for the supervisor’s alarm have no cipher at all.'],
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.minutes,
    module: 'app/platform/http',
    enforcers: [{ file: 'packages/workload/src/strict-tls.ts', export: 'strictTls', necessary: true }],
    probe: 'edge.tls-ciphers',
    wouldTurnRed:
      'A socket agrees on a suite outside the list of AEAD suites, when a client offers it alone, or on another group with a client that offers the hybrid one.',
  },
  {
    ...shared,
    id: 'crypto.envelope',
    sentence:
      'What is stored is sealed with AES-256-GCM: each tenant’s fields and files under data keys of its own, and those under a key-encryption key that lives in another process.',
    exceptions: ['Columns listed as plaintext with a reason (ids, states, times, hashes) are not sealed.'],
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'app/domains/keys',
    enforcers: [
      { file: 'packages/seal/src/field.ts', export: 'sealField', necessary: true },
      { file: 'packages/seal/src/field.ts', export: 'openField', necessary: true },
      { file: 'packages/seal/src/chunked.ts', export: 'sealChunks', necessary: true },
      { file: 'app/domains/keys/sealer.ts', export: 'createSealer', necessary: true },
      { file: 'app/domains/keys/vault.ts', export: 'createVault', necessary: false },
      {
        file: 'app/domains/keys/migrations/20261123093100_keys_reseal.sql',
        export: 'platform.guard_sealed',
        necessary: true,
      },
    ],
    probe: 'keys.envelope',
    wouldTurnRed:
      'A marked secret is found readable in the database or in a stored file, a changed byte still opens, one tenant’s sealed value opens for another, or other bytes can be put over a sealed value.',
  },
  {
    ...shared,
    id: 'crypto.dek-rotation',
    sentence: 'No data key stays in use for writing longer than 90 days.',
    kind: 'measured',
    figure: '90 days',
    limit: { value: 90, unit: 'days', direction: 'at-most' },
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'app/domains/keys',
    enforcers: [
      { file: 'app/domains/keys/service.ts', export: 'maySeal', necessary: true },
      { file: 'app/domains/keys/sealer.ts', export: 'createSealer', necessary: true },
      // Ages are asked where each tenant lives; who does not find a place knows no age.
      { file: 'packages/tenancy/src/placed.ts', export: 'openPlacedDatabase', necessary: false },
      { file: 'packages/tenancy/src/placing.ts', export: 'placeText', necessary: false },
    ],
    probe: 'keys.dek-age',
    wouldTurnRed: 'The oldest data key still used for writing is more than 90 days old.',
  },
  {
    ...shared,
    id: 'crypto.kek-hsm',
    sentence:
      'Key-encryption keys are made inside certified hardware (AWS KMS, or an HSM over PKCS#11) and never come out of it.',
    figure: 'FIPS 140-2 level 3, or its successor 140-3 level 3',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'packages/seal',
    enforcers: [
      { file: 'packages/seal/src/providers/pkcs11/provider.ts', export: 'pkcs11KekProvider', necessary: true },
    ],
    probe: 'keys.hsm',
    assertedBecause:
      'This installation uses a local key ring, which is software and meant for trying out; no HSM or KMS is attached, so there is nothing to ask for a certificate. No rehearsal with a software token has run here yet either: it needs Debian’s softhsm2 and a checkout that every user of this machine can read.',
    wouldTurnRed:
      'The provider in use is not in hardware, or its certificate is not in force for the firmware it reports.',
  },
  {
    ...shared,
    id: 'crypto.byok',
    sentence: 'An Enterprise tenant may have its data keys wrapped by a KMS key of its own account.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'packages/seal',
    enforcers: [
      { file: 'app/domains/keys/key-stores.ts', export: 'openKeyStores', necessary: true },
      { file: 'app/domains/keys/leases.ts', export: 'watchLeases', necessary: true },
      { file: 'packages/seal/src/providers/aws-kms/provider.ts', export: 'awsKmsProvider', necessary: true },
    ],
    probe: 'keys.byok',
    assertedBecause:
      'No rehearsal has run here yet: it needs a house that is tried out, a checkout that every user of this machine can read, and Debian’s softhsm2. It is made against a protocol simulator of AWS KMS, never against AWS.',
    wouldTurnRed: 'Data of such a tenant opens while its own key is disabled.',
  },
  {
    ...shared,
    id: 'crypto.xks',
    sentence:
      'An Enterprise tenant may keep its key in an external key store behind the KMS XKS proxy interface, and by taking the key away makes its data unreadable.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'packages/seal',
    enforcers: [
      { file: 'app/domains/keys/key-stores.ts', export: 'openKeyStores', necessary: true },
      { file: 'app/domains/keys/leases.ts', export: 'watchLeases', necessary: true },
      { file: 'packages/seal/src/providers/xks/provider.ts', export: 'xksKekProvider', necessary: true },
    ],
    probe: 'keys.xks',
    assertedBecause:
      'No rehearsal has run here yet: it needs a house that is tried out, a checkout that every user of this machine can read, and Debian’s softhsm2, which plays the HSM behind the proxy.',
    wouldTurnRed: 'After the key is withdrawn, and the caches have run out, a record of that tenant still opens.',
  },
];
