"""memento-cli under a pseudo terminal: keys typed, and the screen looked at.

Arguments: program, folder for its own use, the port of one node of a cluster of three, the process id of another."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import unicodedata

PROGRAM, FOLDER, NODE_PORT, NODE_PID = sys.argv[1:5]
DEADLINE = 20


def width(char):
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


class Screen:
    """What a terminal shows."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.cells = [[" "] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.rest = ""
        self.alternate = None
        self.seen = ""

    def feed(self, text):
        self.seen += text
        text = self.rest + text
        while text:
            if text[0] == "\x1b":
                found = re.match(r"\x1b\[([?0-9;]*)([A-Za-z])", text)
                if not found:
                    assert len(text) < 20, f"no sequence: {text[:20]!r}"
                    break
                self.obey(found.group(1), found.group(2))
                text = text[found.end():]
            else:
                self.put(text[0])
                text = text[1:]
        self.rest = text

    def obey(self, number, letter):
        count = int(number) if number.isdigit() else 1
        if letter == "A":
            self.row = max(0, self.row - count)
        elif letter == "C":
            self.column = min(self.columns - 1, self.column + count)
        elif letter == "H":
            self.row = self.column = 0
        elif letter in "JK":
            first = (0, 0) if number == "2" else (self.row, min(self.column, self.columns - 1))
            last = self.rows if letter == "J" else self.row + 1
            for row in range(self.rows):
                for column in range(self.columns):
                    if first <= (row, column) < (last, 0):
                        self.cells[row][column] = " "
        elif (number, letter) == ("?1049", "h"):
            self.alternate = (self.cells, self.row, self.column)
            self.cells = [[" "] * self.columns for _ in range(self.rows)]
        elif (number, letter) == ("?1049", "l"):
            self.cells, self.row, self.column = self.alternate
            self.alternate = None
        else:
            assert letter == "m" or number in ("?25", "?2004"), f"asks for {number!r} {letter!r}"

    def put(self, char):
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self.feed_line()
        elif char == "\x07":
            pass
        elif width(char) == 0:
            self.cells[self.row][max(0, self.column - 1)] += char
        else:
            if self.column + width(char) > self.columns:
                self.column = 0
                self.feed_line()
            self.cells[self.row][self.column] = char
            if width(char) == 2:
                self.cells[self.row][self.column + 1] = ""
            self.column += width(char)

    def feed_line(self):
        if self.row + 1 < self.rows:
            self.row += 1
        else:
            self.cells = self.cells[1:] + [[" "] * self.columns]

    def shown(self):
        return "\n".join("".join(row).rstrip() for row in self.cells).rstrip()


class Tool:
    """The tool on a terminal of its own."""

    def __init__(self, *words, columns=60, rows=24, **environment):
        self.screen = Screen(columns, rows)
        # The tool begins when its terminal has been looked at.
        begin, go = os.pipe()
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.close(go)
            os.read(begin, 1)
            os.environ.pop("MEMENTO_PASSWORD", None)
            os.environ.update({"HOME": FOLDER, "TERM": "xterm", **environment})
            os.execv(PROGRAM, ["memento-cli", *words])
        os.close(begin)
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self.terminal)
        os.close(go)
        self.decoder = __import__("codecs").getincrementaldecoder("utf-8")()
        self.status = None

    def resize(self, columns, rows):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        if select.select([self.terminal], [], [], seconds)[0]:
            try:
                data = os.read(self.terminal, 65536)
            except OSError:
                data = b""
            if not data:
                if self.status is None:
                    self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
                return
            self.screen.feed(self.decoder.decode(data))

    def wait(self, what, condition):
        end = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > end:
                sys.exit(f"not within {DEADLINE} s: {what}; the screen:\n{self.screen.shown()}\n{self.screen.seen[-300:]!r}")
            self.read(0.05)

    def types(self, text):
        data = text.encode()
        while data:
            # What is shown meanwhile is taken in, since the tool writes before it reads on.
            ready = select.select([self.terminal], [self.terminal], [], DEADLINE)
            if ready[0]:
                self.read(0)
            elif ready[1]:
                data = data[os.write(self.terminal, data[:256]):]

    def sees(self, *wanted):
        """Waits until the last rows are these; a pattern where it begins with ~."""

        def fits():
            rows = self.screen.shown().split("\n")[-len(wanted):]
            return len(rows) == len(wanted) and all(
                re.fullmatch(want[1:], row) if want[:1] == "~" else row == want for want, row in zip(wanted, rows)
            )

        self.wait("\n".join(wanted), fits)

    def ends(self, status=0):
        self.wait("the end", lambda: self.status is not None)
        assert self.status == status, f"status {self.status}: {self.screen.shown()}"


