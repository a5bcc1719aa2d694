"""Where commands print. Texts come out as they are: no emoji for `:key:`, no colours for numbers."""

from rich.console import Console

console = Console(highlight=False, emoji=False)
errors = Console(stderr=True, highlight=False, emoji=False)
