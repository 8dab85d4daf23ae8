/** RFC 8693 2.1. */
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
/** RFC 8693 3: what is exchanged here, and what it is exchanged for. */
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
