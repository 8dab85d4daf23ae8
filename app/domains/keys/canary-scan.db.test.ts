import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { systemClock, systemRandom, uuidV4 } from '@auditrax/base';
import type { Database, TenantContext } from '@auditrax/tenancy';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { discoverSealedColumns, discoverSealedFields } from '../../platform/db/sealed-fields.ts';
import type { SealedColumn } from '../../platform/db/sealed-fields.ts';
import type { TestDatabase } from '../../platform/db/testing.ts';
import { openObjectStore } from '../../platform/objects/index.ts';
import { createSealer } from './sealer.ts';
import type { Sealer } from './sealer.ts';
import { openStored, writeSealedRows } from './testing/sealed-rows.ts';
import { vaultInProcess } from './testing/vault-in-process.ts';
import type { VaultInProcess } from './testing/vault-in-process.ts';
import { startWorkspaceDatabase, type WorkspaceDatabase } from './testing/workspace-database.ts';

const APP = fileURLToPath(new URL('../..', import.meta.url));
/** Where a base64 text's first and last characters also depend on what stands around the marker. */
const BASE64_EDGE_CHARS = 4;

let server: TestDatabase;
let admin: Client;
let opened: WorkspaceDatabase;
let database: Database;
let vault: VaultInProcess;
let sealer: Sealer;
let columns: readonly SealedColumn[];
let folder: string;
let context: TenantContext;

beforeAll(async () => {
  opened = await startWorkspaceDatabase();
  ({ server, admin, database } = opened);
  vault = await vaultInProcess(systemClock);
  columns = await discoverSealedColumns(APP);
  folder = await mkdtemp(join(tmpdir(), 'scan-'));
  const parts = { service: 'workspace' as const, tenantDoor: database.tenant, keysClient: vault.keysClient };
  const fields = await discoverSealedFields(APP);
  sealer = createSealer({ ...parts, clock: systemClock, random: systemRandom, fields });
  const tenantId = uuidV4(systemRandom);
  await admin.query(
    `insert into platform.tenant (id, part, kind, slug, display_name) values ($1, 1, 'sample', 'sample', 'Sample')`,
    [tenantId],
  );
  context = { tenantId, tenantPart: 1, requestId: 'request' };
  await database.tenant.transaction(context, (tx) => sealer.provision(context, tx));
  context = { ...context };
});
afterAll(async () => {
  await opened?.stop();
  await vault?.close();
  await rm(folder, { recursive: true, force: true });
});

/** 16 characters of chance: nothing on this disk holds them by accident. */
const newMarker = (): string => Buffer.from(systemRandom.bytes(8)).toString('hex');

/** The forms that a text takes on its way to a disk: itself, hexadecimal, base64 at each alignment, two bytes a character. */
function formsOf(marker: string): Buffer[] {
  const hex = Buffer.from(marker).toString('hex');
  const base64 = [0, 1, 2].map((shift) =>
    Buffer.from('x'.repeat(shift) + marker)
      .toString('base64url')
      .slice(BASE64_EDGE_CHARS, -BASE64_EDGE_CHARS),
  );
  const utf16 = Buffer.from(marker, 'utf16le');
  return [utf16, ...[marker, marker.toUpperCase(), hex, hex.toUpperCase(), ...base64].map((text) => Buffer.from(text))];
}

/** Which of the markers are in a file below the folders, in any form, and how many files were looked at. */
async function scan(markers: readonly string[]): Promise<{ found: Set<string>; files: number }> {
  const forms = markers.map((marker) => ({ marker, forms: formsOf(marker) }));
  const found = new Set<string>();
  let files = 0;
  for (const root of places()) {
    for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      files += 1;
      const bytes = await readFile(join(entry.parentPath, entry.name));
      for (const one of forms) if (one.forms.some((form) => bytes.includes(form))) found.add(one.marker);
    }
  }
  return { found, files };
}

/** Database files, write-ahead log and the server's own log lie below one folder; objects and key ring have their own. */
const places = (): string[] => [dirname(server.launched.dataDirectory), folder, vault.folder];

/** A marker in the form that a sealed column demands, with nothing encrypted: what a sealer that does nothing would store. */
const inTheClear = (marker: string): Buffer =>
  Buffer.concat([Buffer.of(0xa7, 1, 0, 0, 0, 1), Buffer.alloc(24), Buffer.from(marker), Buffer.alloc(16)]);

async function storeObject(content: Buffer): Promise<void> {
  const store = await openObjectStore({ directory: folder, random: systemRandom, keys: sealer, freeBytesFloor: 0 });
  const objectId = uuidV4(systemRandom);
  const { sealedKey } = await store.startUpload({ context, objectId, sizeBytes: content.length });
  const object = { objectId, sizeBytes: content.length, sealedKey };
  await store.writeParts({ context, object, offset: 0, source: Readable.from([content]) });
  await store.complete({ context, object });
}

describe('nothing of a tenant is on a disk in the clear', () => {
  it('markers in every registered column and in an object are in no file, log or key store', async () => {
    const marker = newMarker();
    const value = (column: SealedColumn): Buffer =>
      column.purpose === 'objects' ? Buffer.from(marker + marker) : Buffer.from(`${marker} in ${column.column}`);
    const stored = await writeSealedRows({ admin, sealer, columns }, context, { rows: 2, value });
    expect(new Set(stored.map((one) => one.column.column)).size).toBe(columns.length);
    await storeObject(Buffer.from(`${marker} `.repeat(5_000)));
    for (const one of stored) expect((await openStored({ admin, sealer }, context, one)).same).toBe(true);
    await admin.query('checkpoint');
    const { found, files } = await scan([marker]);
    expect(files, 'the folders are really looked through').toBeGreaterThan(500);
    expect([...found]).toEqual([]);
  });

  it('a single column that holds its value in the clear is found, whichever it is, and so is an object', async () => {
    const markers = new Map(columns.map((column) => [column.column, newMarker()]));
    for (const column of columns) {
      const leak = inTheClear(markers.get(column.column)!);
      const leaky: Sealer = {
        ...sealer,
        seal: async (input) => (input.field === column.column ? leak : sealer.seal(input)),
        sealObjectKey: async (input) => (column.purpose === 'objects' ? leak : sealer.sealObjectKey(input)),
      };
      const table = column.column.replace(/[^.]+$/, '');
      const siblings = columns.filter((one) => one.column.startsWith(table));
      const value = (): Buffer => Buffer.alloc(32, 1);
      await writeSealedRows({ admin, sealer: leaky, columns: siblings }, context, { rows: 1, value });
    }
    const inObject = newMarker();
    await writeFile(join(folder, 'part-00000'), `${inObject} `.repeat(10));
    await admin.query('checkpoint');
    const { found } = await scan([...markers.values(), inObject]);
    for (const [column, marker] of markers) expect(found.has(marker), column).toBe(true);
    expect(found.has(inObject)).toBe(true);
  });

  it('each form that a value may take on a disk is known', async () => {
    const marker = newMarker();
    const texts = [
      marker,
      Buffer.from(marker).toString('hex'),
      Buffer.from(`12${marker}3`).toString('base64'),
      Buffer.from(`1${marker}23`).toString('base64url'),
    ];
    for (const text of [...texts.map((one) => Buffer.from(`- ${one} -`)), Buffer.from(marker, 'utf16le')]) {
      await writeFile(join(folder, 'form'), text);
      expect((await scan([marker])).found.has(marker)).toBe(true);
    }
  });
});
