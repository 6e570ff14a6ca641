/* The parts of RFC 8785 that are loops over bytes: string escapes, the order of names, the form of numbers. */
#ifndef PLIMSOLL_JCS_TEXT_H
#define PLIMSOLL_JCS_TEXT_H

#include <stddef.h>

typedef struct {
    char *bytes;
    size_t len, room;
} pl_output;

/* All return 0 where no memory is left, else 1. */
int pl_put(pl_output *output, const char *bytes, size_t len);
int pl_put_string(pl_output *output, const char *utf8, size_t len); /* with quotes; utf8 is well-formed */
int pl_put_number(pl_output *output, const char *shortest); /* as Python's repr(float) writes a finite one */
int pl_put_integer(pl_output *output, long long integer);

typedef struct {
    const char *utf8;
    size_t len;
    void *value;
} pl_member;

void pl_sort_members(pl_member *members, size_t count); /* by UTF-16 code units of the names */

#endif