class Server:
    running = []

    def __init__(self, *words, port=0):
        self.log = open(os.path.join(FOLDER, "log"), "w+")
        self.process = subprocess.Popen(
            [PROGRAM, "-p", str(port), *words], stdout=self.log, stderr=self.log
        )
        Server.running.append(self.process)
        end = time.monotonic() + DEADLINE
        while True:
            found = re.search(r"listening on 127\.0\.0\.1:(\d+)", open(self.log.name).read())
            if found:
                self.port = int(found.group(1))
                return
            assert time.monotonic() < end, "the server does not listen"
            time.sleep(0.02)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def clear(tool):
    """An empty screen and line."""
    tool.types("\x05\x15\x0c")
    tool.sees(PROMPT.rstrip())


# What is typed into an empty line, and what stands there then.
KEYS = [
    ("abc\x1b[DX", "abXc"),
    ("abc\x02\x02X", "aXbc"),
    ("abc\x01X\x06Y", "XaYbc"),
    ("abc\x1b[H\x1b[CX", "aXbc"),
    ("abc\x1bOHX\x1b[FY", "XabcY"),
    ("abc\x01\x05X", "abcX"),
    ("one two\x1bbX", "one Xtwo"),
    ("one two\x1b[1;5D\x1b[1;5DX", "Xone two"),
    ("one two\x01\x1bfX", "oneX two"),
    ("one two\x01\x1b[1;5CX", "oneX two"),
    ("abc\x7f", "ab"),
    ("abc\x08", "ab"),
    ("abc\x01\x04", "bc"),
    ("abc\x01\x1b[3~", "bc"),
    ("one two\x17X", "one X"),
    ("key:one\x1b\x7fX", "key:X"),
    ("one two\x01\x1bd", " two"),
    ("one two\x1bb\x0bX\x19", "one Xtwo"),
    ("one two\x1bb\x15X\x19", "Xone two"),
    ("one two\x17\x1f", "one two"),
    ("one\x1f", ""),
    ("a\x16\tb", "a^Ib"),
    ("世界é\x1b[D\x7f", "世é"),
    ("e\u0301x\x1b[D\x7f", "x"),
]


def editing(tool):
    for keys, wanted in KEYS:
        clear(tool)
        tool.types(keys)
        tool.sees((PROMPT + wanted).rstrip())
    clear(tool)


def conversation(tool):
    tool.types("SET greeting  hello  world\r")
    tool.sees(PROMPT + "SET greeting  hello  world", "OK", PROMPT.rstrip())
    clear(tool)
    tool.types("getp greeting\r")
    date = r"\d{13}  \(20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC\)"
    tool.sees("key: greeting", "value:  hello  world", "~creation_time: " + date, "expire_time: -1", PROMPT.rstrip())
    tool.types("DEL nothing\r")
    tool.sees("(null)", PROMPT.rstrip())
    tool.types("nonsense\r")
    tool.sees("(Unknown command)", PROMPT.rstrip())
    assert "\x1b[31m(Unknown command)" in tool.screen.seen, "an error is red"
    tool.types("SET esc a\x16\x01b\r")
    tool.types("GET esc\r")
    tool.sees("a\\x01b", PROMPT.rstrip())
    tool.types("MULTI\rDEL esc\rGET esc\rEXEC\r")
    tool.sees("OK", "(null)", PROMPT.rstrip())
    tool.types("DEBUG SLEEP 0.6\r")
    tool.sees("OK", "~\\(\\d+\\.\\d\\d s\\)", PROMPT.rstrip())
    clear(tool)
    # What is pasted is what it is: a tab completes nothing.
    tool.types("\x1b[200~ECHO hel\tx\x1b[201~")
    tool.sees(PROMPT + "ECHO hel^Ix")
    assert "\x1b[?2004h" in tool.screen.seen
    clear(tool)


