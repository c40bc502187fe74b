"""Help with names that nobody knows: the nearest known one, and the sentence that offers it."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name among `known` that looks most like `name`, or None if none comes near.

    Case and underscores do not count, so that ``HeNormal`` and ``he_normal`` are neighbours.

    Examples
    --------
    >>> nearest("he_norml", ["he_normal", "glorot_normal"])
    'he_normal'
    >>> nearest("zzz", ["he_normal"]) is None
    True
    """
    import difflib  # only when somebody has mistyped

    def plain(text: str) -> str:
        return text.lower().replace("_", "")

    known = list(known)
    found = difflib.get_close_matches(plain(str(name)), [plain(candidate) for candidate in known], n=1)
    alike = [candidate for candidate in known if found and plain(candidate) == found[0]]
    return max(alike, key=lambda c: difflib.SequenceMatcher(None, name, c).ratio(), default=None)


def unknown(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """The error to raise for `name`, which should have been one of `known`.

    Examples
    --------
    >>> unknown("initializer", "he_norml", ["he_normal", "zeros"])
    ValueError("Unknown initializer 'he_norml': did you mean 'he_normal'?")
    >>> unknown("mode", "fan", ["min", "max"])
    ValueError("Unknown mode 'fan': known are 'min', 'max'.")
    """
    known = list(known)
    close = nearest(name, known) if isinstance(name, str) else None
    if close is not None:
        return ValueError(f"Unknown {kind} {name!r}: did you mean {close!r}?")
    return ValueError(f"Unknown {kind} {name!r}: known are {', '.join(map(repr, known))}.")


def one_of(kind: str, name: object, known: Iterable[str]) -> str:
    """`name` itself if it is one of `known`; else :func:`unknown` is raised."""
    known = list(known)
    if not isinstance(name, str) or name not in known:
        raise unknown(kind, name, known)
    return name
