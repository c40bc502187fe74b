"""``fastnn race``, as a user runs it."""

import json

import pytest

from fastnn import cli

pytest.importorskip("fastnn.kernels.native.core")
QUICK = ("--seconds", "0", "--backends", "numpy", "native", "--threads", "1")


def test_tables(capsys):
    assert cli.main(["race", "adam", "softmax", "--sizes", "1k", "2k", *QUICK]) == 0
    text = capsys.readouterr().out
    for heading in ("adam, n=1024:", "adam, n=2048:", "softmax, rows=4 columns=256:", "softmax, rows=8 columns=256:"):
        assert heading in text
    assert text.count("Times of native and numba forms") == 1


def test_json(capsys):
    assert cli.main(["race", "activation", "--n", "1k", "--attr", "kind=gelu", "--json", *QUICK]) == 0
    data = json.loads(capsys.readouterr().out)
    assert {row["backend"] for row in data["rows"]} == {"numpy", "native"}
    assert data["rows"][0]["size"] == {"n": 1024}


def test_dimensions(capsys):
    assert cli.main(["race", "dense", "--M", "3", "--K", "4", "--N", "5", *QUICK]) == 0
    assert "dense, M=3 K=4 N=5" in capsys.readouterr().out


def test_picture(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert cli.main(["race", "exp", "--n", "1k", "--picture", str(tmp_path / "p.png"), *QUICK]) == 0
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_list(capsys):
    assert cli.main(["race", "--list"]) == 0
    assert "softmax_cross_entropy" in capsys.readouterr().out


@pytest.mark.parametrize("arguments, words", [
    (["adm"], "did you mean 'adam'"), ([], "--list"), (["exp", "--sizes", "16q"], "'16q' is no size"),
    (["exp", "--backends", "natve"], "did you mean 'native'"), (["exp", "--attr", "kind"], "NAME=VALUE"),
    (["exp", "--rows", "5"], "rows=5"), (["exp", "--n", "1", "--picture", "no/such/folder.png", *QUICK], "no/such"),
])
def test_mistakes_are_one_sentence(arguments, words, capsys):
    assert cli.main(["race", *arguments]) == 1
    error = capsys.readouterr().err
    assert words in error and error.startswith("fastnn race: ") and error.count("\n") == 1


@pytest.mark.parametrize("text, value", [("a=1", 1), ("a=0.5", 0.5), ("a=0,1", (0, 1)), ("a=none", None), ("a=x", "x")])
def test_attributes(text, value):
    assert cli._attribute(text) == ("a", value)
