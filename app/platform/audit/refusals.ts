import type { TenancyCode } from '@auditrax/tenancy';

/** Which wall or rule said no, in the order in which a request meets them. */
export const REFUSAL_LAYERS = [
  'edge',
  'gateway',
  'peer',
  'token',
  'policy',
  'parser',
  'guard',
  'scope',
  'tripwire',
  'grant',
  'role',
  'row',
  'step-up',
] as const;
export type RefusalLayer = (typeof REFUSAL_LAYERS)[number];

interface RefusalKind {
  readonly layer: RefusalLayer;
  /** What happened, for the operator. */
  readonly says: string;
  /**
   * `each`: an entry of its own, up to the budget of whoever is behind it, and summed up beyond. `counted`: one entry for
   * each window, source and code, since anybody can make as many of these as they like.
   */
  readonly written: 'each' | 'counted';
}

/** Every way to be refused, by a code that stands in the log, in the detection and on the operator's screen. */
export const REFUSALS = {
  'edge.session-missing': {
    layer: 'edge',
    says: 'A route behind the door was asked without a session.',
    written: 'counted',
  },
  'edge.session-dead': {
    layer: 'edge',
    says: 'A route was asked with a cookie that opens no session.',
    written: 'counted',
  },
  'directory.token-unknown': {
    layer: 'edge',
    says: 'A directory spoke with a token that is unknown, ended or expired.',
    written: 'counted',
  },
  'signals.token-unknown': {
    layer: 'edge',
    says: 'Somebody pushed events without the authorization of a stream that is there.',
    written: 'counted',
  },
  'gateway.id-malformed': {
    layer: 'gateway',
    says: 'Something that is no id stood where one belongs.',
    written: 'counted',
  },
  'gateway.id-forged': { layer: 'gateway', says: 'An id whose mark is not genuine was presented.', written: 'each' },
  'gateway.id-foreign': { layer: 'gateway', says: 'A genuine id of another tenant was presented.', written: 'each' },
  'peer.wrong': {
    layer: 'peer',
    says: 'A process called a route of another one that is not open to it.',
    written: 'counted',
  },
  'token.missing': { layer: 'token', says: 'A service was called for nobody: without a token.', written: 'counted' },
  'token.invalid': {
    layer: 'token',
    says: 'A service was called with a token that is expired, altered, or meant for another.',
    written: 'counted',
  },
  'policy.operation': {
    layer: 'policy',
    says: 'Somebody’s role does not include what they asked for.',
    written: 'each',
  },
  'policy.operator-only': {
    layer: 'policy',
    says: 'Somebody who is no operator asked for an operator’s route.',
    written: 'each',
  },
  'policy.production-access': {
    layer: 'policy',
    says: 'An operator asked for a route without production access that covers it.',
    written: 'each',
  },
  'parser.id-malformed': {
    layer: 'parser',
    says: 'Something that is no id came past the gateway.',
    written: 'counted',
  },
  'parser.id-forged': { layer: 'parser', says: 'A forged id came past the gateway.', written: 'each' },
  'parser.id-foreign': { layer: 'parser', says: 'An id of another tenant came past the gateway.', written: 'each' },
  'guard.statement': {
    layer: 'guard',
    says: 'A statement that is not bound to one tenant was kept from the database.',
    written: 'each',
  },
  'guard.parameter': {
    layer: 'guard',
    says: 'A statement with another tenant’s id was kept from the database.',
    written: 'each',
  },
  'scope.missing': { layer: 'scope', says: 'A statement ran without a tenant.', written: 'each' },
  'scope.twice': { layer: 'scope', says: 'A transaction tried to change its tenant.', written: 'each' },
  'tripwire.row': { layer: 'tripwire', says: 'A statement met a row of another tenant.', written: 'each' },
  'grant.refused': {
    layer: 'grant',
    says: 'A statement did what its database role has no right to do.',
    written: 'each',
  },
  'role.other-tenant': {
    layer: 'role',
    says: 'The database role of one tenant tried to act for another.',
    written: 'each',
  },
  'row.withheld': { layer: 'row', says: 'A rule keeps this row from this person.', written: 'each' },
  'step-up.missing': {
    layer: 'step-up',
    says: 'Something that wants an approval was asked without one.',
    written: 'each',
  },
  'step-up.does-not-fit': {
    layer: 'step-up',
    says: 'An approval did not fit the action it was presented for.',
    written: 'each',
  },
} as const satisfies Readonly<Record<string, RefusalKind>>;

export type RefusalCode = keyof typeof REFUSALS;
/** The codes that are only ever counted. */
export type CountedCode = {
  [C in RefusalCode]: (typeof REFUSALS)[C]['written'] extends 'counted' ? C : never;
}[RefusalCode];

export function isRefusalCode(text: unknown): text is RefusalCode {
  return typeof text === 'string' && Object.hasOwn(REFUSALS, text);
}

/** A refusal of the driver; a code of the driver that is a refusal and has none here does not compile. */
type DriverRefusal = Exclude<
  Extract<TenancyCode, `tenant_${string}`>,
  'tenant_refusal_unrecorded' | 'tenant_transaction_ended' | 'tenant_read_only' | 'tenant_moved'
>;

/** The driver's codes in the words of this table. */
export const DRIVER_REFUSALS: Readonly<Record<DriverRefusal, RefusalCode>> = {
  tenant_statement_refused: 'guard.statement',
  tenant_foreign_parameter: 'guard.parameter',
  tenant_scope_missing: 'scope.missing',
  tenant_scope_twice: 'scope.twice',
  tenant_tripwire: 'tripwire.row',
  tenant_grant_refused: 'grant.refused',
  tenant_role_foreign: 'role.other-tenant',
};
