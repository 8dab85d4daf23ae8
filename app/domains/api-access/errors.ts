export type ApiAccessCode = 'api_keys_full' | 'api_key_name';

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<ApiAccessCode, { status: number; title: string }>> = {
  api_keys_full: { status: 422, title: 'You have as many API keys as a person may have' },
  api_key_name: { status: 422, title: 'The key needs a name' },
};
