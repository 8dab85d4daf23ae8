export * from './config.ts';
export * from './witness.ts';
