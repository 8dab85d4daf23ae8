import { askRemote, type Asked, type RemoteFetch, type RemotePorts } from '@auditrax/base/remote';
import { refusal } from './errors.ts';
import { parseObject, type JsonObject } from './json.ts';

export type { Asked } from '@auditrax/base/remote';
/** How the other side of a stream is reached. */
export type ReachPorts = RemotePorts;
export type SignalsFetch = RemoteFetch;

/** An answer that has been read to its end. */
export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: string | undefined;
}

/** E2 to E4: one request. */
export async function ask(asked: Asked, ports: ReachPorts): Promise<Answer> {
  const { status, headers, body } = await askRemote(asked, ports, (fault, detail, options) =>
    refusal(`signals_${fault}`, detail, options),
  );
  const retryAfter = headers.get('retry-after') ?? undefined;
  return { status, text: Buffer.from(body).toString('utf8'), retryAfter };
}

/** E5: the JSON object of an answer that has one of these statuses. */
export function objectOf(answer: Answer, statuses: readonly number[]): JsonObject {
  if (answer.status === 401 || answer.status === 403) throw refusal('signals_denied', `status ${answer.status}`);
  if (!statuses.includes(answer.status)) throw refusal('signals_answer_form', `status ${answer.status}`);
  const value = parseObject(answer.text);
  if (value === undefined) throw refusal('signals_answer_form');
  return value;
}

/** A JSON object under status 200, asked for without authorization. */
export async function readDocument(url: string, bytes_max: number, ports: ReachPorts): Promise<JsonObject> {
  return objectOf(await ask({ url, method: 'GET', headers: { accept: 'application/json' }, bytes_max }, ports), [200]);
}
