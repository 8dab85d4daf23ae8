import { ProblemError, problemFrom } from './problem.ts';

/** No answer within this time counts as no answer; streams of content are not bound by it. */
const ANSWER_MS_MAX = 30_000;

export interface RequestInput {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  query?: Readonly<Record<string, string | number | null | undefined>>;
  body?: unknown;
  /** base64url JSON of a step-up assertion. */
  stepUp?: string | undefined;
  signal?: AbortSignal;
  answerMsMax?: number;
}

function addressOf(path: string, query: RequestInput['query']): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {}))
    if (value !== null && value !== undefined && value !== '') search.set(name, String(value));
  return search.size > 0 ? `${path}?${search}` : path;
}

async function send(path: string, input: RequestInput): Promise<Response> {
  const headers = new Headers({ accept: 'application/json' });
  if (input.body !== undefined) headers.set('content-type', 'application/json');
  if (input.stepUp) headers.set('x-step-up', input.stepUp);
  const timeout = AbortSignal.timeout(input.answerMsMax ?? ANSWER_MS_MAX);
  const body = input.body === undefined ? undefined : JSON.stringify(input.body);
  try {
    return await fetch(addressOf(path, input.query), {
      method: input.method ?? (body === undefined ? 'GET' : 'POST'),
      headers,
      credentials: 'same-origin',
      redirect: 'error',
      cache: 'no-store',
      signal: input.signal ? AbortSignal.any([input.signal, timeout]) : timeout,
      ...(body !== undefined && { body }),
    });
  } catch (error) {
    if (input.signal?.aborted) throw error;
    throw new ProblemError({
      status: 'network',
      code: 'no_answer',
      title: 'No answer from the server',
      detail: null,
      requestId: null,
      field: null,
      needs: null,
    });
  }
}

async function failed(response: Response): Promise<ProblemError> {
  const body: unknown = await response.json().catch(() => null);
  return new ProblemError(problemFrom(response.status, body, response.headers.get('x-request-id')));
}

/**
 * Calls the API of our own origin and gives the JSON of a 2xx answer.
 * @throws ProblemError for every other answer and for none.
 */
export async function request<T>(path: string, input: RequestInput = {}): Promise<T> {
  const response = await send(path, input);
  if (!response.ok) throw await failed(response);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

/** Parts of an upload have no fixed time to finish in; silence for this long means that the line is gone. */
const SILENCE_MS_MAX = 60_000;

/**
 * Sends one part of a file and reports the bytes that left. XMLHttpRequest, because fetch cannot tell how far it is.
 * @throws ProblemError like `request`; the abort reason when `signal` stops it.
 */
export function putBytes<T>(
  path: string,
  bytes: Blob,
  { signal, onSent }: { signal: AbortSignal; onSent: (sent: number) => void },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    const stop = () => xhr.abort();
    let silence = setTimeout(stop, SILENCE_MS_MAX);
    const lost = () =>
      reject(
        signal.aborted
          ? signal.reason
          : new ProblemError({
              status: 'network',
              code: 'no_answer',
              title: 'No answer from the server',
              detail: null,
              requestId: null,
              field: null,
              needs: null,
            }),
      );
    xhr.open('PUT', path);
    xhr.setRequestHeader('content-type', 'application/octet-stream');
    xhr.upload.addEventListener('progress', (event) => {
      clearTimeout(silence);
      silence = setTimeout(stop, SILENCE_MS_MAX);
      onSent(event.loaded);
    });
    xhr.addEventListener('load', () => {
      let body: unknown = null;
      try {
        body = JSON.parse(xhr.responseText);
      } catch {
        // Not JSON: the status alone says what happened.
      }
      if (xhr.status >= 200 && xhr.status < 300) resolve(body as T);
      else reject(new ProblemError(problemFrom(xhr.status, body, xhr.getResponseHeader('x-request-id'))));
    });
    xhr.addEventListener('error', lost);
    xhr.addEventListener('abort', lost);
    xhr.addEventListener('loadend', () => {
      clearTimeout(silence);
      signal.removeEventListener('abort', stop);
    });
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) reject(signal.reason);
    else xhr.send(bytes);
  });
}

/** Told as a file arrives. `total` is null when the server did not say. */
type OnBytes = (done: number, total: number | null) => void;

/** Reads a body to its end and tells how far it is. */
async function readBody(response: Response, onBytes: OnBytes): Promise<Blob> {
  const type = response.headers.get('content-type') ?? 'application/octet-stream';
  if (response.body === null) return response.blob();
  const length = Number(response.headers.get('content-length') ?? Number.NaN);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let done = 0;
  for (const reader = response.body.getReader(); ;) {
    const { value, done: ended } = await reader.read();
    if (ended) return new Blob(parts, { type });
    parts.push(value);
    done += value.length;
    onBytes(done, Number.isFinite(length) ? length : null);
  }
}

/** A file that the server has begun to send; `signal` of its request ends it. */
export interface Opened {
  readonly name: string;
  /** Reads it to its end. Throws the abort reason, or what the line says. */
  readonly read: (onBytes: OnBytes) => Promise<Blob>;
}

/** The answer's head of a file: approved and under way, so that whoever asked can watch it arrive, and stop it. */
export async function openFile(path: string, input: RequestInput = {}): Promise<Opened> {
  const response = await send(path, { answerMsMax: 15 * 60_000, ...input });
  if (!response.ok) throw await failed(response);
  const named = /filename="?([^";]+)"?/.exec(response.headers.get('content-disposition') ?? '');
  return { name: named?.[1] ?? 'download', read: (onBytes) => readBody(response, onBytes) };
}

/** Saves a blob through the browser's own download. */
export function saveFile({ blob, name }: { blob: Blob; name: string }): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
