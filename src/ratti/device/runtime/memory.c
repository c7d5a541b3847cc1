/* memcpy, memmove and memset for firmware that is linked without a C library. */
#include <stddef.h>
#include <stdint.h>

typedef uint32_t __attribute__((may_alias)) word;
struct __attribute__((packed, may_alias)) anywhere {
    uint32_t value;
};

/* From low to high addresses, each word read before any higher one is written: right also where `to` lies below
   `from` and the two overlap. */
static inline void *copy_upward(void *to, const void *from, size_t bytes)
{
    uint8_t *d = to;
    const uint8_t *s = from;
    if ((((uintptr_t)d | (uintptr_t)s) & 3u) == 0) {
        word *dw = to;
        const word *sw = from;
        for (; bytes >= 16; bytes -= 16, dw += 4, sw += 4) {
            word a = sw[0], b = sw[1], c = sw[2], e = sw[3];
            dw[0] = a, dw[1] = b, dw[2] = c, dw[3] = e;
        }
        for (; bytes >= 4; bytes -= 4)
            *dw++ = *sw++;
        d = (uint8_t *)dw;
        s = (const uint8_t *)sw;
    }
#ifdef __ARM_FEATURE_UNALIGNED
    for (; bytes >= 4; bytes -= 4, d += 4, s += 4)
        ((struct anywhere *)d)->value = ((const struct anywhere *)s)->value;
#endif
    while (bytes--)
        *d++ = *s++;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    return copy_upward(to, from, bytes);
}

void *memmove(void *to, const void *from, size_t bytes)
{
    uint8_t *d = to;
    const uint8_t *s = from;
    if ((uintptr_t)d - (uintptr_t)s >= bytes) /* also where `to` lies below `from` */
        return copy_upward(to, from, bytes);
    while (bytes--)
        d[bytes] = s[bytes];
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    uint8_t *d = to;
    const uint32_t fill = 0x01010101u * (uint8_t)value;
    for (; bytes && ((uintptr_t)d & 3u); bytes--)
        *d++ = (uint8_t)value;
    word *w = (word *)d;
    for (; bytes >= 16; bytes -= 16, w += 4)
        w[0] = fill, w[1] = fill, w[2] = fill, w[3] = fill;
    for (; bytes >= 4; bytes -= 4)
        *w++ = fill;
    for (d = (uint8_t *)w; bytes; bytes--)
        *d++ = (uint8_t)value;
    return to;
}

#ifdef __ARM_EABI__
/* The names that the Arm run-time ABI gives them (IHI0043, section 4.3.4). */
#define ALIAS(of) __attribute__((alias(#of)))
void __aeabi_memcpy(void *to, const void *from, size_t bytes) ALIAS(memcpy);
void __aeabi_memcpy4(void *to, const void *from, size_t bytes) ALIAS(memcpy);
void __aeabi_memcpy8(void *to, const void *from, size_t bytes) ALIAS(memcpy);
void __aeabi_memmove(void *to, const void *from, size_t bytes) ALIAS(memmove);
void __aeabi_memmove4(void *to, const void *from, size_t bytes) ALIAS(memmove);
void __aeabi_memmove8(void *to, const void *from, size_t bytes) ALIAS(memmove);

void __aeabi_memset(void *to, size_t bytes, int value) { memset(to, value, bytes); }
void __aeabi_memset4(void *to, size_t bytes, int value) ALIAS(__aeabi_memset);
void __aeabi_memset8(void *to, size_t bytes, int value) ALIAS(__aeabi_memset);

void __aeabi_memclr(void *to, size_t bytes) { memset(to, 0, bytes); }
void __aeabi_memclr4(void *to, size_t bytes) ALIAS(__aeabi_memclr);
void __aeabi_memclr8(void *to, size_t bytes) ALIAS(__aeabi_memclr);
#endif
