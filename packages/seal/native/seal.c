// The native seal engine: XAES-256-GCM records and Cobblestone-256 chunks over the OpenSSL that is inside the Node
// binary. The same bytes as the reference engine (src/engine-reference.ts), only without an object, an allocation and a
// call for each of them. Nothing is linked: N-API and OpenSSL's symbols come from the process that loads this.
//
// What it promises to JavaScript, whatever it is given: it throws, and never reads or writes outside the buffers it was
// handed; a key that was destroyed is refused; plaintext whose tag does not fit is wiped before the call returns.
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// OpenSSL 3, public API only; the types stay opaque. (evp.h, crypto.h)
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_cipher_st EVP_CIPHER;
extern EVP_CIPHER_CTX *EVP_CIPHER_CTX_new(void);
extern void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *ctx);
extern int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr);
extern int EVP_CIPHER_CTX_set_padding(EVP_CIPHER_CTX *ctx, int padding);
extern int EVP_CipherInit_ex(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *type, void *engine, const unsigned char *key,
                             const unsigned char *iv, int encrypt);
extern int EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *out_length, const unsigned char *in,
                            int in_length);
extern int EVP_CipherFinal_ex(EVP_CIPHER_CTX *ctx, unsigned char *out, int *out_length);
extern const EVP_CIPHER *EVP_aes_256_gcm(void);
extern const EVP_CIPHER *EVP_aes_256_ecb(void);
extern void OPENSSL_cleanse(void *ptr, size_t length);
enum { CTRL_GET_TAG = 0x10, CTRL_SET_TAG = 0x11 };

// Raised with every change of what JavaScript may call: an older build is then not used.
enum { ABI = 1 };
enum { KEY = 32, NONCE = 12, TAG = 16, BLOCK = 16, XAES_NONCE = 24, CHUNK = 16 * 1024, SEALED_CHUNK = CHUNK + TAG };
// One call does at most 1 MiB of chunks: the event loop waits no longer than that takes.
enum { CHUNKS_MAX = 64 };
// The counter in a chunk's nonce; the specification's bound.
static const int64_t CHUNK_COUNT_MAX = INT64_C(1) << 38;
// A handle is `generation * SLOTS_MAX + index`, exact in a double. A slot's generation never comes back.
enum { SLOTS_MAX = 1 << 20 };
static const uint32_t GENERATION_MAX = UINT32_C(0xffffffff);
// Entries of the table that describes a record.
enum { AAD_AT, AAD_LENGTH, IN_AT, IN_LENGTH, OUT_AT, TABLE_WIDTH };

typedef enum { FREE, XAES, SEALING, OPENING } Kind;

typedef struct {
  uint32_t generation;
  Kind kind;
  EVP_CIPHER_CTX *gcm;
  EVP_CIPHER_CTX *blocks;   // XAES: AES-256-ECB under the key, for the CMAC derivation
  uint8_t subkey[BLOCK];    // XAES: CMAC's K1
  uint8_t base_nonce[NONCE];  // chunks
} Slot;

// One for each environment (the main thread, every worker): handles of one mean nothing in another.
typedef struct {
  Slot *slots;
  uint32_t capacity;
  uint32_t used;
  uint32_t *vacant;
  uint32_t vacant_count;
} Keys;

typedef struct {
  uint8_t *at;
  size_t length;
} Bytes;

static napi_value fail(napi_env env, const char *code, const char *message) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_error(env, code, message);
  return NULL;
}

static napi_value refuse_arguments(napi_env env) {
  return fail(env, "SEAL_ARGUMENTS", "an argument has the wrong type or is out of bounds");
}

static napi_value number(napi_env env, double value) {
  napi_value result = NULL;
  napi_create_double(env, value, &result);
  return result;
}

static bool read_bytes(napi_env env, napi_value value, Bytes *bytes) {
  napi_typedarray_type type;
  void *at = NULL;
  if (napi_get_typedarray_info(env, value, &type, &bytes->length, &at, NULL, NULL) != napi_ok) return false;
  bytes->at = at;
  return type == napi_uint8_array && (at != NULL || bytes->length == 0);
}

static bool read_arguments(napi_env env, napi_callback_info info, napi_value *values, size_t wanted) {
  size_t count = wanted;
  return napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == wanted;
}

