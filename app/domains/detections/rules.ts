import { createHash } from 'node:crypto';
import {
  ATTEMPT_REFUSED,
  ATTEMPTS_COUNTED,
  isRefusalCode,
  REFUSALS,
  type RefusalCode,
} from '../../platform/audit/index.ts';

/** One entry of the log as the tail reads it: public-safe leaf and where it stands. */
export interface LogEvent {
  readonly position: bigint;
  /** In the log of its tenant. */
  readonly index: bigint;
  readonly entryId: string;
  readonly tenantId: string;
  readonly tenantKind: string;
  readonly type: string;
  readonly outcome: string;
  readonly occurred_ms: number;
  readonly requestId: string;
  readonly sessionId: string | undefined;
  readonly actor: string;
  readonly facts: Readonly<Record<string, string | number | boolean>>;
}

export type Severity = 'low' | 'high' | 'critical';

export interface Alert {
  readonly detection: string;
  /** `low` waits in the inbox; the others are sent. */
  readonly severity: Severity;
  readonly canary: boolean;
  readonly collapseKey: string;
  /** How many times the thing happened that this event tells of. */
  readonly times: number;
  readonly event: LogEvent;
}

export interface Rule {
  readonly id: string;
  readonly severity: Severity;
  /** ATT&CK techniques, version 19. */
  readonly techniques: readonly string[];
  readonly says: string;
  readonly matches: (event: LogEvent) => boolean;
  /** One order concerns every log of the house, and is one page. */
  readonly isHouseWide?: true;
}

/** Counted attempts of one kind within a window that are worth a person's look; below it, it is the weather. */
export const NOISE_TIMES_MIN = 500;
/** Ids that are no ids: a broken client makes a few, a program that tries spellings makes hundreds. */
export const MALFORMED_TIMES_MIN = 100;

interface Judged {
  readonly severity: Severity;
  readonly techniques: readonly string[];
  /** For counted refusals: how many in one window raise the alarm. */
  readonly timesMin?: number;
}

/** What each refusal means. Whoever is stopped at an inner wall has got past the outer ones: that is why it weighs more. */
const JUDGED: Readonly<Record<RefusalCode, Judged>> = {
  'edge.session-missing': { severity: 'low', techniques: ['T1595'], timesMin: NOISE_TIMES_MIN },
  'edge.session-dead': { severity: 'low', techniques: ['T1539'], timesMin: NOISE_TIMES_MIN },
  'directory.token-unknown': { severity: 'low', techniques: ['T1110'], timesMin: NOISE_TIMES_MIN },
  'signals.token-unknown': { severity: 'low', techniques: ['T1110'], timesMin: NOISE_TIMES_MIN },
  'gateway.id-malformed': { severity: 'low', techniques: ['T1595'], timesMin: MALFORMED_TIMES_MIN },
  'gateway.id-forged': { severity: 'high', techniques: ['T1078', 'T1565'] },
  'gateway.id-foreign': { severity: 'high', techniques: ['T1078', 'T1213'] },
  // Between processes nobody makes a mistake by hand: one is enough.
  'peer.wrong': { severity: 'critical', techniques: ['T1021'], timesMin: 1 },
  'token.missing': { severity: 'critical', techniques: ['T1550'], timesMin: 1 },
  // One or two may run out on their way when a process stands still for a while.
  'token.invalid': { severity: 'high', techniques: ['T1550'], timesMin: 3 },
  'policy.operation': { severity: 'low', techniques: ['T1078'] },
  'policy.operator-only': { severity: 'high', techniques: ['T1078'] },
  // Every operator meets it when their access has run out.
  'policy.production-access': { severity: 'low', techniques: ['T1078'] },
  'parser.id-malformed': { severity: 'low', techniques: ['T1595'], timesMin: 1 },
  'parser.id-forged': { severity: 'critical', techniques: ['T1078', 'T1565'] },
  'parser.id-foreign': { severity: 'critical', techniques: ['T1078', 'T1213'] },
  'guard.statement': { severity: 'critical', techniques: ['T1190'] },
  'guard.parameter': { severity: 'critical', techniques: ['T1190', 'T1213'] },
  'scope.missing': { severity: 'critical', techniques: ['T1190'] },
  'scope.twice': { severity: 'critical', techniques: ['T1190'] },
  'tripwire.row': { severity: 'critical', techniques: ['T1190', 'T1213'] },
  'grant.refused': { severity: 'critical', techniques: ['T1190', 'T1068'] },
  'role.other-tenant': { severity: 'critical', techniques: ['T1190', 'T1078'] },
  'row.withheld': { severity: 'low', techniques: ['T1078'] },
  'step-up.missing': { severity: 'low', techniques: ['T1556'] },
  'step-up.does-not-fit': { severity: 'high', techniques: ['T1556'] },
};

