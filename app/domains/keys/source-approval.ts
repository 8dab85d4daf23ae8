import type { OwnKeySource } from './source-contract.ts';

const SECRETS: ReadonlySet<string> = new Set(['secretAccessKey', 'clientKey']);

/**
 * What a passkey approves when a source is registered: everything that is not secret, and SHA-256 (hex) of the secrets,
 * so that nobody can swap them, and they need not be sent a second time. The browser and the service compute the same;
 * it stands apart from the contract, because a schema library in a page would ask for `unsafe-eval`.
 */
export async function sourceApproval(
  source: OwnKeySource,
): Promise<{ source: Record<string, string>; secretsSha256: string }> {
  const members = Object.entries(source).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const secrets = members.filter(([name]) => SECRETS.has(name)).sort(([a], [b]) => (a < b ? -1 : 1));
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(JSON.stringify(secrets)));
  return {
    source: Object.fromEntries(members.filter(([name]) => !SECRETS.has(name))),
    secretsSha256: Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join(''),
  };
}
