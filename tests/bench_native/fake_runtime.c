/* A library that answers as an ONNX Runtime of another age would: VERSION_TEXT, and no table. */
#include <stdint.h>
#include <stdlib.h>

typedef struct {
    const void *(*GetApi)(uint32_t version);
    const char *(*GetVersionString)(void);
} Base;

static const void *no_table(uint32_t version) {
    if (version < 17) abort(); /* an old table must not be asked for */
    return NULL;
}

static const char *version_text(void) { return VERSION_TEXT; }

static const Base base = {no_table, version_text};

const Base *OrtGetApiBase(void);
const Base *OrtGetApiBase(void) { return &base; }
