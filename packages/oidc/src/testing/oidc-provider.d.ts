/** The part of `oidc-provider` that this repository uses; the package brings no types. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  interface Stored {
    jti: string;
    readonly request: string;
    readonly isValid: boolean;
    save(seconds?: number): Promise<string>;
  }
  interface SessionOfProvider extends Stored {
    loginAccount(details: { readonly accountId: string }): void;
  }
  interface GrantOfProvider extends Stored {
    addResourceScope(resource: string, scope: string): void;
  }

  /** An access or refresh token; `act` is not kept, unless `extraTokenClaims` says so. */
  export interface ProvidedToken extends Stored {
    readonly clientId: string;
    readonly extra?: Readonly<Record<string, unknown>>;
    act?: object;
    destroy(): Promise<void>;
  }
  /** What a grant of one's own gets of a request at the token endpoint, once its client is authenticated. */
  export interface TokenContext {
    readonly oidc: {
      readonly params: Readonly<Record<string, unknown>>;
      readonly client: { readonly clientId: string };
    };
    get(header: string): string;
    set(header: string, value: string): void;
    body: unknown;
  }

  export class Provider {
    constructor(issuer: string, configuration: Readonly<Record<string, unknown>>);
    proxy: boolean;
    readonly Session: new () => SessionOfProvider;
    readonly Grant: new (of: { readonly accountId: string; readonly clientId: string }) => GrantOfProvider;
    readonly AccessToken: new (of: Readonly<Record<string, unknown>>) => ProvidedToken;
    registerGrantType(name: string, handler: (ctx: TokenContext) => Promise<void>, parameters: readonly string[]): void;
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
    on(event: string, listener: (...args: readonly unknown[]) => void): this;
  }

  export const errors: Readonly<
    Record<
      | 'InvalidGrant'
      | 'InvalidRequest'
      | 'InvalidRequestUri'
      | 'InvalidDpopProof'
      | 'InvalidScope'
      | 'InvalidTarget'
      | 'UseDpopNonce',
      new (description?: string) => Error
    >
  >;
}
