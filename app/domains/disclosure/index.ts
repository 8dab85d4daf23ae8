/** The door of the disclosure room. */
export { checkPolicy, parsePolicy } from './policy.ts';
export type { DisclosurePolicy } from './policy.ts';
export { disclosureFiles } from './public.ts';
export { securityTxt } from './security-txt.ts';