/** Entries of before the table of refusals named a wall only. */
const CODE_OF_LAYER: Readonly<Record<string, RefusalCode>> = {
  gateway: 'gateway.id-foreign',
  parser: 'parser.id-foreign',
  guard: 'guard.statement',
  scope: 'scope.missing',
  tripwire: 'tripwire.row',
  grant: 'grant.refused',
};

const DENIALS: ReadonlySet<string> = new Set([
  ATTEMPT_REFUSED,
  ATTEMPTS_COUNTED,
  'access.operation.refused',
  'access.row-denied',
  'step-up.missing',
  'step-up.refused',
]);

/** The refusal that an entry tells of; undefined when it tells of none. */
export function refusalOf(event: Pick<LogEvent, 'type' | 'facts'>): RefusalCode | undefined {
  if (!DENIALS.has(event.type)) return undefined;
  const { code, layer } = event.facts;
  if (isRefusalCode(code)) return code;
  return event.type === ATTEMPT_REFUSED ? (CODE_OF_LAYER[String(layer)] ?? 'gateway.id-foreign') : undefined;
}

/** How many attempts an entry stands for. */
export function timesOf(event: Pick<LogEvent, 'facts'>): number {
  const { count } = event.facts;
  return typeof count === 'number' && Number.isSafeInteger(count) && count > 0 ? count : 1;
}

function refusalRule(code: RefusalCode): Rule {
  const { severity, techniques, timesMin = 1 } = JUDGED[code];
  const floor = timesMin > 1 ? ` At least ${timesMin} times within a window.` : '';
  return {
    id: code,
    severity,
    techniques,
    says: `${REFUSALS[code].says}${floor}`,
    matches: (event) => refusalOf(event) === code && timesOf(event) >= timesMin,
  };
}

/** Days before its end at which a certificate is no longer a matter for the inbox. */
const URGENT_DAYS = 7;
const isUrgent = ({ facts }: LogEvent): boolean =>
  typeof facts['dueDays'] === 'number' && facts['dueDays'] <= URGENT_DAYS;

/** The provider's own, or ours that it was given. */
const isCertificateEnding = ({ type }: LogEvent): boolean =>
  type === 'connection.certificate-ending' || type === 'connection.own-certificate-ending';

/** Days left at the last reminder of a review. */
const LAST_DAY = 1;

