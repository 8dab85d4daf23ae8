import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bannedVersions, billOfMaterials, dependencyFindings, licenceFindings } from './supply-chain.mjs';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string) => JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as unknown;
const banned = read('tools/banned-versions.json') as { package: string; below: string; reason: string }[];

const INTEGRITY = `sha512-${Buffer.alloc(64, 7).toString('base64')}`;
const lockOf = (name: string, entry: Record<string, unknown>) => ({
  packages: { '': {}, [`node_modules/${name}`]: { version: '1.0.0', integrity: INTEGRITY, ...entry } },
});

describe('banned versions', () => {
  it.each(banned)('refuses $package below $below', ({ package: name, below, reason }) => {
    expect(reason.length).toBeGreaterThan(10);
    const first = lockOf(name, { version: '0.0.1' });
    expect(bannedVersions(first, banned)).toEqual([{ name, version: '0.0.1', reason }]);
    expect(bannedVersions(lockOf(name, { version: below }), banned)).toEqual([]);
  });

  it('finds one that is nested below another package', () => {
    const lock = { packages: { 'node_modules/fastify/node_modules/ws': { version: '8.17.0' } } };
    expect(bannedVersions(lock, banned)).toHaveLength(1);
  });

  it('lets tests compare with one that the product must not have', () => {
    const rule = { package: 'a', below: '9.0.0', reason: 'test', isTestOracle: true };
    expect(bannedVersions(lockOf('a', { dev: true }), [rule])).toEqual([]);
    expect(bannedVersions(lockOf('a', {}), [rule])).toHaveLength(1);
    expect(bannedVersions(lockOf('a', { dev: true }), [{ ...rule, isTestOracle: false }])).toHaveLength(1);
  });

  it('compares numbers as numbers', () => {
    const rules = [{ package: 'a', below: '1.10.0', reason: 'test' }];
    expect(bannedVersions(lockOf('a', { version: '1.9.9' }), rules)).toHaveLength(1);
    expect(bannedVersions(lockOf('a', { version: '1.11.0' }), rules)).toEqual([]);
  });
});

describe('licences', () => {
  it.each(['GPL-3.0-only', 'AGPL-3.0', 'SSPL-1.0', 'MIT AND GPL-2.0', 'UNLICENSED', undefined])(
    'refuses %s',
    (license) => {
      expect(licenceFindings(lockOf('a', { license }))).toEqual([{ name: 'a', licence: license ?? 'none stated' }]);
    },
  );

  it.each(['MIT', '(MIT OR GPL-3.0)', 'Apache-2.0 AND MIT'])('takes %s', (license) => {
    expect(licenceFindings(lockOf('a', { license }))).toEqual([]);
  });
});

describe('direct dependencies', () => {
  it.each(['^1.0.0', '~1.0.0', '1', '*', 'latest', 'github:a/b', '>=1.0.0'])('are refused as %s', (version) => {
    expect(dependencyFindings({ dependencies: { a: version } }, '| `a` | why |')).toEqual([
      `a is not pinned exactly: ${version}`,
    ]);
  });

  it('need a reason, of whatever kind they are', () => {
    for (const kind of ['dependencies', 'optionalDependencies', 'devDependencies'])
      expect(dependencyFindings({ [kind]: { '@a/b': '1.0.0' } }, 'Not a line of its own: `@a/b`.')).toEqual([
        '@a/b has no line in docs/reference/dependencies.md',
      ]);
  });

  it('are not spoken of once they are gone', () => {
    expect(dependencyFindings({ dependencies: { a: '1.0.0' } }, '| `a` | why |\n| `b` | why |')).toEqual([
      'docs/reference/dependencies.md has a line for b, which is gone',
    ]);
  });
});

describe('the bill of materials', () => {
  const manifest = read('package.json') as { dependencies: Record<string, string> };
  const bill = billOfMaterials(manifest, read('package-lock.json'));

  it('has the form of CycloneDX 1.6', () => {
    expect(bill).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6', version: 1 });
    for (const component of bill.components) {
      expect(component.purl).toMatch(/^pkg:npm\/(%40[a-z0-9._-]+\/)?[A-Za-z0-9._-]+@\d+\.\d+\.\d+\S*$/);
      expect(component.type).toBe('library');
      expect(component.hashes[0]!.alg).toMatch(/^SHA-(1|256|384|512)$/);
      expect(component.hashes[0]!.content).toMatch(/^([0-9a-f]{2}){20,64}$/);
    }
  });

  it('names every direct dependency once', () => {
    for (const [name, version] of Object.entries(manifest.dependencies))
      expect(
        bill.components.filter((one) => one.name === name && one.version === version),
        name,
      ).toHaveLength(1);
    const addresses = bill.components.map(({ purl }) => purl);
    expect(new Set(addresses).size).toBe(addresses.length);
  });

  it('is the same each time', () => {
    expect(JSON.stringify(billOfMaterials(manifest, read('package-lock.json')))).toBe(JSON.stringify(bill));
  });
});
