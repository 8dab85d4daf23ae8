import { isSecureAddress } from '@auditrax/base/remote';
import { refusal } from './errors.ts';
import { ISSUER_CHARACTERS_MAX, URL_CHARACTERS_MAX } from './limits.ts';

const invalid = (field: string, detail: string) => refusal('signals_setting_invalid', `${field}: ${detail}`, { field });

/** E1: one https address in one spelling, without query or fragment. */
export function parseIssuer(text: unknown, field: string, isRehearsal: boolean): string {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || typeof text !== 'string' || text.length > ISSUER_CHARACTERS_MAX || /[?#\s]/.test(text))
    throw invalid(field, 'not the address of an issuer');
  if (!isSecureAddress(url, isRehearsal)) throw invalid(field, 'not https');
  // One name, one spelling: `HTTPS://Host:443` would never equal what the transmitter writes.
  if (url.href !== text && url.href !== `${text}/`) throw invalid(field, 'spelling');
  return text;
}

/** E1: an https address without a fragment. */
export function parseAddress(text: unknown, field: string, isRehearsal: boolean): string {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || typeof text !== 'string' || text.length > URL_CHARACTERS_MAX || /[#\s]/.test(text))
    throw invalid(field, 'not an address');
  if (!isSecureAddress(url, isRehearsal)) throw invalid(field, 'not https');
  return text;
}
