import type { Caller, EdgeDoor, SignInMethod } from '../../platform/http/handler.ts';

type TenantKind = Caller['tenantKind'];

const EVERY_KIND = ['sample', 'canary', 'operator', 'customer'] as const;

/**
 * Which tenants and methods a door lets in. The try-out door speaks plain HTTP on loopback, so it only ever carries
 * sample data; a sign-in link is a bearer secret on a terminal, so it only ever opens sample data; a canary session is
 * made without any proof of a person, so it only ever opens a canary tenant; a provider of an organisation sends people to
 * the edge, over TLS, alone.
 */
const OPEN: Readonly<Record<EdgeDoor, Readonly<Record<SignInMethod, readonly TenantKind[]>>>> = {
  edge: { passkey: EVERY_KIND, link: ['sample'], canary: ['canary'], sso: EVERY_KIND },
  // The operator of the sample organisation is a sample person too; a production house has no try-out door.
  tryout: { passkey: ['sample', 'operator'], link: ['sample', 'operator'], canary: [], sso: [] },
};

/** True when a session of `method` may live at `door` for a tenant of `kind`. Asked at sign-in and at every mint. */
export function doorAdmits(door: EdgeDoor, method: SignInMethod, kind: TenantKind): boolean {
  return OPEN[door][method].includes(kind);
}

/**
 * Whether a session of this method may confirm an action, with a passkey of the person's own. A link and a canary session
 * never may. Somebody's provider alone is no confirmation: whoever takes it over must not approve anything here.
 */
export function mayStepUp(method: unknown): boolean {
  return method === 'passkey' || method === 'sso';
}
