"""A report as a person opens it: from a file, on a phone, in the dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from augmentlm.reports.charts import Bar, Point, bars, histogram, paired, scatter
from augmentlm.reports.page import Figure, Reading, Section, Text, page

pytestmark = pytest.mark.browser

EVIL = '<img src="https://example.org/x.png" onerror="document.title=1"><script>document.title = "run"</script>'
LONG = "https://example.org/" + "a" * 400


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    names = ["Qwen2.5 Coder 1.5B Instruct", EVIL]
    drawn = [Bar(name, 0.5, "50% (40%–60%)", 0.4, 0.6) for name in names]
    figures = [
        Figure("a", "Bars", EVIL, bars(drawn, "Bars"), ["a"], [[EVIL]]),
        Figure("b", "Lengths", "", histogram({name: [1, 2, 9] for name in names}, "Lengths", "words"), ["a"], [[1]]),
        Figure("c", "Kinds", "", paired([(EVIL, 0.5, 0.5)], ("seeds", "accepted"), "Kinds"), ["a"], [[1]]),
        Figure("d", "Map", "", scatter([("seeds", "c0", [Point(0, 0, EVIL), Point(1, 1, "x")])], "Map"), ["a"], [[1]]),
        Figure("e", "Steps", "", "", [f"column {n}" for n in range(12)], [[LONG] * 12]),
    ]
    readings = [Reading([Text("seed", LONG), Text("instruction", EVIL)], EVIL)]
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(
        page("A run", [EVIL], [Section("All", [LONG], [("rows", "12")], figures, readings)]), encoding="utf-8"
    )
    return path


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "light"), (390, "dark")])
def test_a_report_fits_the_screen_and_is_accessible_and_silent(chromium, report, width, scheme):
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked, complaints = [], []
    opened = context.new_page()
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    opened.goto(report.as_uri())
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.title() == "A run" and asked == [report.as_uri()] and complaints == []
    opened.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(opened)
    assert found.violations_count == 0, found.generate_report()
    context.close()