const OTHER_RULES: readonly Rule[] = [
  {
    id: 'session.ended-for-attempts',
    severity: 'high',
    techniques: ['T1078', 'T1213'],
    says: 'A session asked for other tenants’ data again and again, and was ended.',
    matches: (event) => event.type === 'session.closed' && event.facts['reason'] === 'attempts',
  },
  {
    id: 'audit.actor-not-minted',
    severity: 'critical',
    techniques: ['T1134'],
    says: 'A log entry names a transaction that the issuer never minted for that person.',
    matches: (event) => event.type === 'audit.mint.mismatch',
  },
  {
    id: 'audit.cell-silent',
    severity: 'critical',
    techniques: ['T1562'],
    says: 'The log of a database is not running: whoever lives there can change nothing until it is.',
    matches: (event) => event.type === 'audit.cell.silent',
  },
  {
    id: 'audit.unwitnessed',
    severity: 'high',
    techniques: ['T1562'],
    says: 'The witnesses of the audit log have not co-signed it for ten minutes: what is logged meanwhile rests on our own word.',
    matches: (event) => event.type === 'audit.witness.missing',
  },
  {
    id: 'audit.generation-opened',
    severity: 'critical',
    techniques: ['T1565.001', 'T1070'],
    says: 'A log went on as a new generation: its database was put back, or its key stolen. Unless you gave the order, somebody did.',
    matches: (event) => event.type === 'log.generation.opened',
    isHouseWide: true,
  },
  {
    id: 'audit.key-changed',
    severity: 'high',
    techniques: ['T1553'],
    says: 'The key that signs the logs was changed. Unless you gave the order, look at who can reach the ledger and the signer.',
    matches: (event) => event.type === 'log.key.rotated',
    isHouseWide: true,
  },
  {
    id: 'siem.stream-failing',
    severity: 'high',
    techniques: ['T1562'],
    says: 'An organisation’s audit log has not reached its SIEM for a quarter of an hour. Nothing is lost: it waits.',
    matches: (event) => event.type === 'stream.failing',
  },
  {
    id: 'identity.certificate-ending',
    severity: 'low',
    techniques: ['T1556'],
    says: 'A certificate between an organisation’s identity provider and this house ends within 60 days, and no other one covers it.',
    matches: (event) => isCertificateEnding(event) && !isUrgent(event),
  },
  {
    id: 'identity.certificate-ends',
    severity: 'high',
    techniques: ['T1556'],
    says: 'A certificate between an organisation’s identity provider and this house ends within a week or has ended: nobody comes in by it then.',
    matches: (event) => isCertificateEnding(event) && isUrgent(event),
  },
  {
    id: 'identity.recovery-opened',
    severity: 'high',
    techniques: ['T1098', 'T1556'],
    says: 'An administrator opened the recovery of a person who is said to have lost every passkey. It takes effect after a day: ask that person on another way.',
    matches: (event) => event.type === 'recovery.opened',
  },
  {
    id: 'identity.last-lead-out',
    severity: 'critical',
    techniques: ['T1531'],
    says: 'The last person who leads an organisation was put out, or lost that role: nobody there can let anybody in, nor undo it. Ask them on another way; their directory can name a lead again.',
    matches: (event) => event.type === 'tenant.without-lead',
  },
  {
    id: 'identity.leavers-wave',
    severity: 'high',
    techniques: ['T1531'],
    says: 'An organisation’s directory has put out ten people within an hour, or ten more. It may be on purpose, or its token stolen: ask its lead, who can undo it on the page of the connection.',
    matches: (event) => event.type === 'directory.wave',
  },
  {
    id: 'access.waits-for-operator',
    severity: 'low',
    techniques: ['T1078'],
    says: 'An operator asks for production access and waits for another one to confirm it, for a quarter of an hour: look at Production access.',
    matches: (event) => event.type === 'production-access.asked' && event.facts['state'] === 'waiting',
  },
  {
    id: 'access.break-glass',
    severity: 'critical',
    techniques: ['T1078', 'T1548'],
    says: 'An operator asked for all production access at once, or another one has let them in. If no emergency is known to you, end it: every operator can, under Production access.',
    matches: (event) =>
      event.type === 'production-access.glass-asked' || event.type === 'production-access.glass-broken',
  },
  {
    id: 'identity.suspensions-held',
    severity: 'high',
    techniques: ['T1531'],
    says: 'An organisation’s provider asked to suspend more than ten people within an hour: their sessions have ended, the suspensions wait. It may be on purpose, or its key stolen: ask its lead, who decides on the page of the connection.',
    matches: (event) => event.type === 'signals.held',
  },
  {
    id: 'identity.signals-silent',
    severity: 'low',
    techniques: ['T1562'],
    says: 'A transmitter of shared signals has not answered a sign of life: who is signed out at that provider may still be in here.',
    matches: (event) => event.type === 'signals.silent',
  },
  {
    id: 'identity.passkey-cloned',
    severity: 'critical',
    techniques: ['T1556'],
    says: 'A passkey answered with a counter that went backwards: it may have been copied.',
    matches: (event) => event.type === 'passkey.clone-suspected',
  },
  {
    id: 'access.engines-differ',
    severity: 'critical',
    techniques: ['T1548'],
    says: 'A list showed or withheld a row against what Cedar decides: the compiled policies cannot be trusted.',
    matches: (event) => event.type === 'access.decision-differed',
  },
  {
    id: 'access.glass-unjudged',
    severity: 'high',
    techniques: ['T1078'],
    says: 'An operator broke the glass a week ago, and nobody who was not part of it has said whether that was justified. Neither of the two can break it again until somebody does.',
    matches: (event) => event.type === 'production-access.glass-unjudged',
  },
  {
    id: 'access-review.reminder',
    severity: 'low',
    techniques: ['T1078'],
    says: 'A review of who has access ends within a week, and not everything in it is decided. What is undecided at its end is removed.',
    matches: (event) => event.type === 'access-review.reminded' && event.facts['daysLeft'] !== LAST_DAY,
  },
  {
    id: 'access-review.last-day',
    severity: 'high',
    techniques: ['T1078'],
    says: 'A review of who has access ends within a day, and not everything in it is decided. What is undecided at its end is removed.',
    matches: (event) => event.type === 'access-review.reminded' && event.facts['daysLeft'] === LAST_DAY,
  },
  {
    id: 'access-review.overdue',
    severity: 'high',
    techniques: ['T1078'],
    says: 'A review of who has access is over its end, and about one person nobody may decide: they alone manage the organisation. Somebody else has to be made a manager.',
    matches: (event) => event.type === 'access-review.overdue',
  },
  {
    id: 'access-review.not-removed',
    severity: 'critical',
    techniques: ['T1098'],
    says: 'Access that a review has removed was there again when it was looked at later. It is removed once more; find out who gave it back.',
    matches: (event) => event.type === 'access-review.removal-unproven',
  },
  {
    id: 'keys.withdrawn',
    severity: 'high',
    techniques: ['T1485', 'T1490'],
    says: 'An organisation’s own key is withdrawn: nothing of it can be read. It may be on purpose; ask its lead.',
    matches: (event) => event.type === 'key.withdrawn',
  },
  {
    id: 'keys.foreign',
    severity: 'critical',
    techniques: ['T1565.001', 'T1213'],
    says: 'A data key stands under the key of another organisation: its row in the database was exchanged.',
    matches: (event) => event.type === 'key.foreign-refused',
  },
];

