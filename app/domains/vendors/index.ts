/** The door of the vendors room. */
export { inForce, vendorFiles } from './public.ts';
export { checkRegistry, NOTICE_DAYS_MIN, parseRegistry } from './registry.ts';
export type { SubProcessor, VendorRegistry } from './registry.ts';
