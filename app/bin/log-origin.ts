/** Every tenant's log has an origin below this; `<prefix><opaque id>/<generation>`. */
export const LOG_ORIGIN_PREFIX = 'auditrax.local/log/';
