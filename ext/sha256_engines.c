/* The engines: SHA-NI and ARMv8 in one to four interleaved streams, and portable C.
 *
 * Each function carries its own target attribute, so one build runs on every CPU of the architecture and
 * pl_engine_at's order plus usable() choose at run time. Plain SHA-NI works on XMM registers in their legacy encoding,
 * which every x86-64 operating system saves; only its AVX-512 twin has to ask what the system saves.
 */
#include "sha256_core.h"

#include <string.h>

/* FIPS 180-4, section 4.2.2 */
static const uint32_t K[64] __attribute__((aligned(64))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
    0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
    0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
    0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2};

#define UNROLL _Pragma("GCC unroll 16")

/* ---- portable ------------------------------------------------------------------------------------------------ */

static inline uint32_t ror(uint32_t x, unsigned n) { return (x >> n) | (x << (32 - n)); }

static inline uint32_t load_be32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static void portable_x1(uint32_t *const states[], const uint8_t *const in[], size_t blocks) {
    uint32_t *const h = states[0];
    for (const uint8_t *p = in[0]; blocks--; p += PL_BLOCK) {
        uint32_t w[16], s[8];
        memcpy(s, h, sizeof s);
        UNROLL for (unsigned i = 0; i < 64; i++) {
            if (i < 16) {
                w[i] = load_be32(p + 4 * i);
            } else {
                const uint32_t x = w[(i + 1) & 15], y = w[(i + 14) & 15];
                w[i & 15] += w[(i + 9) & 15] + (ror(x, 7) ^ ror(x, 18) ^ x >> 3) + (ror(y, 17) ^ ror(y, 19) ^ y >> 10);
            }
            const uint32_t a = s[-i & 7], b = s[(1 - i) & 7], c = s[(2 - i) & 7];
            const uint32_t e = s[(4 - i) & 7], f = s[(5 - i) & 7], g = s[(6 - i) & 7];
            const uint32_t t = s[(7 - i) & 7] + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + (g ^ (e & (f ^ g))) + K[i] +
                               w[i & 15];
            s[(3 - i) & 7] += t;
            s[(7 - i) & 7] = t + (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + ((a & b) | (c & (a | b)));
        }
        for (unsigned i = 0; i < 8; i++) h[i] += s[i];
    }
}

static int always(void) { return 1; }

static const pl_engine portable = {"portable x1", 1, always, {portable_x1, NULL, NULL, NULL}};

/* ---- x86-64: SHA extensions ---------------------------------------------------------------------------------- */
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define LANES(l, n) UNROLL for (int l = 0; l < (n); l++)

/* Register layout (Intel SDM, SHA256RNDS2): one register holds A B E F, the other C D G H. The schedule word
 * groups w[r & 3] are overwritten in place; each round group consumes four words of every lane. */
#define SHANI_KERNEL(NAME, N, TARGET)                                                                                 \
    __attribute__((target(TARGET))) static void NAME##N(uint32_t *const states[], const uint8_t *const in[],          \
                                                        size_t blocks) {                                              \
        const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);                            \
        __m128i abef[N], cdgh[N];                                                                                     \
        const uint8_t *p[N];                                                                                          \
        LANES(l, N) {                                                                                                 \
            const __m128i dcba = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)states[l]), 0xB1);  \
            const __m128i hgfe =                                                                                      \
                _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)(states[l] + 4)), 0x1B);             \
            abef[l] = _mm_alignr_epi8(dcba, hgfe, 8);                                                                 \
            cdgh[l] = _mm_blend_epi16(hgfe, dcba, 0xF0);                                                              \
            p[l] = in[l];                                                                                             \
        }                                                                                                             \
        while (blocks--) {                                                                                            \
            __m128i w[N][4], abef_before[N], cdgh_before[N];                                                          \
            LANES(l, N) {                                                                                             \
                abef_before[l] = abef[l];                                                                             \
                cdgh_before[l] = cdgh[l];                                                                             \
            }                                                                                                         \
            UNROLL for (int r = 0; r < 16; r++) {                                                                     \
                const __m128i k = _mm_load_si128((const __m128i *)(const void *)(K + 4 * r));                         \
                LANES(l, N) {                                                                                         \
                    __m128i *const word = &w[l][r & 3];                                                               \
                    if (r < 4) {                                                                                      \
                        *word = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p[l] + 16 * r)),     \
                                                 big_endian);                                                         \
                    } else {                                                                                          \
                        const __m128i last = w[l][(r + 3) & 3];                                                       \
                        const __m128i nine_back = _mm_alignr_epi8(last, w[l][(r + 2) & 3], 4);                        \
                        *word = _mm_sha256msg2_epu32(                                                                 \
                            _mm_add_epi32(_mm_sha256msg1_epu32(*word, w[l][(r + 1) & 3]), nine_back), last);          \
                    }                                                                                                 \
                    const __m128i wk = _mm_add_epi32(*word, k);                                                       \
                    cdgh[l] = _mm_sha256rnds2_epu32(cdgh[l], abef[l], wk);                                            \
                    abef[l] = _mm_sha256rnds2_epu32(abef[l], cdgh[l], _mm_shuffle_epi32(wk, 0x0E));                   \
                }                                                                                                     \
            }                                                                                                         \
            LANES(l, N) {                                                                                             \
                abef[l] = _mm_add_epi32(abef[l], abef_before[l]);                                                     \
                cdgh[l] = _mm_add_epi32(cdgh[l], cdgh_before[l]);                                                     \
                p[l] += PL_BLOCK;                                                                                     \
            }                                                                                                         \
        }                                                                                                             \
        LANES(l, N) {                                                                                                 \
            const __m128i feba = _mm_shuffle_epi32(abef[l], 0x1B), dchg = _mm_shuffle_epi32(cdgh[l], 0xB1);           \
            _mm_storeu_si128((__m128i *)(void *)states[l], _mm_blend_epi16(feba, dchg, 0xF0));                        \
            _mm_storeu_si128((__m128i *)(void *)(states[l] + 4), _mm_alignr_epi8(dchg, feba, 8));                     \
        }                                                                                                             \
    }