// True when `length` bytes from `at` lie within `bytes`; cannot overflow.
static bool within(const Bytes *bytes, size_t at, size_t length) {
  return at <= bytes->length && length <= bytes->length - at;
}

// Overlapping by a part is refused; the very same place is fine for GCM.
static bool overlap(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length) {
  if (a_length == 0 || b_length == 0 || (a == b && a_length == b_length)) return false;
  return (uintptr_t)a < (uintptr_t)b + b_length && (uintptr_t)b < (uintptr_t)a + a_length;
}

static void wipe_slot(Slot *slot) {
  // Freeing a context wipes its key schedule first (EVP_CIPHER_CTX_reset).
  EVP_CIPHER_CTX_free(slot->gcm);
  EVP_CIPHER_CTX_free(slot->blocks);
  slot->gcm = slot->blocks = NULL;
  OPENSSL_cleanse(slot->subkey, sizeof slot->subkey);
  OPENSSL_cleanse(slot->base_nonce, sizeof slot->base_nonce);
  slot->kind = FREE;
}

static void free_keys(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  Keys *keys = data;
  for (uint32_t i = 0; i < keys->used; i += 1) wipe_slot(&keys->slots[i]);
  free(keys->slots);
  free(keys->vacant);
  free(keys);
}

static Keys *keys_of(napi_env env) {
  void *data = NULL;
  return napi_get_instance_data(env, &data) == napi_ok ? data : NULL;
}

static Slot *slot_of(napi_env env, napi_value handle) {
  double value = 0;
  Keys *keys = keys_of(env);
  if (keys == NULL || napi_get_value_double(env, handle, &value) != napi_ok) return NULL;
  if (!(value >= 0 && value < (double)SLOTS_MAX * ((double)GENERATION_MAX + 1))) return NULL;
  uint64_t whole = (uint64_t)value;
  uint32_t index = (uint32_t)(whole % SLOTS_MAX);
  if ((double)whole != value || index >= keys->used) return NULL;
  Slot *slot = &keys->slots[index];
  return slot->kind != FREE && slot->generation == whole / SLOTS_MAX ? slot : NULL;
}

static bool grow(Keys *keys) {
  if (keys->used < keys->capacity) return true;
  uint32_t capacity = keys->capacity == 0 ? 64 : keys->capacity * 2;
  if (capacity > SLOTS_MAX) return false;
  // Not realloc: it may leave a copy of subkeys in memory that nobody wipes.
  Slot *slots = calloc(capacity, sizeof *slots);
  uint32_t *vacant = calloc(capacity, sizeof *vacant);
  if (slots == NULL || vacant == NULL) {
    free(slots);
    free(vacant);
    return false;
  }
  if (keys->used > 0) {
    memcpy(slots, keys->slots, keys->used * sizeof *slots);
    memcpy(vacant, keys->vacant, keys->vacant_count * sizeof *vacant);
    OPENSSL_cleanse(keys->slots, keys->used * sizeof *slots);
  }
  free(keys->slots);
  free(keys->vacant);
  keys->slots = slots;
  keys->vacant = vacant;
  keys->capacity = capacity;
  return true;
}

static void drop_slot(Keys *keys, Slot *slot) {
  wipe_slot(slot);
  // A slot whose generations are used up stays empty for ever.
  if (slot->generation < GENERATION_MAX) keys->vacant[keys->vacant_count++] = (uint32_t)(slot - keys->slots);
}

// A vacant slot with an initialised GCM context under `key` (none for XAES, whose keys are one for each record).
static Slot *take_slot(Keys *keys, Kind kind, const uint8_t *key) {
  if (keys->vacant_count == 0 && !grow(keys)) return NULL;
  uint32_t index = keys->vacant_count > 0 ? keys->vacant[--keys->vacant_count] : keys->used++;
  Slot *slot = &keys->slots[index];
  slot->generation += 1;
  slot->kind = kind;
  slot->gcm = EVP_CIPHER_CTX_new();
  if (slot->gcm != NULL && EVP_CipherInit_ex(slot->gcm, EVP_aes_256_gcm(), NULL, key, NULL, kind != OPENING) == 1)
    return slot;
  drop_slot(keys, slot);
  return NULL;
}

