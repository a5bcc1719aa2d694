"""The one exception that a user is meant to read."""


class UserError(Exception):
    """Something the user can put right. The message is one sentence: what was expected, what was found, what to do.

    The command line prints it and exits with status 2; a node logs it. In between it is caught only where work goes on
    without what failed, which is then counted or told, or to say more of where it happened.
    """
