export * from './attempts.ts';
export * from './errors.ts';
export * from './leaf.ts';
export * from './record.ts';