static napi_value handle_of(napi_env env, Keys *keys, Slot *slot) {
  return number(env, (double)slot->generation * SLOTS_MAX + (double)(slot - keys->slots));
}

// xaesKey(key) -> handle. C2SP XAES-256-GCM, steps 1 and 2: L = AES(0), K1 = L << 1 in GF(2^128).
static napi_value xaes_key(napi_env env, napi_callback_info info) {
  napi_value values[1];
  Bytes key;
  Keys *keys = keys_of(env);
  if (keys == NULL || !read_arguments(env, info, values, 1) || !read_bytes(env, values[0], &key) || key.length != KEY)
    return refuse_arguments(env);
  Slot *slot = take_slot(keys, XAES, NULL);
  if (slot == NULL) return fail(env, "SEAL_RESOURCES", "no room for another key");
  uint8_t zero[BLOCK] = {0}, block[BLOCK];
  int length = 0;
  slot->blocks = EVP_CIPHER_CTX_new();
  if (slot->blocks == NULL || EVP_CipherInit_ex(slot->blocks, EVP_aes_256_ecb(), NULL, key.at, NULL, 1) != 1 ||
      EVP_CIPHER_CTX_set_padding(slot->blocks, 0) != 1 ||
      EVP_CipherUpdate(slot->blocks, block, &length, zero, BLOCK) != 1 || length != BLOCK) {
    drop_slot(keys, slot);
    return fail(env, "SEAL_RESOURCES", "the key could not be set up");
  }
  for (int i = 0; i < BLOCK; i += 1)
    slot->subkey[i] = (uint8_t)((block[i] << 1) | (i + 1 < BLOCK ? block[i + 1] >> 7 : 0));
  slot->subkey[BLOCK - 1] ^= (uint8_t)(0x87 & -(block[0] >> 7));  // no branch on a secret
  OPENSSL_cleanse(block, sizeof block);
  return handle_of(env, keys, slot);
}

// messageKey(key, baseNonce, seals) -> handle, for the chunks of one message, in one direction.
static napi_value message_key(napi_env env, napi_callback_info info) {
  napi_value values[3];
  Bytes key, nonce;
  bool seals = false;
  Keys *keys = keys_of(env);
  if (keys == NULL || !read_arguments(env, info, values, 3) || !read_bytes(env, values[0], &key) || key.length != KEY ||
      !read_bytes(env, values[1], &nonce) || nonce.length != NONCE ||
      napi_get_value_bool(env, values[2], &seals) != napi_ok)
    return refuse_arguments(env);
  Slot *slot = take_slot(keys, seals ? SEALING : OPENING, key.at);
  if (slot == NULL) return fail(env, "SEAL_RESOURCES", "no room for another key");
  memcpy(slot->base_nonce, nonce.at, NONCE);
  return handle_of(env, keys, slot);
}

// destroy(handle): wipes the key. Idempotent.
static napi_value destroy(napi_env env, napi_callback_info info) {
  napi_value values[1];
  Keys *keys = keys_of(env);
  if (keys == NULL || !read_arguments(env, info, values, 1)) return refuse_arguments(env);
  Slot *slot = slot_of(env, values[0]);
  if (slot != NULL) drop_slot(keys, slot);
  return NULL;
}

// One GCM message under a context that has its key and nonce. `in` and `out` are the same place or do not overlap.
// Returns 1, or 0 when the tag does not fit (then `out` is wiped).
static int gcm(EVP_CIPHER_CTX *ctx, const Bytes *aad, const Bytes *in, uint8_t *out, uint8_t *tag, bool seals) {
  int length = 0;
  uint8_t none[BLOCK];
  bool ok = aad->length == 0 || EVP_CipherUpdate(ctx, NULL, &length, aad->at, (int)aad->length) == 1;
  ok = ok && (in->length == 0 || (EVP_CipherUpdate(ctx, out, &length, in->at, (int)in->length) == 1 &&
                                  length == (int)in->length));
  if (!seals) ok = ok && EVP_CIPHER_CTX_ctrl(ctx, CTRL_SET_TAG, TAG, tag) == 1;
  ok = ok && EVP_CipherFinal_ex(ctx, none, &length) == 1;
  if (seals) ok = ok && EVP_CIPHER_CTX_ctrl(ctx, CTRL_GET_TAG, TAG, tag) == 1;
  if (!ok && in->length > 0) OPENSSL_cleanse(out, in->length);
  return ok;
}

