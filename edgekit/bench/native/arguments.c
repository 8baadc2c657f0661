/* The command line, and the files that it names. */
#include "draft.h"
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void fail(int code, const char *format, ...) {
    char line[1024];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(line, sizeof line, format, values);
    va_end(values);
    if (length < 0) line[0] = '\0';
    for (char *at = line; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) *at = ' ';
    }
    fprintf(stderr, "edgekit_bench: %s\n", line);
    fflush(stderr);
    discard_drafts();
    /* Not exit(): a runtime that has failed must not get to run its destructors. */
    _exit(code);
}

typedef enum { TEXT, WHOLE, REAL, HEX, LAYOUT, FORMAT, NAME } Kind; /* a NAME may be left out */

typedef struct {
    const char *name, *value_name;
    Kind kind;
    double least, most; /* of a number; `most` is the length of HEX */
    void *into;
    bool given;
} Option;

static const char *const NAME_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
static const char *const LAYOUTS[] = {[NCHW] = "nchw", [NHWC] = "nhwc", [NHWC_U8] = "nhwc_u8"};

static void set_whole(const Option *option, const char *value) {
    size_t digits = strspn(value, "0123456789");
    unsigned long long number = 0;
    if (digits > 0 && digits <= 18 && value[digits] == '\0') {
        number = strtoull(value, NULL, 10);
        if ((double)number >= option->least && (double)number <= option->most) {
            *(size_t *)option->into = (size_t)number;
            return;
        }
    }
    fail(EXIT_BAD_INPUT, "--%s is '%.40s': give a whole number from %.0f to %.0f", option->name, value, option->least,
         option->most);
}

static void set_real(const Option *option, const char *value) {
    size_t length = strspn(value, "0123456789.eE+-");
    if (length > 0 && length <= 40 && value[length] == '\0') { /* neither hexadecimal, nor inf, nor nan */
        char *end = NULL;
        double number = strtod(value, &end);
        if (*end == '\0' && number >= option->least && number <= option->most) {
            *(double *)option->into = number;
            return;
        }
    }
    fail(EXIT_BAD_INPUT, "--%s is '%.40s': give a number from %.0f to %.0f", option->name, value, option->least,
         option->most);
}

static void set_text(const Option *option, const char *value) {
    size_t length = strlen(value);
    if (option->kind == HEX && (length != (size_t)option->most || strspn(value, "0123456789abcdef") != length)) {
        fail(EXIT_BAD_INPUT, "--%s is '%.80s': give %.0f lowercase hexadecimal digits", option->name, value,
             option->most);
    }
    if (length == 0) fail(EXIT_BAD_INPUT, "--%s is empty: give %s", option->name, option->value_name);
    *(const char **)option->into = value;
}

/* Of a file beside --out. */
static void set_name(const Option *option, const char *value) {
    const size_t length = strlen(value);
    if (length == 0 || length > 100 || strspn(value, NAME_CHARACTERS) != length || strchr("._-", value[0]) != NULL) {
        fail(EXIT_BAD_INPUT, "--%s is '%.80s': give a plain file name, like embeddings.bin", option->name, value);
    }
    *(const char **)option->into = value;
}

static void set_layout(const Option *option, const char *value) {
    for (size_t i = 0; i < sizeof LAYOUTS / sizeof *LAYOUTS; i++) {
        if (strcmp(value, LAYOUTS[i]) == 0) {
            *(Layout *)option->into = (Layout)i;
            return;
        }
    }
    fail(EXIT_BAD_INPUT, "--layout is '%.40s': give %s", value, option->value_name);
}

static void set_format(const Option *option, const char *value) {
    for (size_t i = 0; i < RUNTIME_COUNT; i++) {
        if (strcmp(value, RUNTIMES[i]->format) == 0) {
            *(const Runtime **)option->into = RUNTIMES[i];
            return;
        }
    }
    fail(EXIT_BAD_INPUT, "--format is '%.40s': give %s", value, option->value_name);
}

