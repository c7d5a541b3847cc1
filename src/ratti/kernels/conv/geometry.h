#include "../support/core.h"

/* Sizes of a convolution over (in_h, in_w, in_c); a fully connected layer is a 1x1 convolution over one column. */
typedef struct {
    int32_t in_h, in_w, in_c, out_h, out_w, out_c;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t in_zero;
    ratti_output out;
} ratti_conv;

RATTI_INLINE int32_t ratti_conv_depth(ratti_conv s)
{
    return s.kernel_h * s.kernel_w * s.in_c;
}

/* True where output pixel p reads exactly the channels of input pixel p. */
RATTI_INLINE int32_t ratti_conv_is_pointwise(ratti_conv s)
{
    return s.kernel_h == 1 && s.kernel_w == 1 && s.stride_h == 1 && s.stride_w == 1 && s.in_h == s.out_h &&
           s.in_w == s.out_w;
}
