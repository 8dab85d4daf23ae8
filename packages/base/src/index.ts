export * from './clock.ts';
export * from './encoding.ts';
export * from './error.ts';
export * from './json.ts';
export * from './random.ts';
export * from './route.ts';
export * from './uuid.ts';
