import { createHash } from 'node:crypto';
import type { Statement } from './context.ts';
import { TenancyError } from './errors.ts';
import type { Step } from './pipeline.ts';
import type { Path } from './route.ts';
import { openTransaction } from './transaction.ts';

/** Rows that travel together: few round trips, and a batch of ordinary rows stays below a few megabytes. */
const BATCH_ROWS = 500;
const BATCH_ROWS_MAX = 10_000;

export interface StreamOptions {
  /** Rows of a batch, 1 to 10,000; 500 unless told. */
  readonly batchRows?: number;
}

/** One name per statement: a prepared FETCH keeps the columns of the cursor that it first saw. */
function cursorName(text: string): string {
  return `stream_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
}

/**
 * The rows of one SELECT, in batches, inside one transaction whose first message is the scope: every batch is read under
 * it, from one snapshot. Leaving early ends the transaction. Throws what the statement throws, in the middle as well.
 */
export async function* streamRows<Row>(
  path: Path,
  statement: Statement<Row>,
  { batchRows = BATCH_ROWS }: StreamOptions = {},
): AsyncGenerator<Row[], void, undefined> {
  if (!Number.isInteger(batchRows) || batchRows < 1 || batchRows > BATCH_ROWS_MAX)
    throw new RangeError(`a batch has 1 to ${BATCH_ROWS_MAX} rows`);
  const cursor = cursorName(statement.sql);
  const next: Step = { text: `fetch forward ${batchRows} from ${cursor}`, values: [] };
  const transaction = openTransaction(path);
  let isComplete = false;
  try {
    await transaction.run((route) => {
      const { text, values } = route.step(statement);
      return { text: `declare ${cursor} no scroll cursor for ${text}`, values };
    });
    for (;;) {
      const rows = (await transaction.run(() => next)).rows as Row[];
      if (rows.length > 0) yield rows;
      if (rows.length < batchRows) break;
    }
    await transaction.commit();
    isComplete = true;
  } finally {
    if (!isComplete)
      await transaction.abandon(new TenancyError('tenant_transaction_ended', 'the stream was left before its end'));
  }
}
