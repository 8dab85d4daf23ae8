// For the bench only: how fast the OpenSSL inside the runtime encrypts when nothing but EVP_EncryptUpdate is called, as
// `openssl speed -evp aes-256-gcm` does with the machine's own, often older, OpenSSL. The limit that no engine over it
// can pass.
#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_cipher_st EVP_CIPHER;
extern EVP_CIPHER_CTX *EVP_CIPHER_CTX_new(void);
extern void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *ctx);
extern int EVP_EncryptInit_ex(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *type, void *engine, const unsigned char *key,
                              const unsigned char *iv);
extern int EVP_EncryptUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *out_length, const unsigned char *in,
                             int in_length);
extern const EVP_CIPHER *EVP_aes_256_gcm(void);

// limit(input, output, times): one message, `input` encrypted into `output` again and again.
static napi_value limit(napi_env env, napi_callback_info info) {
  napi_value values[3];
  size_t count = 3, in_length = 0, out_length = 0;
  void *in = NULL, *out = NULL;
  uint32_t times = 0;
  static const unsigned char key[32] = {1}, iv[12] = {2};
  int written = 0, ok = 0;
  if (napi_get_cb_info(env, info, &count, values, NULL, NULL) != napi_ok || count != 3 ||
      napi_get_buffer_info(env, values[0], &in, &in_length) != napi_ok ||
      napi_get_buffer_info(env, values[1], &out, &out_length) != napi_ok || out_length < in_length ||
      in_length > (1 << 30) || napi_get_value_uint32(env, values[2], &times) != napi_ok) {
    napi_throw_error(env, NULL, "limit(input, output, times)");
    return NULL;
  }
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  if (ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, iv) == 1) {
    ok = 1;
    for (uint32_t i = 0; ok && i < times; i += 1) ok = EVP_EncryptUpdate(ctx, out, &written, in, (int)in_length) == 1;
  }
  EVP_CIPHER_CTX_free(ctx);
  if (!ok) napi_throw_error(env, NULL, "OpenSSL refused");
  return NULL;
}

NAPI_MODULE_INIT() {
  napi_value function = NULL;
  napi_create_function(env, "limit", NAPI_AUTO_LENGTH, limit, NULL, &function);
  napi_set_named_property(env, exports, "limit", function);
  return exports;
}