static void set(Option *option, const char *value) {
    if (option->given) fail(EXIT_BAD_INPUT, "--%s is given twice: give it once", option->name);
    option->given = true;
    switch (option->kind) {
    case WHOLE:
        set_whole(option, value);
        return;
    case REAL:
        set_real(option, value);
        return;
    case LAYOUT:
        set_layout(option, value);
        return;
    case FORMAT:
        set_format(option, value);
        return;
    case NAME:
        set_name(option, value);
        return;
    case TEXT:
    case HEX:
        set_text(option, value);
        return;
    }
}

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* Where the embeddings go, which are those of every image. */
static const char *beside_out(const Arguments *parsed) {
    const char *const name = parsed->embeddings;
    const char *const taken[] = {parsed->out, parsed->model, parsed->library, parsed->inputs, parsed->golden};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        if (strcmp(last_part(taken[i]), name) == 0) {
            fail(EXIT_BAD_INPUT, "--embeddings is '%s', as another file is called: give a name of its own", name);
        }
    }
    if (1 + parsed->warmup + parsed->iterations < parsed->count) {
        fail(EXIT_BAD_INPUT, "--iterations is %zu: give %zu, for the embeddings are those of every image",
             parsed->iterations, parsed->count);
    }
    const size_t folder = (size_t)(last_part(parsed->out) - parsed->out);
    char *path = take(folder + strlen(name) + 1);
    memcpy(path, parsed->out, folder);
    memcpy(path + folder, name, strlen(name));
    return path;
}

Arguments parse_arguments(int count, char **values) {
    Arguments parsed;
    memset(&parsed, 0, sizeof parsed);
    Option options[] = {
        {"format", "onnx|litert|executorch", FORMAT, 0, 0, &parsed.runtime, false},
        {"model", "FILE", TEXT, 0, 0, &parsed.model, false},
        {"library", "FILE.so", TEXT, 0, 0, &parsed.library, false},
        {"inputs", "FILE", TEXT, 0, 0, &parsed.inputs, false},
        {"golden", "FILE", TEXT, 0, 0, &parsed.golden, false},
        {"count", "IMAGES", WHOLE, 1, MAX_IMAGES, &parsed.count, false},
        {"height", "PIXELS", WHOLE, 1, MAX_SIDE, &parsed.height, false},
        {"width", "PIXELS", WHOLE, 1, MAX_SIDE, &parsed.width, false},
        {"dim", "VALUES", WHOLE, 1, MAX_DIM, &parsed.dim, false},
        {"layout", "nchw|nhwc|nhwc_u8", LAYOUT, 0, 0, &parsed.layout, false},
        {"warmup", "INFERENCES", WHOLE, 0, MAX_SAMPLES, &parsed.warmup, false},
        {"iterations", "INFERENCES", WHOLE, 1, MAX_SAMPLES, &parsed.iterations, false},
        {"duration", "SECONDS", REAL, 0, MAX_DURATION_S, &parsed.duration, false},
        {"threads", "THREADS", WHOLE, 1, MAX_THREADS, &parsed.threads, false},
        {"min-cosine", "COSINE", REAL, -1, 1, &parsed.min_cosine, false},
        {"run-id", "HEX32", HEX, 0, RUN_ID_DIGITS, &parsed.run_id, false},
        {"model-sha256", "HEX64", HEX, 0, 64, &parsed.model_sha256, false},
        {"out", "FILE.json", TEXT, 0, 0, &parsed.out, false},
        {"embeddings", "NAME", NAME, 0, 0, &parsed.embeddings, false},
    };
    const size_t known = sizeof options / sizeof *options;

    if (count == 2 && strcmp(values[1], "--help") == 0) {
        printf("usage: edgekit_bench");
        for (size_t i = 0; i < known; i++) printf(" --%s %s", options[i].name, options[i].value_name);
        printf("\n");
        exit(fflush(stdout) == 0 ? 0 : EXIT_BAD_INPUT);
    }
    for (int at = 1; at < count; at += 2) {
        Option *found = NULL;
        for (size_t i = 0; i < known; i++) {
            if (strncmp(values[at], "--", 2) == 0 && strcmp(values[at] + 2, options[i].name) == 0) found = &options[i];
        }
        if (found == NULL) fail(EXIT_BAD_INPUT, "unknown argument '%.80s': see edgekit_bench --help", values[at]);
        if (at + 1 == count) fail(EXIT_BAD_INPUT, "--%s has no value: give %s", found->name, found->value_name);
        set(found, values[at + 1]);
    }
    for (size_t i = 0; i < known; i++) {
        if (!options[i].given && options[i].kind != NAME) {
            fail(EXIT_BAD_INPUT, "--%s is missing: give --%s %s", options[i].name, options[i].name,
                 options[i].value_name);
        }
    }
    if (parsed.embeddings != NULL) parsed.embeddings = beside_out(&parsed);
    return parsed;
}

