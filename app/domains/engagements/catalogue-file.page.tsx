import { firstJsonFault } from '../../shell/json-fault.ts';
import { bytesText } from '../../ui/progress.tsx';

/** The service takes catalogues up to this size; a larger file is refused before it is read. */
const CATALOGUE_BYTES_MAX = 12 * 1024 * 1024;

export interface CatalogueFile {
  readonly fileName: string;
  readonly title: string;
  readonly version: string;
  readonly controls: number;
  readonly groups: number;
  readonly document: Record<string, unknown>;
}

/** What is wrong with a file, with the path of the first fault where there is one. */
export interface CatalogueFault {
  readonly path: string | null;
  readonly message: string;
}

type Reading =
  | { readonly ok: true; readonly file: CatalogueFile }
  | { readonly ok: false; readonly fault: CatalogueFault };

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function countControls(part: Record<string, unknown>, depth = 0): { controls: number; groups: number } {
  const total = { controls: 0, groups: 0 };
  // A hostile file could nest without end; the service measures the depth again and has the last word.
  if (depth > 60) return total;
  for (const [key, weight] of [
    ['controls', 'controls'],
    ['groups', 'groups'],
  ] as const) {
    const list = part[key];
    if (!Array.isArray(list)) continue;
    for (const item of list) {
      if (!isRecord(item)) continue;
      total[weight] += 1;
      const inner = countControls(item, depth + 1);
      total.controls += inner.controls;
      total.groups += inner.groups;
    }
  }
  return total;
}

function bad(path: string | null, message: string): Reading {
  return { ok: false, fault: { path, message } };
}

function jsonFault(text: string): CatalogueFault {
  const fault = firstJsonFault(text);
  return fault
    ? { path: fault.path, message: `line ${fault.line}, column ${fault.column}: ${fault.message}` }
    : { path: null, message: 'The file is not JSON' };
}

/** First look at a dropped catalogue, so that a wrong file is named at once. The service reads it strictly. */
export async function readCatalogueFile(file: File): Promise<Reading> {
  if (file.size > CATALOGUE_BYTES_MAX)
    return bad(null, `The file has ${bytesText(file.size)}; a catalogue may have ${bytesText(CATALOGUE_BYTES_MAX)}.`);
  const text = await file.text();
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return { ok: false, fault: jsonFault(text) };
  }
  if (!isRecord(document)) return bad('$', 'must be an object');
  if (isRecord(document['profile']))
    return bad(
      '$.profile',
      'is a profile. Resolve it to a catalogue first; NIST publishes resolved ones beside the profiles',
    );
  const catalog = document['catalog'];
  if (!isRecord(catalog)) return bad('$.catalog', 'is missing. An OSCAL catalogue in JSON starts with {"catalog": …}');
  const metadata = catalog['metadata'];
  if (!isRecord(metadata)) return bad('$.catalog.metadata', 'is missing');
  if (typeof metadata['title'] !== 'string') return bad('$.catalog.metadata.title', 'must be text');
  const counts = countControls(catalog);
  if (counts.controls === 0) return bad('$.catalog', 'holds no controls, neither in groups nor directly');
  return {
    ok: true,
    file: {
      fileName: file.name,
      title: metadata['title'],
      version: typeof metadata['version'] === 'string' ? metadata['version'] : '',
      document,
      ...counts,
    },
  };
}
