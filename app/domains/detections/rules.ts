import { createHash } from 'node:crypto';

/** One entry of the log as the tail reads it: public-safe leaf and where it stands. */
export interface LogEvent {
  readonly position: bigint;
  readonly entryId: string;
  readonly tenantId: string;
  readonly tenantKind: string;
  readonly type: string;
  readonly outcome: string;
  readonly occurred_ms: number;
  readonly requestId: string;
  readonly actor: string;
  readonly facts: Readonly<Record<string, string | number | boolean>>;
}

export interface Alert {
  readonly detection: string;
  readonly severity: 'high' | 'critical';
  readonly canary: boolean;
  readonly collapseKey: string;
  readonly event: LogEvent;
}

interface Rule {
  readonly id: string;
  readonly severity: Alert['severity'];
  /** ATT&CK techniques, version 19. */
  readonly techniques: readonly string[];
  readonly says: string;
  readonly matches: (event: LogEvent) => boolean;
}

/** The house's own detections. A rule looks at one event; nothing it needs is outside the log, so a replay agrees. */
export const RULES: readonly Rule[] = [
  {
    id: 'tenant.cross-tenant-attempt',
    severity: 'high',
    techniques: ['T1078', 'T1213'],
    says: 'Somebody asked for another tenant’s data and was refused.',
    matches: (event) => event.type === 'tenant.attempt.refused',
  },
  {
    id: 'audit.actor-not-minted',
    severity: 'critical',
    techniques: ['T1134'],
    says: 'A log entry names a transaction that the issuer never minted for that person.',
    matches: (event) => event.type === 'audit.mint.mismatch',
  },
  {
    id: 'identity.passkey-cloned',
    severity: 'critical',
    techniques: ['T1556'],
    says: 'A passkey answered with a counter that went backwards: it may have been copied.',
    matches: (event) => event.type === 'passkey.clone-suspected',
  },
  {
    id: 'access.step-up-refused',
    severity: 'high',
    techniques: ['T1556'],
    says: 'An approval did not fit the action it was presented for.',
    matches: (event) => event.type === 'step-up.refused',
  },
];

/** Canary alerts are told one by one, because the missing of a single one must be seen. */
function collapseKey(rule: Rule, event: LogEvent): string {
  const parts = [rule.id, event.tenantId, event.actor, event.tenantKind === 'canary' ? event.entryId : ''];
  return createHash('sha256').update(parts.join('\0')).digest('base64url');
}

/** Pure: the alerts that one event raises. A canary raises the same alert; only its channel differs. */
export function detect(event: LogEvent): readonly Alert[] {
  return RULES.filter((rule) => rule.matches(event)).map((rule) => ({
    detection: rule.id,
    severity: rule.severity,
    canary: event.tenantKind === 'canary',
    collapseKey: collapseKey(rule, event),
    event,
  }));
}
