/** Errors of the room. */
export type AccessCode =
  | 'member_limit_reached'
  | 'role_not_assignable'
  | 'own_membership'
  | 'member_suspended'
  | 'step_up_not_offered'
  | 'no_passkey_for_step_up';

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<AccessCode, { status: number; title: string }>> = {
  member_limit_reached: { status: 409, title: 'No more people can be invited' },
  role_not_assignable: { status: 400, title: 'This role does not exist here' },
  own_membership: { status: 409, title: 'You cannot change your own membership' },
  member_suspended: { status: 409, title: 'This person is suspended' },
  step_up_not_offered: { status: 403, title: 'Your role does not include this' },
  no_passkey_for_step_up: {
    status: 409,
    title: 'This needs a passkey: a phone, a security key or this computer with a screen lock',
  },
};
