import { refusal } from './errors.ts';
import { isObject, isPlainText, memberOf, type JsonObject } from './json.ts';
import { EVENT_URI_CHARACTERS_MAX, EVENTS_MAX, STATE_CHARACTERS_MAX } from './limits.ts';

/**
 * All that an event can lead to, weakest first. None of them gives anything back: whoever was suspended here is let in
 * again by a person of this house.
 */
export const VERDICTS = ['nothing', 'alert', 'end_sessions', 'suspend'] as const;
export type Verdict = (typeof VERDICTS)[number];

const BASE = 'https://schemas.openid.net/secevent/';

/** What an event type leads to. */
export interface EventRule {
  readonly uri: string;
  /** What it leads to, and what it leads to when its detail cannot be read. */
  readonly verdict: Verdict;
  /** By the value of one member; anything else counts as unreadable. */
  readonly by?: { readonly member: string; readonly verdicts: Readonly<Record<string, Verdict>> };
}

const caep = (name: string, verdict: Verdict, by?: EventRule['by']): EventRule => ({
  uri: `${BASE}caep/event-type/${name}`,
  verdict,
  ...(by === undefined ? {} : { by }),
});
const risc = (name: string, verdict: Verdict): EventRule => ({ uri: `${BASE}risc/event-type/${name}`, verdict });

/** The one table of events: CAEP 1.0, RISC 1.0 and SSF 1.0. */
export const EVENT_RULES = {
  'session-revoked': caep('session-revoked', 'end_sessions'),
  // Roles and groups may be among them; the next sign-in brings the new ones.
  'token-claims-change': caep('token-claims-change', 'end_sessions'),
  'credential-change': caep('credential-change', 'end_sessions', {
    member: 'change_type',
    verdicts: { create: 'alert', update: 'end_sessions', revoke: 'end_sessions', delete: 'end_sessions' },
  }),
  'assurance-level-change': caep('assurance-level-change', 'end_sessions', {
    member: 'change_direction',
    verdicts: { increase: 'nothing', decrease: 'end_sessions' },
  }),
  'device-compliance-change': caep('device-compliance-change', 'end_sessions', {
    member: 'current_status',
    verdicts: { compliant: 'nothing', 'not-compliant': 'end_sessions' },
  }),
  'risk-level-change': caep('risk-level-change', 'end_sessions', {
    member: 'current_level',
    verdicts: { LOW: 'nothing', MEDIUM: 'alert', HIGH: 'end_sessions' },
  }),
  'session-established': caep('session-established', 'nothing'),
  'session-presented': caep('session-presented', 'nothing'),
  'account-disabled': risc('account-disabled', 'suspend'),
  'account-purged': risc('account-purged', 'suspend'),
  'account-enabled': risc('account-enabled', 'alert'),
  'account-credential-change-required': risc('account-credential-change-required', 'end_sessions'),
  'credential-compromise': risc('credential-compromise', 'end_sessions'),
  'identifier-changed': risc('identifier-changed', 'alert'),
  'identifier-recycled': risc('identifier-recycled', 'alert'),
  'recovery-activated': risc('recovery-activated', 'alert'),
  'recovery-information-changed': risc('recovery-information-changed', 'alert'),
  'sessions-revoked': risc('sessions-revoked', 'end_sessions'),
  verification: { uri: `${BASE}ssf/event-type/verification`, verdict: 'nothing' },
  'stream-updated': {
    uri: `${BASE}ssf/event-type/stream-updated`,
    verdict: 'alert',
    by: { member: 'status', verdicts: { enabled: 'nothing', paused: 'alert', disabled: 'alert' } },
  },
} as const satisfies Readonly<Record<string, EventRule>>;

export type EventName = keyof typeof EVENT_RULES;

const NAMES = new Map<string, EventName>(
  Object.entries(EVENT_RULES).map(([name, { uri }]) => [uri, name as EventName]),
);

/** Events about a stream itself; their subject is the stream. */
export const STREAM_EVENTS: readonly EventName[] = ['verification', 'stream-updated'];

/** The known name of an event type; undefined for any other. */
export function eventNameOf(uri: string): EventName | undefined {
  return NAMES.get(uri);
}

/** One event of a token. `detail` is the other side's and is shown or stored, never obeyed. */
export interface ReceivedEvent {
  readonly uri: string;
  /** Undefined: no event of the table. It is kept and somebody is told. */
  readonly name: EventName | undefined;
  readonly verdict: Verdict;
  /** Its detail lacks what decides; it counted as the worst that this event can be. */
  readonly isUnreadable: boolean;
  /** When it happened, as the transmitter says. */
  readonly occurredAt_ms: number | undefined;
  readonly detail: JsonObject;
}

/** The strongest of some verdicts; `nothing` of none. */
export function strongest(verdicts: readonly Verdict[]): Verdict {
  return VERDICTS[Math.max(0, ...verdicts.map((verdict) => VERDICTS.indexOf(verdict)))]!;
}

function verdictOf(rule: EventRule, detail: JsonObject): Verdict | undefined {
  if (rule.by === undefined) return rule.verdict;
  const value = memberOf(detail, rule.by.member);
  return typeof value === 'string' && Object.hasOwn(rule.by.verdicts, value) ? rule.by.verdicts[value] : undefined;
}

/** The year 9999 in seconds. */
const EPOCH_SECONDS_MAX = 253_402_300_799;

/** A time of a token in milliseconds; undefined when it is none. */
export function timeOf(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && value <= EPOCH_SECONDS_MAX ? value * 1000 : undefined;
}

function parseEvent(uri: string, detail: JsonObject): ReceivedEvent {
  const name = eventNameOf(uri);
  const rule: EventRule | undefined = name === undefined ? undefined : EVENT_RULES[name];
  const read = rule === undefined ? 'alert' : verdictOf(rule, detail);
  return {
    uri,
    name,
    verdict: read ?? rule!.verdict,
    isUnreadable: read === undefined,
    occurredAt_ms: timeOf(memberOf(detail, 'event_timestamp')),
    detail,
  };
}

/** E19, E23 and E24: reads `events`. Throws `signals_events_form`. */
export function parseEvents(value: unknown): readonly ReceivedEvent[] {
  const entries = isObject(value) ? Object.entries(value) : [];
  if (entries.length === 0 || entries.length > EVENTS_MAX) throw refusal('signals_events_form', 'their number');
  return entries.map(([uri, detail]) => {
    if (!isPlainText(uri, EVENT_URI_CHARACTERS_MAX) || !isObject(detail)) throw refusal('signals_events_form');
    return parseEvent(uri, detail);
  });
}

/** The state of a verification; undefined when the transmitter began it. Throws `signals_state`. */
export function stateOf(event: ReceivedEvent): string | undefined {
  const state = memberOf(event.detail, 'state');
  if (state === undefined) return undefined;
  if (!isPlainText(state, STATE_CHARACTERS_MAX)) throw refusal('signals_state', 'form');
  return state;
}
