from __future__ import annotations

from shapewise.plots.html import Markup, join, table, tag


def test_text_and_attributes_are_escaped() -> None:
    assert tag("p", "<script>&") == "<p>&lt;script&gt;&amp;</p>"
    assert tag("p", title='"><b>') == '<p title="&quot;&gt;&lt;b&gt;"></p>'


def test_markup_is_escaped_once() -> None:
    assert tag("p", tag("b", "<")) == "<p><b>&lt;</b></p>"
    assert join([Markup("<br>"), "<br>"]) == "<br>&lt;br&gt;"


def test_text_made_from_markup_is_text_again() -> None:
    assert tag("p", f"{Markup('<b>')}") == "<p>&lt;b&gt;</p>"


def test_void_elements_are_not_closed() -> None:
    assert tag("meta", name="viewport") == '<meta name="viewport">'


def test_cells_of_a_table_are_escaped() -> None:
    assert "&lt;i&gt;" in table(["<i>"], [["a", "b"]])
    assert "&lt;i&gt;" in table(["x", "y"], [["a", "<i>"]])