#define SHANI "sha,sse4.1,ssse3"
#define SHANI_AVX512 "sha,avx512f,avx512vl"
SHANI_KERNEL(shani_x, 1, SHANI)
SHANI_KERNEL(shani_x, 2, SHANI)
SHANI_KERNEL(shani_x, 3, SHANI)
SHANI_KERNEL(shani_x, 4, SHANI)
SHANI_KERNEL(shani_avx512_x, 1, SHANI_AVX512)
SHANI_KERNEL(shani_avx512_x, 2, SHANI_AVX512)
SHANI_KERNEL(shani_avx512_x, 3, SHANI_AVX512)
SHANI_KERNEL(shani_avx512_x, 4, SHANI_AVX512)

/* Intel SDM, CPUID: leaf 7 EBX bit 29 SHA; leaf 1 ECX bit 9 SSSE3, bit 19 SSE4.1. */
static int shani_usable(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 9) || !(c & 1u << 19)) return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 29);
}

/* Leaf 1 ECX bit 27 OSXSAVE, then XCR0 bits 1, 2, 5, 6, 7: the operating system saves XMM, YMM, the masks and ZMM;
 * leaf 7 EBX bit 16 AVX512F, bit 31 AVX512VL. */
static int shani_avx512_usable(void) {
    unsigned a, b, c, d, low, high;
    if (!shani_usable() || !__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 27)) return 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 0xE6) != 0xE6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    return (b & 1u << 16) && (b & 1u << 31);
}

/* The same source twice: with AVX-512VL the compiler has 32 registers and three operands, so that four lanes fit
 * without spilling. */
static const pl_engine shani_avx512 = {
    "sha-ni avx512 x4", 4, shani_avx512_usable, {shani_avx512_x1, shani_avx512_x2, shani_avx512_x3, shani_avx512_x4}};
static const pl_engine shani = {"sha-ni x4", 4, shani_usable, {shani_x1, shani_x2, shani_x3, shani_x4}};
#define PL_ACCELERATED &shani_avx512, &shani

