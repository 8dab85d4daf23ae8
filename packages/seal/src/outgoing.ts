export * from './guard/outgoing.ts';
