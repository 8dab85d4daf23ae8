export { headerPairs, type WireRequest } from './canonical.ts';
export * from './verify.ts';