def hints(tool):
    tool.types("expi")
    tool.sees(PROMPT + "expi")
    tool.types("re")
    tool.sees(PROMPT + "expire key seconds [NX | XX | GT | LT]")
    assert "\x1b[2m" in tool.screen.seen, "a hint is dim"
    tool.types(" k ")
    tool.sees(PROMPT + "expire k seconds [NX | XX | GT | LT]")
    clear(tool)
    tool.types("GETR\t")
    tool.sees(PROMPT + "GETRANGE key start end")
    clear(tool)
    tool.types("hel\t")
    tool.sees(PROMPT + "hel", "hello  help", PROMPT + "hel")
    clear(tool)
    tool.types("cluster my\t\x7f\x7f\r")
    tool.sees("~.*error.*", PROMPT.rstrip())
    clear(tool)
    tool.types("help set\r")
    tool.sees("~Typed as a line, its last argument is the rest of the line,.*", "~.*", PROMPT.rstrip())
    for word in ("help", "?", "h"):
        clear(tool)
        tool.types(word + "\r")
        tool.wait(word, lambda: "Ctrl-D   end" in tool.screen.shown())
    clear(tool)


def history(tool):
    tool.types("ECHO one\rECHO two\rAUTH default secret\r ECHO hidden\r")
    tool.sees("hidden", PROMPT.rstrip())
    assert PROMPT + "AUTH **************" in tool.screen.shown(), tool.screen.shown()
    clear(tool)
    tool.types("new\x1b[A")
    tool.sees(PROMPT + "ECHO two")
    tool.types("\x10")
    tool.sees(PROMPT + "ECHO one")
    tool.types("\x1b[B\x0e")
    tool.sees(PROMPT + "new")
    tool.types("\x15\x12on")
    tool.sees("(search 'on') ECHO one")
    tool.types("\x07")
    tool.sees(PROMPT.rstrip())
    tool.types("\x12gree\x12")
    tool.sees("(search 'gree') SET greeting  hello  world")
    tool.types("\r")
    tool.sees("OK", PROMPT.rstrip())
    path = os.path.join(FOLDER, ".memento_history")
    text = open(path).read()
    assert os.stat(path).st_mode & 0o777 == 0o600, oct(os.stat(path).st_mode)
    assert "ECHO two\n" in text and "secret" not in text and "hidden" not in text, text
    clear(tool)


def long_lines(tool):
    line = "ECHO " + "0123456789" * 13
    room = tool.screen.columns
    tool.types(line)
    whole = PROMPT + line
    tool.sees(*[whole[at:at + room] for at in range(0, len(whole), room)])
    tool.types("\x01\x06\x06X")
    whole = PROMPT + line[:2] + "X" + line[2:]
    tool.sees(*[whole[at:at + room] for at in range(0, len(whole), room)])
    tool.types("\x02\x04\r")
    tool.sees(*[line[5:][at:at + room] for at in range(0, len(line) - 5, room)], PROMPT.rstrip())
    clear(tool)
    # Another width: this terminal breaks its rows anew, as most do.
    tool.types(line)
    whole = PROMPT + line
    tool.sees(*[whole[at:at + room] for at in range(0, len(whole), room)])
    tool.screen.__init__(40, 24)
    tool.screen.feed(whole)
    tool.resize(40, 24)
    tool.wait("a painting", lambda: tool.screen.seen.count(whole[:40]) > 1)
    tool.types("Y")
    whole += "Y"
    tool.sees(*[whole[at:at + 40] for at in range(0, len(whole), 40)])
    assert tool.screen.shown().startswith(whole[:40]), tool.screen.shown()
    tool.screen.__init__(room, 24)
    tool.resize(room, 24)
    # More than the screen holds, at once: its end is seen.
    tool.types("\x15\x0cECHO " + "x" * 50000 + "END")
    tool.wait("the end of a long line", lambda: re.search("x{40}END$", tool.screen.shown().replace("\n", "")))
    tool.types("\x01\x06")
    tool.wait("its begin", lambda: tool.screen.shown().startswith(PROMPT + "ECHO xxx"))
    tool.types("\x15\x05\x15\x0c")
    tool.sees(PROMPT.rstrip())


