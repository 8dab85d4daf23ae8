/** The door of the disclosure room. */
export { parsePolicy } from './policy.ts';
export type { DisclosurePolicy } from './policy.ts';
export { disclosureFiles } from './public.ts';
