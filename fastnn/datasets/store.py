"""Where data sets are found, and how they get into the cache: whole and checked, or not at all."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .. import files

TIMEOUT = 20.0  # seconds without a byte before a download is given up
CHUNK = 1 << 18


class DatasetNotFound(FileNotFoundError):
    """A data set is nowhere on this machine and could not be downloaded."""


@dataclass(frozen=True)
class Part:
    """One gzipped file of a data set.

    The sum is that of the unpacked bytes: distributions compress them anew, and their content is what counts.
    """

    name: str
    size: int  # bytes, unpacked
    sha256: str

    def unpack(self, f: BinaryIO) -> np.ndarray:
        """The unpacked bytes of gzipped `f`, or ValueError when they are not exactly the right ones."""
        data, filled = np.empty(self.size, np.uint8), 0
        try:
            with gzip.GzipFile(fileobj=f) as packed:
                while filled < self.size and (n := packed.readinto(memoryview(data)[filled:])):
                    filled += n
                longer = packed.read(1)  # reads the trailer too, with gzip's own check
        except (EOFError, zlib.error, gzip.BadGzipFile) as e:
            raise ValueError(f"it is not a whole gzip file ({e})") from None
        if filled < self.size or longer:
            raise ValueError(f"it does not unpack to {self.size} bytes")
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise ValueError("its SHA-256 is not that of the data set")
        return data


def folders(dataset: str) -> list[Path]:
    """Where the files of a data set may be, in the order in which they are looked for."""
    own = os.environ.get("FASTNN_DATA")
    return [
        *([Path(own), Path(own, dataset)] if own else []),
        Path("/usr/share/datasets", dataset),  # Debian's packages dataset-*
        files.cache_folder(dataset),
    ]


def load(dataset: str, parts: tuple[Part, ...], url: str) -> list[np.ndarray]:
    """The unpacked bytes of all parts, each from the first place that has it right, else from `url`.

    Raises
    ------
    DatasetNotFound : a part is nowhere; the message says where it was looked for and what to do.
    """
    return [_load(dataset, part, url) for part in parts]


def _load(dataset: str, part: Part, url: str) -> np.ndarray:
    tried = []
    for folder in folders(dataset):
        try:
            with open(folder / part.name, "rb") as f:
                return part.unpack(f)
        except (FileNotFoundError, NotADirectoryError):
            tried.append(f"{folder} (not there)")
        except (OSError, ValueError) as e:
            tried.append(f"{folder} ({e})")
    address = url + part.name
    try:
        packed = download(address, limit=2 * part.size + 1000)
        data = part.unpack(io.BytesIO(packed))
    except (OSError, ValueError) as e:
        raise DatasetNotFound(
            f"{part.name} of the data set {dataset} was not found in {', '.join(tried)}, and could not be downloaded "
            f"from {address} ({e}): install Debian's package dataset-{dataset}, or put the data set's .gz files "
            "into a folder and set FASTNN_DATA to it."
        ) from e
    _keep(files.cache_folder(dataset) / part.name, packed)
    return data


def _keep(path: Path, packed: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.replace(str(path), [packed])
    except OSError as e:
        warnings.warn(f"The download works but could not be kept for the next time: {e}.", stacklevel=5)


def download(address: str, limit: int) -> bytes:
    """What stands at an address, at most `limit` bytes; OSError or ValueError in a sentence."""
    # Imported here, for few need it and `import fastnn` should be quick.
    import http.client
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:
            return _receive(answer, address.rsplit("/", 1)[-1], limit)
    except urllib.error.HTTPError as e:
        e.close()  # it holds the connection
        raise
    except http.client.HTTPException as e:
        raise ValueError(f"the answer is not whole HTTP: {e!r}") from None


def _receive(answer: Any, name: str, limit: int) -> bytes:
    from tqdm import tqdm

    text = answer.headers.get("Content-Length", "")
    total = int(text) if text.isdecimal() else None
    got = bytearray()
    with tqdm(total=total, desc=name, unit="B", unit_scale=True, disable=None, leave=False) as bar:
        while chunk := answer.read(CHUNK):
            got += chunk
            bar.update(len(chunk))
            if len(got) > limit:
                raise ValueError(f"it is longer than {limit} bytes")
    if total is not None and len(got) != total:
        raise ValueError(f"it broke off after {len(got)} of {total} bytes")
    return bytes(got)
