"""The one exception that a user is meant to read."""


class UserError(Exception):
    """Something the user can put right. The message is one sentence: what was expected, what was found, what to do.

    The command line prints it and exits with status 2; a node logs it; nothing else catches it.
    """
