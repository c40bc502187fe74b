"""The compiled part of fastnn; everything else about the package stands in pyproject.toml.

FASTNN_NO_EXTENSIONS=1 builds the package without it (it then runs on its NumPy meaning).
FASTNN_SANITIZE=1 builds with AddressSanitizer and UBSan, and C assertions.
"""

import os
import sys
from glob import glob

from setuptools import Extension, setup

SANITIZE = bool(os.environ.get("FASTNN_SANITIZE"))
WINDOWS = sys.platform == "win32"
# -ffp-contract=off: a product and a sum become one FMA only where the source says so, or the bits
# would depend on the compiler and on the CPU path.
FLAGS = [
    "-O3",
    "-std=gnu11",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
    "-Wall",
    "-Wno-psabi",
    "-Wno-unused-function",
]
# Symbols that only a debugger reads are left out; on Windows, GCC's run-time library goes in.
LINK = {"linux": ["-Wl,-s"], "darwin": ["-Wl,-x"], "win32": ["-static", "-s"]}.get(sys.platform, [])
if SANITIZE:
    FLAGS += ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
    LINK = ["-fsanitize=address,undefined"]
else:
    FLAGS += ["-DNDEBUG"]
if not WINDOWS:
    FLAGS.append("-pthread")
    LINK.append("-pthread")

# One module holds the C code (and the table of micro-kernels); the families share it by cimport.
CSRC = sorted(glob("csrc/*.c") + glob("csrc/paths/*.c"))
HEADERS = sorted(glob("csrc/*.h") + glob("csrc/*.inc"))


def module(path: str) -> Extension:
    name = path[: -len(".pyx")].replace("/", ".").replace(os.sep, ".")
    core = name.endswith(".core")
    return Extension(
        name,
        [path, *(CSRC if core else ())],
        include_dirs=["csrc"],
        depends=HEADERS,
        extra_compile_args=FLAGS,
        extra_link_args=LINK,
    )


def extensions() -> list[Extension]:
    if os.environ.get("FASTNN_NO_EXTENSIONS"):
        return []
    from Cython.Build import cythonize

    directives = dict(language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False)
    modules = [module(p) for p in sorted(glob("fastnn/kernels/native/*.pyx"))]
    return cythonize(modules, build_dir="build/cython", compiler_directives=directives, include_path=["."])


# csrc/ needs GCC's vector extensions (GCC or Clang); MSVC has none, so that Windows takes MinGW-w64.
setup(ext_modules=extensions(), options={"build_ext": {"compiler": "mingw32"}} if WINDOWS else {})