/**
 * The house's own detections: one for each way to be refused, and some more. A rule looks at one event; nothing it needs
 * is outside the log, so a replay agrees.
 */
export const RULES: readonly Rule[] = [...(Object.keys(REFUSALS) as RefusalCode[]).map(refusalRule), ...OTHER_RULES];

/** Who is behind it: the person, also where a process tells of them in a sum. */
export function actorOf(event: LogEvent): string {
  const { person } = event.facts;
  return typeof person === 'string' ? `person:${person}` : event.actor;
}

/** The sentinel's own knocks at the services are the house's exercise; so is what canaries do. */
export function isCanary(event: LogEvent): boolean {
  return event.tenantKind === 'canary' || (event.type === ATTEMPTS_COUNTED && event.facts['source'] === 'sentinel');
}

/**
 * One tenant's one person at one layer is one page that counts. Canary alerts are told one by one, because the missing of
 * a single one must be seen.
 */
function collapseKey(rule: Rule, event: LogEvent): string {
  const code = refusalOf(event);
  const what = code === undefined ? rule.id : REFUSALS[code].layer;
  const source =
    event.type === ATTEMPTS_COUNTED ? `${String(event.facts['service'])} ${String(event.facts['source'])}` : '';
  const who = rule.isHouseWide ? [] : [event.tenantId, actorOf(event)];
  const parts = [what, ...who, source, isCanary(event) ? event.entryId : ''];
  return createHash('sha256').update(parts.join('\0')).digest('base64url');
}

/** Pure: the alerts that one event raises. A canary raises the same alert; only its channel differs. */
export function detect(event: LogEvent): readonly Alert[] {
  return RULES.filter((rule) => rule.matches(event)).map((rule) => ({
    detection: rule.id,
    severity: rule.severity,
    canary: isCanary(event),
    collapseKey: collapseKey(rule, event),
    times: timesOf(event),
    event,
  }));
}
