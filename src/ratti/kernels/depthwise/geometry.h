#include "../support/multiply.h"

/* Sizes of a depthwise convolution: `multiplier` output channels for each input channel. */
typedef struct {
    int32_t in_h, in_w, in_c, out_h, out_w, multiplier;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t in_zero;
    ratti_output out;
} ratti_depthwise;
