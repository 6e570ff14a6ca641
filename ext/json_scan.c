#include "json_scan.h"

#include <stdlib.h>
#include <string.h>

/* Digits of an integer and characters of another number: limits.JSON_INTEGER_DIGITS and JSON_NUMBER_CHARS. */
enum { INTEGER_DIGITS = 20, NUMBER_CHARS = 128 };

void pl_scan_start(pl_scan *scan, const uint8_t *data, size_t len) {
    memset(scan, 0, sizeof *scan);
    scan->start = scan->p = data;
    scan->end = data + len;
}

void pl_scan_end(pl_scan *scan) { free(scan->arena); }

int pl_fail(pl_scan *scan, pl_kind kind, const uint8_t *where, const char *what) {
    scan->kind = kind;
    scan->where = where;
    scan->what = what;
    return 0;
}

int pl_scan_word(pl_scan *scan, const char *word, size_t len) {
    if ((size_t)(scan->end - scan->p) < len || memcmp(scan->p, word, len) != 0)
        return pl_fail(scan, PL_SYNTAX, scan->p, "no JSON value begins like this");
    scan->p += len;
    return 1;
}

/* ---- strings --------------------------------------------------------------------------------------------------- */

/* Length of the well-formed UTF-8 sequence at p (Unicode 15, table 3-7), 0 where there is none. */
static size_t utf8_sequence(const uint8_t *p, const uint8_t *end) {
    const size_t left = (size_t)(end - p);
    const uint8_t lead = p[0];
    if (lead < 0xC2 || lead > 0xF4 || left < 2) return 0;
    uint8_t low = 0x80, high = 0xBF;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F; /* surrogates */
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
    if (p[1] < low || p[1] > high) return 0;
    const size_t len = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (left < len) return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    return len;
}

/* Bytes at p that are printable ASCII other than '"' and '\\', eight at a time (the carry-free tests of
 * "Bit Twiddling Hacks", haszero and hasless: exact for the question whether any byte matches). */
static const uint8_t *skip_plain(const uint8_t *p, const uint8_t *end) {
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    while (end - p >= 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        const uint64_t quote = v ^ ones * '"', backslash = v ^ ones * '\\';
        const uint64_t special =
            (v | (v - ones * 0x20) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) & tops;
        if (special) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            return p + (__builtin_ctzll(special) >> 3); /* borrows run upwards: the lowest mark is true */
#else
            break;
#endif
        }
        p += 8;
    }
    while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\') p++;
    return p;
}

static int hex4(const uint8_t *p, const uint8_t *end) {
    int value = 0;
    if (end - p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        const uint8_t c = p[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) return -1;
        value = value << 4 | digit;
    }
    return value;
}

static uint8_t *put_utf8(uint8_t *out, uint32_t c) {
    if (c < 0x80) {
        *out++ = (uint8_t)c;
    } else if (c < 0x800) {
        *out++ = (uint8_t)(0xC0 | c >> 6);
        *out++ = (uint8_t)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *out++ = (uint8_t)(0xE0 | c >> 12);
        *out++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        *out++ = (uint8_t)(0x80 | (c & 0x3F));
    } else {
        *out++ = (uint8_t)(0xF0 | c >> 18);
        *out++ = (uint8_t)(0x80 | (c >> 12 & 0x3F));
        *out++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        *out++ = (uint8_t)(0x80 | (c & 0x3F));
    }
    return out;
}