/* a * b, or an end with an error: sizes come from the command line. */
static size_t product(size_t a, size_t b) {
    if (b != 0 && a > (size_t)PTRDIFF_MAX / b) {
        fail(EXIT_BAD_INPUT, "%zu times %zu bytes are more than this machine can address: give fewer or smaller images",
             a, b);
    }
    return a * b;
}

/* Open a file that must have exactly `bytes` bytes. */
static int open_exactly(const char *option, const char *path, size_t bytes, const char *meaning) {
    /* O_NONBLOCK: to open a pipe must not wait for a writer. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) fail(EXIT_BAD_INPUT, "--%s %.200s: %s: push it first", option, path, strerror(errno));
    struct stat about;
    if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) {
        fail(EXIT_BAD_INPUT, "--%s %.200s: not a regular file: give %s", option, path, meaning);
    }
    if (about.st_size < 0 || (uintmax_t)about.st_size != bytes) {
        fail(EXIT_BAD_INPUT, "--%s %.200s: has %jd bytes, %s are %zu: make it again or correct the sizes", option, path,
             (intmax_t)about.st_size, meaning, bytes);
    }
    return file;
}

static void read_part(const char *option, const char *path, int file, size_t from, size_t bytes, void *into) {
    size_t got = 0;
    while (got < bytes) {
        ssize_t now = pread(file, (char *)into + got, bytes - got, (off_t)(from + got));
        if (now < 0 && errno == EINTR) continue;
        if (now <= 0) {
            fail(EXIT_BAD_INPUT, "--%s %.200s: cannot be read (%s): push it again", option, path,
                 now < 0 ? strerror(errno) : "it became shorter");
        }
        got += (size_t)now;
    }
}

void read_image(const Arguments *arguments, const Files *files, size_t image, void *into) {
    read_part("inputs", arguments->inputs, files->images, image * files->image_bytes, files->image_bytes, into);
}

static void check_golden(const Arguments *arguments, const float *golden) {
    for (size_t image = 0; image < arguments->count; image++) {
        bool finite = true, zero = true;
        for (size_t i = 0; i < arguments->dim; i++) {
            float value = golden[image * arguments->dim + i];
            if (!isfinite(value)) finite = false;
            if (value < 0 || value > 0) zero = false;
        }
        if (!finite || zero) {
            fail(EXIT_BAD_INPUT, "--golden %.200s: the embedding of image %zu %s: make the file again",
                 arguments->golden, image, finite ? "is all zeros" : "holds a value that is not finite");
        }
    }
}

Files read_files(const Arguments *arguments) {
    Files files;
    struct stat about;
    if (stat(arguments->model, &about) != 0) {
        fail(EXIT_BAD_INPUT, "--model %.200s: %s: push it first", arguments->model, strerror(errno));
    }
    if (!S_ISREG(about.st_mode) || about.st_size <= 0) {
        fail(EXIT_BAD_INPUT, "--model %.200s: empty or not a regular file: give a %s file", arguments->model,
             arguments->runtime->suffix);
    }
    files.model_bytes = (uint64_t)about.st_size;
    files.image_bytes = product(product(arguments->height, arguments->width), CHANNELS);
    if (arguments->layout != NHWC_U8) product(files.image_bytes, sizeof(float)); /* as the model takes it */
    size_t all_images = product(arguments->count, files.image_bytes);
    size_t all_golden = product(product(arguments->count, arguments->dim), sizeof(float));
    files.images = open_exactly("inputs", arguments->inputs, all_images, "uint8 images [count,height,width,3]");
    int golden = open_exactly("golden", arguments->golden, all_golden, "float32 embeddings [count,dim]");
    files.golden = malloc(all_golden);
    if (files.golden == NULL) {
        fail(EXIT_BAD_INPUT, "--golden %.200s: no memory for %zu bytes: give fewer images", arguments->golden, all_golden);
    }
    read_part("golden", arguments->golden, golden, 0, all_golden, files.golden);
    close(golden);
    check_golden(arguments, files.golden);
    return files;
}
