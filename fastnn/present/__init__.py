"""Numbers as people read them, and tables for notebooks; used by all that reports something."""
