import type { ComponentProps } from 'react';
import { GradeChip } from '../../ui/grade.tsx';
import type { ProviderEvent, ProviderStream } from '../../shell/wire.ts';

type Grade = ComponentProps<typeof GradeChip>['grade'];

const stateWords: Readonly<Record<ProviderStream['state'], readonly [Grade, string]>> = {
  draft: ['asserted', 'draft'],
  on: ['proven', 'on'],
  paused: ['stale', 'paused'],
  off: ['asserted', 'off'],
};

/** Where a stream stands; one that ought to speak and does not is never shown as on. */
export function StreamChip({ stream }: { stream: ProviderStream }) {
  const { state, silentSince, trouble } = stream;
  if (state === 'on' && silentSince !== null) return <GradeChip grade="failing" word="silent" />;
  if (state === 'on' && trouble !== null) return <GradeChip grade="stale" word="in trouble" />;
  const [grade, word] = stateWords[state];
  return <GradeChip grade={grade} word={word} />;
}

/** What a provider says, by the names of packages/signals. */
const eventWords: Readonly<Record<string, string>> = {
  'session-revoked': 'A session was ended',
  'sessions-revoked': 'All sessions were ended',
  'token-claims-change': 'What is said of the person changed',
  'credential-change': 'A credential changed',
  'assurance-level-change': 'The way of signing in changed in strength',
  'device-compliance-change': 'A device meets the rules no more, or again',
  'risk-level-change': 'The risk changed',
  'session-established': 'A session began',
  'session-presented': 'A session was used',
  'account-disabled': 'The account was disabled',
  'account-purged': 'The account was deleted',
  'account-enabled': 'The account was enabled',
  'account-credential-change-required': 'A new credential is needed',
  'credential-compromise': 'A credential is in other hands',
  'identifier-changed': 'The address or number changed',
  'identifier-recycled': 'The address or number went to somebody else',
  'recovery-activated': 'A recovery was begun',
  'recovery-information-changed': 'The way of recovery changed',
  verification: 'Sign of life',
  'stream-updated': 'The stream changed there',
};

/** In words; of one that is not known here, its address. */
export const eventText = (name: string): string => eventWords[name] ?? name;

export function saidText({ events }: ProviderEvent): string {
  return events.map(({ name, uri }) => (name === null ? `Not known here: ${uri}` : eventText(name))).join('; ');
}

const unusableWords: Readonly<Record<string, string>> = {
  format: 'it names nobody in a form by which people are known here',
  email: 'it names an address, by which nobody is ever found',
  foreign_issuer: 'it speaks of another provider’s people',
  opaque: 'it names an opaque id, and the stream is not set up for that',
  no_person: 'it names no person',
  critical_member: 'it names something that must be understood and is not known here',
  contradiction: 'it names two different people',
};

/** What stood in the way of an event; null when nothing did. */
export function hindranceText({ events, unusable, subject }: ProviderEvent): string | null {
  const parts = [
    ...(events.some(({ isUnreadable }) => isUnreadable)
      ? ['its detail could not be read, so it counted as the worst it can be']
      : []),
    ...(unusable === null ? [] : [`${unusableWords[unusable] ?? unusable} (${subject})`]),
  ];
  const text = parts.join('; ');
  return text === '' ? null : text.charAt(0).toUpperCase() + text.slice(1);
}

export const verdictWords: Readonly<Record<ProviderEvent['verdict'], string>> = {
  nothing: 'Nothing to do',
  alert: 'Tell somebody',
  end_sessions: 'End sessions',
  suspend: 'Suspend',
};

const stepWords: Readonly<Record<Exclude<ProviderEvent['state'], 'done'>, string>> = {
  new: 'About to be carried out',
  acting: 'Being carried out',
  held: 'Sessions ended; the suspension waits for you',
};

const outcomeWords: Readonly<Record<NonNullable<ProviderEvent['outcome']>, string>> = {
  nothing: 'Nothing had to be done',
  alerted: 'Kept, and an alert is in the audit trail',
  nobody: 'Kept; nobody here is known by it',
  'sessions-ended': 'Sessions ended',
  suspended: 'Suspended',
  dismissed: 'Left in by a lead',
};

/** What has become of an event. */
export function outcomeText({ state, outcome }: ProviderEvent): string {
  if (state !== 'done') return stepWords[state];
  return outcome === null ? 'Done' : outcomeWords[outcome];
}

const MINUTE_MS = 60_000;

function took(ms: number): string {
  if (ms < 1000) return `${ms} ms`;
  return ms < 2 * MINUTE_MS ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / MINUTE_MS)} min`;
}

const holderWords: Readonly<Record<string, string>> = {
  sessions: 'Sessions',
  links: 'Links',
  approvals: 'Approvals',
  'api-keys': 'API keys',
};

/** What ended, and how soon; null when nothing was open. */
export function endedText({ effects }: ProviderEvent): string | null {
  const ended = effects.filter(({ holder, ended: count }) => count > 0 && holder !== 'gateways');
  if (ended.length === 0) return null;
  const what = ended
    .map(({ holder, ended: count }) => `${holderWords[holder] ?? holder.replaceAll('-', ' ')}: ${count}`)
    .join(', ');
  return `${what}; after ${took(Math.max(...ended.map(({ after_ms }) => after_ms)))}`;
}

export const deliveryWords = {
  push: { label: 'It pushes them', help: 'At once, to an address of ours that you copy there.' },
  poll: { label: 'We fetch them', help: 'We ask the provider; nothing of yours has to be reachable.' },
} as const;

export const subjectWords = {
  account: { label: 'By issuer and subject', help: 'The same as in a sign-in by OpenID Connect. Usual.' },
  opaque: {
    label: 'By an opaque id alone',
    help: 'Only where the provider says that this id is the lasting subject of the sign-in.',
  },
} as const;
