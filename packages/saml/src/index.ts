export { acceptResponse, type AcceptedResponse, type ResponseInput, type ResponsePorts } from './accept.ts';
export type { Claim, Subject } from './assertion.ts';
export * from './certificate.ts';
export * from './connection.ts';
export { SAML_CHECKS, type SamlCode } from './errors.ts';
export type { SignatureAlgorithm } from './names.ts';
export * from './request.ts';
export * from './idp-metadata.ts';
export * from './sp-metadata.ts';