/* The escape at *at (a backslash): its code point and *at behind it, or -1 after pl_fail. */
static int32_t escape(pl_scan *scan, const uint8_t **at) {
    static const char short_forms[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    const uint8_t *const p = *at, *const end = scan->end;
    if (p + 1 == end) {
        pl_fail(scan, PL_SYNTAX, end, "the string has no end");
        return -1;
    }
    if (p[1] != 'u') {
        for (const char *form = short_forms; *form; form += 2)
            if ((uint8_t)form[0] == p[1]) {
                *at = p + 2;
                return form[1];
            }
        pl_fail(scan, PL_SYNTAX, p, "no such escape");
        return -1;
    }
    const int unit = hex4(p + 2, end);
    if (unit < 0) {
        pl_fail(scan, PL_SYNTAX, p, "\\u is not followed by four hexadecimal digits");
        return -1;
    }
    *at = p + 6;
    if (unit < 0xD800 || unit > 0xDFFF) return unit;
    if (unit < 0xDC00 && end - *at >= 6 && p[6] == '\\' && p[7] == 'u') {
        const int low = hex4(p + 8, end);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            *at = p + 12;
            return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    pl_fail(scan, PL_UTF8, p, "a surrogate without its other half");
    return -1;
}

/* From the first escape at p on: the text is written to the arena. */
static int unescape(pl_scan *scan, pl_text *text, const uint8_t *begin, const uint8_t *p, int ascii) {
    const uint8_t *const end = scan->end;
    if (!scan->arena && !(scan->arena = malloc((size_t)(end - scan->start))))
        return pl_fail(scan, PL_TOO_LARGE, begin, "no memory is left for it");
    uint8_t *const first = scan->arena + scan->arena_used;
    memcpy(first, begin, (size_t)(p - begin));
    uint8_t *out = first + (p - begin);
    for (;;) {
        const uint8_t *const plain = p;
        p = skip_plain(p, end);
        memcpy(out, plain, (size_t)(p - plain));
        out += p - plain;
        if (p == end) return pl_fail(scan, PL_SYNTAX, end, "the string has no end");
        if (*p == '"') break;
        if (*p < 0x20) return pl_fail(scan, PL_SYNTAX, p, "a control character in a string");
        if (*p == '\\') {
            const int32_t c = escape(scan, &p);
            if (c < 0) return 0;
            ascii &= c < 0x80;
            out = put_utf8(out, (uint32_t)c);
            continue;
        }
        const size_t len = utf8_sequence(p, end);
        if (!len) return pl_fail(scan, PL_UTF8, p, "no UTF-8");
        memcpy(out, p, len);
        out += len;
        p += len;
        ascii = 0;
    }
    text->bytes = first;
    text->len = (size_t)(out - first);
    text->ascii = ascii;
    scan->arena_used += text->len;
    scan->p = p + 1;
    return 1;
}

int pl_scan_string(pl_scan *scan, pl_text *text) {
    const uint8_t *const begin = scan->p + 1, *const end = scan->end;
    const uint8_t *p = begin;
    int ascii = 1;
    for (;;) {
        p = skip_plain(p, end);
        if (p == end) return pl_fail(scan, PL_SYNTAX, end, "the string has no end");
        if (*p == '"') break;
        if (*p == '\\') return unescape(scan, text, begin, p, ascii);
        if (*p < 0x20) return pl_fail(scan, PL_SYNTAX, p, "a control character in a string");
        const size_t len = utf8_sequence(p, end);
        if (!len) return pl_fail(scan, PL_UTF8, p, "no UTF-8");
        p += len;
        ascii = 0;
    }
    text->bytes = begin;
    text->len = (size_t)(p - begin);
    text->ascii = ascii;
    scan->p = p + 1;
    return 1;
}

/* ---- names that must not be mistaken for one another ----------------------------------------------------------- */

/* Folds as Go's encoding/json does when it looks for a struct member: ASCII case, U+017F to s, U+212A to k. */
static int folds_to(const pl_text *text, const char *name, size_t len) {
    const uint8_t *p = text->bytes, *const end = p + text->len;
    for (size_t i = 0; i < len; i++) {
        if (p == end) return 0;
        uint8_t c = *p++;
        if (c == 0xC5 && end - p >= 1 && p[0] == 0xBF) {
            c = 's';
            p += 1;
        } else if (c == 0xE2 && end - p >= 2 && p[0] == 0x84 && p[1] == 0xAA) {
            c = 'k';
            p += 2;
        }
        const uint8_t folded = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
        const uint8_t wanted = name[i] >= 'A' && name[i] <= 'Z' ? (uint8_t)(name[i] + 32) : (uint8_t)name[i];
        if (folded != wanted) return 0;
    }
    return p == end;
}

int pl_find_name(const pl_text *text, const pl_name *names, int count) {
    for (int i = 0; i < count; i++)
        if (names[i].len == text->len && memcmp(names[i].name, text->bytes, text->len) == 0) return i;
    for (int i = 0; i < count; i++)
        /* a folded letter is one to three bytes long */
        if (text->len >= names[i].len && text->len <= 3 * names[i].len && folds_to(text, names[i].name, names[i].len))
            return PL_NAME_MISTAKABLE;
    return PL_NAME_UNKNOWN;
}

/* ---- numbers --------------------------------------------------------------------------------------------------- */

static const uint8_t *digits(const uint8_t *p, const uint8_t *end) {
    while (p < end && *p >= '0' && *p <= '9') p++;
    return p;
}

/* RFC 8259, section 6. A number ends where its longest well-formed beginning ends: in "1." that is before the
 * point, which is then no place for one. */
int pl_scan_number(pl_scan *scan, pl_number *number) {
    const uint8_t *const begin = scan->p, *const end = scan->end;
    const uint8_t *const integer = begin + (*begin == '-');
    if (integer == end || *integer < '0' || *integer > '9')
        return pl_fail(scan, PL_SYNTAX, begin, "no JSON value begins like this");
    const uint8_t *p = *integer == '0' ? integer + 1 : digits(integer, end);
    const uint8_t *const integer_end = p;
    if (p < end && *p == '.') {
        const uint8_t *const behind = digits(p + 1, end);
        if (behind > p + 1) p = behind;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        const uint8_t *const sign = p + 1;
        const uint8_t *const first = sign + (sign < end && (*sign == '+' || *sign == '-'));
        const uint8_t *const behind = digits(first, end);
        if (behind > first) p = behind;
    }
    number->is_integer = p == integer_end;
    number->bytes = begin;
    number->len = (size_t)(p - begin);
    if (number->is_integer && p - integer > INTEGER_DIGITS)
        return pl_fail(scan, PL_NUMBER, begin, "an integer of too many digits");
    if (!number->is_integer && p - begin > NUMBER_CHARS)
        return pl_fail(scan, PL_NUMBER, begin, "a number of too many characters");
    scan->p = p;
    return 1;
}
