"""Experiments behind the pages on training deep networks: each draws its page's picture and fills in its table."""

LESSONS = ("initialisers", "activations", "optimizers", "schedules", "regularisation", "augmentation", "images",
           "sequences", "transfer", "sweep")
