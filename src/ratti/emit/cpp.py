"""C++17 over the emitted C: a header with a typed class and constant sizes. No heap, no exceptions, no streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import InputError, UnsupportedError
from ..types import DType
from .c import CSources, Port, port_macro

RESERVED = (
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t class compl const "
    "const_cast constexpr continue decltype default delete do double dynamic_cast else enum explicit export extern "
    "false float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or "
    "or_eq private protected public register reinterpret_cast return short signed sizeof static static_assert "
    "static_cast std struct switch template this thread_local throw true try typedef typeid typename union unsigned "
    "using virtual void volatile wchar_t while xor xor_eq"
)


def emit(sources: CSources, name: str) -> Mapping[str, str]:
    """`<name>.hpp`, which includes the `<name>.h` of `sources`.

    UnsupportedError for inputs and outputs that are not int8, InputError for a name that C++ keeps for itself.
    """
    if name in RESERVED.split():
        raise InputError(f"the name '{name}' means something else to C++; choose another (--name)")
    for port in (*sources.inputs, *sources.outputs):
        if port.type.dtype is not DType.INT8:
            raise UnsupportedError(f"'{port.name}' is {port.type.dtype.value}; the C++ class takes and gives int8")
    inputs, outputs = names("input", sources.inputs), names("output", sources.outputs)
    types = [
        *(_type(name, "INPUT", sources.inputs, k, n) for k, n in enumerate(inputs)),
        *(_type(name, "OUTPUT", sources.outputs, k, n) for k, n in enumerate(outputs)),
    ]
    accessors = [f"    auto {n}() noexcept {{ return {camel(n)}::codes(arena_.data()); }}" for n in inputs]
    accessors += [f"    auto {n}() const noexcept {{ return {camel(n)}::codes(arena_.data()); }}" for n in outputs]
    text = _HEADER.format(
        name=name,
        upper=name.upper(),
        input=inputs[0],
        input_type=camel(inputs[0]),
        output=outputs[0],
        output_type=camel(outputs[0]),
        types="\n".join(types),
        accessors="\n".join(accessors),
    )
    return {f"{name}.hpp": text}


def names(kind: str, ports: Sequence[Port]) -> list[str]:
    """The accessors' names: `input`, or `input_<name>` where there are several."""
    return [kind if len(ports) == 1 else f"{kind}_{port.name}" for port in ports]


def camel(name: str) -> str:
    """The type that belongs to an accessor: its first letter is a capital."""
    return name[0].upper() + name[1:]


def _type(name: str, kind: str, ports: Sequence[Port], k: int, accessor: str) -> str:
    port, macro = ports[k], port_macro(name.upper(), kind, ports, k)
    shape = port.type.shape
    return f"""/* {port.name}: {"x".join(map(str, shape))} */
struct {camel(accessor)} : Tensor<{camel(accessor)}> {{
    static constexpr std::array<std::size_t, {len(shape)}> shape{{{{{", ".join(map(str, shape))}}}}};
    static constexpr std::size_t size = {macro}_BYTES;
    static constexpr std::size_t offset = {macro}_OFFSET;
    static constexpr float scale = {macro}_SCALE;
    static constexpr std::int32_t zero_point = {macro}_ZERO_POINT;
}};
"""


_HEADER = """/* {name}: an int8 network, emitted by ratti: {name}.h and {name}.c as a C++17 class.

       static ratti::{name}::Model model;
       model.{input}()[0] = ratti::{name}::{input_type}::quantize(0.5f);
       model.run();
       float first = ratti::{name}::{output_type}::dequantize(model.{output}()[0]);

   In an arena of yours: {input_type}::codes(arena), run(arena), {output_type}::codes(arena).
   No heap, no exceptions, no virtual functions. */
#ifndef {upper}_HPP
#define {upper}_HPP

#include <array>
#include <cstddef>
#include <cstdint>

#include "{name}.h"

namespace ratti::{name} {{

/* Bytes of memory that run() needs, inputs and outputs included, aligned to 4. */
constexpr std::size_t arena_bytes = {upper}_ARENA_BYTES;

/* The codes of one input or output. (std::span is C++20.) */
template <typename T, std::size_t Size>
class Span {{
public:
    explicit constexpr Span(T *data) noexcept : data_(data) {{}}
    static constexpr std::size_t size() noexcept {{ return Size; }}
    constexpr T *data() const noexcept {{ return data_; }}
    constexpr T &operator[](std::size_t i) const noexcept {{ return data_[i]; }}
    constexpr T *begin() const noexcept {{ return data_; }}
    constexpr T *end() const noexcept {{ return data_ + Size; }}

private:
    T *data_;
}};

/* What inputs and outputs share. real = scale * (code - zero_point) */
template <typename Self>
struct Tensor {{
    /* Its codes in an arena. */
    template <typename T>
    static constexpr auto codes(T *arena) noexcept
    {{
        return Span<T, Self::size>(arena + Self::offset);
    }}

    /* The nearest code, halves away from zero, saturated. */
    static constexpr std::int8_t quantize(float real) noexcept
    {{
        const float scaled = real / Self::scale;
        const float bounded = scaled > -256.0f ? (scaled < 256.0f ? scaled : 256.0f) : -256.0f;
        const std::int32_t whole = static_cast<std::int32_t>(bounded); /* toward zero */
        const float rest = bounded - static_cast<float>(whole);
        const std::int32_t code = whole + (rest >= 0.5f) - (rest <= -0.5f) + Self::zero_point;
        return static_cast<std::int8_t>(code < -128 ? -128 : code > 127 ? 127 : code);
    }}

    static constexpr float dequantize(std::int8_t code) noexcept
    {{
        return static_cast<float>(code - Self::zero_point) * Self::scale;
    }}
}};

{types}
/* One inference in an arena that is free for other use between calls. Overwrites the inputs. */
inline void run(std::int8_t *arena) noexcept
{{
    {name}_run(arena);
}}

/* The network with an arena of its own. */
class Model {{
public:
{accessors}
    void run() noexcept {{ {name}_run(arena_.data()); }}

private:
    alignas(4) std::array<std::int8_t, arena_bytes> arena_{{}};
}};

}} /* namespace ratti::{name} */

#endif
"""
