import { spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as tlog from './index.ts';

const ORIGIN = 'https://audit.example:8443';
const PERSON = '0198c0de-0000-7000-8000-000000000001';
const PASSKEY = '0198c0de-0000-7000-8000-000000000002';
const ACTION = `{"input":{"label":"Ünal","role":"auditor"},"operation":"access.invite","person":"${PERSON}","tenant":"t"}`;
const NONCE = Buffer.alloc(32, 7);
const sha256 = (...parts: (string | Uint8Array)[]) =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
const b64 = (bytes: Uint8Array | string) => Buffer.from(bytes).toString('base64url');

interface Bent {
  action?: string;
  client?: Record<string, unknown>;
  rpId?: string;
  flags?: number;
  key?: KeyObject;
}

const pairs = {
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  EdDSA: generateKeyPairSync('ed25519'),
};

/** An authenticator's answer by hand, after WebAuthn level 3 section 6; every part can be bent before it is signed. */
function approve(kind: keyof typeof pairs = 'ES256', bent: Bent = {}): { approval: tlog.Approval; stepUp: string } {
  const action = bent.action ?? ACTION;
  const challenge = b64(sha256('auditrax-stepup-v1\0', NONCE, sha256(action)));
  const clientData = JSON.stringify({ type: 'webauthn.get', challenge, origin: ORIGIN, ...bent.client });
  const data = Buffer.concat([sha256(bent.rpId ?? 'audit.example'), Buffer.of(bent.flags ?? 5, 0, 0, 0, 9)]);
  const signed = Buffer.concat([data, sha256(clientData)]);
  const signature = sign(kind === 'EdDSA' ? null : 'sha256', signed, bent.key ?? pairs[kind].privateKey);
  const response = { clientDataJSON: b64(clientData), authenticatorData: b64(data), signature: b64(signature) };
  const answer = b64(JSON.stringify({ challengeId: 'c', assertion: { id: 'x', response } }));
  const approval = {
    action,
    actionHash: b64(sha256(action)),
    nonce: b64(NONCE),
    answer,
    credential: PASSKEY,
    publicKey: b64(pairs[kind].publicKey.export({ format: 'der', type: 'spki' })),
    origin: ORIGIN,
    rpId: 'audit.example',
  };
  return { approval, stepUp: b64(sha256(answer)) };
}

const check = (approval: tlog.Approval, stepUp: string, person = PERSON) =>
  tlog.checkApproval(tlog.nodePrimitives, approval, { stepUp, person });

describe('T32: an approval is accepted offline exactly when all of it fits', () => {
  it.each(['ES256', 'RS256', 'EdDSA'] as const)(
    'accepts an answer by %s, also when only the hash is kept',
    async (kind) => {
      const { approval, stepUp } = approve(kind);
      expect(await check(approval, stepUp)).toEqual({ ok: true, origin: ORIGIN, hasAction: true });
      expect(await check({ ...approval, action: null }, stepUp)).toMatchObject({ ok: true, hasAction: false });
      expect(tlog.parseApproval(tlog.formatApproval(approval))).toMatchObject(approval);
      expect(tlog.parseApproval(`${tlog.formatApproval(approval)} `)).toBeUndefined();
    },
  );

  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  it.each<[tlog.ApprovalCheck, Bent]>([
    ['challenge', { client: { challenge: b64(sha256('another')) } }],
    ['ceremony', { client: { type: 'webauthn.create' } }],
    ['origin', { client: { origin: 'https://evil.example' } }],
    ['relying-party', { rpId: 'evil.example' }],
    ['user-presence', { flags: 4 }],
    ['user-verification', { flags: 1 }],
    ['signature', { key: other }],
    ['form', { action: `{ "person":"${PERSON}"}` }],
    ['person', { action: '{"person":"somebody else"}' }],
  ])('names the failed check %s of an answer that was signed so', async (failed, bent) => {
    const { approval, stepUp } = approve('ES256', bent);
    expect(await check(approval, stepUp)).toEqual({ ok: false, check: failed });
  });

  it.each<[tlog.ApprovalCheck, Partial<tlog.Approval>]>([
    ['action-hash', { action: ACTION.replace('auditor', 'lead') }],
    ['challenge', { action: null, actionHash: b64(sha256('another')) }],
    ['challenge', { nonce: b64(Buffer.alloc(32, 8)) }],
    ['step-up-hash', { answer: approve('RS256').approval.answer }],
    ['signature', { publicKey: approve('RS256').approval.publicKey }],
    ['origin', { origin: 'https://audit.example' }],
    ['origin', { rpId: 'example.net' }],
    ['form', { nonce: 'AA' }],
    ['form', { answer: '!' }],
  ])('names the failed check %s of what was changed afterwards', async (failed, changed) => {
    const { approval, stepUp } = approve();
    expect(await check({ ...approval, ...changed }, stepUp)).toEqual({ ok: false, check: failed });
  });

  it('any byte of the answer, action, nonce or key refuses it', async () => {
    const { approval, stepUp } = approve();
    for (const name of ['answer', 'action', 'nonce', 'publicKey', 'actionHash'] as const)
      for (let at = 0; at < approval[name]!.length; at += 3) {
        const text = approval[name]!;
        const bent = text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
        expect(await check({ ...approval, [name]: bent }, stepUp), `${name} ${at}`).toMatchObject({ ok: false });
      }
  });

  it('openssl alone comes to the same verdict', async () => {
    const { approval } = approve();
    const folder = mkdtempSync(join(tmpdir(), 'approval-'));
    const parsed = JSON.parse(Buffer.from(approval.answer, 'base64url').toString()) as {
      assertion: { response: Record<string, string> };
    };
    const part = (name: string) => Buffer.from(parsed.assertion.response[name]!, 'base64url');
    writeFileSync(join(folder, 'key'), Buffer.from(approval.publicKey, 'base64url'));
    writeFileSync(join(folder, 'client'), part('clientDataJSON'));
    writeFileSync(join(folder, 'data'), part('authenticatorData'));
    writeFileSync(join(folder, 'sig'), part('signature'));
    writeFileSync(join(folder, 'action'), approval.action!);
    writeFileSync(join(folder, 'nonce'), Buffer.from(approval.nonce, 'base64url'));
    const shell = (script: string) => spawnSync('sh', ['-c', script], { cwd: folder, encoding: 'utf8' });
    const verified = shell(
      `openssl dgst -sha256 -binary client > hash && cat data hash > signed &&
       openssl dgst -sha256 -verify key -keyform DER -signature sig signed`,
    );
    expect(verified.stdout.trim()).toBe('Verified OK');
    const challenge = shell(
      `{ printf 'auditrax-stepup-v1\\000'; cat nonce; openssl dgst -sha256 -binary action; } | openssl dgst -sha256 -binary | base64 | tr '+/' '-_' | tr -d '='`,
    ).stdout.trim();
    expect((JSON.parse(part('clientDataJSON').toString()) as { challenge: string }).challenge).toBe(challenge);
    rmSync(folder, { recursive: true });
  });
});

const LOG = 'log.example/tenant/1';

async function bundleWith(
  { approval, stepUp }: { approval: tlog.Approval; stepUp: string },
  registeredKey = b64(sha256(Buffer.from(approval.publicKey, 'base64url'))),
) {
  const signer = await tlog.createNoteSigner(LOG, generateKeyPairSync('ed25519').privateKey);
  const line = b64(JSON.stringify(['salt', tlog.APPROVAL_NAME, tlog.formatApproval(approval)]));
  const registered = { type: tlog.PASSKEY_REGISTERED_TYPE, resource: ['credential', PASSKEY] };
  const leaves = [
    { ...registered, public: { publicKey: registeredKey } },
    { type: 'member.invited', actor: ['person', PERSON], stepUp, _sd: [b64(sha256(line))] },
    { type: 'thing.changed', actor: ['person', PERSON], stepUp: 'of-before' },
  ].map((leaf) => Buffer.from(JSON.stringify(leaf)));
  const base = await tlog.beginBundle({
    origin: LOG,
    from: 0,
    leaves,
    verifierKey: signer.verifierKey,
    title: 'Example',
    disclosures: new Map([[1, [line]]]),
  });
  const exported = Buffer.from(JSON.stringify({ public: { bundle: base.digest }, type: 'log.exported' }));
  const all = [...leaves, exported];
  const { edge, full } = tlog.appendLeaves(
    tlog.EMPTY_EDGE,
    all.map((leaf) => tlog.leafHash(leaf)),
  );
  const reader: tlog.TileReader = async ({ level, n }) =>
    full.find((tile) => tile.level === level && tile.n === n)?.data ??
    Buffer.concat(edge.partial[level] as Uint8Array[]);
  const proofs = await Promise.all(all.map((_, index) => tlog.inclusionProof({ index, size: all.length }, reader)));
  const text = tlog.formatCheckpointText({ origin: LOG, size: all.length, root: tlog.edgeRoot(edge) });
  const files = tlog.completeBundle(base, {
    checkpoint: tlog.signNote(text, [signer]),
    proofs: proofs.slice(0, -1),
    exported: { leaf: exported, index: 3, proof: proofs[3]! },
  });
  return { files, key: signer.verifierKey };
}

function runVerifier(files: tlog.BundleFiles, args: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'approval-bundle-'));
  for (const [name, bytes] of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
  const { status, stdout } = spawnSync(process.execPath, ['verify.mjs', ...args], { cwd: folder, encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  return { status, stdout };
}

describe('T32: approvals in a bundle', () => {
  it('are checked, counted and named with the page they were given at; the verifier inside says the same', async () => {
    const { files, key } = await bundleWith(approve());
    const report = await tlog.verifyBundleFiles(tlog.nodePrimitives, { files, keys: [key] });
    expect(report).toMatchObject({ exitCode: 0, problems: [] });
    expect(report.approvals).toEqual({ approved: 2, verified: 1, hashOnly: 0, registered: 1, origins: [ORIGIN] });
    expect(report.notChecked).toContain('1 approvals by passkey: they are not in this bundle');
    const inside = runVerifier(files, ['--key', key, '--approved-at', ORIGIN]);
    expect(inside).toEqual({ status: 0, stdout: tlog.formatReport(report) });
    expect(inside.stdout).toContain(`approvals by passkey: 2 named, 1 verified, given at ${ORIGIN}`);
  });

  it('an approval that fails a check refuses the whole bundle, by the name of the check', async () => {
    const { approval, stepUp } = approve('ES256', { flags: 1 });
    const { files, key } = await bundleWith({ approval, stepUp });
    const { status, stdout } = runVerifier(files, ['--key', key]);
    expect(status).toBe(1);
    expect(stdout).toContain('refused: entry 1: its approval failed the check user-verification');
  });

  it('a key that is not the registered one, or a page that is not the product’s, refuses it', async () => {
    const swapped = await bundleWith(approve(), b64(sha256('another key')));
    const verify = (made: typeof swapped, approvedAt: string[]) =>
      tlog.verifyBundleFiles(tlog.nodePrimitives, { files: made.files, keys: [made.key], approvedAt });
    expect((await verify(swapped, [])).problems).toEqual(['entry 1: its approval failed the check registered-key']);
    const made = await bundleWith(approve());
    expect((await verify(made, ['https://elsewhere.example'])).problems).toEqual([
      `entry 1: its approval was given at ${ORIGIN}, not where you said`,
    ]);
  });
});
