import { type Readable, Transform, pipeline } from 'node:stream';
import { AppError } from '@auditrax/base';
import type { CoreCode } from './problems.ts';

/**
 * `source`, ending in `body_too_large` after `bytes_max`. A client may announce no length, so the announced one is not
 * enough. Destroyed with an error when the client goes away in the middle: half a body never looks like a whole one.
 */
export function limitStream(source: Readable, bytes_max: number): Readable {
  let received = 0;
  const counted = new Transform({
    transform(piece: Buffer, _encoding, done) {
      received += piece.length;
      if (received > bytes_max) done(new AppError<CoreCode>('body_too_large', `more than ${bytes_max} bytes`));
      else done(null, piece);
    },
  });
  // Errors reach the reader through `counted`; nobody is left to tell when the reader has gone.
  pipeline(source, counted, () => undefined);
  return counted;
}
