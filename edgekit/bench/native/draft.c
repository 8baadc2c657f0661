#include "draft.h"

#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_FILES = 2 }; /* the embeddings and the result */

static const char *written[MOST_FILES];

void discard_drafts(void) {
    for (size_t i = 0; i < MOST_FILES; i++) {
        if (written[i] != NULL) unlink(written[i]);
    }
}

static void rename_written(const char *from, const char *to) {
    for (size_t i = 0; i < MOST_FILES; i++) {
        if (written[i] == from) {
            written[i] = to;
            return;
        }
    }
}

static _Noreturn void fail_place(const char *option, const char *path, const char *reason) {
    fail(EXIT_BAD_INPUT, "--%s %.200s: cannot be written (%s): give a file in an existing folder with space and rights",
         option, path, reason);
}

void check_place(const char *option, const char *path) {
    struct stat about;
    char *folder = strdup(path);
    if (folder == NULL) fail_place(option, path, strerror(ENOMEM));
    char *slash = strrchr(folder, '/');
    if (slash != NULL) slash[slash == folder ? 1 : 0] = '\0';
    if (access(slash == NULL ? "." : folder, W_OK | X_OK) != 0) fail_place(option, path, strerror(errno));
    free(folder);
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode)) {
        fail_place(option, path, "it is there and not a regular file");
    }
    if (path[strlen(path) - 1] == '/') fail_place(option, path, "it names a folder");
}

Draft open_draft(const char *option, const char *path) {
    Draft draft = {option, path, NULL, NULL};
    const size_t room = strlen(path) + 32;
    draft.partial = malloc(room);
    if (draft.partial == NULL) fail_place(option, path, strerror(ENOMEM));
    snprintf(draft.partial, room, "%s.%ld.partial", path, (long)getpid());
    int descriptor = open(draft.partial, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (descriptor < 0) fail_place(option, path, strerror(errno));
    rename_written(NULL, draft.partial);
    draft.file = fdopen(descriptor, "w");
    if (draft.file == NULL) fail_place(option, path, strerror(errno));
    return draft;
}

void write_draft(Draft *draft, const void *content, size_t bytes) {
    if (fwrite(content, 1, bytes, draft->file) != bytes) fail_place(draft->option, draft->path, strerror(errno));
}

void publish_draft(Draft *draft) {
    if (fflush(draft->file) != 0 || ferror(draft->file) || fsync(fileno(draft->file)) != 0 || fclose(draft->file) != 0 ||
        rename(draft->partial, draft->path) != 0) {
        fail_place(draft->option, draft->path, strerror(errno));
    }
    rename_written(draft->partial, draft->path);
    free(draft->partial);
}
