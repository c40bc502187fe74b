"""The category of every warning that fastnn gives, so that people can filter them in one line."""


class FastnnWarning(UserWarning):
    """Something that runs, and is probably not what was meant.

    Examples
    --------
    >>> import warnings
    >>> warnings.simplefilter("error", FastnnWarning)      # make them stop the program
    >>> warnings.simplefilter("default", FastnnWarning)
    """