def stopping(tool, server):
    tool.types("GET half\x03")
    tool.sees(PROMPT + "GET half", PROMPT.rstrip())
    tool.types("DEBUG SLEEP 3\r")
    tool.sees(PROMPT + "DEBUG SLEEP 3")
    tool.types("\x03")
    tool.sees("^C", "memento-cli: stopped; connected again", PROMPT.rstrip())
    tool.types("PING\r")
    tool.sees("PONG", PROMPT.rstrip())
    # Keys pressed meanwhile are the next line's.
    tool.types("DEBUG SLEEP 0.3\rECHO ahead\r")
    tool.sees("ahead", PROMPT.rstrip())
    # While it is connected again Ctrl-C is heard too.
    tool.types("\x0cDEBUG SLEEP 3\r")
    tool.sees(PROMPT + "DEBUG SLEEP 3")
    tool.types("\x03")
    tool.sees("^C")
    tool.types("\x03")
    tool.sees("memento-cli: not connected: stopped", "not connected>")
    tool.types("PING\r")
    tool.sees("memento-cli: the connection was lost; connected again", "PONG", PROMPT.rstrip())
    clear(tool)
    # A server that goes and comes again.
    server.stop()
    tool.types("PING\r")
    tool.wait("a complaint", lambda: "cannot connect" in tool.screen.shown().replace("\n", ""))
    tool.sees("not connected>")
    again = Server("--enable-debug-command", "yes", port=server.port)
    tool.types("PING\r")
    tool.sees("memento-cli: the connection was lost; connected again", "PONG", PROMPT.rstrip())
    again.stop()
    again = Server("--enable-debug-command", "yes", port=server.port)
    tool.types("PING\r")
    tool.sees("memento-cli: the connection was lost; connected again", "PONG", PROMPT.rstrip())
    # What was queued is lost with the connection: what follows is not executed alone.
    tool.types("MULTI\r")
    tool.sees("OK", PROMPT[:-2] + " (in MULTI)>")
    again.stop()
    again = Server("--enable-debug-command", "yes", port=server.port)
    tool.types("SET lost 1\r")
    tool.wait("a complaint", lambda: "the line was not sent" in tool.screen.shown().replace("\n", ""))
    tool.types("EXISTS lost\r")
    tool.sees("0", PROMPT.rstrip())
    clear(tool)
    # Ctrl-Z, and on again at once: a program without a shell above it is not stopped (setpgid(2), orphaned groups).
    tool.types("ab\x1ac")
    tool.sees(PROMPT + "abc")
    tool.types("\x15")
    return again


def ends(words, environment):
    for keys, status in [("\x04", 0), ("QUIT\r", 0), ("exit\r", 0)]:
        tool = Tool(*words, **environment)
        tool.sees(PROMPT.rstrip())
        attributes = termios.tcgetattr(tool.terminal)
        assert attributes != tool.before
        tool.types(keys)
        tool.wait("the terminal as it was", lambda: termios.tcgetattr(tool.terminal) == tool.before)
        tool.ends(status)
    tool = Tool(*words, **environment)
    tool.sees(PROMPT.rstrip())
    os.kill(tool.pid, signal.SIGTERM)
    tool.wait("the terminal as it was", lambda: termios.tcgetattr(tool.terminal) == tool.before)
    tool.ends(128 + signal.SIGTERM)


def dumb(words):
    """A terminal that obeys nothing has a prompt, and no keys."""
    tool = Tool(*words, TERM="dumb")
    tool.sees(PROMPT.rstrip())
    tool.types("ECHO one\r")
    tool.sees(PROMPT + "ECHO one", "one", PROMPT.rstrip())
    assert "\x1b" not in tool.screen.seen, tool.screen.seen
    tool.types("QUIT\r")
    tool.ends()


def values(words):
    """One command on a terminal: what it would obey is escaped, but not with --raw."""
    subprocess.run(
        ["memento-cli", "-x", *words, "SET", "raw"], executable=PROGRAM, check=True, input=b"a\x01b", stdout=subprocess.DEVNULL
    )
    for options, wanted in [((), "a\\x01b\r\n"), (("--raw",), "a\x01b\r\n")]:
        tool = Tool(*options, *words, "GET", "raw")
        tool.ends()
        assert tool.screen.seen == wanted, tool.screen.seen


