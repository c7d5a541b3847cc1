/* What compilers call differently. */
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define RATTI_INLINE static inline __attribute__((always_inline, unused))
#define RATTI_NOINLINE __attribute__((noinline))
#define ratti_copy __builtin_memcpy /* needs no string.h, which bare-metal compilers may lack */
#define ratti_move __builtin_memmove
#define ratti_fill __builtin_memset
#else
#include <string.h>
#define RATTI_INLINE static inline
#define RATTI_NOINLINE
#define ratti_copy memcpy
#define ratti_move memmove
#define ratti_fill memset
#endif

#if defined(__clang__)
#define RATTI_UNROLL _Pragma("clang loop unroll(full)")
#define RATTI_UNROLL_4 _Pragma("clang loop unroll_count(4)")
#define RATTI_UNROLL_2 _Pragma("clang loop unroll_count(2)")
#define RATTI_ROLLED _Pragma("clang loop unroll(disable)")
#elif defined(__GNUC__)
#define RATTI_UNROLL _Pragma("GCC unroll 32")
#define RATTI_UNROLL_4 _Pragma("GCC unroll 4")
#define RATTI_UNROLL_2 _Pragma("GCC unroll 2")
#define RATTI_ROLLED _Pragma("GCC unroll 1")
#else
#define RATTI_UNROLL
#define RATTI_UNROLL_4
#define RATTI_UNROLL_2
#define RATTI_ROLLED
#endif
