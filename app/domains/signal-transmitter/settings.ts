import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { z } from 'zod';
import type { TransmitterDeps } from './deps.ts';
import type { StreamRow } from './queries.ts';

const stored = z.strictObject({
  name: z.string(),
  audience: z.string(),
  /** Where pushed events go, and the whole value of the header that the receiver has given for it. */
  push: z.strictObject({ url: z.string(), authorization: z.string().nullable() }).nullable(),
});

/** What an administrator has said of a stream; sealed as one, so that no address can be put under another's secret. */
export type StreamSettings = z.output<typeof stored>;

export const SETTINGS_FIELD = 'identity.signal_stream.settings' as const;

export async function openSettings(
  deps: Pick<TransmitterDeps, 'sealer'>,
  at: { readonly context: TenantContext; readonly tx?: ScopedTransaction },
  row: Pick<StreamRow, 'id' | 'settings'>,
): Promise<StreamSettings> {
  const text = await deps.sealer.openText({ ...at, field: SETTINGS_FIELD, rowId: row.id, sealed: row.settings });
  return stored.parse(JSON.parse(text));
}