// The record's own key from the first half of its nonce (SP 800-108 counter mode over CMAC), then the context is ready.
static bool begin_record(Slot *slot, const uint8_t *nonce, bool seals) {
  uint8_t blocks[2 * BLOCK] = {0}, key[KEY];
  int length = 0;
  for (int counter = 1; counter <= 2; counter += 1) {
    uint8_t *block = blocks + (counter - 1) * BLOCK;
    block[1] = (uint8_t)counter;
    block[2] = 'X';
    memcpy(block + 4, nonce, XAES_NONCE - NONCE);
    for (int i = 0; i < BLOCK; i += 1) block[i] ^= slot->subkey[i];
  }
  bool ok = EVP_CipherUpdate(slot->blocks, key, &length, blocks, sizeof blocks) == 1 && length == KEY &&
            EVP_CipherInit_ex(slot->gcm, NULL, NULL, key, nonce + XAES_NONCE - NONCE, seals) == 1;
  OPENSSL_cleanse(key, sizeof key);
  OPENSSL_cleanse(blocks, sizeof blocks);
  return ok;
}

// Sealing: nonce (given) | ciphertext | tag at `out`; opening: the same at `in`, plaintext at `out`. 1 done, 0 tag does
// not fit, -1 out of bounds, -2 OpenSSL refused.
static int record(Slot *slot, const uint32_t *entry, const Bytes *arenas, bool seals) {
  // Read once: who shares the table with another thread cannot change it between check and use.
  const size_t aad_at = entry[AAD_AT], aad_length = entry[AAD_LENGTH], in_at = entry[IN_AT],
               in_length = entry[IN_LENGTH], out_at = entry[OUT_AT];
  const Bytes *in = &arenas[1], *out = &arenas[2];
  const size_t extra = XAES_NONCE + TAG;
  if (aad_length > INT32_MAX || in_length > INT32_MAX || (!seals && in_length < extra)) return -1;
  const size_t out_length = seals ? in_length + extra : in_length - extra;
  if (!within(&arenas[0], aad_at, aad_length) || !within(in, in_at, in_length) || !within(out, out_at, out_length))
    return -1;
  uint8_t *sealed = seals ? out->at + out_at : in->at + in_at;
  const Bytes aad = {arenas[0].at + aad_at, aad_length};
  const Bytes source = {seals ? in->at + in_at : sealed + XAES_NONCE, seals ? in_length : out_length};
  uint8_t *target = seals ? sealed + XAES_NONCE : out->at + out_at;
  if (overlap(source.at, source.length, target, source.length)) return -1;
  if (!begin_record(slot, sealed, seals)) return -2;
  int done = gcm(slot->gcm, &aad, &source, target, sealed + XAES_NONCE + source.length, seals);
  return done == 0 && seals ? -2 : done;
}

// records(handle, seals, count, table, aad, input, output) -> how many were done before the first that does not open.
static napi_value records(napi_env env, napi_callback_info info) {
  napi_value values[7];
  bool seals = false;
  uint32_t count = 0;
  napi_typedarray_type type;
  size_t entries = 0;
  void *table = NULL;
  Bytes arenas[3];
  if (!read_arguments(env, info, values, 7) || napi_get_value_bool(env, values[1], &seals) != napi_ok ||
      napi_get_value_uint32(env, values[2], &count) != napi_ok ||
      napi_get_typedarray_info(env, values[3], &type, &entries, &table, NULL, NULL) != napi_ok ||
      type != napi_uint32_array || count > entries / TABLE_WIDTH)
    return refuse_arguments(env);
  for (int i = 0; i < 3; i += 1)
    if (!read_bytes(env, values[4 + i], &arenas[i])) return refuse_arguments(env);
  Slot *slot = slot_of(env, values[0]);
  if (slot == NULL || slot->kind != XAES) return fail(env, "SEAL_HANDLE", "this key was wiped");
  for (uint32_t i = 0; i < count; i += 1) {
    int done = record(slot, (const uint32_t *)table + (size_t)i * TABLE_WIDTH, arenas, seals);
    if (done == -1) return refuse_arguments(env);
    if (done == -2) return fail(env, "SEAL_OPENSSL", "OpenSSL refused a record");
    if (done == 0) return number(env, i);
  }
  return number(env, count);
}

