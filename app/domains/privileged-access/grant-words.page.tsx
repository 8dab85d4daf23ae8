import { PRODUCTION_SCOPES, type ProductionScope } from '@auditrax/base/route';
import type { ProductionAccess, ShownGrant } from '../../shell/wire.ts';

export const scopeWords: Readonly<Record<ProductionScope, string>> = {
  tenants: 'Organisations',
  deletions: 'Deletions',
  keys: 'Key rings',
  attempts: 'Denied attempts',
};
export const scopeHelp: Readonly<Record<ProductionScope, string>> = {
  tenants: 'See who is hosted here and where, open and move organisations.',
  deletions: 'See what a deletion would destroy, propose and confirm one.',
  keys: 'See which key stores serve whom and how they do.',
  attempts: 'See who was refused what, over all organisations.',
};

export function isScope(word: string | null): word is ProductionScope {
  return PRODUCTION_SCOPES.some((scope) => scope === word);
}

export function scopesText(scopes: readonly ProductionScope[]): string {
  return scopes.length === PRODUCTION_SCOPES.length ? 'Everything' : scopes.map((one) => scopeWords[one]).join(', ');
}

export const stateWords: Readonly<Record<ShownGrant['state'], string>> = {
  waiting: 'waits for another operator',
  unanswered: 'nobody confirmed in time',
  live: 'in force',
  over: 'over',
  ended: 'ended',
};
export const stateLook: Readonly<Record<ShownGrant['state'], string>> = {
  waiting: 'stale',
  unanswered: 'asserted',
  live: 'measured',
  over: 'asserted',
  ended: 'asserted',
};

/** On whose word somebody was let in. */
export function vouchedText({ vouched, confirmedBy }: ShownGrant): string {
  if (vouched === 'provider') return 'their company’s provider vouched';
  if (vouched === 'nobody') return 'nobody else vouched';
  return vouched === 'operator' ? `${confirmedBy ?? 'another operator'} vouched` : 'nobody has vouched yet';
}

export const vouchingHelp: Readonly<Record<ProductionAccess['vouching'], string>> = {
  provider:
    'your company’s provider vouches for you; it begins at once, and ends four hours after its last word at most.',
  operator: 'another operator has to confirm it with a passkey within 15 minutes.',
  nobody:
    'there is no other operator here who could vouch for you; it begins on your passkey alone, and the record says so.',
};
