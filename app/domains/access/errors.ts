/** Errors of the room. */
export type AccessCode =
  | 'member_limit_reached'
  | 'role_not_assignable'
  | 'own_membership'
  | 'member_suspended'
  | 'member_not_suspended'
  | 'member_active'
  | 'directory_says_left'
  | 'erasure_name_differs'
  | 'step_up_not_offered'
  | 'no_passkey_for_step_up'
  | 'second_passkey_needed'
  | 'recovery_refused'
  | 'recovery_open'
  | 'recovery_not_due'
  | 'role_needs_second_passkey';

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<AccessCode, { status: number; title: string }>> = {
  member_limit_reached: { status: 409, title: 'No more people can be invited' },
  role_not_assignable: { status: 400, title: 'This role does not exist here' },
  own_membership: { status: 409, title: 'You cannot change your own membership' },
  member_suspended: { status: 409, title: 'This person is suspended' },
  member_not_suspended: { status: 409, title: 'Suspend this person first' },
  member_active: { status: 409, title: 'This person is not suspended' },
  directory_says_left: {
    status: 409,
    title:
      'A directory still says that this person has left: have them active there, or end its token or switch its connection off, and try again',
  },
  erasure_name_differs: { status: 409, title: 'The name does not match' },
  step_up_not_offered: { status: 403, title: 'Your role does not include this' },
  recovery_refused: { status: 409, title: 'This recovery cannot be opened or changed any more' },
  recovery_open: { status: 409, title: 'A recovery of this person is open already' },
  recovery_not_due: { status: 409, title: 'This recovery takes effect later' },
  second_passkey_needed: {
    status: 409,
    title: 'Add a second passkey first: whoever leads or operates needs two before they approve anything',
  },
  role_needs_second_passkey: {
    status: 409,
    title: 'This person needs two passkeys before they can have this role',
  },
  no_passkey_for_step_up: {
    status: 409,
    title:
      'This needs a passkey, and single sign-on alone is none: make one under “Your passkeys”, or by an enrolment link',
  },
};
