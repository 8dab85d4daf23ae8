export * from './core.ts';
export * from './prove.ts';
export * from './sign.ts';
export * from './tiles.ts';
export * from './tree.ts';
export * from './verify.ts';
