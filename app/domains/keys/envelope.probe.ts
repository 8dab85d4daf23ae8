import { createHash } from 'node:crypto';
import type { Uuid } from '@auditrax/base';
import { PROBE_SECONDS_HOUR, type Probe, type ProbeHouse, type ProbeResponse } from '../../claims/probe.ts';
import { checks, verdict, type Checks } from '../../claims/verdict.ts';

/** First bytes of a sealed field (AXF1, suite 01) and of a sealed part of a file. */
const FIELD_MAGIC = Buffer.of(0xa7, 0x01);
const OBJECT_MAGIC = Buffer.from('AXE1\x01', 'latin1');
const MARK_BYTES = 24;
/** What the database raises when a sealed value is to become something else than itself under a younger key. */
const OVERWRITTEN = 'AX104';

interface Planted {
  readonly note: string;
  readonly resultId: Uuid;
  readonly uploadId: Uuid;
  readonly file: string;
}

async function expectStatus(reply: Promise<ProbeResponse>, status: number): Promise<ProbeResponse> {
  const got = await reply;
  if (got.status !== status)
    throw Object.assign(new Error('unexpected answer'), { name: `answered_${got.status}_${got.problem() ?? ''}` });
  return got;
}

/** Puts a mark into a field and into a file through the edge, and reads both back through the edge. */
async function plant(house: ProbeHouse, done: Checks): Promise<Planted> {
  const { cookie } = await house.session('a', 'lead');
  const { ids } = house.canaries.a;
  const mark = `mark-${Buffer.from(house.random.bytes(MARK_BYTES)).toString('hex')}`;
  const criterion = `/api/engagements/${ids['eng']}/criteria/${ids['crt']}`;
  const before = (await expectStatus(house.fetch(criterion, { cookie }), 200)).json() as {
    result: { revision: number } | null;
  };
  const result = { outcome: 'satisfied', note: mark, observedOn: '2026-01-02', revision: before.result?.revision ?? 0 };
  const made = await expectStatus(house.fetch(`${criterion}/result`, { method: 'POST', json: result, cookie }), 201);
  const after = (await expectStatus(house.fetch(criterion, { cookie }), 200)).json() as {
    result: { note: string } | null;
  };
  done.expect(after.result?.note === mark, 'What was written into a field did not come back the same.');

  const upload = {
    criterionId: ids['crt']!,
    fileName: 'mark.txt',
    mediaType: 'text/plain',
    sizeBytes: mark.length,
    speaksAbout: { from: '2026-01-01', to: '2026-01-02' },
    sha256: createHash('sha256').update(mark).digest('hex'),
  };
  const started = await expectStatus(
    house.fetch(`/api/engagements/${ids['eng']}/evidence/uploads`, { method: 'POST', json: upload, cookie }),
    201,
  );
  const { uploadId } = started.json() as { uploadId: string };
  const put = { method: 'PUT', headers: { 'content-type': 'application/octet-stream' }, body: mark, cookie };
  await expectStatus(house.fetch(`/api/evidence/uploads/${uploadId}?offset=0`, put), 200);
  const complete = await expectStatus(
    house.fetch(`/api/evidence/uploads/${uploadId}/complete`, { method: 'POST', cookie }),
    201,
  );
  const file = await house.fetch(`/api/evidence/${(complete.json() as { id: string }).id}/content`, { cookie });
  done.expect(file.status === 200 && file.text() === mark, 'A file did not come back the same.');
  return {
    note: mark,
    resultId: house.uuidOf('res', 'a', (made.json() as { id: string }).id),
    uploadId: house.uuidOf('upl', 'a', uploadId),
    file: mark,
  };
}

async function stored(house: ProbeHouse, name: string, rowId: Uuid): Promise<Buffer | undefined> {
  const outcome = await house.drill(name, { tenant: 'a', rowId });
  return outcome.kind === 'happened' ? Buffer.from(String(outcome.facts['bytes']), 'base64') : undefined;
}

async function lookBelow(house: ProbeHouse, planted: Planted, done: Checks): Promise<void> {
  const field = await stored(house, 'stored-field', planted.resultId);
  const object = await stored(house, 'stored-object', planted.uploadId);
  if (!done.expect(field !== undefined && object !== undefined, 'The stored bytes could not be looked at.')) return;
  done.expect(!field!.includes(planted.note), 'The mark stands readable in the database.');
  done.expect(!object!.includes(planted.file), 'The mark stands readable in the stored file.');
  done.expect(field!.subarray(0, 2).equals(FIELD_MAGIC), 'The stored field is in another form than the published one.');
  done.expect(
    object!.subarray(0, 5).equals(OBJECT_MAGIC),
    'The stored file is in another form than the published one.',
  );
}

/** Ways to open what is not one's own; each with what it would mean if it worked. */
const OPENINGS: readonly { readonly drill: string; readonly means: string; readonly ofResult: boolean }[] = [
  { drill: 'field-changed-byte', means: 'A changed byte still opens.', ofResult: true },
  { drill: 'field-other-tenant', means: 'One tenant’s sealed value opens for another.', ofResult: true },
  { drill: 'field-other-row', means: 'A sealed value opens in another row.', ofResult: true },
  { drill: 'unwrap-other-tenant', means: 'A tenant’s data key is unwrapped for another tenant.', ofResult: false },
  { drill: 'unwrap-changed-byte', means: 'A changed wrapped key is unwrapped.', ofResult: false },
  { drill: 'unwrap-other-purpose', means: 'A data key is unwrapped for another purpose.', ofResult: false },
];

/** Marks a field and a file, looks for the marks below the application, and tries to open them wrongly. */
export const envelopeProbe: Probe = {
  id: 'keys.envelope',
  claims: ['crypto.envelope'],
  everySeconds: PROBE_SECONDS_HOUR,
  async run(house) {
    const done = checks();
    const planted = await plant(house, done);
    await lookBelow(house, planted, done);
    for (const { drill, means, ofResult } of OPENINGS) {
      const outcome = await house.drill(drill, { tenant: 'a', ...(ofResult ? { rowId: planted.resultId } : {}) });
      done.expect(
        outcome.kind === 'refused' && outcome.code !== 'keys_unavailable',
        outcome.kind === 'refused' ? 'The keys could not be asked.' : means,
      );
    }
    const over = await house.drill('overwrite-sealed', { tenant: 'a', rowId: planted.resultId });
    done.expect(
      over.kind === 'refused' && over.sqlState === OVERWRITTEN,
      `Other bytes over a sealed value were ${over.kind === 'refused' ? `refused by another wall (${over.sqlState ?? over.code})` : 'kept'}.`,
    );
    return verdict(done, {
      green: `A fresh mark in a field and in a file was found nowhere in the stored bytes and came back whole; ${OPENINGS.length} ways to open them wrongly were refused, and other bytes over one of them as well.`,
      evidence: { openings: OPENINGS.map((one) => one.drill) },
    });
  },
};
