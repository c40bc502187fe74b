"""Numbers as people read them."""

from __future__ import annotations


def digits(x: float) -> str:
    """Three digits are enough, and a thousandth is.

    Examples
    --------
    >>> digits(1234.5), digits(0.0123), digits(1e-9), digits(0)
    ('1234', '0.012', '<0.001', '0')
    """
    if 0 < x < 0.001:
        return "<0.001"
    return f"{x:.0f}" if x >= 100 or x == 0 else f"{x:.1f}" if x >= 10 else f"{x:.2f}" if x >= 1 else f"{x:.3f}"


def duration(seconds: float | None) -> str:
    """Seconds with the unit that suits them; nothing for None.

    Examples
    --------
    >>> duration(2.5e-7), duration(0.0041), duration(75.0), duration(None)
    ('0.250 us', '4.10 ms', '75.00 s', '')
    """
    if seconds is None:
        return ""
    if seconds < 1e-3:
        return f"{digits(seconds * 1e6)} us"
    return f"{digits(seconds * 1e3)} ms" if seconds < 1 else f"{seconds:.2f} s"


def size(nbytes: float) -> str:
    """Bytes with the unit that suits them.

    Examples
    --------
    >>> size(2048), size(3 << 20), size(5 << 30)
    ('2.00 KiB', '3.00 MiB', '5.00 GiB')
    """
    if nbytes < 2**20:
        return f"{digits(nbytes / 1024)} KiB"
    return f"{digits(nbytes / 2**20)} MiB" if nbytes < 2**30 else f"{digits(nbytes / 2**30)} GiB"


def plural(n: int, what: str) -> str:
    """How many of what.

    Examples
    --------
    >>> plural(1, "call"), plural(2, "call")
    ('1 call', '2 calls')
    """
    return f"{n} {what}{'' if n == 1 else 's'}"


def percent(share: float) -> str:
    """A share of one.

    Examples
    --------
    >>> percent(0.256)
    '26%'
    """
    return f"{100 * share:.0f}%"
