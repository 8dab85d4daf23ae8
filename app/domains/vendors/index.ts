/** The door of the vendors room. */
export { inForce, vendorFiles } from './public.ts';
export { parseRegistry } from './registry.ts';
export type { VendorRegistry } from './registry.ts';
