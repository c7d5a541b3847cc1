#include "../../kernels/support/compiler.h"

/* A window of a sensor, as it is. */
typedef struct {
    int32_t samples;
} ratti_signal_sizes;

RATTI_INLINE void ratti_signal(const int16_t *samples, int16_t *values, const ratti_signal_sizes s)
{
    ratti_copy(values, samples, (size_t)s.samples * sizeof(int16_t));
}
