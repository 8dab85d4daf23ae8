import { sign, type KeyObject } from 'node:crypto';
import { request } from 'undici';
import type { Clock } from '@auditrax/base';

/** A receiver that needs longer is treated as down and tried again. */
const RECEIVER_MS_MAX = 5_000;

export interface WebhookTarget {
  readonly url: string;
  readonly key: KeyObject;
  readonly clock: Clock;
}

/** The receipt of one delivery. `accepted` means a 2xx, as Standard Webhooks asks. */
export interface Receipt {
  readonly accepted: boolean;
  /** HTTP status, or the code of the error. */
  readonly outcome: string;
}

/**
 * Headers of a Standard Webhooks message signed with Ed25519 (`v1a`): the receiver needs only our public key, so a leak
 * at the receiver forges nothing. Source: Standard Webhooks specification, asymmetric signatures.
 */
export function signWebhook(
  key: KeyObject,
  message: { id: string; body: string; timestamp_seconds: number },
): Record<string, string> {
  const { id, body, timestamp_seconds } = message;
  const signature = sign(null, Buffer.from(`${id}.${timestamp_seconds}.${body}`), key).toString('base64');
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(timestamp_seconds),
    'webhook-signature': `v1a,${signature}`,
  };
}

/** Delivers one message and never throws: a failed delivery is an outcome to be retried. */
export async function deliverWebhook(target: WebhookTarget, message: { id: string; body: string }): Promise<Receipt> {
  const timestamp_seconds = Math.floor(target.clock.nowMs() / 1000);
  try {
    const response = await request(target.url, {
      method: 'POST',
      headers: signWebhook(target.key, { ...message, timestamp_seconds }),
      body: message.body,
      headersTimeout: RECEIVER_MS_MAX,
      bodyTimeout: RECEIVER_MS_MAX,
    });
    await response.body.dump();
    return { accepted: response.statusCode >= 200 && response.statusCode < 300, outcome: String(response.statusCode) };
  } catch (error) {
    return { accepted: false, outcome: (error as NodeJS.ErrnoException).code ?? 'failed' };
  }
}
