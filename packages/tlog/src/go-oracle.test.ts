import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import * as tlog from './index.ts';

const GOCODE = '/usr/share/gocode';
const SUMDB = join(GOCODE, 'src/golang.org/x/mod/sumdb/tlog');
const SOURCE = join(import.meta.dirname, '../oracles/verify.go');
const PACKAGES = 'golang-go and golang-golang-x-mod-dev';
const ORIGIN = 'log.example/tenant/1';

function hasGo(): boolean {
  return existsSync(SUMDB) && spawnSync('go', ['version']).status === 0;
}

/** The oracle comes from Debian; as root it is installed, elsewhere the test says what is missing. */
function install(): void {
  if (hasGo() || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return;
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  spawnSync('apt-get', ['update', '-qq'], options);
  spawnSync(
    'apt-get',
    ['install', '-y', '-qq', '--no-install-recommends', 'golang-go', 'golang-golang-x-mod-dev'],
    options,
  );
}

describe("T13: Go's sumdb packages accept what this log signs and proves, and nothing else", () => {
  const signing = generateKeyPairSync('ed25519').privateKey;
  let folder: string;
  let program: string;

  beforeAll(() => {
    install();
    if (!hasGo()) return;
    folder = mkdtempSync(join(tmpdir(), 'tlog-go-'));
    program = join(folder, 'verify');
    const env = { ...process.env, GO111MODULE: 'off', GOPATH: GOCODE, GOFLAGS: '', GOCACHE: join(folder, 'cache') };
    const built = spawnSync('go', ['build', '-o', program, SOURCE], { env, encoding: 'utf8' });
    if (built.status !== 0) throw new Error(built.stderr);
    return () => rmSync(folder, { recursive: true, force: true });
  }, 300_000);

  it('a bundle of a log over several tiles', async (context) => {
    if (!hasGo()) {
      if (process.env['CI'] === 'true') throw new Error(`${PACKAGES} are missing`);
      context.skip(`${PACKAGES} are not installed`);
      return;
    }
    const { files, key, otherKey } = await makeBundle();
    const bundle = join(folder, 'bundle');
    const put = (): void => {
      for (const [name, bytes] of files) {
        mkdirSync(dirname(join(bundle, name)), { recursive: true });
        writeFileSync(join(bundle, name), bytes);
      }
    };
    const verify = (vkey: string) => spawnSync(program, [vkey, bundle], { encoding: 'utf8' });
    put();
    expect(verify(key)).toMatchObject({ status: 0, stdout: '51 proofs accepted\n' });
    expect(verify(otherKey).status).toBe(1);
    const name = tlog.proofName(260);
    const text = Buffer.from(files.get(name)!).toString();
    for (const bad of [
      text.replace('index 260', 'index 261'),
      text.replace('extra e', 'extra f'),
      text.replace('\n700\n', '\n701\n'),
    ]) {
      expect(bad).not.toBe(text);
      writeFileSync(join(bundle, name), bad);
      expect(verify(key).status).toBe(1);
    }
  });

  async function makeBundle() {
    const signer = await tlog.createNoteSigner(ORIGIN, signing);
    const other = await tlog.createNoteSigner(ORIGIN, generateKeyPairSync('ed25519').privateKey);
    const leaves = Array.from({ length: 700 }, (_, at) => Buffer.from(JSON.stringify({ n: at })));
    const base = await tlog.beginBundle({
      origin: ORIGIN,
      from: 230,
      leaves: leaves.slice(230, 280),
      verifierKey: signer.verifierKey,
      title: 'Example',
    });
    leaves[699] = Buffer.from(JSON.stringify({ public: { bundle: base.digest } }));
    const { edge, full } = tlog.appendLeaves(tlog.EMPTY_EDGE, leaves.map(tlog.leafHash));
    const reader: tlog.TileReader = async ({ level, n }) =>
      full.find((tile) => tile.level === level && tile.n === n)?.data ??
      Buffer.concat(edge.partial[level] as Uint8Array[]);
    const proofOf = (index: number) => tlog.inclusionProof({ index, size: 700 }, reader);
    const checkpoint = tlog.signNote(
      tlog.formatCheckpointText({ origin: ORIGIN, size: 700, root: tlog.edgeRoot(edge) }),
      [signer],
    );
    const proofs = await Promise.all(Array.from({ length: 50 }, (_, at) => proofOf(230 + at)));
    const files = tlog.completeBundle(base, {
      checkpoint,
      proofs,
      exported: { leaf: leaves[699]!, index: 699, proof: await proofOf(699) },
    });
    return { files, key: signer.verifierKey, otherKey: other.verifierKey };
  }
});
