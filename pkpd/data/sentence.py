"""Doses as a sentence: ``0.5 mg/kg iv over 40 min; 56 mg nasal every 84 h x 8``.

::

    regimen := dose { (";" | "+" | "and" | "then") dose }
    dose    := number unit ["/" ("kg" | "m2")] ["of"] [drug] [route] {clause}
    clause  := "bolus" | "over" time | "at" number unit ["/" unit] "/" time-unit
             | "every" (time | time-unit) [("x" number) | (number "times")] | ("at" | "plus") "steady" "state"
             | ("at" | "from" | "on") (time | "day" number)
    time    := number time-unit
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NoReturn

from pkpd import units
from pkpd.data.dose import PER_UNIT, Dose
from pkpd.errors import DoseError, UnitError, caret, suggestion

_WORDS_FOR_TIME = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "min": ("min", "mins", "minute", "minutes"),
    "h": ("h", "hr", "hrs", "hour", "hours"),
    "d": ("d", "day", "days"),
    "wk": ("wk", "wks", "week", "weeks"),
}
TIME_WORDS = {word: unit for unit, words in _WORDS_FOR_TIME.items() for word in words}
_JOINERS = (";", "+", "and", "then")
_CLAUSES = ("bolus", "over", "at", "from", "on", "every", "plus")
_KEYWORDS = (*_JOINERS, *_CLAUSES, "x", "times", "infusion", "day", "steady")
_TIME_UNITS = "Units of time: s, min, h, d, wk."
_AFTER_DOSE = (
    "After the route comes: bolus, over <time>, at <rate>, every <time> x <number>, at <time>, at day <number>."
)
_TOKEN = re.compile(
    r"\s*(?:(?P<number>[-−]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+(?![^\W\d]))?)|(?P<times>[x×*](?=\s*\d))"
    r"|(?P<word>[^\W\d][\w.]*)|(?P<sign>\S))"
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


def read_sentence(text: str, time_unit: str) -> tuple[Dose, ...]:
    """Read the doses of a sentence, in the order written, all times in `time_unit`.

    Raises
    ------
    DoseError
        With a caret under the place that is not understood.
    """
    return _Reader(text, time_unit).regimen()


def read_time(text: str, time_unit: str) -> float:
    """Read a time such as ``40 min``, ``-1 h`` or ``day 3`` into `time_unit`.

    Raises
    ------
    DoseError
        With a caret under the place that is not understood.

    Examples
    --------
    >>> read_time("day 3", "h"), read_time("-30 min", "h")
    (72.0, -0.5)
    """
    reader = _Reader(text, time_unit)
    if reader.accept("day"):
        value = reader.number("a day, such as day 14") * units.factor("d", time_unit)
    else:
        value = reader.time("a time, such as 40 min or day 3")
    if reader.next.kind != "end":
        reader.not_understood(reader.next, "The text is one time.", "Write it as in `40 min` or `day 3`.")
    return value


class _Reader:
    """Reads from left to right; `self.next` is the token not yet read."""

    def __init__(self, text: str, time_unit: str) -> None:
        if not isinstance(text, str):
            raise DoseError(f"{text!r} is not text.", where="a dose", remedy='Write it as "35 mg iv over 40 min".')
        self.text = re.sub(r"\s", " ", text)
        self.time_unit = time_unit
        self.tokens = [
            _Token(str(m.lastgroup), m.group(str(m.lastgroup)), m.start(str(m.lastgroup)) + 1)
            for m in _TOKEN.finditer(self.text)
        ]
        self.position = 0
        try:
            units.factor(time_unit, "h")
        except UnitError as error:
            raise DoseError(
                f"`{time_unit}` is not a unit of time.",
                where="a dose",
                expected=_TIME_UNITS,
                remedy="Give time_unit as one of them.",
            ) from error

    # -- where we are -------------------------------------------------------------------------------------------------

    @property
    def next(self) -> _Token:
        if self.position < len(self.tokens):
            return self.tokens[self.position]
        return _Token("end", "", len(self.text.rstrip()) + 1)

    def take(self) -> _Token:
        token = self.next
        self.position += 1
        return token

    def accept(self, *texts: str) -> _Token | None:
        return self.take() if self.next.text.lower() in texts else None

    def wrong(self, token: _Token, what: str, expected: str | None = None, remedy: str | None = None) -> NoReturn:
        raise DoseError(
            what,
            where=f"the dose, column {token.column}",
            excerpt=caret(self.text, token.column) if self.text.strip() else None,
            expected=expected,
            remedy=remedy or 'Write it as in "0.5 mg/kg iv over 40 min" or "56 mg nasal every 84 h x 8".',
        )

    def not_understood(self, token: _Token, expected: str, remedy: str | None = None) -> NoReturn:
        if token.kind == "end":
            self.wrong(token, "The text ends too early.", expected, remedy)
        if token.text == ",":
            self.wrong(
                token, "`,` is not understood here.", "Decimals have a point, and doses are joined with `;`.", remedy
            )
        self.wrong(token, f"`{token.text}` is not understood here.", expected, remedy)

    # -- the grammar --------------------------------------------------------------------------------------------------

    def regimen(self) -> tuple[Dose, ...]:
        if self.next.kind == "end":
            self.wrong(self.next, "There is no dose in this text.")
        doses: list[Dose] = []
        said_when = False
        joiner = None
        while True:
            start = self.next
            dose, says_when = self.dose()
            if doses and not says_when and (said_when or joiner == "then"):
                self.wrong(
                    start,
                    "It is not said when this dose is given.",
                    "A dose after `then`, or after one that says when, says when itself.",
                    "Add, for instance, `at 336 h` or `at day 14` (time 0 is the first dose).",
                )
            if joiner == "and" and says_when and not said_when:
                self.wrong(
                    start,
                    "Only the second of two doses joined by `and` says when.",
                    None,
                    "Say when for both, or join them with `then`.",
                )
            doses.append(dose)
            said_when = says_when
            if self.next.kind == "end":
                return tuple(doses)
            joiner = self.take().text.lower()
            if self.next.kind == "end" and joiner == ";":
                return tuple(doses)

    def dose(self) -> tuple[Dose, bool]:
        start = self.next
        amount = self.number("an amount, such as 35 mg", above_zero="An amount")
        unit, per = self.amount_unit()
        self.accept("of")
        given: dict[str, Any] = {"unit": unit, "per": per, "route": self.route()}
        says_when = False
        while self.next.kind != "end" and self.next.text.lower() not in _JOINERS:
            token = self.take()
            keyword = token.text.lower()
            if keyword not in _CLAUSES:
                self.not_understood(token, _AFTER_DOSE)
            for name, value in self.clause(token, keyword, unit, per).items():
                if name in given:
                    self.wrong(token, f"`{token.text}` says again what has been said.", None, "Say it once.")
                given[name] = value
            says_when = says_when or "time" in given
        if "over" in given and "rate" in given:
            self.wrong(start, "Both a duration and a rate are given.", None, "Give one: the amount fixes the other.")
        return Dose(amount, **given), says_when

    def clause(self, token: _Token, keyword: str, unit: str, per: str | None) -> dict[str, Any]:
        if keyword == "bolus":
            return {"over": 0.0}
        if keyword == "over":
            return {"over": self.time("a duration, such as 40 min", above_zero="A duration")}
        if keyword == "every":
            return self.every(token)
        if keyword in ("at", "plus") and self.accept("steady"):
            if not self.accept("state"):
                self.not_understood(self.next, "The words are `steady state`.")
            return {"ss": 1 if keyword == "at" else 2}
        if keyword == "plus":
            self.not_understood(self.next, "The words are `plus steady state`.")
        if self.accept("day"):
            return {"time": self.number("a day, such as day 14") * units.factor("d", self.time_unit)}
        if keyword == "at" and self.is_rate():
            return {"rate": self.rate(unit, per)}
        return {"time": self.time("a time, such as 24 h or day 3")}

    def every(self, token: _Token) -> dict[str, Any]:
        single = TIME_WORDS.get(self.next.text.lower())
        if single:
            self.take()
            given: dict[str, Any] = {"every": units.factor(single, self.time_unit)}
        else:
            given = {"every": self.time("an interval, such as 84 h", above_zero="An interval")}
        if self.next.kind == "times" or self.next.text.lower() == "x":
            self.take()
            given["n"] = self.whole_number()
        elif self.next.kind == "number":
            given["n"] = self.whole_number()
            if not self.accept("times"):
                self.not_understood(self.next, "The word is `times`.")
        elif not self.steady_follows():
            self.wrong(
                token,
                "It is not said how many doses are given.",
                remedy="Add the number of doses, as in `every 84 h x 8`.",
            )
        return given

    def steady_follows(self) -> bool:
        """Whether this dose, before the next one is joined to it, says `steady state`."""
        words = []
        for token in self.tokens[self.position :]:
            if token.text.lower() in _JOINERS:
                break
            words.append(token.text.lower())
        return any(pair == ("steady", "state") for pair in pairwise(words))

    def amount_unit(self) -> tuple[str, str | None]:
        token = self.take()
        if token.kind != "word" or token.text.lower() in _KEYWORDS:
            self.not_understood(token, "After an amount comes its unit, such as mg, ug, g or nmol.")
        self.check_amount_unit(token)
        return token.text, self.per() if self.accept("/") else None

    def check_amount_unit(self, token: _Token) -> None:
        remedy = None
        known = token.text.lower() not in TIME_WORDS
        try:
            units.read(token.text)
        except UnitError as error:
            known, remedy = False, error.remedy
        if not known:
            self.wrong(
                token, f"`{token.text}` is not a unit of amount.", "Such as mg, ug, ng, g, umol or nmol.", remedy
            )

    def per(self) -> str:
        token = self.take()
        if token.text not in PER_UNIT:
            self.wrong(
                token,
                f"An amount per `{token.text}` is not understood.",
                "An amount is per kg (body weight, WT) or per m2 (body surface, BSA).",
            )
        return PER_UNIT[token.text]

    def route(self) -> str | None:
        words: list[_Token] = []
        while self.next.kind == "word" and self.next.text.lower() not in _KEYWORDS:
            words.append(self.take())
        self.accept("infusion")
        if self.next.kind == "number" and words:
            near = suggestion(words[-1].text, _CLAUSES)
            self.wrong(words[-1], f"`{words[-1].text}` cannot come before a number.", _AFTER_DOSE, near)
        if len(words) > 2:
            self.wrong(
                words[2],
                f"`{words[2].text}` is one word too many.",
                "The order is: [drug] route.",
                suggestion(words[2].text, _CLAUSES),
            )
        return ".".join(word.text for word in words) or None

    def is_rate(self) -> bool:
        ahead = self.tokens[self.position : self.position + 3]
        return [t.kind for t in ahead[:2]] == ["number", "word"] and len(ahead) == 3 and ahead[2].text == "/"

    def rate(self, unit: str, per: str | None) -> float:
        rate = self.number("a rate, such as 10 mg/h", above_zero="A rate")
        token = self.take()
        self.check_amount_unit(token)
        self.take()
        rate_per = None
        if self.next.text in PER_UNIT:
            rate_per = self.per()
            if not self.accept("/"):
                self.not_understood(self.next, "A rate is an amount per time, such as 0.1 mg/kg/h.")
        time = self.time_unit_here()
        if rate_per != per:
            self.wrong(
                token, "The amount and its rate are not per the same thing.", None, "Write both per kg, or neither."
            )
        try:
            factor = units.factor(token.text, unit)
        except UnitError:
            self.wrong(
                token,
                f"A rate in `{token.text}` does not fit an amount in `{unit}`.",
                remedy=f"Write the rate in {unit} per time.",
            )
        return rate * factor / time

    def time(self, meaning: str, above_zero: str = "") -> float:
        value = self.number(meaning, above_zero)
        return value * self.time_unit_here()

    def time_unit_here(self) -> float:
        token = self.take()
        unit = TIME_WORDS.get(token.text.lower())
        if token.kind == "end":
            self.wrong(token, "The unit of time is missing.", _TIME_UNITS)
        if unit is None:
            near = suggestion(token.text, TIME_WORDS)
            self.wrong(token, f"`{token.text}` is not a unit of time.", _TIME_UNITS, near or "Use one of these units.")
        return units.factor(unit, self.time_unit)

    def number(self, meaning: str, above_zero: str = "") -> float:
        token = self.take()
        if token.kind != "number":
            self.not_understood(token, f"Here comes {meaning}.")
        if self.next.text == "," and self.next.column == token.column + len(token.text):
            self.not_understood(self.next, f"Here comes {meaning}.")
        value = float(token.text.replace("−", "-"))
        if above_zero and not 0 < value < float("inf"):
            self.wrong(
                token, f"{above_zero} of {token.text} cannot be.", f"{above_zero} is greater than 0.", "Correct it."
            )
        return value

    def whole_number(self) -> int:
        token = self.next
        value = self.number("a number of doses, such as 8", above_zero="A number of doses")
        if value != int(value):
            self.wrong(token, f"{token.text} is not a whole number of doses.", None, "Write a whole number.")
        return int(value)
