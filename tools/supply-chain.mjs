// Supply chain: banned version ranges, licences, exact pins, one reason for each direct dependency, and the SBOM.
// `npm audit` needs a server that is not always reachable, so the list of banned ranges is committed and tested.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Licences that fit Apache-2.0 distribution without further duties than a notice. */
export const LICENCES_ALLOWED = new Set([
  'MIT',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'Unlicense',
  'Python-2.0',
  'OFL-1.1',
  'MPL-2.0',
  'CC-BY-4.0',
  'PostgreSQL',
  'MIT-0',
  'WTFPL',
]);
/** Packages whose own field is imprecise, with what their licence file says. */
const LICENCE_OVERRIDES = new Map();

function compare(a, b) {
  const parts = (version) => version.split('-')[0].split('.').map(Number);
  const [left, right] = [parts(a), parts(b)];
  for (let index = 0; index < 3; index += 1) {
    if ((left[index] ?? 0) !== (right[index] ?? 0)) return (left[index] ?? 0) - (right[index] ?? 0);
  }
  return 0;
}

function nameOf(key) {
  return key.slice(key.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

function installed(lock) {
  return Object.entries(lock.packages).filter(([key, entry]) => key.includes('node_modules/') && !entry.link);
}

/**
 * Packages of the lockfile that fall into a banned range: `{ name, version, reason }`. One that tests compare with may be
 * there for development, and is never installed with the product.
 */
export function bannedVersions(lock, banned) {
  return installed(lock).flatMap(([key, { version, dev }]) =>
    banned
      .filter((rule) => rule.package === nameOf(key) && compare(version, rule.below) < 0)
      .filter((rule) => !(rule.isTestOracle === true && dev === true))
      .map((rule) => ({ name: nameOf(key), version, reason: rule.reason })),
  );
}

function licenceFits(expression) {
  const alternatives = expression.replaceAll(/[()]/g, '').split(' OR ');
  return alternatives.some((alternative) =>
    alternative.split(' AND ').every((licence) => LICENCES_ALLOWED.has(licence.trim())),
  );
}

/** Installed packages whose licence does not fit. Platform packages that are not installed here carry none to read. */
export function licenceFindings(lock) {
  return installed(lock)
    .filter(([, entry]) => entry.integrity !== undefined)
    .map(([key, entry]) => ({
      name: nameOf(key),
      licence: LICENCE_OVERRIDES.get(nameOf(key)) ?? entry.license ?? 'none stated',
    }))
    .filter(({ licence }) => !licenceFits(licence));
}

/** Direct dependencies that are not pinned exactly or have no line of reason in the reference, and lines of none. */
export function dependencyFindings(manifest, reasons) {
  const direct = Object.entries({
    ...manifest.dependencies,
    ...manifest.optionalDependencies,
    ...manifest.devDependencies,
  });
  const listed = [...reasons.matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => name);
  const findings = direct.flatMap(([name, version]) => [
    ...(/^(npm:.*@)?\d+\.\d+\.\d+(-[a-z0-9.]+)?$/.test(version) ? [] : [`${name} is not pinned exactly: ${version}`]),
    ...(listed.includes(name) ? [] : [`${name} has no line in docs/reference/dependencies.md`]),
  ]);
  const gone = listed.filter((name) => !direct.some(([own]) => own === name));
  return [...findings, ...gone.map((name) => `docs/reference/dependencies.md has a line for ${name}, which is gone`)];
}

function componentOf(key, entry) {
  const name = nameOf(key);
  const [algorithm, value] = entry.integrity.split('-');
  return {
    type: 'library',
    name,
    version: entry.version,
    purl: `pkg:npm/${name.replace('@', '%40')}@${entry.version}`,
    scope: entry.dev ? 'excluded' : entry.optional ? 'optional' : 'required',
    hashes: [
      { alg: algorithm.toUpperCase().replace('SHA', 'SHA-'), content: Buffer.from(value, 'base64').toString('hex') },
    ],
    ...(entry.license ? { licenses: [{ expression: entry.license }] } : {}),
  };
}

const SCOPES = ['required', 'optional', 'excluded'];

/** CycloneDX 1.6 bill of materials from the lockfile; deterministic, so that it can be compared. */
export function billOfMaterials(manifest, lock) {
  const found = new Map();
  for (const [key, entry] of installed(lock).filter(([, { integrity }]) => integrity !== undefined)) {
    const component = componentOf(key, entry);
    // One version may be installed in several places; the place that needs it most tells the scope.
    const earlier = found.get(component.purl);
    if (earlier === undefined || SCOPES.indexOf(component.scope) < SCOPES.indexOf(earlier.scope))
      found.set(component.purl, component);
  }
  const components = [...found.values()].sort((a, b) => (a.purl < b.purl ? -1 : 1));
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', name: 'auditrax', version: manifest.version } },
    components,
  };
}

/** All findings for the checkout at `root`, as lines; writes dist/sbom.cdx.json. */
export function checkSupplyChain(root, write = true) {
  const read = (path) => JSON.parse(readFileSync(join(root, path), 'utf8'));
  const [manifest, lock, banned] = [
    read('package.json'),
    read('package-lock.json'),
    read('tools/banned-versions.json'),
  ];
  const reasonsFile = join(root, 'docs/reference/dependencies.md');
  const reasons = existsSync(reasonsFile) ? readFileSync(reasonsFile, 'utf8') : '';
  if (write)
    writeFileSync(join(root, 'dist/sbom.cdx.json'), `${JSON.stringify(billOfMaterials(manifest, lock), null, 2)}\n`);
  return [
    ...bannedVersions(lock, banned).map(({ name, version, reason }) => `${name} ${version} is banned: ${reason}`),
    ...licenceFindings(lock).map(({ name, licence }) => `${name} has the licence ${licence}, which is not on the list`),
    ...dependencyFindings(manifest, reasons),
    ...(JSON.stringify(lock).includes('"resolved":"http') ? ['package-lock.json names a download address'] : []),
  ];
}
