export { GCM_IV_BYTES } from './providers/pkcs11/messages.ts';
export type * from './providers/pkcs11/messages.ts';
export * from './providers/pkcs11/token.ts';
export * from './providers/pkcs11/provider.ts';
export * from './providers/pkcs11/key-book.ts';