/* ---- AArch64: cryptographic extension ------------------------------------------------------------------------ */
#elif defined(__aarch64__) && defined(__ARM_BIG_ENDIAN) == 0
#include <arm_neon.h>
#if defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#if defined(__clang__)
#define PL_ARM_TARGET __attribute__((target("sha2")))
#else
#define PL_ARM_TARGET __attribute__((target("+crypto")))
#endif
#define LANES(l, n) UNROLL for (int l = 0; l < (n); l++)

/* Arm ARM, SHA256H/SHA256H2/SHA256SU0/SHA256SU1: the state is held as A B C D and E F G H. */
#define ARM_KERNEL(N)                                                                                                 \
    PL_ARM_TARGET static void armv8_x##N(uint32_t *const states[], const uint8_t *const in[], size_t blocks) {        \
        uint32x4_t abcd[N], efgh[N];                                                                                  \
        const uint8_t *p[N];                                                                                          \
        LANES(l, N) {                                                                                                 \
            abcd[l] = vld1q_u32(states[l]);                                                                           \
            efgh[l] = vld1q_u32(states[l] + 4);                                                                       \
            p[l] = in[l];                                                                                             \
        }                                                                                                             \
        while (blocks--) {                                                                                            \
            uint32x4_t w[N][4], abcd_before[N], efgh_before[N];                                                       \
            LANES(l, N) {                                                                                             \
                abcd_before[l] = abcd[l];                                                                             \
                efgh_before[l] = efgh[l];                                                                             \
            }                                                                                                         \
            UNROLL for (int r = 0; r < 16; r++) {                                                                     \
                const uint32x4_t k = vld1q_u32(K + 4 * r);                                                            \
                LANES(l, N) {                                                                                         \
                    uint32x4_t *const word = &w[l][r & 3];                                                            \
                    if (r < 4) {                                                                                      \
                        *word = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(p[l] + 16 * r)));                            \
                    } else {                                                                                          \
                        *word = vsha256su1q_u32(vsha256su0q_u32(*word, w[l][(r + 1) & 3]), w[l][(r + 2) & 3],         \
                                                w[l][(r + 3) & 3]);                                                   \
                    }                                                                                                 \
                    const uint32x4_t wk = vaddq_u32(*word, k), abcd_now = abcd[l];                                    \
                    abcd[l] = vsha256hq_u32(abcd_now, efgh[l], wk);                                                   \
                    efgh[l] = vsha256h2q_u32(efgh[l], abcd_now, wk);                                                  \
                }                                                                                                     \
            }                                                                                                         \
            LANES(l, N) {                                                                                             \
                abcd[l] = vaddq_u32(abcd[l], abcd_before[l]);                                                         \
                efgh[l] = vaddq_u32(efgh[l], efgh_before[l]);                                                         \
                p[l] += PL_BLOCK;                                                                                     \
            }                                                                                                         \
        }                                                                                                             \
        LANES(l, N) {                                                                                                 \
            vst1q_u32(states[l], abcd[l]);                                                                            \
            vst1q_u32(states[l] + 4, efgh[l]);                                                                        \
        }                                                                                                             \
    }

ARM_KERNEL(1)
ARM_KERNEL(2)
ARM_KERNEL(3)
ARM_KERNEL(4)

static int armv8_usable(void) {
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & HWCAP_SHA2) != 0;
#elif defined(__APPLE__)
    return 1; /* every Apple silicon core has the extension */
#else
    return 0;
#endif
}

static const pl_engine armv8 = {"armv8 x4", 4, armv8_usable, {armv8_x1, armv8_x2, armv8_x3, armv8_x4}};
#define PL_ACCELERATED &armv8
#endif

const pl_engine *pl_engine_at(size_t position) {
    static const pl_engine *const best_first[] = {
#ifdef PL_ACCELERATED
        PL_ACCELERATED,
#endif
        &portable,
    };
    return position < sizeof best_first / sizeof best_first[0] ? best_first[position] : NULL;
}
