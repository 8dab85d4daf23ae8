import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scanRepository, scanText, SECRET_FORMATS } from './secret-scan.mjs';

const letters = (count: number) => 'aB3dE5gH7jK9'.repeat(8).slice(0, count);

/** One of each format. Put together here, so that no line of this file has the shape of a secret. */
const PLANTED: Readonly<Record<string, string>> = {
  'private key': ['-----BEGIN EC ', 'PRIVATE KEY-----\n', letters(32)].join(''),
  'AWS access key id': ['AK', 'IA', 'ABCDEFGH23456777'].join(''),
  'GitHub token': ['gh', 'p_', letters(36)].join(''),
  'Slack token': ['xo', 'xb-', letters(12)].join(''),
  'Stripe live key': ['sk_', 'live_', letters(24)].join(''),
  'npm token': ['np', 'm_', letters(36)].join(''),
  'Google API key': ['AI', 'za', letters(35)].join(''),
  'Auditrax API key': ['ax', 'k_', letters(91)].join(''),
  'Standard Webhooks secret': ['whs', 'ec_', letters(32)].join(''),
  'password in a URL': ['postgres://app:', 'correcthorse', '@db.example/auditrax'].join(''),
};

describe('the secret scan', () => {
  it('has a planted secret for every format that it knows', () => {
    expect(Object.keys(PLANTED).sort()).toEqual(Object.keys(SECRET_FORMATS).sort());
  });

  it.each(Object.entries(PLANTED))('finds a %s and says where', (format, secret) => {
    expect(scanText(`first line\nkey = "${secret}"\n`)).toContainEqual({ format, line: 2 });
  });

  it('is silent on what only looks similar', () => {
    const public_key = ['-----BEGIN ', 'PUBLIC KEY-----\n', letters(32)].join('');
    const texts = [public_key, 'postgres://app@db.example/auditrax', 'https://example.org:8443/path', letters(64)];
    for (const text of texts) expect(scanText(text), text).toEqual([]);
  });
});

describe('the scan of a repository', () => {
  let folder: string;
  const git = (...args: string[]) => execFileSync('git', args, { cwd: folder, stdio: 'ignore' });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'auditrax-scan-'));
    git('init', '-q');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('reads what is tracked, and with --staged what the commit would hold', () => {
    writeFileSync(join(folder, 'a.txt'), PLANTED['npm token']!);
    expect(scanRepository({ cwd: folder, staged: false })).toEqual([]);
    git('add', 'a.txt');
    const found = [{ file: 'a.txt', format: 'npm token', line: 1 }];
    expect(scanRepository({ cwd: folder, staged: true })).toEqual(found);
    // Taken out of the working tree only: the commit would still hold it.
    writeFileSync(join(folder, 'a.txt'), 'nothing');
    expect(scanRepository({ cwd: folder, staged: true })).toEqual(found);
    expect(scanRepository({ cwd: folder, staged: false })).toEqual([]);
  });
});
