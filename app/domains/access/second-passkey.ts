import type { Role } from '../../platform/http/handler.ts';
import { refuse } from './refusals.ts';

/**
 * Passkeys that somebody with a privileged role must have before they approve anything: with one, losing a device would
 * leave nobody to act, and the way back in is the weakest door. The browser is told which ones exist, so that a device does
 * not offer itself twice; that two are really on two devices nobody can see from here.
 */
export const PRIVILEGED_PASSKEYS_MIN = 2;

const PRIVILEGED: ReadonlySet<Role> = new Set(['lead', 'operator']);

/** Roles that invite, change and destroy. */
function isPrivilegedRole(role: Role): boolean {
  return PRIVILEGED.has(role);
}

/** Refuses to let a privileged role approve with fewer passkeys than they must have. Throws `second_passkey_needed`. */
export function requireSecondPasskey(role: Role, passkeys: number): void {
  if (isPrivilegedRole(role) && passkeys < PRIVILEGED_PASSKEYS_MIN)
    throw refuse('second_passkey_needed', `${passkeys} of ${PRIVILEGED_PASSKEYS_MIN} passkeys`);
}

/** Refuses to raise somebody who has fewer passkeys than the role demands. Throws `role_needs_second_passkey`. */
export function requirePasskeysFor(role: Role, passkeys: number): void {
  if (isPrivilegedRole(role) && passkeys < PRIVILEGED_PASSKEYS_MIN)
    throw refuse('role_needs_second_passkey', `${passkeys} of ${PRIVILEGED_PASSKEYS_MIN} passkeys`);
}
