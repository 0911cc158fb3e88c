"""Names and words that strangers chose, made harmless for one line of text. What a format escapes, `render.py` does."""

from __future__ import annotations

import unicodedata

LONGEST_NAME = 100  # characters; Matrix allows 255 bytes and more in practice
MOST_MARKS = 3  # combining marks on one letter; Vietnamese has two, "zalgo" hundreds
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def one_line(text: str) -> str:
    """`text` without line breaks, control characters, direction overrides and piles of combining marks."""
    kept: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if character in _BIDI or marks > MOST_MARKS:
            continue
        kept.append(" " if category in ("Cc", "Cs", "Zl", "Zp") else character)
    return " ".join("".join(kept).split())


def name(text: str) -> str:
    """A name for headings and speakers; a question mark where nothing readable is left."""
    clean = one_line(text)
    shortened = clean if len(clean) <= LONGEST_NAME else clean[: LONGEST_NAME - 1].rstrip() + "…"
    return shortened or "?"
