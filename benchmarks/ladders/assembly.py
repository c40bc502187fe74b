"""The inner loop that the reader's compiler made of a C rung, out of objdump."""

from __future__ import annotations

import re
import shutil
import subprocess

from . import build
from .ladder import Rung

INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(.*\S)", re.MULTILINE)
JUMP = re.compile(r"^(?:j\w+|b\.?\w*|cbn?z|tbn?z)\s.*?\b([0-9a-f]+) <")
#: how much a register holds of what a loop is about; scalar floats in vector registers count as nothing
WIDTHS = ((re.compile(r"^\w+s[sd] "), 0), (re.compile("%zmm"), 4), (re.compile("%ymm"), 2),
          (re.compile(r"%xmm|\bv\d+\.|\bq\d+\b"), 1))


def inner_loop(rung: Rung) -> str:
    """The innermost loop of a rung's function whose instructions are the widest on average.

    Raises
    ------
    build.Missing
        The rung is not in C, or there is no compiler or objdump.
    """
    if rung.binary is None:
        raise build.Missing(f"{rung.name} is not in C")
    source, function, flags = rung.binary
    listing = _disassembled(build.shared_object(source, flags), function)
    found = loops(listing)
    if not found:
        return "\n".join(text for _, text in listing)
    return "\n".join(max(found, key=lambda body: (sum(map(_width, body)) / len(body), len(body))))


def _width(instruction: str) -> int:
    return next((width for kind, width in WIDTHS if kind.search(instruction)), 0)


def _disassembled(path, function: str) -> list[tuple[int, str]]:
    """Addresses and instructions of one function."""
    if shutil.which("objdump") is None:
        raise build.Missing("there is no objdump (it comes with binutils)")
    done = subprocess.run(["objdump", "-d", "--no-show-raw-insn", f"--disassemble={function}", str(path)], check=False,
                          capture_output=True, text=True)
    if done.returncode:
        raise build.Missing(f"objdump failed: {done.stderr.strip()}")
    return [(int(at, 16), re.sub(r"\s+#.*", "", text.expandtabs())) for at, text in INSTRUCTION.findall(done.stdout)]


def loops(listing: list[tuple[int, str]]) -> list[list[str]]:
    """The bodies of the innermost loops: from where a jump goes back to, to that jump."""
    places = {at: i for i, (at, _) in enumerate(listing)}
    spans = []
    for i, (at, text) in enumerate(listing):
        jump = JUMP.match(text)
        if jump and int(jump[1], 16) <= at and int(jump[1], 16) in places:
            spans.append((places[int(jump[1], 16)], i))
    inner = [s for s in spans if not any(o != s and s[0] <= o[0] and o[1] <= s[1] for o in spans)]
    return [[text for _, text in listing[a:b + 1]] for a, b in inner]
