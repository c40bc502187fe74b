"""How much fastnn asks for besides time to train: time to import, bytes to install, memory to train.

    python benchmarks/footprint.py [wheel] [--repeats 15] [--json]

Import: what `import fastnn` takes in a fresh interpreter that has imported NumPy already, and NumPy's own import. Size:
of the wheel, and of the installed package. Memory: the highest resident size while the network of `make demo` trains
for an epoch on 60000 images, beyond what the process had with fastnn and the data loaded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from common import Report, parser

import fastnn
from fastnn.race.timing import minimum_and_median

IMPORT = """
import time
start = time.perf_counter()
import numpy
middle = time.perf_counter()
import fastnn
print(middle - start, time.perf_counter() - middle)
"""

# The peak is reset after loading where the system lets us; without it the peak of loading counts too.
TRAIN = """
import json, sys
import numpy as np, fastnn
from fastnn import demo

def kilobytes(name):
    try:
        with open("/proc/self/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith(name + ":"))
    except OSError:
        import resource
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most // 1024 if sys.platform == "darwin" else most

rng = np.random.default_rng(0)
x = rng.integers(0, 256, (60000, 28, 28), dtype=np.uint8)
y = rng.integers(0, 10, 60000, dtype=np.uint8)
try:
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")
except OSError:
    pass
before = kilobytes("VmRSS")
data, held_out = demo.split(x, y)
model = demo.network(x.shape[1:])
model.fit(*data, batch_size=int(sys.argv[1]), epochs=1, validation_data=held_out, verbose=0)
program = model.training_program(*data, int(sys.argv[1]))
print(json.dumps(dict(before=before / 1024, added=(kilobytes("VmHWM") - before) / 1024,
                      weights=sum(w.nbytes for w in model.get_weights()) / 2**20,
                      workspace=program.plan.nbytes / 2**20, data=(x.nbytes + y.nbytes) / 2**20)))
"""


def run(code: str, *arguments: str, **environment: str) -> str:
    return subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True,
                          env=os.environ | environment).stdout


def imports(repeats: int) -> tuple[list[float], list[float]]:
    """Seconds of NumPy's import, and of fastnn's after it; compiled to bytecode before, as installed packages are."""
    with tempfile.TemporaryDirectory() as folder:
        bytecode = dict(PYTHONPYCACHEPREFIX=folder, PYTHONDONTWRITEBYTECODE="")
        run(IMPORT, **bytecode)
        pairs = [tuple(map(float, run(IMPORT, **bytecode).split())) for _ in range(repeats)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def find_wheel() -> Path | None:
    """The newest wheel that make left."""
    here = Path(__file__).resolve().parent.parent
    return max([*here.glob("dist/*.whl"), *here.glob("build/wheel/*.whl")], key=lambda p: p.stat().st_mtime,
               default=None)


def main(argv=None) -> None:
    p = parser(__doc__)
    p.add_argument("wheel", nargs="?", type=Path, help="by default the newest in dist/ and build/wheel/")
    p.add_argument("--repeats", type=int, default=15, help="interpreters started for the import time")
    p.add_argument("--batch", type=int, default=32)
    args = p.parse_args(argv)
    report = Report("footprint", args.json, {"what": "44s", "value": "10.2f", "median": "8.2f", "unit": "4s"})
    numpy, own = imports(args.repeats)
    for what, times in (("import numpy", numpy), ("import fastnn, beyond NumPy", own)):
        best, median = minimum_and_median(times)
        report.add(what=what, value=best * 1e3, median=median * 1e3, unit="ms")
    wheel = args.wheel or find_wheel()
    if wheel:
        report.add(what=f"wheel {wheel.name.partition('-cp')[0]}", value=wheel.stat().st_size / 2**20, unit="MiB")
    else:
        report.say("No wheel was given and there is none in dist/ or build/wheel/ (make build).")
    package = Path(fastnn.__file__).resolve().parent
    files = [f for f in package.rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    report.add(what="package, installed", value=sum(f.stat().st_size for f in files) / 2**20, unit="MiB")
    memory = json.loads(run(TRAIN, str(args.batch)))
    for key, what in (("data", "data: 60000 images of 28x28 bytes"), ("before", "process with fastnn and the data"),
                      ("added", "added at most while training"), ("weights", "of that, the weights"),
                      ("workspace", "of that, the workspace of the training step")):
        report.add(what=what, value=memory[key], unit="MiB")


if __name__ == "__main__":
    main()
