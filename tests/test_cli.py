"""The command line, run as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn
from fastnn import cli, datasets


def run(*arguments, cwd=None):
    env = os.environ | {"PYTHONPATH": str(Path(fastnn.__file__).parents[1]), "MPLBACKEND": "Agg"}
    return subprocess.run([sys.executable, "-m", "fastnn", *arguments], env=env, cwd=cwd, capture_output=True,
                          text=True, timeout=300)


def has(dataset):
    try:
        getattr(datasets, dataset).load_data()
    except (datasets.DatasetNotFound, ImportError):
        return False
    return True


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("FASTNN_OFFLINE", "1")


def test_train_digits(tmp_path):
    pytest.importorskip("sklearn")
    done = run("train", "digits", "--epochs", "2", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "2 epochs in" in done.stdout and "accuracy" in done.stdout
    model = fastnn.models.load_model(tmp_path / "out" / "model.safetensors")
    assert model.output_shape == (None, 10)


def test_explain_digits():
    pytest.importorskip("sklearn")
    done = run("explain", "digits")
    assert done.returncode == 0, done.stderr
    assert "dense" in done.stdout and "one step of 32 rows on the numpy backend" in done.stdout


def test_info():
    done = run("info")
    assert done.returncode == 0, done.stderr
    assert fastnn.__version__ in done.stdout and "backend" in done.stdout


@pytest.mark.parametrize("arguments,words", [((), "required"), (("train", "mnist"), "mnist"),
                                             (("train", "--epochs", "0"), "0 is not a positive"), (("fly",), "fly")])
def test_mistakes(arguments, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_an_unknown_optimizer_is_one_sentence(capsys):
    pytest.importorskip("sklearn")
    assert cli.main(["train", "digits", "--optimizer", "adm"]) == 1
    assert "did you mean 'adam'" in capsys.readouterr().err


def test_demo(tmp_path):
    pytest.importorskip("sklearn")
    if not has("fashion_mnist"):
        pytest.skip("Fashion-MNIST is not on this machine")
    done = run("demo", "--epochs", "1", "--out", "here", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "native is" in done.stdout or fastnn.get_backend() == "numpy"
    assert (tmp_path / "here" / "model.safetensors").exists()
