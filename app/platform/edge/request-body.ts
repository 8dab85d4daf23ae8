import type { IncomingMessage } from 'node:http';

/** A JSON body arrives in one go; somebody who takes longer is holding memory on purpose. */
const BODY_MS_MAX = 15_000;

export type BodyOutcome =
  | { readonly ok: true; readonly bytes: Buffer }
  | { readonly ok: false; readonly reason: 'too-large' | 'gone' };

/** Reads a whole small body, never more than `bytes_max` of it. */
export function readBody(request: IncomingMessage, bytes_max: number): Promise<BodyOutcome> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    const finish = (outcome: BodyOutcome) => {
      clearTimeout(timer);
      request.off('data', onData);
      request.pause();
      resolve(outcome);
    };
    const timer = setTimeout(() => finish({ ok: false, reason: 'gone' }), BODY_MS_MAX);
    const onData = (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > bytes_max) finish({ ok: false, reason: 'too-large' });
      else pieces.push(piece);
    };
    request.on('data', onData);
    request.once('end', () => finish({ ok: true, bytes: pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces) }));
    request.once('error', () => finish({ ok: false, reason: 'gone' }));
    request.once('close', () => finish({ ok: false, reason: 'gone' }));
  });
}
