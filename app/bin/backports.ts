import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SOURCES = '/etc/apt';

function suiteHere(): string | undefined {
  return /^VERSION_CODENAME=([a-z]+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
}

/** The stanzas of the machine's own `.sources` files, and its one-line sources in the same form. */
function stanzas(): Map<string, string>[] {
  const found: Map<string, string>[] = [];
  const folder = join(SOURCES, 'sources.list.d');
  const files = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
  for (const file of files.filter((name) => name.endsWith('.sources'))) {
    for (const stanza of readFileSync(file, 'utf8').split(/\n\s*\n/)) {
      const fields = stanza.split('\n').flatMap((line) => {
        const match = /^([A-Za-z-]+):\s*(.*)$/.exec(line);
        return match === null ? [] : [[match[1]!, match[2]!] as const];
      });
      found.push(new Map(fields));
    }
  }
  const lists = [join(SOURCES, 'sources.list'), ...files.filter((name) => name.endsWith('.list'))];
  for (const file of lists.filter((name) => existsSync(name))) {
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      const match = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)$/.exec(line);
      if (match === null) continue;
      const signedBy = /signed-by=(\S+)/.exec(match[1] ?? '')?.[1];
      const fields = [['URIs', match[2]!], ['Suites', match[3]!], ...(signedBy ? [['Signed-By', signedBy]] : [])];
      found.push(new Map(fields as [string, string][]));
    }
  }
  return found;
}

/**
 * Arguments with which apt-get sees the backports of this Debian, from where the machine itself gets its packages, and
 * nothing else; the machine's own lists stay as they are. Undefined when it has no such source.
 */
export function backportsOfMachine(): { readonly args: readonly string[]; remove(): void } | undefined {
  const suite = suiteHere();
  const main = stanzas().find((fields) =>
    fields
      .get('Suites')
      ?.split(/\s+/)
      .includes(suite ?? ''),
  );
  if (suite === undefined || main === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'ax-backports-'));
  mkdirSync(join(folder, 'parts'));
  mkdirSync(join(folder, 'lists/partial'), { recursive: true });
  const signedBy = main.get('Signed-By');
  const stanza = [
    'Types: deb',
    `URIs: ${main.get('URIs')}`,
    `Suites: ${suite}-backports`,
    'Components: main',
    ...(signedBy === undefined ? [] : [`Signed-By: ${signedBy}`]),
  ];
  writeFileSync(join(folder, 'parts/backports.sources'), `${stanza.join('\n')}\n`);
  const options = {
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': join(folder, 'parts'),
    'Dir::State::lists': join(folder, 'lists'),
    'APT::Sandbox::User': 'root', // the folder is ours alone
  };
  return {
    args: Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
