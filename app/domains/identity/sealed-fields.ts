/** Numbers of this room's sealed fields; part of what a ciphertext is bound to, so a number is never reused. */
export const sealedFields = {
  'identity.member.label': 2001,
  'identity.invitation.label': 2002,
  'identity.invitation.name': 2003,
} as const;
