/* A strict scanner for JSON (RFC 8259) over bytes: strings with UTF-8 and escapes checked, numbers with their form
 * checked. Nothing here knows Python. ext/_reader.pyx builds values on it; native/_reader_py.py is the specification.
 */
#ifndef PLIMSOLL_JSON_SCAN_H
#define PLIMSOLL_JSON_SCAN_H

#include <stddef.h>
#include <stdint.h>

typedef enum { PL_OK, PL_SYNTAX, PL_UTF8, PL_DUPLICATE, PL_DEPTH, PL_NUMBER, PL_TOO_LARGE } pl_kind;

typedef struct {
    const uint8_t *start, *p, *end;
    /* What is wrong, set once by the function that returns 0. */
    pl_kind kind;
    const char *what;
    const uint8_t *where;
    /* Unescaped text lies here: never longer than the document, so pointers into it stay good. */
    uint8_t *arena;
    size_t arena_used;
} pl_scan;

typedef struct {
    const uint8_t *bytes; /* in the document, or in the arena where there were escapes */
    size_t len;
    int ascii;
} pl_text;

typedef struct {
    const uint8_t *bytes;
    size_t len;
    int is_integer;
} pl_number;

void pl_scan_start(pl_scan *scan, const uint8_t *data, size_t len);
void pl_scan_end(pl_scan *scan);

int pl_fail(pl_scan *scan, pl_kind kind, const uint8_t *where, const char *what); /* returns 0 */
int pl_scan_string(pl_scan *scan, pl_text *text);   /* at the opening quote; 0 after pl_fail */
int pl_scan_number(pl_scan *scan, pl_number *number); /* at '-' or a digit */
int pl_scan_word(pl_scan *scan, const char *word, size_t len);

typedef struct {
    const char *name;
    size_t len;
} pl_name;

/* The position of text among names; UNKNOWN; or MISTAKABLE where only a reader that ignores case would find it. */
enum { PL_NAME_UNKNOWN = -1, PL_NAME_MISTAKABLE = -2 };
int pl_find_name(const pl_text *text, const pl_name *names, int count);

static inline int pl_same_text(const pl_text *a, const pl_text *b) {
    return a->len == b->len && __builtin_memcmp(a->bytes, b->bytes, a->len) == 0;
}

static inline void pl_skip_space(pl_scan *scan) {
    const uint8_t *p = scan->p, *const end = scan->end;
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
    scan->p = p;
}

/* The next byte that is not white space, or -1 at the end; it is not consumed. */
static inline int pl_peek(pl_scan *scan) {
    pl_skip_space(scan);
    return scan->p < scan->end ? *scan->p : -1;
}

#endif
