import io

import pytest

from augmentlm.cli.progress import DownloadProgress, duration, size


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_one_line_with_the_time_left_that_is_cleared_at_the_end() -> None:
    out, clock = Terminal(), [0.0]
    with DownloadProgress(out, now=lambda: clock[0]) as progress:
        progress(0, 500_000_000)
        for second in (1, 2, 10):
            clock[0] = second
            progress(second * 10_000_000, 500_000_000)
    drawn = out.getvalue().split("\r\x1b[K")
    assert drawn[-2] == "Downloading 100 MB of 500 MB (20 %, 40 s left)"
    assert drawn[-1] == ""
    assert "\n" not in out.getvalue()


def test_time_left_counts_only_what_this_run_fetched() -> None:
    out, clock = Terminal(), [0.0]
    progress = DownloadProgress(out, now=lambda: clock[0])
    progress(400_000_000, 500_000_000)  # resumed
    clock[0] = 10
    progress(450_000_000, 500_000_000)
    assert "10 s left" in out.getvalue()


def test_elsewhere_there_are_a_few_plain_lines() -> None:
    out = io.StringIO()
    with DownloadProgress(out) as progress:
        for done in range(0, 491_000_001, 1_000_000):
            progress(done, 491_000_000)
    lines = out.getvalue().splitlines()
    assert lines[0] == "Downloading 491 MB."
    assert lines[-1] == "491 MB of 491 MB: done."
    assert len(lines) == 5


def test_the_conversion_after_a_download_has_a_line_of_its_own() -> None:
    out, clock = Terminal(), [0.0]
    with DownloadProgress(out, now=lambda: clock[0]) as progress:
        progress(100, 100)
        for second in (0, 10, 20):
            clock[0] = second
            progress(second, 100, "convert")
    drawn = out.getvalue().split("\r\x1b[K")
    assert drawn[-2] == "Converting the model (20 %, 80 s left)"
    assert drawn[-1] == ""


def test_elsewhere_the_log_alone_tells_of_a_conversion() -> None:
    out = io.StringIO()
    with DownloadProgress(out) as progress:
        for done in (0, 50, 100):
            progress(done, 100, "convert")
    assert out.getvalue() == ""


def test_weights_that_are_here_already_are_not_mentioned() -> None:
    for out in (io.StringIO(), Terminal()):
        with DownloadProgress(out) as progress:
            progress(491, 491)
        assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (89, "89 s"), (170, "3 min"), (5400, "1 h 30 min"), (7500, "2 h 5 min")]
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_sizes_are_said_as_people_say_them() -> None:
    assert (size(491_400_064), size(15_231_233_024)) == ("491 MB", "15.2 GB")
