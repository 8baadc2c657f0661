/* Files that appear under their names only when they are whole. */
#ifndef EDGEKIT_BENCH_DRAFT_H
#define EDGEKIT_BENCH_DRAFT_H

#include <stddef.h>
#include <stdio.h>

typedef struct {
    const char *option, *path; /* which argument named it */
    char *partial;
    FILE *file;
} Draft;

/* Known before a long measurement, not after it. */
void check_place(const char *option, const char *path);

Draft open_draft(const char *option, const char *path);
void write_draft(Draft *draft, const void *content, size_t bytes);
void publish_draft(Draft *draft);

/* Take away what has been written, whole or in part: the process ends with an error. */
void discard_drafts(void);

#endif
