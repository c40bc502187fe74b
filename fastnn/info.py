"""What ``fastnn info`` prints: the machine, what was measured on it, and what is installed."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from . import __version__, machine
from .kernels import tables
from .program.backend import available, get_backend


def report() -> str:
    """Lines of "name  value"."""
    cpu = machine.cpu_info()
    lines = [("fastnn", __version__), ("Python", platform.python_version()), *_versions(), ("", "")]
    lines += [(name.replace("_", " "), _text(value)) for name, value in cpu.items()]
    native = tables.native_available()
    lines += [("", ""), ("backend", f"{get_backend()} (of {', '.join(available())})")]
    if native:
        measured = machine.ceilings()
        lines += [("", ""), ("measured threads", str(measured.threads)), ("peak", f"{measured.peak:.0f} GFLOP/s")]
        lines += [(f"copy in {measured.names[size]}", f"{speed:.0f} GB/s ({_bytes(size)})")
                  for size, speed in sorted(measured.copy.items())]
        largest = max(measured.copy)
        lines += [("streaming copy", f"{machine.measure_stream(largest):.0f} GB/s ({_bytes(largest)})")]
    return "\n".join(f"{name:<24}{value}".rstrip() for name, value in lines)


def _text(value) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _bytes(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"


def _versions():
    for name in ("numpy", "safetensors", "tqdm", "numba", "matplotlib", "scikit-learn"):
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, "not installed"
