export * from './providers/xks/provider.ts';
export * from './providers/xks/source.ts';
