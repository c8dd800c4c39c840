"""What a key may hold, as the one client that writes it knows, and requests with the answers that they must get.

A key is known exactly, or, after a request whose fate is unknown, as a set of values one of which it has. A request is
written as a line or as a RESP array, and its answer is compared in the face that belongs to that.
"""

import decimal
import math

# A key that ends within so many seconds is only read, since nobody can tell what a change of it would find.
NEAR_S = 60

# The server's clock may have been read so long before the request came: the processes share two processors.
SLACK_S = 0.5


class Wrong(Exception):
    """An answer that the server must not give."""


class Simple(str):
    """A word such as OK."""


class Error(str):
    """An error, with its code."""


class Pairs(list):
    """A map: names and values, in order."""


class Check:
    """An answer that is not known to the byte: whether it will do is asked when it has come."""

    def __init__(self, what, passes):
        self.what = what
        self.passes = passes

    def __repr__(self):
        return self.what


class Key:
    """What a key holds: a value or None, or else one of several; and between which times it ends, if ever."""

    def __init__(self, value=None, until=None, candidates=None, may_end=False):
        self.value = value
        self.until = until
        self.candidates = candidates
        # One of several states has an end: which of them is there, its value alone does not tell.
        self.may_end = may_end

    def known(self, now):
        """Is it known what a change would find?"""
        return self.candidates is None and (self.until is None or now + NEAR_S < self.until[0])

    def all(self):
        """Every value that it may have."""
        values = set(self.candidates) if self.candidates is not None else {self.value}
        return values | {None} if self.until else values

    def ends(self):
        """May it end by itself?"""
        return self.until is not None or self.may_end


def one_of(keys, more=frozenset()):
    """What holds where one of these states is there, or one of the values besides."""
    values = set(more).union(*(key.all() for key in keys))
    return Key(candidates=values, may_end=any(key.ends() for key in keys))


class Op:
    """A request, the answer that it must get, and what it leaves in which keys."""

    def __init__(self, words, wanted, after=None, text=None, resp_only=False, rest_of_line=False, then=None):
        self.words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.wanted = wanted
        self.after = after or {}
        # The answer to a line, where that is not the typed one.
        self.text = wanted if text is None else text
        self.resp_only = resp_only
        self.rest_of_line = rest_of_line
        # Called with the answer when that has come and will do.
        self.then = then

    def as_line(self):
        """Can a line say it, and its answer be told from what follows?"""
        if self.resp_only or isinstance(self.wanted, Check):
            return False
        whole = b"".join(self.words)
        if b"\n" in whole or b"\r" in whole:
            return False
        inner = self.words[:-1] if self.rest_of_line else self.words
        if any(not word or b" " in word or b"\t" in word for word in inner):
            return False
        shown = text_of(self.text)
        return b"\r" not in shown and not shown.endswith(b"\n")

    def encode(self, line):
        if line:
            return b" ".join(self.words) + b"\r\n"
        words = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in self.words)
        return b"*%d\r\n" % len(self.words) + words


def text_of(answer):
    """An answer as the text protocol writes it, without its end."""
    if answer is None:
        return b"(null)"
    if isinstance(answer, Error):
        return b"(error) " + answer.removeprefix("ERR ").encode()
    if isinstance(answer, Simple):
        return answer.encode()
    if isinstance(answer, int):
        return b"%d" % answer
    if isinstance(answer, bytes):
        return answer
    return b"\n".join(text_of(item) for item in answer) if answer else b"(empty)"


def read_resp(read_line, read_bytes):
    """One answer of RESP2 or RESP3."""
    line = read_line()
    if not line.endswith(b"\r\n"):
        raise EOFError
    kind, rest = line[:1], line[1:-2]
    if kind == b"+":
        return Simple(rest.decode())
    if kind == b"-":
        return Error(rest.decode())
    if kind == b":":
        return int(rest)
    if kind == b"_":
        return None
    if kind in b"$=":
        if int(rest) < 0:
            return None
        value = read_bytes(int(rest) + 2)
        if len(value) < int(rest) + 2:
            raise EOFError
        return value[:-2]
    if kind in b"*~":
        return None if int(rest) < 0 else [read_resp(read_line, read_bytes) for _ in range(int(rest))]
    if kind == b"%":
        return Pairs(read_resp(read_line, read_bytes) for _ in range(2 * int(rest)))
    raise Wrong(f"no answer of RESP begins so: {line[:80]!r}")


def same(wanted, got):
    """Is this the answer, type for type?"""
    if isinstance(wanted, list):
        return isinstance(got, list) and len(wanted) == len(got) and all(map(same, wanted, got))
    if type(wanted) is not type(got):
        return False
    return wanted == got


def integer(value):
    """The value as Redis reads integers; None where it is none."""
    if value is None:
        return 0
    try:
        text = value.decode("ascii")
        number = int(text)
    except ValueError:
        return None
    return number if str(number) == text and -(2**63) <= number < 2**63 else None


def add_decimal(value, amount):
    """The sum as the server writes it, of decimals of a few digits; None where the value is none."""
    try:
        text = "0" if value is None else value.decode("ascii")
        if len(text) > 20 or set(text) - set("-.0123456789"):
            return None
        number = decimal.Decimal(text) + decimal.Decimal(amount)
    except (ValueError, decimal.InvalidOperation):
        return None
    shown = format(number, "f")
    if "." in shown:
        shown = shown.rstrip("0").rstrip(".")
    return b"0" if shown in ("-0", "") else shown.encode()


def part(value, start, end):
    """GETRANGE as Redis does it."""
    length = len(value)
    if start < 0 and end < 0 and start > end:
        return b""
    start = max(0, start + length if start < 0 else start)
    end = min(length - 1, max(0, end + length if end < 0 else end))
    return b"" if start > end or not length else value[start : end + 1]


def common_length(one, other):
    """The length of a longest common subsequence."""
    row = [0] * (len(other) + 1)
    for byte in one:
        before = 0
        for place, against in enumerate(other, 1):
            above = row[place]
            row[place] = before + 1 if byte == against else max(above, row[place - 1])
            before = above
    return row[-1]


def encoding(value):
    """OBJECT ENCODING, from the bytes alone."""
    if integer(value) is not None:
        return b"int"
    return b"embstr" if len(value) <= 44 else b"raw"


def slot(key):
    """The slot of a key: CRC16 (XMODEM) of its tag, or of all of it, modulo 8192."""
    opened = key.find(b"{")
    if opened >= 0:
        closed = key.find(b"}", opened + 1)
        if closed > opened + 1:
            key = key[opened + 1 : closed]
    crc = 0
    for byte in key:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc % 8192


def seconds(ms):
    """TTL's seconds, rounded as Redis does: to the nearest."""
    return math.floor((ms + 500) / 1000)
