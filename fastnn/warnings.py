"""The one category of fastnn's warnings."""


class FastnnWarning(UserWarning):
    """Something that fastnn did, or could not do, which the user may not expect."""
