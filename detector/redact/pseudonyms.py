"""Stable pseudonyms: the same name, the same word, and no way back without the secret."""

from __future__ import annotations

import hmac
import re
import shlex
from bisect import insort
from collections.abc import Iterable, Iterator
from hashlib import sha256

from detector import names

FOLDER = "redacted/"
_DIGITS = 10
_START = 4
_ENDING = re.compile(
    r"\.(jpe?g|jfif|png|webp|avif|hei[cf]|gif|tiff?|bmp|csv|tsv|parquet|db)$", re.I
)

# What looks like a place or a person even where nobody told us of it: URLs, e-mail addresses,
# @handles, absolute paths.
_PLACES = re.compile(
    r"""[A-Za-z][A-Za-z0-9+.-]*://[^\s'"<>]+ | [\w.+-]+@[\w-]+\.[\w.-]+ | (?<![\w.])@[\w.]{2,}
    | (?<![\w.])(?:[A-Za-z]:)?[\\/](?:[^\s'"<>:;,]+[\\/])+[^\s'"<>:;,]* | ~[\\/][^\s'"<>]+""",
    re.VERBOSE,
)
_OPTION = re.compile(r"--?[A-Za-z][A-Za-z0-9-]*$")


class Pseudonyms:
    """Makes pseudonyms from one secret, and finds the names it knows inside text."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._known: dict[str, str] = {}
        # Names by their first characters, longest first, so that a path goes as a whole.
        self._starts: dict[str, list[str]] = {}

    def name(self, kind: str, text: str) -> str:
        """A pseudonym such as "acct-1f0c39b2aa"; "" stays ""."""
        return f"{kind}-{self._mark(kind, text)}" if text else ""

    def account(self, name: str) -> str:
        """The pseudonym of an account."""
        # Not "account-": handles begin so, and a search for one must not meet the other.
        return self.name("acct", name)

    def path(self, path: str) -> str:
        """A pseudonym of a path that keeps a known ending, so that a reader sees the type."""
        if not path:
            return ""
        ending = _ENDING.search(path)
        return f"{FOLDER}{self._mark('path', path)}{ending.group().lower() if ending else ''}"

    def command(self, command: str) -> str:
        """A command line with its options, and pseudonyms for what they are given."""
        try:
            words = shlex.split(command)
        except ValueError:
            return self.name("command", command)
        kept = words[:2] if words[:1] == ["detector"] else []
        return shlex.join([*kept, *(self._word(word) for word in words[len(kept) :])])

    def _word(self, word: str) -> str:
        option, equals, value = word.partition("=")
        if not _OPTION.match(option):
            return word if word.isdigit() or word == "-" else self.path(word)
        return f"{option}={self.path(value)}" if equals else word

    def know(self, texts: Iterable[str], pseudonym: str) -> None:
        """Have `scrub` replace each of these texts by the pseudonym."""
        for text in texts:
            for form in {text, names.printable(text), names.one_line(text)}:
                folded = _folded(form.strip())
                if not folded or folded in self._known:
                    continue
                self._known[folded] = pseudonym
                if len(folded) >= _START:
                    insort(self._starts.setdefault(folded[:_START], []), folded, key=_longest)

    def scrub(self, text: str) -> str:
        """The text without any name that is known, and without what looks like a place.

        Case does not matter. A name of fewer than four characters is replaced where it stands
        as a word of its own.
        """
        return "".join(self._pieces(_PLACES.sub(self._place, text)))

    def _place(self, match: re.Match[str]) -> str:
        return match.group() if _folded(match.group()) in self._known else "(redacted)"

    def _pieces(self, text: str) -> Iterator[str]:
        folded, at = _folded(text), 0
        while at < len(text):
            form = self._form_at(folded, at)
            yield self._known[form] if form else text[at]
            at += len(form) or 1

    def _form_at(self, folded: str, at: int) -> str:
        """The longest known name that starts here; "" when none does."""
        for form in self._starts.get(folded[at : at + _START], ()):
            if folded.startswith(form, at):
                return form
        if at and folded[at - 1].isalnum():
            return ""
        for length in range(_START - 1, 0, -1):
            form = folded[at : at + length]
            after = folded[at + length : at + length + 1]
            if len(form) == length and form in self._known and not after.isalnum():
                return form
        return ""

    def _mark(self, kind: str, text: str) -> str:
        data = f"{kind}\0{text}".encode("utf-8", "surrogatepass")
        return hmac.new(self._secret, data, sha256).hexdigest()[:_DIGITS]


def _folded(text: str) -> str:
    """Lower case, character by character, so that places in the text stay the same."""
    return "".join(low if len(low := character.lower()) == 1 else character for character in text)


def _longest(form: str) -> int:
    return -len(form)
