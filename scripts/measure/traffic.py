"""What a worker of the soak asks, and what its keys hold after it: exactly, or as far as eviction lets it know."""

import string
import time

from measure import model
from measure.model import SLACK_S, Check, Error, Key, Op, Pairs, Simple, one_of

OK = Simple("OK")
QUEUED = Simple("QUEUED")
# What a line is answered where nothing is there, and the typed answer is another.
NOTHING = Simple("(null)")
NOT_INTEGER = Error("ERR value is not an integer or out of range")
LETTERS = (string.ascii_letters + string.digits).encode()

# How many requests, and bytes of them, are sent before the answers are read: fewer than a server holds unread.
BATCH_OPS = 40
BATCH_BYTES = 200_000


class Traffic:
    """The keys of a worker, and what is known of them while requests are under way."""

    groups, keys_per_group = 6, 12

    def __init__(self, worker, number):
        self.worker, self.scene, self.dice = worker, worker.scene, worker.random
        self.prefix = f"w{number}:"
        # Keys with the same tag are in one slot, whatever the number of nodes.
        self.grouped = [
            [f"{self.prefix}{{{number}g{group}}}{key}".encode() for key in range(self.keys_per_group)]
            for group in range(self.groups)
        ]
        self.owners = {name: self.scene.owner(name) for group in self.grouped for name in group}
        self.names = list(self.owners)
        self.forget()

    def forget(self):
        """After a flush: nothing is there."""
        self.model = {name: Key() for name in self.names}
        self.generations = {name: self.scene.generations[self.owners[name]] for name in self.names}
        self.held = {}
        self.begin([])

    def begin(self, ops):
        self.running, self.base, self.steps, self.loose = ops, {}, {}, set()

    def count(self, now):
        """How many keys there are at least and at most."""
        low = high = 0
        view = self.scene.view()
        for name in self.names:
            self.refresh(name, view)
            key = self.model[name]
            values = key.all()
            if key.until and now > key.until[1] + 5 and key.candidates is None:
                values = {None}
            low += None not in values
            high += values != {None}
        return low, high

    # What became of a batch.

    def put(self, index, name, key):
        """From this request of the batch on the key holds that."""
        self.base.setdefault(name, self.model[name])
        self.steps.setdefault(name, []).append((index, key))
        self.model[name] = key

    def doubt(self, name, first, until):
        """It is not known which of the requests from this one on were executed."""
        before = [self.base[name]] + [key for index, key in self.steps[name] if index < first]
        after = [key for index, key in self.steps[name] if index >= first]
        if after:
            self.model[name] = one_of([before[-1], *after])
            self.held[name] = max(until, self.held.get(name, 0))

    def broke(self, ops, answered, until):
        for name in self.steps:
            self.doubt(name, answered, until)

    def failed(self, op):
        for name in op.after:
            if name in self.steps:
                self.doubt(name, self.running.index(op), 0)

    def may_fail(self, op, view, now):
        """Was a node that has its keys missing at any time since it was asked?"""
        owners = range(len(view[1])) if op.after is None else {self.owners[name] for name in op.after}
        return any(not view[1][node] or view[0][node] != now[0][node] for node in owners)

    def done(self, view, now, began):
        """All answers have come, or never will. Keys whose node was killed meanwhile may have gone with it."""
        ended = time.monotonic()
        for name in self.steps:
            node = self.owners[name]
            if not view[1][node] or view[0][node] != now[0][node]:
                self.model[name] = one_of([self.base[name], *(key for _, key in self.steps[name])], {None})
            key = self.model[name]
            if key.until and key.until[1] is None:
                key.until = (key.until[0], ended + key.until[2])
        self.begin([])

    def refresh(self, name, view):
        """What a kill of its node makes of a key."""
        node = self.owners[name]
        key = self.model[name]
        if self.generations[name] != view[0][node]:
            self.generations[name] = view[0][node]
            key = Key() if view[1][node] else one_of([key], {None})
            self.model[name] = key
        if key.until and key.until[1] is not None and time.monotonic() > key.until[1] + SLACK_S:
            self.model[name] = key = Key()
        return key

    # Words.

    def value(self):
        dice = self.dice
        kind = dice.random()
        if kind < 0.25:
            return b"%d" % dice.randrange(-1000, 1000000)
        if kind < 0.85:
            size = dice.choice((0, 1, 3, 10, 30, 44, 45, 100, 300))
        elif kind < 0.995:
            size = dice.choice((700, 4000, 5000, 16000))
        else:
            size = dice.choice((70_000, 120_000))
        look = dice.random()
        if look < 0.75 or size > 1000:
            piece = bytes(dice.choices(LETTERS, k=min(size, 50)))
            return (piece * (size // 50 + 1))[:size]
        if look < 0.9:
            return bytes(dice.choices(LETTERS + b"  ", k=size))
        return dice.randbytes(size)


def until_in(seconds):
    """An end so many seconds after the request is executed: its latest time is known when the answers have come."""
    return (time.monotonic() + seconds - SLACK_S, None, seconds)


class Exact(Traffic):
    """Every answer is known."""

    def ops(self, view, alone):
        self.begin([])
        all_up = all(view[1])
        if alone and all_up:
            op = self.wide(view)
            if op:
                self.running.append(op)
                return self.running
        size = 0
        for _ in range(self.dice.choice((1, 1, 3, 10, BATCH_OPS))):
            name = self.dice.choice(self.names)
            key = self.refresh(name, view)
            if name in self.loose:
                continue
            at = len(self.running)
            if not view[1][self.owners[name]] or not key.known(time.monotonic()):
                made = self.unsure(name, key, view, at)
            elif self.dice.random() < 0.06:
                made = self.aside()
            elif self.dice.random() < 0.06:
                made = self.transaction(name, view, at)
            elif self.dice.random() < 0.15:
                made = self.pair(name, view, at)
            else:
                made = [self.single(name, key, at)]
            self.running.extend(made)
            size += sum(len(word) for op in made for word in op.words)
            if size > BATCH_BYTES:
                break
        if not self.running:
            self.running.append(Op(["PING"], Simple("PONG")))
        return self.running

    def unsure(self, name, key, view, at):
        """Requests that make sense where it is not known what is there."""
        self.loose.add(name)
        up = view[1][self.owners[name]]
        held = time.monotonic() < self.held.get(name, 0)
        kind = self.dice.random()
        if kind < 0.6 or held:
            return [self.loose_get(name, key, settles=up and not held)]
        if kind < 0.85:
            value = self.value()
            # While its node is missing the request may fail, which leaves what was there.
            after = Key(value) if up else one_of([key], {value, None})
            self.put(at, name, after)
            return [Op(["SET", name, value], OK, {name: after}, rest_of_line=True)]
        after = Key() if up else one_of([key], {None})
        self.put(at, name, after)
        return [Op(["DEL", name], Check("0 or 1", lambda got: got in (0, 1)), {name: after}, resp_only=True)]

    def loose_get(self, name, key, settles):
        asked = time.monotonic()

        def passes(got):
            if key.candidates is not None:
                return (got is None or isinstance(got, bytes)) and got in key.candidates
            if key.until is None:
                return got == key.value
            now = time.monotonic()
            low, high = key.until[0], key.until[1]
            if got is None:
                return now >= low
            return got == key.value and (high is None or asked - SLACK_S <= high)

        def then(got, _began, _ended):
            # An end that may be there is taken away by SET or DEL alone.
            if settles and (got is None or key.candidates is not None and not key.may_end):
                self.model[name] = Key(got)

        shown = key.all() if key.candidates is not None else (key.value, key.until)
        return Op(["GET", name], Check(f"one of {shown!r:.300}", passes), {name: None}, resp_only=True, then=then)

    def single(self, name, key, at):
        """A request for one key."""
        dice, value = self.dice, key.value
        there = value is not None
        kind = dice.randrange(30)

        def writes(words, wanted, after, **more):
            self.put(at, name, after)
            return Op(words, wanted, {name: after}, **more)

        def reads(words, wanted, **more):
            return Op(words, wanted, {name: None}, **more)

        if kind < 5:
            new = self.value()
            return writes(["SET", name, new], OK, Key(new), rest_of_line=True)
        if kind < 9:
            return reads(["GET", name], value)
        if kind == 9:
            return self.set_options(name, key, writes)
        if kind == 10:
            return writes([dice.choice(("DEL", "UNLINK")), name], int(there), Key(), text=OK if there else NOTHING)
        if kind == 11:
            if dice.random() < 0.5:
                return writes(["DELIFEQ", name, value if there else b"x"], int(there), Key(), resp_only=True)
            return reads(["DELIFEQ", name, b"no such value"], 0 if value != b"no such value" else 1, resp_only=True)
        if kind == 12:
            new = self.value()
            if dice.random() < 0.5:
                after = key if there else Key(new)
                return writes(["SETNX", name, new], int(not there), after, rest_of_line=True)
            return writes(["GETSET", name, new], value, Key(new), rest_of_line=True)
        if kind in (13, 14):
            new = self.value()[:2000]
            old = value or b""
            if len(old) > 150_000:
                return reads(["STRLEN", name], len(old))
            word, whole = dice.choice((("APPEND", old + new), ("PREPEND", new + old)))
            after = Key(whole, key.until)
            return writes([word, name, new], len(whole), after, text=OK, rest_of_line=True)
        if kind in (15, 16):
            return self.count_op(name, key, writes, reads)
        if kind == 17:
            amount = f"{dice.randrange(-999, 999)}.{dice.randrange(1, 100):02}"
            summed = model.add_decimal(value, amount)
            if summed is None:
                return reads(["GET", name], value)
            word = dice.choice(("INCF", "INCRBYFLOAT"))
            return writes([word, name, amount], summed, Key(summed, key.until))
        if kind == 18:
            start, end = dice.randrange(-20, 20), dice.randrange(-20, 400)
            return reads([dice.choice(("GETRANGE", "SUBSTR")), name, start, end], model.part(value or b"", start, end))
        if kind == 19:
            offset, new = dice.randrange(60), self.value()[:50]
            old = value or b""
            if not new:
                return reads(["SETRANGE", name, offset, b""], len(old), resp_only=True)
            whole = old[:offset].ljust(offset, b"\0") + new + old[offset + len(new) :]
            return writes(["SETRANGE", name, offset, new], len(whole), Key(whole, key.until), resp_only=True)
        if kind in (20, 21):
            return self.end_op(name, key, writes, reads)
        if kind == 22:
            return self.time_left(name, key, reads)
        if kind == 23:
            if dice.random() < 0.5:
                return writes(["GETDEL", name], value, Key())
            if not there:
                return reads(["GETEX", name, "EX", 100], None)
            after = Key(value, until_in(500))
            return writes(["GETEX", name, "EX", 500], value, after)
        if kind == 24:
            word, wanted = dice.choice(
                (
                    ("STRLEN", len(value or b"")),
                    ("EXISTS", int(there)),
                    ("TOUCH", int(there)),
                    ("TYPE", Simple("string" if there else "none")),
                )
            )
            return reads([word, name], wanted)
        if kind == 25:
            return reads(["GETP", name], Check(f"GETP of {key.value!r:.100}", lambda got: is_getp(got, name, key)),
                         resp_only=True)  # fmt: skip
        if kind == 26:
            if dice.random() < 0.5:
                return reads(["OBJECT", "ENCODING", name], model.encoding(value) if there else None)
            if not there:
                return reads(["MEMORY", "USAGE", name], None)
            return reads(["MEMORY", "USAGE", name], Check("a size", lambda got: isinstance(got, int) and got > 0),
                         resp_only=True)  # fmt: skip
        if kind == 27:
            # Short: until it is surely gone, it is only asked for.
            self.loose.add(name)
            ms, new = dice.choice((50, 300, 1000, 2000)), self.value()
            after = Key(new, until_in(ms / 1000))
            if dice.random() < 0.5:
                return writes(["PSETEX", name, ms, new], OK, after, rest_of_line=True)
            return writes(["SET", name, new, "PX", ms], OK, after, resp_only=True)
        if kind == 28:
            new = self.value()
            after = Key(new, until_in(300))
            return writes(["SETEX", name, 300, new], OK, after, rest_of_line=True)
        word = dice.choice(("GET", "SET", "INC", "EXPIRE"))
        words = {"GET": ["GET"], "SET": ["SET", name], "INC": ["INC"], "EXPIRE": ["EXPIRE", name]}[word]
        wanted = Error(f"ERR wrong number of arguments for '{word.lower()}' command")
        return reads(words, wanted)

    def set_options(self, name, key, writes):
        dice, value, new = self.dice, key.value, self.value()
        there = value is not None
        option = dice.choice(("NX", "XX", "GET", "KEEPTTL", "IFEQ", "IFNE"))
        kept = Key(value, key.until)
        if option == "NX":
            return writes(["SET", name, new, "NX"], None if there else OK, kept if there else Key(new), resp_only=True)
        if option == "XX":
            return writes(["SET", name, new, "XX"], OK if there else None, Key(new) if there else kept, resp_only=True)
        if option == "GET":
            return writes(["SET", name, new, "GET"], value, Key(new), resp_only=True)
        if option == "KEEPTTL":
            return writes(["SET", name, new, "KEEPTTL"], OK, Key(new, key.until), resp_only=True)
        right = value if option == "IFEQ" and there else b"another value"
        done = there and right == value
        return writes(["SET", name, new, "IFEQ", right], OK if done else None, Key(new) if done else kept,
                      resp_only=True)  # fmt: skip

    def count_op(self, name, key, writes, reads):
        dice = self.dice
        word, sign, wants = dice.choice(
            (("INC", 1, True), ("INC", 1, False), ("DEC", -1, True), ("INCR", 1, False), ("DECR", -1, False),
             ("INCRBY", 1, True), ("DECRBY", -1, True))
        )  # fmt: skip
        amount = dice.randrange(-1000, 1000) if wants else 1
        words = [word, name, amount] if wants else [word, name]
        number = model.integer(key.value)
        if number is None:
            return reads(words, NOT_INTEGER)
        number += sign * amount
        return writes(words, number, Key(b"%d" % number, key.until))

    def end_op(self, name, key, writes, reads):
        dice, there = self.dice, key.value is not None
        if dice.random() < 0.25:
            had = there and key.until is not None
            return writes(["PERSIST", name], int(had), Key(key.value))
        if not there:
            return reads(["EXPIRE", name, 100], 0)
        kind = dice.randrange(4)
        if kind == 0:
            return writes(["EXPIRE", name, dice.choice((0, -1))], 1, Key())
        if kind == 1:
            after = Key(key.value, until_in(400))
            return writes(["EXPIREAT", name, int(time.time()) + 401], 1, Key(key.value, loosened(after.until)))
        if kind == 2:
            return writes(["PEXPIRE", name, 600_000], 1, Key(key.value, until_in(600)))
        if key.until is None:
            return writes(["EXPIRE", name, 200, "NX"], 1, Key(key.value, until_in(200)))
        return reads(["EXPIRE", name, 200, "NX"], 0)

    def time_left(self, name, key, reads):
        word = self.dice.choice(("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"))
        if key.value is None:
            return reads([word, name], -2)
        if key.until is None:
            return reads([word, name], -1)
        until, asked = key.until, time.monotonic()

        def passes(got):
            if not isinstance(got, int):
                return False
            now = time.monotonic()
            left = got if word in ("TTL", "EXPIRETIME") else got / 1000
            if word.endswith("TIME"):
                left -= time.time() - now + asked
            high = until[1] if until[1] is not None else now + until[2]
            return until[0] - now - 2 <= left <= high - asked + 2

        return reads([word, name], Check(f"{word} until {until}", passes), resp_only=True)

    def pair(self, name, view, at):
        """A request for two keys of one slot."""
        group = next(group for group in self.grouped if name in group)
        other = self.dice.choice(group)
        one = self.model[name]
        if other == name or other in self.loose or not self.refresh(other, view).known(time.monotonic()):
            return [Op(["STRLEN", name], len(one.value or b""), {name: None})]
        two, kind = self.model[other], self.dice.randrange(7)
        both = {name: None, other: None}
        if kind in (0, 1):
            if one.value is None:
                return [Op(["RENAME", name, other], Error("ERR no such key"), both)]
            if kind == 1 and two.value is not None:
                return [Op(["RENAMENX", name, other], 0, both)]
            self.put(at, name, Key())
            self.put(at, other, Key(one.value, one.until))
            return [Op(["RENAME", name, other], OK, both) if kind == 0 else Op(["RENAMENX", name, other], 1, both)]
        if kind == 2:
            done = one.value is not None
            if done:
                self.put(at, other, Key(one.value, one.until))
            return [Op(["COPY", name, other, "REPLACE"], int(done), both)]
        if kind == 3:
            values = [self.value(), self.value()]
            free = one.value is None and two.value is None
            if free:
                self.put(at, name, Key(values[0]))
                self.put(at, other, Key(values[1]))
            return [Op(["MSETNX", name, values[0], other, values[1]], int(free), both, resp_only=True)]
        if kind == 4:
            values = [self.value(), self.value()]
            self.put(at, name, Key(values[0]))
            self.put(at, other, Key(values[1]))
            return [Op(["MSET", name, values[0], other, values[1]], OK, both, resp_only=True)]
        if kind == 5:
            first, second = one.value or b"", two.value or b""
            if len(first) * len(second) < 3000:
                return [Op(["LCS", name, other, "LEN"], model.common_length(first, second), both)]
        return [Op(["MGET", name, other], [one.value, two.value], both)]

    def transaction(self, name, view, at):
        """MULTI to EXEC or DISCARD on one slot, with or without WATCH."""
        group = next(group for group in self.grouped if name in group)
        kind = self.dice.randrange(4)
        made, answers, touched = [], [], {}

        def add(op):
            made.append(op)
            touched.update(dict.fromkeys(op.after))

        if kind in (1, 2):
            add(Op(["WATCH", name], OK, {name: None}))
        if kind == 2:
            # Changed between WATCH and EXEC, which then does nothing.
            new = self.value()
            after = Key(new)
            self.put(at + len(made), name, after)
            add(Op(["SET", name, new], OK, {name: after}, rest_of_line=True))
        made.append(Op(["MULTI"], OK))
        saved = dict(self.model), {key: list(steps) for key, steps in self.steps.items()}, dict(self.base)
        for _ in range(self.dice.randrange(1, 4)):
            key = self.dice.choice(group)
            if key in self.loose or not self.refresh(key, view).known(time.monotonic()):
                key = name
            if key in self.loose:
                break
            op = self.single(key, self.model[key], at + len(made))
            if isinstance(op.wanted, Error) and "arguments" in op.wanted:
                continue
            if isinstance(op.wanted, Check):
                # What a check would need is not known before EXEC.
                continue
            answers.append((op.wanted, op.text))
            touched.update(dict.fromkeys(op.after))
            op.wanted = op.text = QUEUED
            op.then = None
            made.append(op)
        last = dict(touched) or {name: None}
        if kind in (2, 3):
            self.model, self.steps, self.base = saved
            wanted = (OK if kind == 3 else None, OK if kind == 3 else NOTHING)
            made.append(Op(["DISCARD" if kind == 3 else "EXEC"], wanted[0], last, text=wanted[1]))
            return made
        exec_op = Op(["EXEC"], [wanted for wanted, _ in answers], last, text=[text for _, text in answers])
        made.append(exec_op)
        return made

    def aside(self):
        """Requests that are about no key of ours."""
        word = self.dice.randbytes(3).hex()
        return self.dice.choice(
            (
                [Op(["PING"], Simple("PONG"))],
                [Op(["ECHO", word], word.encode(), rest_of_line=True)],
                [Op(["NONSENSE"], Error("ERR unknown command 'NONSENSE', with args beginning with: "),
                    text=Simple("(Unknown command)"))],
                [Op(["CLIENT", "SETNAME", word], OK), Op(["CLIENT", "GETNAME"], word.encode())],
                [Op(["TIME"], Check("two numbers", lambda got: isinstance(got, list) and len(got) == 2))],
                [Op(["EXEC"], Error("ERR EXEC without MULTI"))],
                [Op(["CLIENT", "ID"], Check("a number", lambda got: isinstance(got, int) and got > 0))],
                [Op(["INFO", "server"], Check("a text", lambda got: isinstance(got, bytes) and b"memento" in got))],
                [Op(["SELECT", 0], OK), Op(["UNWATCH"], OK)],
            )
        )  # fmt: skip

    def wide(self, view):
        """A request that may concern several nodes: alone, since it can be done in part."""
        names = self.dice.sample(self.names, 8)
        for name in names:
            self.refresh(name, view)
        kind = self.dice.randrange(6)
        if kind in (4, 5):
            return self.listing(view, kind)
        now = time.monotonic()
        names = [name for name in names if self.model[name].known(now)]
        if not names:
            return None
        nothing = dict.fromkeys(names)
        values = [self.model[name].value for name in names]
        if kind == 0:
            return Op(["MGET", *names], values, nothing)
        if kind == 1:
            return Op(["EXISTS", *names], sum(value is not None for value in values), nothing)
        if kind == 2:
            for name in names:
                self.put(0, name, Key())
            count = sum(value is not None for value in values)
            return Op(["DEL", *names], count, nothing, text=OK if count else NOTHING)
        words = ["MSET"]
        for name in names:
            after = Key(self.value())
            words += [name, after.value]
            self.put(0, name, after)
        return Op(words, OK, nothing, resp_only=True)

    def listing(self, view, kind):
        """KEYS of all that is ours; or SCAN, as far as the first answer tells."""
        now = time.monotonic()
        sure, may = set(), set()
        for name in self.names:
            key = self.refresh(name, view)
            values = key.all()
            if None not in values:
                sure.add(name)
            if values != {None}:
                may.add(name)
            if key.until and now > key.until[0] or now < self.held.get(name, 0):
                sure.discard(name)
        pattern = self.prefix + "*"

        def passes(got):
            if kind == 5:
                if not (isinstance(got, list) and len(got) == 2 and isinstance(got[1], list)):
                    return False
                return set(got[1]) <= may and (got[0] != b"0" or sure <= set(got[1]))
            return isinstance(got, list) and sure <= set(got) <= may and len(set(got)) == len(got)

        words = ["SCAN", 0, "MATCH", pattern, "COUNT", 2000] if kind == 5 else ["KEYS", pattern]
        op = Op(words, Check(f"{len(sure)} to {len(may)} keys", passes), resp_only=True)
        # Every node has a part of it.
        op.after = dict.fromkeys(self.names)
        return op


class Lossy(Traffic):
    """Keys may go at any time: what is there must be right."""

    groups, keys_per_group = 30, 100

    def count(self, now):
        return 0, len(self.names)

    def value(self):
        size = self.dice.choice((10, 100, 1000, 4000, 4000, 5000, 9000))
        piece = bytes(self.dice.choices(LETTERS, k=20))
        return (piece * (size // 20 + 1))[:size]

    def ops(self, view, alone):
        self.begin([])
        size = 0
        for _ in range(self.dice.choice((1, 5, BATCH_OPS))):
            name = self.dice.choice(self.names)
            if name in self.loose:
                continue
            self.loose.add(name)
            op = self.one(name, self.refresh(name, view), len(self.running))
            self.running.append(op)
            size += sum(len(word) for word in op.words)
            if size > BATCH_BYTES:
                break
        return self.running

    def may_fail(self, op, view, now):
        return False

    def one(self, name, key, at):
        kind, held = self.dice.randrange(20), time.monotonic() < self.held.get(name, 0)
        if held or key.candidates is not None or key.until is not None:
            kind = 10 if held or key.until is not None else self.dice.choice((0, 10))
        if kind < 10:
            after = Key(self.value())
            words, ends = ["SET", name, after.value], self.dice.random() < 0.1
            if ends:
                after.until = until_in(0.5)
                words = ["PSETEX", name, 500, after.value]
            self.put(at, name, after)
            return Op(words, OK, {name: after}, rest_of_line=True)
        value = key.value
        if kind < 16:

            def passes(got):
                return got is None or isinstance(got, bytes) and got in key.all()

            def then(got, _began, _ended):
                if not held and (got is None or key.until is None):
                    self.model[name] = Key(None if got == b"(null)" else got)

            text = Check("right or nothing", lambda got: got == b"(null)" or got in key.all())
            return Op(["GET", name], Check("right or nothing", passes), {name: None}, text=text, then=then)
        if kind == 16:
            self.put(at, name, Key())
            return Op(["DEL", name], Check("0 or 1", lambda got: got in ((0, 1) if value is not None else (0,))),
                      {name: None}, resp_only=True)  # fmt: skip
        if kind == 17:
            tail = self.dice.randbytes(10).hex().encode()
            whole = (value or b"") + tail
            self.put(at, name, Key(candidates={whole, tail}))

            def passes(got):
                return got in (len(tail), len(whole))

            def then(got, _began, _ended):
                self.model[name] = Key(tail if got == len(tail) else whole)

            return Op(["APPEND", name, tail], Check("a length", passes), {name: None}, resp_only=True, then=then)
        if kind == 18:
            return Op(["STRLEN", name], Check("its length or 0", lambda got: got in (0, len(value or b""))),
                      {name: None}, resp_only=True)  # fmt: skip
        return Op(["EXISTS", name], Check("0 or 1", lambda got: got in ((0, 1) if value is not None else (0,))),
                  {name: None}, resp_only=True)  # fmt: skip


def loosened(until):
    """An end that is given as a time on the wall, in whole seconds."""
    return (until[0] - 2, None, until[2] + 3)


def is_getp(got, name, key):
    """The four fields, as a map or, in RESP2, as a flat list."""
    if key.value is None:
        return got is None
    if not isinstance(got, (list, Pairs)) or len(got) != 8:
        return False
    fields = dict(zip(got[::2], got[1::2]))
    ends = fields.get(b"expire_time")
    return (
        fields.get(b"key") == name
        and fields.get(b"value") == key.value
        and abs(fields.get(b"creation_time", 0) / 1000 - time.time()) < 7200
        and (ends == -1 if key.until is None else isinstance(ends, int) and ends > time.time() * 1000)
    )
