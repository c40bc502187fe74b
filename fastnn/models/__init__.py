"""Models: how layers are put together, trained, evaluated and stored."""
