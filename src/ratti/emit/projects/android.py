"""An Android library module: a Kotlin class over JNI, with shared libraries that are already compiled.

The arena is a direct buffer that Kotlin owns, so the native side holds no state and two objects may run at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..c import Port
from ..parts import Parts, Prebuilt

LANGUAGE = "c"
ISA = "neon"
BUILD = (
    'include(":{name}") in settings.gradle.kts, with this folder beside it as {name}/',
    "./gradlew :{name}:assemble",
)
ABIS = ("arm64-v8a", "armeabi-v7a")
_NATIVE = "src/main/cpp"


def files(parts: Parts) -> Mapping[str, str]:
    name, kotlin = parts.name, class_name(parts.name)
    package = package_name(name)
    return {
        "build.gradle.kts": _GRADLE.format(package=package),
        "src/main/AndroidManifest.xml": "<manifest />\n",
        f"src/main/kotlin/{package.replace('.', '/')}/{kotlin}.kt": _kotlin(parts, package, kotlin),
        f"{_NATIVE}/CMakeLists.txt": _LISTS.format(name=name),
        **{f"{_NATIVE}/{file}": text for file, text in _native(parts).items()},
    }


def prebuilt(parts: Parts) -> Sequence[Prebuilt]:
    """`lib<name>.so` for each ABI."""
    return [Prebuilt(f"src/main/jniLibs/{abi}/lib{parts.name}.so", abi, _native(parts)) for abi in ABIS]


def class_name(name: str) -> str:
    """The Kotlin class of a model: no underscores, which JNI would escape."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def package_name(name: str) -> str:
    """Its package."""
    return f"org.ratti.{class_name(name).lower()}"


def _native(parts: Parts) -> dict[str, str]:
    name = parts.name
    prefix = f"Java_{package_name(name).replace('.', '_')}_{class_name(name)}"
    example = {path.removeprefix("/"): text for path, text in parts.example("").items()}
    jni = _JNI.format(name=name, prefix=prefix)
    return {f"{name}.h": parts.header, f"{name}.c": parts.source, f"{name}_jni.c": jni, **example}


def _kotlin(parts: Parts, package: str, kotlin: str) -> str:
    sources = parts.c
    accessors = [_setter(p, len(sources.inputs) == 1) for p in sources.inputs]
    accessors += [_getter(p, len(sources.outputs) == 1) for p in sources.outputs]
    return _CLASS.format(
        package=package, kotlin=kotlin, name=parts.name, arena=sources.arena_bytes, accessors="\n\n".join(accessors)
    )


def _about(port: Port) -> str:
    shape = "x".join(map(str, port.type.shape))
    real = f"; real = {port.type.scale!r} * (code - {port.type.zero_point})" if port.type.quant is not None else ""
    return f"{shape} {port.type.dtype.value}, {port.type.bytes} bytes{real}"


def _setter(port: Port, only: bool) -> str:
    function = "input" if only else f"input_{port.name}"
    return f"""    /** Writes the input '{port.name}': {_about(port)}. */
    fun {function}(codes: ByteArray) {{
        require(codes.size == {port.type.bytes}) {{ "{port.name} takes {port.type.bytes} bytes, not ${{codes.size}}" }}
        (arena.duplicate().position({port.offset_bytes}) as ByteBuffer).put(codes)
    }}"""


def _getter(port: Port, only: bool) -> str:
    function = "output" if only else f"output_{port.name}"
    return f"""    /** The output '{port.name}': {_about(port)}. */
    fun {function}(): ByteArray {{
        val codes = ByteArray({port.type.bytes})
        (arena.duplicate().position({port.offset_bytes}) as ByteBuffer).get(codes)
        return codes
    }}"""


_CLASS = """package {package}

import java.nio.ByteBuffer

/** An int8 network, emitted by ratti. Write the inputs, call [run], read the outputs. One thread an object. */
class {kotlin} {{
    private val arena: ByteBuffer = ByteBuffer.allocateDirect({arena})

{accessors}

    /** One inference. It overwrites the inputs. */
    fun run() = check(run(arena) == 0) {{ "the arena is no direct buffer" }}

    /** Runs a test vector: how many bytes of the outputs differ from what they must be. */
    external fun example(): Int

    private external fun run(arena: ByteBuffer): Int

    companion object {{
        init {{
            System.loadLibrary("{name}")
        }}
    }}
}}
"""

# The indices of the function table are those of the Java Native Interface Specification, chapter 4.
_JNI = """/* What the Kotlin class calls. */
#include "{name}.h"
#include "{name}_example.h"

#if defined(__has_include)
#if __has_include(<jni.h>)
#include <jni.h>
#define RATTI_HAS_JNI
#endif
#endif

#ifdef RATTI_HAS_JNI
#define RATTI_ADDRESS(env, buffer) (*(env))->GetDirectBufferAddress(env, buffer)
#else
/* Without the NDK: the one function that is needed, at its place in the table. */
typedef void *jobject;
typedef int32_t jint;
typedef void *const *JNIEnv;
#define JNIEXPORT __attribute__((visibility("default")))
#define JNICALL
#define RATTI_ADDRESS(env, buffer) ((void *(*)(JNIEnv *, jobject))(*(env))[230])(env, buffer)
#endif

JNIEXPORT jint JNICALL {prefix}_run(JNIEnv *env, jobject self, jobject arena);
JNIEXPORT jint JNICALL {prefix}_run(JNIEnv *env, jobject self, jobject arena)
{{
    int8_t *codes = (int8_t *)RATTI_ADDRESS(env, arena);
    (void)self;
    if (!codes)
        return 1;
    {name}_run(codes);
    return 0;
}}

JNIEXPORT jint JNICALL {prefix}_example(JNIEnv *env, jobject self);
JNIEXPORT jint JNICALL {prefix}_example(JNIEnv *env, jobject self)
{{
    (void)env, (void)self;
    return {name}_example();
}}
"""

_LISTS = """# Builds the same library with the NDK, in place of those in jniLibs.
cmake_minimum_required(VERSION 3.13)
project({name} C)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()
add_library({name} SHARED {name}.c {name}_example.c {name}_jni.c)
target_compile_options({name} PRIVATE -O3)
set_target_properties({name} PROPERTIES C_VISIBILITY_PRESET hidden)
"""

_GRADLE = """plugins {{
    id("com.android.library")
    id("org.jetbrains.kotlin.android")
}}

android {{
    namespace = "{package}"
    compileSdk = 35
    defaultConfig {{ minSdk = 21 }}
    // The libraries in src/main/jniLibs are ready. To compile them yourself, delete that folder and add:
    // externalNativeBuild {{ cmake {{ path = file("src/main/cpp/CMakeLists.txt") }} }}
}}
"""
