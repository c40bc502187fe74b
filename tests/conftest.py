"""What all tests share."""

import os

# Plots are drawn into files: there need not be a screen.
os.environ.setdefault("MPLBACKEND", "Agg")
