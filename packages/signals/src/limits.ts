/** Of one event token; JSON of this size is parsed in a millisecond, and an event is a few hundred bytes. */
export const TOKEN_CHARACTERS_MAX = 64 * 1024;
/** Of a transmitter's configuration document. */
export const METADATA_BYTES_MAX = 128 * 1024;
/** Of an answer about a stream: its lists of events are the longest part. */
export const STREAM_BYTES_MAX = 128 * 1024;
/** Of an answer to a poll: {@link POLL_SETS_MAX} tokens of usual size many times over. */
export const POLL_BYTES_MAX = 2 * 1024 * 1024;
/** Of what a receiver says to a push: `err` and a sentence. */
export const PUSH_ANSWER_BYTES_MAX = 16 * 1024;
/** Of what a receiver asks a transmitter: {@link POLL_ACKS_MAX} ids and errors. */
export const REQUEST_CHARACTERS_MAX = 256 * 1024;
/** Nesting of JSON. A complex subject with aliases has five levels. */
export const JSON_DEPTH_MAX = 16;
export const KEY_ID_CHARACTERS_MAX = 256;
/** Clocks of two well-kept machines; NTP keeps them within a second. */
export const CLOCK_SKEW_MS = 60_000;
/** How late an event may come. Longer than a transmitter of ours retries, so that none is refused for our slowness. */
export const SET_AGE_MS_MAX = 7 * 86_400_000;
/** Token ids, transaction ids and states are stored and compared. */
export const ID_CHARACTERS_MAX = 256;
/** A verification's state; the specifications name no bound. */
export const STATE_CHARACTERS_MAX = 1024;
/** One event is usual; more are other names of the same event. */
export const EVENTS_MAX = 8;
export const EVENT_URI_CHARACTERS_MAX = 512;
/** Of one part of a subject. */
export const SUBJECT_CHARACTERS_MAX = 1024;
export const ALIASES_MAX = 16;
export const SUBJECT_MEMBERS_MAX = 16;
export const ISSUER_CHARACTERS_MAX = 1024;
export const URL_CHARACTERS_MAX = 2048;
export const AUDIENCE_CHARACTERS_MAX = 1024;
export const AUTHORIZATION_CHARACTERS_MAX = 4096;
/** Providers whose people one stream may speak of. */
export const SUBJECT_ISSUERS_MAX = 16;
/** Event types of one stream's lists. */
export const EVENT_TYPES_MAX = 256;
export const DESCRIPTION_CHARACTERS_MAX = 512;

/** Tokens asked for and looked at in one poll. */
export const POLL_SETS_MAX = 25;
/** Acknowledgements and errors taken or sent in one poll. */
export const POLL_ACKS_MAX = 1000;
/** Between two polls when nothing waits: revocation within a minute, without standing at the door. */
export const POLL_INTERVAL_MS = 30_000;
export const BACKOFF_MS_MIN = 5_000;
/** Even a transmitter that was away for days is asked again within a quarter of an hour. */
export const BACKOFF_MS_MAX = 15 * 60_000;
/** Of what the other side asks us to wait, so that nobody can silence a stream for good. */
export const RETRY_AFTER_MS_MAX = 3_600_000;

/** Events that wait in one stream; beyond it the receiver is away and the caller has to decide. */
export const OUTBOX_ENTRIES_MAX = 10_000;
/** Of dead letters kept with a stream; the caller takes them out into a store of its own. */
export const DEAD_LETTERS_MAX = 10_000;
/** At the longest back-off these are about two days. */
export const PUSH_ATTEMPTS_MAX = 200;
/** An event that nobody took in three days ends as a dead letter; well within {@link SET_AGE_MS_MAX}. */
export const OUTBOX_AGE_MS_MAX = 3 * 86_400_000;
/** Between two verification events that a receiver asks for. */
export const VERIFICATION_INTERVAL_SECONDS_MIN = 60;
