"""Servers to be measured: started on a free port of 127.0.0.1, asked, and ended by their own process ids."""

import os
import shutil
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TICKS = os.sysconf("SC_CLK_TCK")

# How long anything may take to answer, to start or to end.
DEADLINE_S = 120


def program(name):
    """The path of one of the finished programs."""
    folder = os.path.abspath(os.environ.get("BIN", os.path.join(ROOT, "bin")))
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        raise SystemExit(f"{path} is not there: run make")
    return path


def first_number(path):
    with open(path) as file:
        return int(file.read().split()[0])


def encode(*words):
    """One RESP request."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class Connection:
    """A client that speaks RESP, or sends what it is given and counts the bytes of the answers."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def ask(self, *words):
        """Sends one request; gives its answer: text, bytes, a number, a list, or None."""
        self.socket.sendall(encode(*words))
        return self.answer()

    def answer(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:].strip()
        if kind == b"-" or not line:
            raise RuntimeError(f"the server answers {line!r}")
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if int(rest) < 0 else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.answer() for _ in range(int(rest))]
        return rest.decode()

    def exchange(self, requests, length):
        """Sends the bytes at once and waits for so many bytes of answers."""
        self.socket.sendall(requests)
        while length > 0:
            got = len(self.socket.recv(min(length, 1 << 18)))
            if got == 0:
                raise RuntimeError("the server closed the connection")
            length -= got

    def store(self, requests, batch=1000):
        """Sends requests that are answered with +OK."""
        for at in range(0, len(requests), batch):
            part = requests[at : at + batch]
            self.exchange(b"".join(part), 5 * len(part))

    def close(self):
        self.file.close()
        self.socket.close()


class Server:
    """One server under measurement, ended at the end of a with block."""

    def __init__(self, name, command):
        self.name = name
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = tempfile.mkdtemp()
        command = [word.replace("PORT", str(self.port)) for word in command]
        self.process = subprocess.Popen(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.pid = self.process.pid
        self.wait_for_port(command)

    def wait_for_port(self, command):
        began = time.monotonic()
        while True:
            try:
                Connection(self.port).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() - began > DEADLINE_S:
                    self.end()
                    raise SystemExit(f"{' '.join(command)} does not start") from None
                time.sleep(0.02)

    def connect(self):
        return Connection(self.port)

    def cpu_us(self):
        """Processor time that the process has used, its own and the kernel's for it, in microseconds.

        The scheduler's account has nanoseconds of each thread; where there is none, that of the process, which has
        the same sum, has hundredths of a second.
        """
        try:
            tasks = f"/proc/{self.pid}/task"
            return sum(first_number(f"{tasks}/{task}/schedstat") for task in os.listdir(tasks)) / 1e3
        except FileNotFoundError:
            with open(f"/proc/{self.pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) * 1e6 / TICKS

    def private_kb(self):
        """Memory that is this process's alone and was written to, in kilobytes."""
        with open(f"/proc/{self.pid}/smaps_rollup") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith("Private_Dirty:"))

    def info(self, section):
        """The fields of a section of INFO."""
        connection = self.connect()
        text = connection.ask("INFO", section).decode()
        connection.close()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def end(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def memento():
    return Server("memento", [program("memento"), "-a", "127.0.0.1", "-p", "PORT"])


def redis():
    options = "--bind 127.0.0.1 --port PORT --appendonly no --maxclients 15000 --save".split()
    return Server("redis", ["redis-server", *options, ""])


def starters():
    """How to start each server that is here, by name; memento comes first."""
    found = {"memento": memento}
    if shutil.which("redis-server"):
        found["redis"] = redis
    return found
