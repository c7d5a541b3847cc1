//! Constants of one output channel.

/// Bias, multiplier, adjust. The bias holds the input's zero point already: bias - zero * sum(weights). What multiplier
/// and adjust mean is said by the `rounding` of the layer's output.
pub struct Channel(pub i32, pub i32, pub i32);
