"""Word error rate, the way it is usually counted: case, punctuation and the writing of numbers don't matter."""

from __future__ import annotations

import re
import unicodedata

_NUMBERS = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf dix onze douze",
    "de": "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
}


def words(text: str, language: str) -> list[str]:
    """What is compared: lower case, without punctuation, small numbers as words; "l'appel" is two."""
    text = unicodedata.normalize("NFKC", text).lower().replace("ß", "ss")
    numbers = _NUMBERS[language].split()
    found = re.findall(r"[^\W_]+", text)
    return [numbers[int(word)] if word.isdecimal() and int(word) < len(numbers) else word for word in found]


def word_errors(reference: str, recognised: str, language: str) -> tuple[int, int]:
    """Substitutions, deletions and insertions at the least (Levenshtein), and the reference's number of words."""
    wanted, got = words(reference, language), words(recognised, language)
    row = list(range(len(got) + 1))
    for number, word in enumerate(wanted, start=1):
        diagonal, row[0] = row[0], number
        for column, other in enumerate(got, start=1):
            diagonal, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, diagonal + (word != other))
    return row[-1], len(wanted)


def word_error_rate(reference: str, recognised: str, language: str) -> float:
    """From 0 to 1, and above when more was recognised than was said."""
    errors, total = word_errors(reference, recognised, language)
    return errors / total
