/* org.brotli.dec.BrotliInputStream.decode(): one whole Brotli stream, by libbrotlidec. */
#include <brotli/decode.h>
#include <jni.h>
#include <stdlib.h>

enum { MAX_PLAIN_BYTES = 256 * 1024 * 1024 };

JNIEXPORT jbyteArray JNICALL Java_org_brotli_dec_BrotliInputStream_decode(JNIEnv *env, jclass type, jbyteArray data)
{
    (void)type;
    size_t size = (size_t)(*env)->GetArrayLength(env, data);
    jbyte *bytes = (*env)->GetByteArrayElements(env, data, NULL);
    jbyteArray result = NULL;
    /* The size is written nowhere: doubled until it is enough. */
    for (size_t room = 64 * 1024; bytes != NULL && room <= MAX_PLAIN_BYTES; room *= 2) {
        size_t plain_size = room;
        uint8_t *plain = malloc(room);
        if (plain == NULL)
            break;
        const uint8_t *next_in = (const uint8_t *)bytes;
        uint8_t *next_out = plain;
        size_t left_in = size;
        BrotliDecoderState *decoder = BrotliDecoderCreateInstance(NULL, NULL, NULL);
        BrotliDecoderResult done = BROTLI_DECODER_RESULT_ERROR;
        if (decoder != NULL) {
            done = BrotliDecoderDecompressStream(decoder, &left_in, &next_in, &plain_size, &next_out, NULL);
            BrotliDecoderDestroyInstance(decoder);
        }
        if (done == BROTLI_DECODER_RESULT_SUCCESS) {
            jsize written = (jsize)(next_out - plain);
            result = (*env)->NewByteArray(env, written);
            if (result != NULL)
                (*env)->SetByteArrayRegion(env, result, 0, written, (const jbyte *)plain);
        }
        free(plain);
        if (done != BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT)
            break;
    }
    if (bytes != NULL)
        (*env)->ReleaseByteArrayElements(env, data, bytes, JNI_ABORT);
    return result;
}
