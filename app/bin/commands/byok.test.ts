import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { run } from './byok.ts';

let folder = '';
const at = (name: string) => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'byok-'));
  const pair = generateKeyPairSync('rsa', { modulusLength: 4096 });
  const der = pair.publicKey.export({ type: 'spki', format: 'der' });
  writeFileSync(at('public.der'), der);
  writeFileSync(at('public.base64'), `${der.toString('base64').replace(/(.{64})/g, '$1\n')}\n`);
  writeFileSync(at('private.pem'), pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const short = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(at('short.der'), short.publicKey.export({ type: 'spki', format: 'der' }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What a run printed. */
async function tool(...args: string[]): Promise<string> {
  const printed: string[] = [];
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => printed.push(String(text)) > 0);
  try {
    expect(await run(args)).toBe(0);
  } finally {
    spy.mockRestore();
  }
  return printed.join('');
}

/** The way back, by a program that is not ours: OAEP of the first 512 bytes, AES-KWP of the rest. */
function openedByOpenssl(packed: Buffer): Buffer {
  writeFileSync(at('one'), packed.subarray(0, 512));
  writeFileSync(at('two'), packed.subarray(512));
  const oaep = ['rsa_padding_mode:oaep', 'rsa_oaep_md:sha256', 'rsa_mgf1_md:sha256'].flatMap((one) => [
    '-pkeyopt',
    one,
  ]);
  const rsa = ['pkeyutl', '-decrypt', '-inkey', at('private.pem'), '-in', at('one')];
  const ephemeral = execFileSync('openssl', [...rsa, ...oaep]);
  const kwp = ['-id-aes256-wrap-pad', '-K', ephemeral.toString('hex'), '-iv', 'A65959A6'];
  return execFileSync('openssl', ['enc', '-d', ...kwp, '-in', at('two')]);
}

describe('auditrax byok', () => {
  it('openssl finds in the package the very material that went in, from DER and from base64', async () => {
    await tool('new-material', '--out', at('material'));
    expect(statSync(at('material')).mode & 0o777).toBe(0o600);
    const material = readFileSync(at('material'));
    expect(material.length).toBe(32);
    for (const form of ['public.der', 'public.base64']) {
      const out = at(`${form}.packed`);
      await tool('wrap', '--public-key', at(form), '--material', at('material'), '--out', out);
      expect(readFileSync(out).length).toBe(552);
      expect(openedByOpenssl(readFileSync(out))).toEqual(material);
    }
  });

  it('refuses material that others can read or of another length, weak wrapping keys, and files that are there', async () => {
    writeFileSync(at('loose'), Buffer.alloc(32, 1));
    chmodSync(at('loose'), 0o644);
    const wrap = (material: string, key = 'public.der', out = 'never') =>
      run(['wrap', '--public-key', at(key), '--material', at(material), '--out', at(out)]);
    await expect(wrap('loose')).rejects.toMatchObject({ code: 'byok_file' });
    chmodSync(at('loose'), 0o600);
    await expect(wrap('loose', 'short.der')).rejects.toMatchObject({ code: 'kek_misconfigured' });
    await expect(wrap('loose', 'loose')).rejects.toMatchObject({ code: 'kek_misconfigured' });
    await expect(wrap('loose', 'public.der', 'loose')).rejects.toMatchObject({ code: 'byok_file' });
    writeFileSync(at('text'), Buffer.alloc(32).toString('hex'), { mode: 0o600 });
    await expect(wrap('text')).rejects.toMatchObject({ code: 'byok_file' });
    expect(readFileSync(at('loose'))).toEqual(Buffer.alloc(32, 1));
  });

  it('prints the key policy for one principal and one tenant', async () => {
    const tenant = '0190a0b0-0000-7000-8000-000000000001';
    const printed = await tool('policy', '--principal', 'arn:aws:iam::444455556666:user/auditrax', '--tenant', tenant);
    const [use] = JSON.parse(printed) as [{ Condition: Record<string, Record<string, unknown>> }];
    expect(use.Condition['StringEquals']).toEqual({ 'kms:EncryptionContext:tenantId': tenant });
    await expect(run(['policy', '--principal', '*', '--tenant', tenant])).rejects.toMatchObject({ code: 'byok_usage' });
  });
});
