"""What all tests share."""

import os

import pytest

from fastnn.utils import clear_session

# Plots are drawn into files: there need not be a screen.
os.environ.setdefault("MPLBACKEND", "Agg")


class FreshNames:
    """Before each docstring's examples, layers are named from the beginning, as in a reader's new session."""

    def pytest_runtest_setup(self, item):
        if isinstance(item, pytest.DoctestItem):
            clear_session()


def pytest_configure(config):
    # as a plugin of its own: the hooks of this file are called for the tests in this folder only
    config.pluginmanager.register(FreshNames())
