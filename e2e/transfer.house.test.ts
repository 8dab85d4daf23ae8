// A file of 2 GiB goes in and out through the TLS edge, and no process grows with it.
import { createHash } from 'node:crypto';
import { readFileSync, statfsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ServiceName } from '@auditrax/base';
import { makeStateFolder, openTestHouse, Person, removeFolder, seedSample, type TestHouse } from './testing/house.ts';
import { beginWork, type Work } from './testing/writers.ts';

const FILE_BYTES = 2 * 1024 ** 3;
/** Fills heaps and pools once, so that what is measured is growth with the file. */
const WARM_UP_BYTES = 64 * 1024 * 1024;
/** The bound that issue and claim name. */
const GROWTH_BYTES_MAX = 64 * 1024 * 1024;
const PART_BYTES = 8 * 1024 * 1024;
const SAMPLE_MS = 100;
const state = makeStateFolder();
let running: TestHouse;
let lead: Person;
let work: Work;

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}

function residents(): Map<ServiceName, number> {
  const pids = Object.entries(running.house.supervisor.pids()) as [ServiceName, number][];
  return new Map(pids.map(([service, pid]) => [service, residentBytes(pid)]));
}

/** Part `index` of the file: the same bytes each time, different in each part. */
function partOf(index: number, bytes: number): Buffer {
  const part = Buffer.alloc(bytes, `part ${index} of the large file; `);
  part.writeUInt32BE(index);
  return part;
}

async function upload(bytes: number): Promise<{ id: string; sha256: string }> {
  const begun = await lead.send('POST', `/api/engagements/${work.engagement}/evidence/uploads`, {
    criterionId: work.criteria[0],
    fileName: 'image.bin',
    mediaType: 'application/octet-stream',
    sizeBytes: bytes,
    speaksAbout: { from: '2026-01-01', to: '2026-12-31' },
  });
  expect(begun.status, JSON.stringify(begun.body)).toBe(201);
  const { uploadId } = begun.body as { uploadId: string };
  const hash = createHash('sha256');
  for (let offset = 0, index = 0; offset < bytes; offset += PART_BYTES, index += 1) {
    const part = partOf(index, Math.min(PART_BYTES, bytes - offset));
    hash.update(part);
    const reply = await lead.send('PUT', `/api/evidence/uploads/${uploadId}?offset=${offset}`, part);
    expect(reply.status, `${offset}: ${JSON.stringify(reply.body)}`).toBe(200);
  }
  const done = await lead.send('POST', `/api/evidence/uploads/${uploadId}/complete`);
  expect(done.status, JSON.stringify(done.body)).toBe(201);
  return { id: (done.body as { id: string }).id, sha256: hash.digest('hex') };
}

/** Highest growth of each process over `before` while `work` runs, in MiB. */
async function growthOf(
  before: Map<ServiceName, number>,
  transfer: () => Promise<void>,
): Promise<Record<string, number>> {
  const peak = new Map(before);
  const timer = setInterval(() => {
    for (const [service, bytes] of residents()) peak.set(service, Math.max(bytes, peak.get(service)!));
  }, SAMPLE_MS);
  await transfer().finally(() => clearInterval(timer));
  return Object.fromEntries(
    [...peak].map(([service, bytes]) => [service, Math.round((bytes - before.get(service)!) / 1024 ** 2)]),
  );
}

/** The stored copy, the database beside it, and what the store itself keeps free. */
const DISK_BYTES_NEEDED = 6 * 1024 ** 3;
const { bavail, bsize } = statfsSync(state);
const isDiskLarge = bavail * bsize >= DISK_BYTES_NEEDED;
if (!isDiskLarge) console.warn(`skipped: less than ${DISK_BYTES_NEEDED / 1024 ** 3} GiB are free at ${state}`);

describe.runIf(isDiskLarge)('a file of 2 GiB', () => {
  beforeAll(async () => {
    running = await openTestHouse(state);
    const { supervisor, edgeUrl } = running.house;
    const links = await seedSample(running.house);
    const authority = supervisor.peers().facts['edgeAuthority'] as string;
    lead = await Person.enter(edgeUrl, links, { role: 'Lead auditor', tenant: 'Harbour Street Audit', authority });
    work = await beginWork(lead, 'Large evidence');
    const { id } = await upload(WARM_UP_BYTES);
    await lead.drain(`/api/evidence/${id}/content`);
  }, 300_000);

  afterAll(async () => {
    await lead?.close();
    await running?.stop();
    removeFolder(state);
  }, 60_000);

  test('goes in and comes out the same, and no process grows by more than 64 MiB', async () => {
    const before = residents();
    let stored = { id: '', sha256: '' };
    const going = await growthOf(before, async () => {
      stored = await upload(FILE_BYTES);
    });
    const coming = await growthOf(before, async () => {
      expect(await lead.drain(`/api/evidence/${stored.id}/content`)).toEqual({
        status: 200,
        bytes: FILE_BYTES,
        sha256: stored.sha256,
      });
    });
    process.stdout.write(`growth in MiB, in: ${JSON.stringify(going)}, out: ${JSON.stringify(coming)}\n`);
    for (const growth of [...Object.values(going), ...Object.values(coming)]) {
      expect(growth * 1024 ** 2).toBeLessThanOrEqual(GROWTH_BYTES_MAX);
    }
  }, 1_200_000);
});