// One chunk; its nonce is the base nonce with the counter mixed in (C2SP chunked-encryption). 1 done, 0 not authentic.
static int chunk(Slot *slot, int64_t index, const Bytes *in, uint8_t *out, uint8_t *tag) {
  const Bytes no_aad = {NULL, 0};
  const bool seals = slot->kind == SEALING;
  uint8_t nonce[NONCE];
  memcpy(nonce, slot->base_nonce, NONCE);
  for (int i = 0; i < 6; i += 1) nonce[NONCE - 1 - i] ^= (uint8_t)(index >> (8 * i));
  if (EVP_CipherInit_ex(slot->gcm, NULL, NULL, NULL, nonce, seals) != 1) return 0;
  return gcm(slot->gcm, &no_aad, in, out, tag, seals);
}

// chunks(handle, firstIndex, isEnd, input, output) -> how many chunks were done before the first that does not open.
// Whole chunks; with `isEnd` the rest of `input`, shorter than a chunk, is the final one.
static napi_value chunks(napi_env env, napi_callback_info info) {
  napi_value values[5];
  int64_t first = 0;
  bool is_end = false;
  Bytes in, out;
  if (!read_arguments(env, info, values, 5) || napi_get_value_int64(env, values[1], &first) != napi_ok ||
      napi_get_value_bool(env, values[2], &is_end) != napi_ok || !read_bytes(env, values[3], &in) ||
      !read_bytes(env, values[4], &out))
    return refuse_arguments(env);
  Slot *slot = slot_of(env, values[0]);
  if (slot == NULL || (slot->kind != SEALING && slot->kind != OPENING))
    return fail(env, "SEAL_HANDLE", "this key was wiped");
  const bool seals = slot->kind == SEALING;
  const size_t in_size = seals ? CHUNK : SEALED_CHUNK, out_size = seals ? SEALED_CHUNK : CHUNK;
  const size_t full = in.length / in_size, rest = in.length % in_size, count = full + (is_end ? 1 : 0);
  if (count > CHUNKS_MAX || (!is_end && rest != 0) || (is_end && !seals && rest < TAG) || first < 0 ||
      first > CHUNK_COUNT_MAX - (int64_t)count)
    return refuse_arguments(env);
  const size_t rest_out = is_end ? (seals ? rest + TAG : rest - TAG) : 0;
  if (out.length < full * out_size + rest_out || overlap(in.at, in.length, out.at, out.length))
    return refuse_arguments(env);
  for (size_t i = 0; i < count; i += 1) {
    uint8_t *from = in.at + i * in_size, *to = out.at + i * out_size;
    const size_t size = i < full ? CHUNK : (seals ? rest : rest - TAG);
    const Bytes source = {from, size};
    if (!chunk(slot, first + (int64_t)i, &source, to, seals ? to + size : from + size)) {
      if (seals) return fail(env, "SEAL_OPENSSL", "OpenSSL refused a chunk");
      return number(env, (double)i);
    }
  }
  return number(env, (double)count);
}

NAPI_MODULE_INIT() {
  Keys *keys = calloc(1, sizeof *keys);
  if (keys == NULL) return fail(env, "SEAL_RESOURCES", "out of memory");
  if (napi_set_instance_data(env, keys, free_keys, NULL) != napi_ok) {
    free(keys);
    return fail(env, "SEAL_RESOURCES", "the environment takes no data");
  }
  napi_value abi = number(env, ABI);
  const napi_property_descriptor exported[] = {
      {"abi", NULL, NULL, NULL, NULL, abi, napi_enumerable, NULL},
      {"xaesKey", NULL, xaes_key, NULL, NULL, NULL, napi_enumerable, NULL},
      {"messageKey", NULL, message_key, NULL, NULL, NULL, napi_enumerable, NULL},
      {"destroy", NULL, destroy, NULL, NULL, NULL, napi_enumerable, NULL},
      {"records", NULL, records, NULL, NULL, NULL, napi_enumerable, NULL},
      {"chunks", NULL, chunks, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  if (napi_define_properties(env, exports, sizeof exported / sizeof *exported, exported) != napi_ok)
    return fail(env, "SEAL_RESOURCES", "the functions could not be exported");
  return exports;
}
