export type { SignedInPerson } from './claims.ts';
export {
  parseOidcConnection,
  type ConnectionOptions,
  type IdTokenAlgorithm,
  type OidcConnection,
  type OidcConnectionInput,
} from './connection.ts';
export { discoverProvider, type OidcProvider } from './discovery.ts';
export { OIDC_CHECKS, type OidcCode } from './errors.ts';
export type { OidcFetch, ReachPorts } from './http.ts';
export { createKeySource, type KeySource } from './keys.ts';
export { endSessionUrl, verifyLogoutToken, type LogoutOrder, type LogoutPorts } from './logout.ts';
export { PROFILES, type ProfileRules, type ProviderProfile } from './profiles.ts';
export { startSignIn, type SignInOptions, type StoredSignIn } from './request.ts';
export { finishSignIn, type SignedIn, type SignInAnswer, type SignInPorts } from './sign-in.ts';
