// Completes package-lock.json after a change of dependencies.
//
// Some optional packages for foreign platforms are absent from a registry. npm leaves them out of the lockfile, and
// `npm ci` then refuses the lockfile as incomplete. This adds for each one an entry that no supported platform matches
// by name alone: same version as asked for, optional, with the platform read off its name. Nothing is ever downloaded
// for it, because its platform is not ours.
import { readFileSync, writeFileSync } from 'node:fs';

const OPERATING_SYSTEMS = [
  'android',
  'darwin',
  'freebsd',
  'linux',
  'openharmony',
  'win32',
  'aix',
  'sunos',
  'netbsd',
  'openbsd',
];
const ARCHITECTURES = ['arm64', 'arm', 'x64', 'ia32', 'ppc64', 'riscv64', 's390x', 'loong64', 'wasm32'];

function platformOf(name) {
  const words = name.split(/[-/]/);
  const os = OPERATING_SYSTEMS.filter((candidate) => words.includes(candidate));
  const cpu = ARCHITECTURES.filter((candidate) => words.includes(candidate));
  const libc =
    words.includes('musl') || name.includes('musleabi') ? ['musl'] : words.includes('gnu') ? ['glibc'] : undefined;
  return { os: os.length > 0 ? os : ['none'], cpu: cpu.length > 0 ? cpu : ['none'], ...(libc ? { libc } : {}) };
}

const path = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(path, 'utf8'));
let added = 0;
for (const [, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    const nested = Object.keys(lock.packages).some((existing) => existing === key || existing.endsWith(`/${key}`));
    if (nested) continue;
    const { os, cpu, libc } = platformOf(name);
    const ours = os.includes('linux') && (cpu.includes('x64') || cpu.includes('arm64')) && !libc?.includes('musl');
    if (ours) throw new Error(`${name} is for a supported platform and missing from the lockfile; install it properly`);
    if (!/^\d+\.\d+\.\d+/.test(version)) throw new Error(`${name} wants a range (${version}); pin it by hand`);
    lock.packages[key] = { version, optional: true, os, cpu, ...(libc ? { libc } : {}) };
    added += 1;
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(`${added} entries added\n`);
