import csv
import re

import pytest

from augmentlm.errors import InputError
from augmentlm.reports.charts import Bar, bars
from augmentlm.reports.page import Figure, Reading, Section, Text, page, standalone, write, write_csvs

EVIL = '<img src=x onerror="alert(1)"><script>fetch("https://example.org")</script>'


def figure(rows=(("a", 1),), svg=""):
    return Figure("lengths", "Lengths", "What it says.", svg, ["set", "words"], rows)


def test_all_text_is_escaped_and_nothing_is_fetched():
    section = Section(EVIL, [EVIL], [(EVIL, EVIL)], [figure([(EVIL, EVIL)])], [Reading([Text(EVIL, EVIL)], EVIL)])
    html = page(EVIL, [EVIL], [section])
    assert "<img" not in html and "<script" not in html and "&lt;img" in html
    assert "default-src 'none'" in html
    assert not re.search(r'(?:src|href)="(?!#)', html) and "@import" not in html and "url(" not in html


def test_the_page_leads_to_each_section():
    html = page("A run", ["In short."], [Section("Twenty rejected"), Section("Map & more")])
    assert '<a href="#twenty-rejected">' in html and 'id="twenty-rejected"' in html and 'id="map-more"' in html


def test_the_page_shows_the_first_numbers_of_a_figure_and_says_how_many_more_there_are():
    html = page("A run", [], [Section("All", figures=[figure([("a", n) for n in range(1000, 1100)])])])
    assert "<td>1039</td>" in html and "<td>1040</td>" not in html and "60 more in lengths.csv" in html


def test_a_page_without_csvs_says_where_the_other_numbers_are():
    sections = [Section("All", figures=[figure([("a", n) for n in range(50)])])]
    html = page("A run", [], sections, "report.json")
    assert "10 more in report.json" in html and ".csv" not in html


def test_a_figure_is_a_csv_with_every_number(tmp_path):
    write_csvs(tmp_path, [figure([("a, b", 0.1234567), ("c", None)])])
    with (tmp_path / "lengths.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["set", "words"], ["a, b", "0.1234567"], ["c", ""]]


def test_a_spreadsheet_does_not_run_what_a_model_wrote():
    assert "'=HYPERLINK" in figure([('=HYPERLINK("http://example.org")', -1)]).as_csv()
    assert "\n'-1,-1\n" in figure([("-1", -1)]).as_csv()


def test_a_picture_alone_brings_its_colours():
    svg = standalone(bars([Bar("a", 1, "1")], "One"))
    assert svg.startswith("<svg ") and "--c0:" in svg and "prefers-color-scheme: dark" in svg


def test_a_page_that_has_no_place_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="can't be written"):
        write(tmp_path / "file" / "report.html", "x")
