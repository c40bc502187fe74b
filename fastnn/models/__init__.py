"""Models: Sequential, functional and subclassed, trained as native programs."""

from .batch_norm import update_batch_norm
from .cloning import clone_model
from .functional import Functional
from .generation import generate
from .model import Model
from .saving import load_model, model_from_json, save_model
from .sequential import Sequential

#: class name -> class: what a saved model may hold besides layers
KNOWN_MODELS = {"Functional": Functional, "Sequential": Sequential}

__all__ = ["Functional", "Model", "Sequential", "clone_model", "generate", "load_model", "model_from_json",
           "save_model", "update_batch_norm"]
