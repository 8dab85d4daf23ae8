import {
  browserSupportsWebAuthn,
  startAuthentication,
  startRegistration,
  WebAuthnError,
} from '@simplewebauthn/browser';
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/browser';

export type PasskeyObstacle = 'insecure' | 'unsupported' | null;

/**
 * Why passkeys cannot work on this page, before anybody presses a button. Browsers refuse them on a page with a
 * certificate error too, but say so only when asked: see `passkeyFailure`.
 */
export function passkeyObstacle(): PasskeyObstacle {
  if (!window.isSecureContext) return 'insecure';
  return browserSupportsWebAuthn() ? null : 'unsupported';
}

/** Asks the authenticator for an assertion. */
export function assertPasskey(options: unknown): Promise<AuthenticationResponseJSON> {
  return startAuthentication({ optionsJSON: options as Parameters<typeof startAuthentication>[0]['optionsJSON'] });
}

/** Asks the authenticator for a new passkey. */
export function createPasskey(options: unknown): Promise<RegistrationResponseJSON> {
  return startRegistration({ optionsJSON: options as Parameters<typeof startRegistration>[0]['optionsJSON'] });
}

export interface PasskeyFailure {
  readonly title: string;
  readonly next: string;
  /** The person closed the dialog: nothing went wrong. */
  readonly cancelled: boolean;
}

/** What went wrong at the authenticator, in plain words; null when the error is not of the authenticator. */
export function passkeyFailure(error: unknown): PasskeyFailure | null {
  if (!(error instanceof Error)) return null;
  const cause = error instanceof WebAuthnError && error.cause instanceof Error ? error.cause : error;
  switch (cause.name) {
    case 'NotAllowedError':
      if (/TLS|certificate/i.test(cause.message))
        return {
          cancelled: false,
          title: 'The browser refuses passkeys on a page with a certificate warning',
          next: 'Use the try-out address on http://localhost, or let this machine trust the certificate with `auditrax trust`.',
        };
      return {
        cancelled: true,
        title: 'No passkey was used',
        next: 'The dialog was closed or timed out. Nothing was changed; try again when your device is at hand.',
      };
    case 'InvalidStateError':
      return {
        cancelled: false,
        title: 'This device already holds a passkey for you',
        next: 'Use another device or security key for the second one.',
      };
    case 'SecurityError':
      return {
        cancelled: false,
        title: 'The browser refuses passkeys at this address',
        next: 'Open the app under the address printed at start; an IP address or another name cannot carry a passkey.',
      };
    case 'NotSupportedError':
      return {
        cancelled: false,
        title: 'This device cannot make the kind of passkey that is needed',
        next: 'Use a phone, a security key or a laptop with a screen lock.',
      };
    case 'AbortError':
      return { cancelled: true, title: 'The request was stopped', next: 'Try again.' };
    default:
      return null;
  }
}

/** The header value of a step-up: base64url of `{challengeId, assertion}`. */
export function stepUpHeader(challengeId: string, assertion: AuthenticationResponseJSON): string {
  const bytes = new TextEncoder().encode(JSON.stringify({ challengeId, assertion }));
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