def passwords():
    path = os.path.join(FOLDER, "password")
    open(path, "w").write("sesame and more\n")
    server = Server("--password-file", path)
    port = str(server.port)
    tool = Tool("-p", port, columns=70)
    global PROMPT
    PROMPT = f"127.0.0.1:{port}> "
    tool.sees("memento-cli: the server wants a password: AUTH password", PROMPT.rstrip())
    tool.types("GET k\r")
    tool.sees("(error) NOAUTH Authentication required.", PROMPT.rstrip())
    tool.types("AUTH wrong\r")
    tool.sees("~\\(error\\) WRONGPASS .*", PROMPT.rstrip())
    tool.types("AUTH default wrong\r")
    tool.sees("~\\(error\\) WRONGPASS .*", PROMPT.rstrip())
    # Of a line, a password is one word: this one has to come from a file.
    tool.types("\x04")
    tool.ends()
    tool = Tool("--password-file", path, "-p", port)
    tool.types("SET k v w\rGET k\r")
    tool.sees("v w", PROMPT.rstrip())
    tool.types("\x04")
    tool.ends()
    server.stop()
    open(path, "w").write("sesame\n")
    server = Server("--password-file", path)
    PROMPT = f"127.0.0.1:{server.port}> "
    tool = Tool("-p", str(server.port), columns=70)
    tool.sees("memento-cli: the server wants a password: AUTH password", PROMPT.rstrip())
    # Before and after, a line is a line.
    tool.types("SET k  two words \r")
    tool.sees("(error) NOAUTH Authentication required.", PROMPT.rstrip())
    tool.types("AUTH sesame\rSET k  two words \r")
    tool.sees("OK", PROMPT.rstrip())
    tool.types("STRLEN k\r")
    tool.sees("11", PROMPT.rstrip())
    tool.types("\x04")
    tool.ends()
    server.stop()


def streaming():
    """SUBSCRIBE and MONITOR, on a server that has them for certain."""
    path = os.path.join(FOLDER, "redis.sock")
    redis = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", FOLDER],
        stdout=subprocess.DEVNULL,
    )
    Server.running.append(redis)
    end = time.monotonic() + DEADLINE
    while not os.path.exists(path):
        assert time.monotonic() < end, "redis-server does not listen"
        time.sleep(0.02)
    tool = Tool("-s", path, columns=100)
    prompt = f"{path}>"
    tool.sees(prompt)
    for command, line in [("SUBSCRIBE news", "message news hello"), ("MONITOR", '~.*"PUBLISH" "news" "hello".*')]:
        tool.types("\x0c" + command + "\r")
        first = "subscribe news 1" if command[0] == "S" else "OK"
        tool.sees(f"{prompt} {command}", first)
        publish = ["memento-cli", "-s", path, "PUBLISH", "news", "hello"]
        subprocess.run(publish, executable=PROGRAM, check=True, stdout=subprocess.DEVNULL)
        tool.wait(line, lambda: any(re.fullmatch(line.lstrip("~"), row) for row in tool.screen.shown().split("\n")))
        tool.types("\x03")
        tool.sees("^C", "memento-cli: stopped; connected again", prompt)
    # In a flood, Ctrl-C is seen all the same. (It is written at once, since there is always more to be read.)
    lines = os.path.join(FOLDER, "lines")
    open(lines, "w").write("PING\r\n" * 200000)
    tool.types("\x0cMONITOR\r")
    tool.sees(f"{prompt} MONITOR", "OK")
    pipe = ["memento-cli", "-s", path, "--pipe"]
    flood = subprocess.Popen(pipe, executable=PROGRAM, stdin=open(lines), stdout=subprocess.DEVNULL)
    Server.running.append(flood)
    tool.wait("the flood", lambda: '"PING"' in tool.screen.shown())
    os.write(tool.terminal, b"\x03")
    tool.sees("^C", "memento-cli: stopped; connected again", prompt)
    tool.types("\x04")
    tool.ends()
    assert flood.wait() == 0
    redis.terminate()
    redis.wait()


