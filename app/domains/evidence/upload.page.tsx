import { useSyncExternalStore } from 'react';
import { putBytes, request } from '../../shell/api.ts';
import { ProblemError } from '../../shell/problem.ts';
import type { Evidence, UploadPosition } from '../../shell/wire.ts';

/**
 * Uploads outlive the screen that started them: they run here, and what is needed to go on after a reload is noted on
 * this machine (never the content). Signing out, finishing and giving up erase the note.
 */

/** Tries of one part before the person is asked; waiting 1, 2, 4, 8 and 16 seconds between them. */
const TRIES_MAX = 6;
/** Above this size the whole-file hash is left to the server: the browser can only hash what fits in memory at once. */
const HASH_BYTES_MAX = 64 * 1024 * 1024;
const NOTE_PREFIX = 'auditrax.upload.';

export interface UploadNote {
  readonly uploadId: string;
  readonly engagementId: string;
  readonly criterionId: string;
  readonly criterionLabel: string;
  readonly fileName: string;
  readonly sizeBytes: number;
  readonly lastModified: number;
}

export type UploadState =
  | 'preparing'
  | 'running'
  | 'waiting'
  | 'paused'
  | 'finishing'
  | 'done'
  | 'failed'
  | 'unattached';

export interface Upload extends UploadNote {
  /** Stable for the screen; the upload's id comes later. */
  readonly key: string;
  readonly state: UploadState;
  readonly received: number;
  readonly error: unknown;
}

interface Job {
  upload: Upload;
  file: File | null;
  stop: AbortController;
}

export interface UploadStart {
  readonly engagementId: string;
  readonly criterionId: string;
  readonly criterionLabel: string;
  readonly file: File;
  readonly speaksAbout: { readonly from: string; readonly to: string };
  readonly notACard?: readonly string[];
}

const jobs = new Map<string, Job>();
const listeners = new Set<() => void>();
let snapshot: readonly Upload[] = [];
let loaded = false;

function publish(): void {
  snapshot = [...jobs.values()].map((job) => job.upload);
  for (const listener of listeners) listener();
}

function update(job: Job, change: Partial<Upload>): void {
  job.upload = { ...job.upload, ...change };
  publish();
}

function note(upload: Upload): void {
  const { uploadId, engagementId, criterionId, criterionLabel, fileName, sizeBytes, lastModified } = upload;
  localStorage.setItem(
    NOTE_PREFIX + uploadId,
    JSON.stringify({ uploadId, engagementId, criterionId, criterionLabel, fileName, sizeBytes, lastModified }),
  );
}

function notes(): readonly UploadNote[] {
  return Object.keys(localStorage)
    .filter((key) => key.startsWith(NOTE_PREFIX))
    .flatMap((key) => {
      try {
        const value = JSON.parse(localStorage.getItem(key) ?? '') as UploadNote;
        return typeof value.uploadId === 'string' && typeof value.sizeBytes === 'number' ? [value] : [];
      } catch {
        localStorage.removeItem(key);
        return [];
      }
    });
}

/** Brings unfinished uploads of earlier visits back, each asking the server how far it came. */
function load(): void {
  if (loaded) return;
  loaded = true;
  for (const found of notes()) {
    const job: Job = {
      upload: { ...found, key: found.uploadId, state: 'unattached', received: 0, error: null },
      file: null,
      stop: new AbortController(),
    };
    jobs.set(job.upload.key, job);
    request<UploadPosition>(`/api/evidence/uploads/${found.uploadId}`).then(
      (position) => update(job, { received: position.received }),
      (error: unknown) => {
        // 404: finished elsewhere, given up or expired. Then there is nothing to go on with.
        if (error instanceof ProblemError && error.problem.status === 404) forget(job);
        else update(job, { error });
      },
    );
  }
  publish();
}

function forget(job: Job): void {
  localStorage.removeItem(NOTE_PREFIX + job.upload.uploadId);
  jobs.delete(job.upload.key);
  publish();
}

async function sha256Hex(file: File): Promise<string | undefined> {
  if (file.size > HASH_BYTES_MAX) return undefined;
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        reject(signal.reason as Error);
      },
      { once: true },
    );
  });
}

function passing(error: unknown): boolean {
  if (!(error instanceof ProblemError)) return false;
  const { status } = error.problem;
  return status === 'network' || status === 429 || status >= 500;
}

