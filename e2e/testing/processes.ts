import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

function read(path: string, how: (path: string) => string): string {
  try {
    return how(path);
  } catch {
    return ''; // gone meanwhile, or not ours to see
  }
}

/** Ids and command lines of processes whose command line or working folder names `text`. */
export function processesOf(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      const seen = [
        read(`/proc/${pid}/cmdline`, (path) => readFileSync(path, 'utf8')),
        read(`/proc/${pid}/cwd`, readlinkSync),
      ];
      return seen.some((place) => place.includes(text));
    })
    .map((pid) => `${pid} ${read(`/proc/${pid}/cmdline`, (path) => readFileSync(path, 'utf8')).replaceAll('\0', ' ')}`);
}
