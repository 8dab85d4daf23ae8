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

  export class Provider {
    constructor(issuer: string, configuration: Readonly<Record<string, unknown>>);
    proxy: boolean;
    readonly Session: new () => SessionOfProvider;
    readonly Grant: new (of: { readonly accountId: string; readonly clientId: string }) => GrantOfProvider;
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
    on(event: string, listener: (...args: readonly unknown[]) => void): this;
  }

  export const errors: Readonly<
    Record<
      'InvalidGrant' | 'InvalidRequestUri' | 'InvalidDpopProof' | 'InvalidTarget',
      new (description?: string) => Error
    >
  >;
}
