"""What people see of a command at work."""

import io

import pytest
from rich.console import Console

from gcseg_ros import consoles


@pytest.fixture
def shown(monkeypatch):
    """What a terminal of 80 columns is sent."""
    terminal = io.StringIO()
    monkeypatch.setattr(consoles, "errors", Console(file=terminal, force_terminal=True, color_system=None, width=80))
    return terminal


def test_progress_shows_how_many_are_done_and_what_is_at_work(shown):
    with consoles.progress("scenes", 4) as advance:
        advance(2, text="room[red] 3/80")
    assert "scenes" in shown.getvalue()
    assert "2/4 room[red] 3/80" in shown.getvalue()


def test_of_how_many_may_be_known_later(shown):
    with consoles.progress("rendering", unit="frames") as advance:
        advance(1, 3)
        advance(3)
    assert "3/3" in shown.getvalue()


def test_a_file_gets_no_bar(capfd):
    with consoles.progress("mapping", 2, "frames") as advance:
        advance(1)
    assert capfd.readouterr() == ("", "")
