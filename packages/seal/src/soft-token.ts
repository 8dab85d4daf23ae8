export * from './providers/pkcs11/soft-token.ts';
