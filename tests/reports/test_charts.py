import re
from xml.etree import ElementTree

import pytest

from augmentlm.reports.charts import WIDTH, Bar, Part, Point, bars, bins, histogram, scatter, stacked

SVG = "{http://www.w3.org/2000/svg}"


def marks(svg, tag, colour):
    """The shapes of a colour, legend dots left out."""
    found = ElementTree.fromstring(svg).iter(f"{SVG}{tag}")
    return [
        mark for mark in found if mark.get("class", "").split()[0] == colour and mark.find(f"{SVG}title") is not None
    ]


def test_bars_are_as_long_as_their_values_and_carry_their_intervals():
    svg = bars([Bar("a", 0.5, "50 %", 0.25, 0.75), Bar("b", 1.0, "100 %"), Bar("c", None, "–")], "Shares", top=1.0)
    assert [float(bar.get("width")) for bar in marks(svg, "rect", "c0")] == [WIDTH / 2, WIDTH]
    assert marks(svg, "path", "whisker")[0].get("d").startswith(f"M{WIDTH / 4:.1f},")


def test_parts_of_a_stacked_bar_fill_it():
    svg = stacked([("a", "", [Part("win", 3, "c0"), Part("lose", 1, "c1")])], "Wins")
    (win,), (lose,) = marks(svg, "rect", "c0"), marks(svg, "rect", "c1")
    assert float(win.get("width")) == WIDTH * 0.75 == float(lose.get("x"))


def test_a_text_that_rambles_leaves_the_other_lengths_their_bins():
    svg = histogram({"ours": [*range(10, 60)] * 2, "base": [20] * 99 + [900]}, "Lengths", "words")
    assert svg.count("<rect") > 10 and "up words" in svg and "900" not in svg


def test_a_histogram_shows_the_shares_of_each_series_in_common_bins():
    svg = histogram({"before": [1, 1, 1, 9], "after": [9]}, "Lengths", "words")
    titles = re.findall(r"<title>(\w+: \d+%) from", svg)
    assert titles == ["before: 75%", "before: 25%", "after: 100%"]


def test_points_keep_their_places_to_each_other_in_the_frame():
    frame = [Point(0, 0, ""), Point(10, 10, "")]
    svg = scatter([("some", "c0", [Point(0, 0, "low"), Point(10, 5, "high")])], "Map", frame)
    low, high = marks(svg, "circle", "c0")
    assert float(high.get("cx")) - float(low.get("cx")) == pytest.approx(WIDTH - 16)
    assert float(low.get("cy")) - float(high.get("cy")) == pytest.approx((WIDTH - 16) / 2)


@pytest.mark.parametrize(
    "values", [[0], [3, 3], [1, 2, 3], [5, 400], [0.2, 0.9], [-3, 12], list(range(0, 1000, 7)), [0.1, 100000]]
)
def test_bins_are_few_and_hold_every_value(values):
    edges = bins(values)
    assert 2 <= len(edges) <= 16 and edges == sorted(edges)
    assert edges[0] <= min(values) and max(values) < edges[-1]


def test_nothing_to_draw_is_still_a_picture():
    for svg in (bars([], "x"), stacked([], "x"), histogram({}, "x", "y"), scatter([("a", "c0", [])], "x")):
        ElementTree.fromstring(svg)


def test_markup_in_labels_stays_text():
    evil = '</title><script>alert(1)</script>"&'
    for svg in (
        bars([Bar(evil, 1, evil)], evil),
        stacked([(evil, evil, [Part(evil, 1, "c0")])], evil),
        histogram({evil: [1]}, evil, evil),
        scatter([(evil, "c0", [Point(0, 0, evil)])], evil),
    ):
        assert "<script" not in svg
        assert evil in "".join(ElementTree.fromstring(svg).itertext())
