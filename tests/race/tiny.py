"""Sizes for races that are over at once."""

#: a size of each name that entries have
TINY = {
    "n": 300,
    "rows": 30,
    "columns": 20,
    "M": 17,
    "K": 20,
    "N": 30,
    "batch": 2,
    "length": 20,
    "heads": 2,
    "dim": 8,
    "images": 2,
    "height": 5,
    "width": 4,
    "channels": 6,
    "filters": 9,
    "size": 6,
    "B": 9,
    "T": 3,
    "H": 20,
}
