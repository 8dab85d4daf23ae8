import type { EventName } from '@auditrax/signals';
import type { AccessSignal } from '../identity/index.ts';

/** Events that a stream carries, the two about the stream itself included. */
export type SentEvent = Extract<
  EventName,
  'session-revoked' | 'account-disabled' | 'account-enabled' | 'credential-change' | 'verification' | 'stream-updated'
>;

/** What an administrator chooses from. */
export const TOPICS = ['sessions', 'accounts', 'passkeys'] as const;
export type Topic = (typeof TOPICS)[number];

export const EVENTS_OF: Readonly<Record<Topic, readonly SentEvent[]>> = {
  sessions: ['session-revoked'],
  accounts: ['account-disabled', 'account-enabled'],
  passkeys: ['credential-change'],
};

/** What of the room identity becomes which event. */
export const KINDS: Readonly<Record<AccessSignal['kind'], { readonly topic: Topic; readonly event: SentEvent }>> = {
  'sessions-ended': { topic: 'sessions', event: 'session-revoked' },
  suspended: { topic: 'accounts', event: 'account-disabled' },
  reinstated: { topic: 'accounts', event: 'account-enabled' },
  'passkey-added': { topic: 'passkeys', event: 'credential-change' },
  'passkey-removed': { topic: 'passkeys', event: 'credential-change' },
};

/** Of CAEP 1.0: whose doing it was. */
type Entity = 'admin' | 'user' | 'policy' | 'system';

interface Words {
  readonly entity: Entity;
  readonly sentence: string;
}

/** Every cause, for the receiver's administrators. A cause that is not here cannot be noted. */
export const CAUSES = {
  everywhere: { entity: 'user', sentence: 'Signed out everywhere.' },
  suspended: { entity: 'admin', sentence: 'Access was suspended.' },
  attempts: { entity: 'policy', sentence: 'The session was used to try data of others.' },
  provider: { entity: 'system', sentence: 'The identity provider signed the person out.' },
  connection: { entity: 'admin', sentence: 'The connection to the identity provider was ended.' },
  lapsed: { entity: 'policy', sentence: 'Nobody has vouched for the person for too long.' },
  disconnected: { entity: 'user', sentence: 'The identity that it came by was taken away.' },
  scim: { entity: 'system', sentence: 'The directory said so.' },
  'back-channel': { entity: 'system', sentence: 'The identity provider said so.' },
  signal: { entity: 'system', sentence: 'A shared signal said so.' },
  administrator: { entity: 'admin', sentence: 'An administrator did it.' },
  review: { entity: 'admin', sentence: 'An access review decided it.' },
  create: { entity: 'user', sentence: 'A passkey was added.' },
  delete: { entity: 'admin', sentence: 'A passkey was removed.' },
} as const satisfies Readonly<Record<string, Words>>;
export type Cause = keyof typeof CAUSES;

/** The word for what happened; anything that has no word of its own counts as the policy of this house. */
export function causeOf(signal: AccessSignal): Cause {
  if (signal.kind === 'passkey-added') return 'create';
  if (signal.kind === 'passkey-removed') return 'delete';
  const word: string = signal.kind === 'sessions-ended' ? signal.reason : signal.cause;
  return Object.hasOwn(CAUSES, word) ? (word as Cause) : 'suspended';
}
