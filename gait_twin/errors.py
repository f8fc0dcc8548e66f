"""The one exception that a user is meant to read."""


class InputError(Exception):
    """Something given to gait_twin cannot be used.

    The message is one sentence for a person: what is wrong, where, and what to do. The command line
    prints it without a traceback and exits with 1; a node logs it and refuses the value.
    """
