import { expect, it } from 'vitest';
import { askRemote, type RemoteFetch, type RemotePorts } from './remote.ts';

const ask = (fetch: RemoteFetch, url = 'https://there.example/', more: Partial<RemotePorts> = {}) =>
  askRemote({ url, method: 'GET', headers: {}, bytes_max: 4 }, { fetch, answer_ms_max: 40, ...more }, (fault) => fault)
    .then(({ status, body }) => [status, Buffer.from(body).toString()])
    .catch((fault: unknown) => fault);
const answer = (body: string, status = 200) => Promise.resolve(new Response(body, { status }));
const endless = () => new Response(new ReadableStream({ pull: (stream) => stream.enqueue(new Uint8Array(3)) }));

it('B7 an answer is there in time and within its bound, or a fault is', async () => {
  expect(await ask(() => answer('abcd'))).toEqual([200, 'abcd']);
  expect(await ask(() => answer('abcde'))).toBe('answer_too_large');
  expect(await ask(() => Promise.resolve(endless()))).toBe('answer_too_large');
  expect(await ask(() => new Promise(() => undefined))).toBe('answer_late');
  expect(await ask(() => Promise.resolve(new Response(new ReadableStream({}))))).toBe('answer_late');
  expect(await ask(() => Promise.reject(new TypeError('fetch failed')))).toBe('unreachable');
});

it('B7 no redirect is followed, and nothing but https is dialled', async () => {
  expect(await ask((_, { redirect }) => answer(redirect, 302))).toBe('redirected');
  let dialled = 0;
  const count: RemoteFetch = () => {
    dialled += 1;
    return answer('ok');
  };
  for (const url of [
    'http://there.example',
    'http://127.0.0.1',
    'ftp://there.example',
    'https://me:word@there.example',
    '',
  ])
    expect(await ask(count, url)).toBe('address_refused');
  expect(await ask(count, 'http://127.0.0.1.there.example', { isRehearsal: true })).toBe('address_refused');
  expect(dialled).toBe(0);
  expect(await ask(count, 'http://127.0.0.1', { isRehearsal: true })).toEqual([200, 'ok']);
});