/** Sends one part; on a bad line waits and asks the server where to go on. Gives the new position. */
async function sendPart(job: Job, file: File, position: UploadPosition): Promise<UploadPosition> {
  const path = `/api/evidence/uploads/${position.uploadId}`;
  let from = position;
  for (let attempt = 1; ; attempt += 1) {
    try {
      if (attempt > 1) from = await request<UploadPosition>(path, { signal: job.stop.signal });
      update(job, { state: 'running', received: from.received });
      if (from.received >= file.size) return from;
      const part = file.slice(from.received, from.received + from.partBytes);
      const start = from.received;
      return await putBytes<UploadPosition>(`${path}?offset=${start}`, part, {
        signal: job.stop.signal,
        onSent: (sent) => update(job, { received: Math.min(file.size, start + sent) }),
      });
    } catch (error) {
      const moved = error instanceof ProblemError && error.problem.status === 409;
      if (job.stop.signal.aborted || attempt >= TRIES_MAX || !(moved || passing(error))) throw error;
      update(job, { state: 'waiting', received: from.received });
      await pause(1000 * 2 ** (attempt - 1), job.stop.signal);
    }
  }
}

async function run(job: Job, file: File, onDone: (evidence: Evidence) => void): Promise<void> {
  try {
    let position = await request<UploadPosition>(`/api/evidence/uploads/${job.upload.uploadId}`, {
      signal: job.stop.signal,
    });
    while (position.received < file.size) position = await sendPart(job, file, position);
    update(job, { state: 'finishing', received: file.size });
    const evidence = await request<Evidence>(`/api/evidence/uploads/${job.upload.uploadId}/complete`, {
      method: 'POST',
      answerMsMax: 300_000,
    });
    localStorage.removeItem(NOTE_PREFIX + job.upload.uploadId);
    update(job, { state: 'done' });
    onDone(evidence);
  } catch (error) {
    if (job.stop.signal.aborted) return;
    update(job, { state: 'failed', error });
  }
}

/** Announces a file to the server and begins to send it. */
export async function startUpload(start: UploadStart, onDone: (evidence: Evidence) => void): Promise<void> {
  const { file, engagementId, criterionId, criterionLabel, speaksAbout, notACard } = start;
  const key = crypto.randomUUID();
  const job: Job = {
    upload: {
      key,
      uploadId: '',
      engagementId,
      criterionId,
      criterionLabel,
      fileName: file.name,
      sizeBytes: file.size,
      lastModified: file.lastModified,
      state: 'preparing',
      received: 0,
      error: null,
    },
    file,
    stop: new AbortController(),
  };
  jobs.set(key, job);
  publish();
  try {
    const sha256 = await sha256Hex(file);
    const position = await request<UploadPosition>(`/api/engagements/${engagementId}/evidence/uploads`, {
      body: {
        criterionId,
        fileName: file.name,
        mediaType: file.type || 'application/octet-stream',
        sizeBytes: file.size,
        speaksAbout,
        ...(sha256 && { sha256 }),
        ...(notACard && notACard.length > 0 && { notACard }),
      },
    });
    update(job, { uploadId: position.uploadId, state: 'running' });
    note(job.upload);
    void run(job, file, onDone);
  } catch (error) {
    jobs.delete(key);
    publish();
    throw error;
  }
}

/** Stops sending; what has arrived stays at the server until it expires. */
export function pauseUpload(key: string): void {
  const job = jobs.get(key);
  if (!job) return;
  job.stop.abort();
  update(job, { state: 'paused' });
}

/**
 * Goes on with an upload. After a reload the browser no longer has the file, so the person chooses it again; a file of
 * another name, size or change date is refused, because half of each would be stored.
 */
export function resumeUpload(
  key: string,
  file: File | null,
  onDone: (evidence: Evidence) => void,
): 'resumed' | 'other-file' | 'file-needed' {
  const job = jobs.get(key);
  const chosen = file ?? job?.file ?? null;
  if (!job || !chosen) return 'file-needed';
  const { fileName, sizeBytes, lastModified } = job.upload;
  if (chosen.name !== fileName || chosen.size !== sizeBytes || chosen.lastModified !== lastModified)
    return 'other-file';
  job.file = chosen;
  job.stop = new AbortController();
  update(job, { state: 'running', error: null });
  void run(job, chosen, onDone);
  return 'resumed';
}

/** Gives an upload up: what has arrived is erased at the server. */
export async function abortUpload(key: string): Promise<void> {
  const job = jobs.get(key);
  if (!job) return;
  job.stop.abort();
  try {
    if (job.upload.uploadId && job.upload.state !== 'done')
      await request(`/api/evidence/uploads/${job.upload.uploadId}`, { method: 'DELETE' });
  } catch (error) {
    if (!(error instanceof ProblemError && error.problem.status === 404)) {
      update(job, { state: 'failed', error });
      return;
    }
  }
  forget(job);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  load();
  return () => listeners.delete(listener);
}

/** All uploads of this browser, running and unfinished. */
export function useUploads(): readonly Upload[] {
  return useSyncExternalStore(subscribe, () => snapshot);
}
