import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { buildNative, buildPart, NATIVE_PARTS } from './native-build.ts';
import { ROOT } from './root.ts';

const [driver] = NATIVE_PARTS.filter((part) => part.name === 'HSM driver');
const SMALL = `
#include <node_api.h>
NAPI_MODULE_INIT() { napi_value answer; napi_create_uint32(env, ANSWER, &answer); return answer; }
`;

describe('native parts are compiled in the open', () => {
  let root: string;
  const part = {
    ...driver!,
    compiler: 'cc' as const,
    flags: ['-DANSWER=42'],
    sources: ['native/small.c'],
    includes: ['headers'],
    inputs: ['native/*.c'],
    output: 'native/build/small.node',
  };

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'axn-'));
    mkdirSync(join(root, 'native'));
    writeFileSync(join(root, 'native/small.c'), SMALL);
    symlinkSync(join(ROOT, 'node_modules/node-api-headers/include'), join(root, 'headers'));
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(root, { recursive: true, force: true });
  });

  const withCompiler = it.skipIf(!existsSync('/usr/bin/cc') && process.env['CI'] !== 'true');

  withCompiler('a part is compiled once, loads, and is compiled anew when a source changes', async () => {
    const began = vi.fn();
    const first = await buildPart(root, part, began);
    expect(first).toMatchObject({ ready: true });
    const path = join(root, part.output);
    expect(createRequire(import.meta.url)(path)).toBe(42);
    const inode = statSync(path).ino;
    await buildPart(root, part, began);
    expect(began).toHaveBeenCalledTimes(1);
    expect(statSync(path).ino).toBe(inode);
    writeFileSync(join(root, 'native/small.c'), `${SMALL}// changed\n`);
    await buildPart(root, part, began);
    expect(began).toHaveBeenCalledTimes(2);
    expect(statSync(path).ino).not.toBe(inode);
  });

  withCompiler('a source that does not compile is one line with the complaint, and leaves nothing', async () => {
    writeFileSync(join(root, 'native/small.c'), '#error not today\n');
    const outcome = await buildPart(root, part);
    expect(outcome).toMatchObject({ ready: false, why: expect.stringMatching(/^[^\n]*not today[^\n]*$/) });
    expect(existsSync(join(root, part.output))).toBe(false);
  });

  it('without a compiler the house is told, in one line for each part, what it runs without', async () => {
    vi.stubEnv('PATH', root);
    const lines: string[] = [];
    const outcomes = await buildNative(root, (line) => lines.push(line));
    expect(outcomes.every(({ ready }) => !ready)).toBe(true);
    const complaints = lines.filter((line) => line.includes('apt-get install g++'));
    expect(complaints).toHaveLength(NATIVE_PARTS.length);
  });

  it('a checkout where the place cannot be made is no failure', async () => {
    writeFileSync(join(root, 'native/build'), 'a file where the folder should be');
    expect(await buildPart(root, part)).toMatchObject({ ready: false });
  });
});
