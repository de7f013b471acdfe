"""HTML from Python values: text is escaped where it enters, so nothing that a file says becomes markup."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from shapewise.plots.style import DOTS_PER_INCH

SHOWN_PER_INCH = 100

VOID = frozenset({"img", "meta", "br"})


class Markup(str):
    """Text that is HTML already; everything else is escaped when it is put inside a tag."""

    __slots__ = ()


def tag(name: str, /, *content: str, **attributes: str) -> Markup:
    """Wrap content in an element. A trailing underscore keeps an attribute's name out of Python's way.

    >>> tag("p", "a < b", tag("b", "&"), class_="note")
    '<p class="note">a &lt; b<b>&amp;</b></p>'
    """
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"' for key, value in attributes.items()
    )
    if name in VOID:
        return Markup(f"<{name}{pairs}>")
    return Markup(f"<{name}{pairs}>{join(content)}</{name}>")


def join(parts: Iterable[str]) -> Markup:
    """Put parts one after the other, escaping those that are plain text.

    >>> join(["<", Markup("<br>")])
    '&lt;<br>'
    """
    return Markup("".join(part if isinstance(part, Markup) else html.escape(part) for part in parts))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, class_: str = "numbers") -> Markup:
    """A table whose first column names its rows; the style wraps no cell of `numbers`.

    >>> table(["run", "Dice"], [["a", "0.9"]]).count("<td>")
    1
    """
    header = tag("tr", *(tag("th", cell, scope="col") for cell in head))
    body = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    return tag("div", tag("table", tag("thead", header), tag("tbody", *body), class_=class_), class_="wide")


def picture(path: Path, description: str) -> Markup:
    """A PNG file inside the page itself, shown at most at the size that its lettering was set for."""
    content = path.read_bytes()
    width = int.from_bytes(content[16:20], "big")  # the PNG header's first number
    encoded = base64.b64encode(content).decode("ascii")
    shown = str(round(width / DOTS_PER_INCH * SHOWN_PER_INCH))
    return tag("img", src=f"data:image/png;base64,{encoded}", alt=description, width=shown)
