#include "jcs_text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int reserve(pl_output *output, size_t len) {
    if (output->room - output->len >= len) return 1;
    const size_t room = 2 * output->room + len + 256;
    char *const bytes = realloc(output->bytes, room);
    if (!bytes) return 0;
    output->bytes = bytes;
    output->room = room;
    return 1;
}

int pl_put(pl_output *output, const char *bytes, size_t len) {
    if (!reserve(output, len)) return 0;
    memcpy(output->bytes + output->len, bytes, len);
    output->len += len;
    return 1;
}

/* RFC 8785, section 3.2.2.2. */
static int put_escape(pl_output *output, unsigned char c) {
    static const char hex[] = "0123456789abcdef";
    char form[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    switch (c) {
    case '"':
    case '\\': form[1] = (char)c; break;
    case '\b': form[1] = 'b'; break;
    case '\t': form[1] = 't'; break;
    case '\n': form[1] = 'n'; break;
    case '\f': form[1] = 'f'; break;
    case '\r': form[1] = 'r'; break;
    default: return pl_put(output, form, 6);
    }
    return pl_put(output, form, 2);
}

static size_t plain_run(const char *p, size_t len) {
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    size_t i = 0;
    for (; len - i >= 8; i += 8) { /* eight bytes with none below 0x20, no quote, no backslash; see json_scan.c */
        uint64_t v;
        memcpy(&v, p + i, 8);
        const uint64_t quote = v ^ ones * '"', backslash = v ^ ones * '\\';
        if ((((v - ones * 0x20) & ~v) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) & tops) break;
    }
    while (i < len && (unsigned char)p[i] >= 0x20 && p[i] != '"' && p[i] != '\\') i++;
    return i;
}

int pl_put_string(pl_output *output, const char *utf8, size_t len) {
    if (!pl_put(output, "\"", 1)) return 0;
    for (;;) {
        const size_t run = plain_run(utf8, len);
        if (!pl_put(output, utf8, run)) return 0;
        if (run == len) return pl_put(output, "\"", 1);
        if (!put_escape(output, (unsigned char)utf8[run])) return 0;
        utf8 += run + 1;
        len -= run + 1;
    }
}

int pl_put_integer(pl_output *output, long long integer) {
    char form[24];
    return pl_put(output, form, (size_t)snprintf(form, sizeof form, "%lld", integer));
}

/* ECMA-262, Number::toString, from the digits and the exponent of another shortest form. k, n as the standard's. */
int pl_put_number(pl_output *output, const char *shortest) {
    char digits[32], form[48];
    int k = 0, n = 0, zeros = 0, seen_point = 0, len = 0;
    const char *p = shortest;
    if (*p == '-') p++;
    for (; *p && *p != 'e'; p++) {
        if (*p == '.') {
            seen_point = 1;
            continue;
        }
        if (k == 0 && *p == '0') { /* leading zeros only move the point */
            n -= seen_point;
            continue;
        }
        if (k < (int)sizeof digits) digits[k++] = *p;
        n += !seen_point;
    }
    if (*p == 'e') n += atoi(p + 1);
    if (k == 0) return pl_put(output, "0", 1); /* -0 too */
    while (digits[k - 1] == '0') k--;
    if (*shortest == '-') form[len++] = '-';
    if (k <= n && n <= 21) {
        memcpy(form + len, digits, (size_t)k);
        for (len += k, zeros = n - k; zeros > 0; zeros--) form[len++] = '0';
    } else if (0 < n && n <= 21) {
        len += snprintf(form + len, sizeof form - (size_t)len, "%.*s.%.*s", n, digits, k - n, digits + n);
    } else if (-6 < n && n <= 0) {
        len += snprintf(form + len, sizeof form - (size_t)len, "0.%.*s%.*s", -n, "000000", k, digits);
    } else {
        len += snprintf(form + len, sizeof form - (size_t)len, "%c%s%.*s%s%d", digits[0], k > 1 ? "." : "", k - 1,
                        digits + 1, n > 0 ? "e+" : "e-", n > 0 ? n - 1 : 1 - n);
    }
    return pl_put(output, form, (size_t)len);
}

/* UTF-8 sorts by code point; UTF-16 puts U+10000 and up (lead bytes F0 to F4) before U+E000 to U+FFFF (EE, EF). */
static int by_utf16(const void *left, const void *right) {
    const pl_member *const a = left, *const b = right;
    const size_t shared = a->len < b->len ? a->len : b->len;
    for (size_t i = 0; i < shared; i++) {
        const unsigned char x = (unsigned char)a->utf8[i], y = (unsigned char)b->utf8[i];
        if (x == y) continue;
        const int x_astral = x >= 0xF0, y_astral = y >= 0xF0;
        if (x_astral != y_astral && (x_astral ? y : x) >= 0xEE) return x_astral ? -1 : 1;
        return x < y ? -1 : 1;
    }
    return (a->len > b->len) - (a->len < b->len);
}

void pl_sort_members(pl_member *members, size_t count) {
    if (count > 16) {
        qsort(members, count, sizeof *members, by_utf16);
        return;
    }
    for (size_t i = 1; i < count; i++) { /* few, and mostly in order already */
        const pl_member member = members[i];
        size_t j = i;
        for (; j > 0 && by_utf16(&members[j - 1], &member) > 0; j--) members[j] = members[j - 1];
        members[j] = member;
    }
}
