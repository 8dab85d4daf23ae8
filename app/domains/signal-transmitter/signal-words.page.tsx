import { GradeChip } from '../../ui/grade.tsx';
import type { SignalLetter, SignalStream } from '../../shell/wire.ts';

/** Kinds of events, as an administrator chooses them. */
export const topicWords: Readonly<
  Record<keyof SignalStream['topics'], { readonly label: string; readonly help: string }>
> = {
  sessions: {
    label: 'Sessions end',
    help: 'Signed out everywhere, by the company, or by us. Not by themselves on one device.',
  },
  accounts: { label: 'Access suspended or given back', help: 'By an administrator, a directory or a review.' },
  passkeys: { label: 'A passkey added or removed', help: 'Whoever expects none may want to ask.' },
};

export const subjectWords: Readonly<
  Record<SignalStream['subjects'], { readonly label: string; readonly help: string }>
> = {
  provider: {
    label: 'As their identity provider calls them',
    help: 'Issuer and subject. Known of people who sign in by the company after the stream was made; of others our own id.',
  },
  own: { label: 'By our own id', help: 'The same id as in this product’s API.' },
};

export const eventWords: Readonly<Record<string, string>> = {
  'session-revoked': 'Sessions ended',
  'account-disabled': 'Access suspended',
  'account-enabled': 'Access given back',
  'credential-change': 'Passkey changed',
  verification: 'Test event',
  'stream-updated': 'Stream changed',
};

export const reasonWords: Readonly<Record<SignalLetter['reason'], string>> = {
  refused: 'The receiver refused it',
  attempts: 'Tried 200 times',
  age: 'Nobody took it for three days',
  disabled: 'The stream was switched off',
};

/** State as one word: what an administrator chose, or what stands in the way. */
export function StateChip({ stream }: { stream: SignalStream }) {
  const { status, settled, failures } = stream;
  if (status === 'disabled') return <GradeChip grade="asserted" word={settled ? 'off' : 'switching off'} />;
  if (status === 'paused') return <GradeChip grade="stale" word={settled ? 'paused' : 'pausing'} />;
  if (failures > 0) return <GradeChip grade="failing" word="failing" />;
  return <GradeChip grade="proven" word="on" />;
}