def top(server):
    """The live screen: it comes, changes and goes."""
    port = str(server.port)
    subprocess.run(
        ["memento-cli", "-p", port, "DEBUG", "SLEEP", "0.03"], executable=PROGRAM, check=True, stdout=subprocess.DEVNULL
    )
    tool = Tool("-p", port, "--top", "-i", "0.1", columns=80)
    tool.wait("the table", lambda: re.search(rf" a 127\.0\.0\.1:{port} +up ", tool.screen.shown()))
    tool.wait("slow commands", lambda: re.search(r" a 20.* \d+\.\d ms  DEBUG SLEEP 0\.03", tool.screen.shown()))
    assert "1 of 1 up" in tool.screen.shown().split("\n")[0], tool.screen.shown()
    # It is looked at again and again, and drawn anew where the size changes.
    subprocess.run(
        ["memento-cli", "-p", port, "MSET", "top:1", "x", "top:2", "y"], executable=PROGRAM, check=True, stdout=subprocess.DEVNULL
    )
    keys = int(subprocess.run(["memento-cli", "-p", port, "DBSIZE"], executable=PROGRAM, check=True, stdout=subprocess.PIPE).stdout)
    tool.wait("the keys", lambda: f"keys {keys} " in tool.screen.shown())
    # A node that is late once: what it says then is not taken for the answer to something else.
    for words in (["DEBUG", "SLEEP", "0.7"], ["SET", "top:3", "z"]):
        subprocess.run(["memento-cli", "-p", port, *words], executable=PROGRAM, check=True, stdout=subprocess.DEVNULL)
    tool.wait(
        "the node again",
        lambda: f"keys {keys + 1} " in tool.screen.shown() and re.search(rf" a 127\.0\.0\.1:{port} +up ", tool.screen.shown()),
    )
    tool.screen.__init__(40, 5)
    tool.screen.alternate = ([[" "] * 40 for _ in range(5)], 0, 0)
    tool.resize(40, 5)
    tool.wait("a small screen", lambda: "keys" in tool.screen.shown() and "node" not in tool.screen.shown())
    tool.types("q")
    tool.wait("the terminal as it was", lambda: termios.tcgetattr(tool.terminal) == tool.before)
    tool.ends()
    assert tool.screen.shown() == "" and tool.screen.seen.endswith("\x1b[?25h\x1b[?1049l"), tool.screen.shown()
    for stop in ("\x03", signal.SIGTERM):
        tool = Tool("-p", port, "--top")
        tool.wait("the table", lambda: "node" in tool.screen.shown())
        tool.types(stop) if stop == "\x03" else os.kill(tool.pid, stop)
        tool.wait("the terminal as it was", lambda: termios.tcgetattr(tool.terminal) == tool.before)
        tool.ends(0 if stop == "\x03" else 128 + stop)
        assert tool.screen.seen.endswith("\x1b[?25h\x1b[?1049l")


def top_of_cluster():
    """A node that says nothing is told of, holds up neither the others nor the keys, and is there again."""
    tool = Tool("-p", NODE_PORT, "--top", "-i", "0.1", columns=100)
    tool.wait("three nodes", lambda: "3 of 3 up" in tool.screen.shown() and "\nslots\n" in tool.screen.shown())
    os.kill(int(NODE_PID), signal.SIGSTOP)
    try:
        tool.wait("a silent node", lambda: "2 of 3 up" in tool.screen.shown() and tool.screen.shown().count(" silent ") == 1)
        other = Tool("-p", NODE_PORT, "--top", columns=100)
        other.wait("two nodes", lambda: "2 of 3 up" in other.screen.shown())
        other.types("q")
        other.ends()
    finally:
        os.kill(int(NODE_PID), signal.SIGCONT)
    tool.wait("three nodes again", lambda: "3 of 3 up" in tool.screen.shown())
    tool.types("q")
    tool.ends()


PROMPT = ""
try:
    main = Server("--enable-debug-command", "yes")
    PROMPT = f"127.0.0.1:{main.port}> "
    WORDS = ("127.0.0.1", str(main.port))
    tool = Tool(*WORDS)
    tool.sees(PROMPT.rstrip())
    editing(tool)
    conversation(tool)
    hints(tool)
    history(tool)
    long_lines(tool)
    main = stopping(tool, main)
    tool.types("\x04")
    tool.ends()
    tool = Tool(*WORDS, NO_COLOR="1")
    tool.types("nonsense\r")
    tool.sees(PROMPT + "nonsense", "(Unknown command)", PROMPT.rstrip())
    assert "\x1b[31m" not in tool.screen.seen, "a colour in spite of NO_COLOR"
    tool.types("\x04")
    tool.ends()
    ends(WORDS, {})
    dumb(WORDS)
    values(WORDS)
    top(main)
    top_of_cluster()
    main.stop()
    passwords()
    streaming()
    print("passed")
finally:
    for process in Server.running:
        process.kill()
        process.wait()
