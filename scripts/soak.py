#!/usr/bin/env python3
"""Real traffic for minutes, each answer checked: scripts/soak.sh MINUTES runs it.

Three scenes at once: a server with a memory limit that is never reached, one that evicts, and a cluster of three whose
nodes are killed and restarted. In each, workers own keys that nobody else writes, so that each knows what an answer
must be. They speak text, RESP2 and RESP3, in pipelines; their connections come and go, are half closed and reset.

At the end there must be no wrong answer, no memory more than after the warm-up (10 % and 2 MB besides are allowed), no
descriptor more, and counters that make sense. The status is 1 otherwise. MEMENTO_SEED=n runs a seed again; what the
threads of the driver do to each other's times is not in it.
"""

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from measure.model import Check, Error, Op, Wrong, read_resp, same, slot, text_of  # noqa: E402
from measure.servers import ROOT, Server, program  # noqa: E402
from measure.traffic import Exact, Lossy  # noqa: E402

# A request that is not answered after so long is lost.
ANSWER_S = 30

# After a connection broke, what was under way on it may still be executed for so long.
HOLD_S = 3

# Memory that was flushed goes back to the system in pieces.
SETTLE_S = 2.5

# Between two flushes, at least.
ROUND_S = 15

GROWTH_RATIO = 1.1
GROWTH_KB = 2048

EVICTING_BYTES = 16 << 20


class Broken(Exception):
    """The connection ended where it may: its node was killed."""


class Connection:
    """A client that reads answers in the face that each request has."""

    def __init__(self, port, hello):
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), ANSWER_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb", 65536)
        self.hello = hello
        if hello:
            self.socket.sendall(b"HELLO 3\r\n")
            self.resp()

    def resp(self):
        return read_resp(self.file.readline, self.file.read)

    def line(self):
        """An answer in text: to its CRLF, since values that lines ask for have none."""
        whole = b""
        while not whole.endswith(b"\r\n"):
            more = self.file.readline()
            if not more:
                raise EOFError
            whole += more
        return whole[:-2]

    def ends(self):
        return self.file.read(1) == b""

    def close(self, reset=False):
        if reset:
            # A close with no time to linger is a reset (socket(7)).
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.file.close()
        self.socket.close()


class Worker(threading.Thread):
    """Asks about keys that it alone writes, and checks what is answered."""

    def __init__(self, scene, number, traffic):
        super().__init__(daemon=True)
        self.scene = scene
        self.random = random.Random(f"{scene.seed} {scene.name} {number}")
        self.traffic = traffic(self, number)
        self.connection = None
        self.batches = 0
        self.answers = 0
        self.tolerated = 0
        self.connections = 0

    def run(self):
        scene = self.scene
        try:
            while not scene.is_over.is_set():
                if scene.is_pausing.is_set():
                    self.disconnect()
                    scene.pause()
                    continue
                self.batch()
                self.batches += 1
            self.disconnect()
        except Wrong as wrong:
            scene.fail(f"{self.traffic.prefix}: {wrong}")
        except Exception:
            scene.fail(f"{self.traffic.prefix}: the driver failed: {traceback.format_exc()}")
        finally:
            scene.leave()

    def disconnect(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def connect(self):
        end = time.monotonic() + ANSWER_S
        while True:
            node = self.random.randrange(len(self.scene.ports))
            try:
                self.connection = Connection(self.scene.ports[node], self.random.random() < 0.3)
                self.connections += 1
                return
            except (OSError, EOFError) as error:
                if self.scene.is_settled() and time.monotonic() > end:
                    raise Wrong(f"node {node} does not accept: {error}") from None
                time.sleep(0.02)

    def batch(self):
        scene, dice = self.scene, self.random
        if not self.connection:
            self.connect()
        connection = self.connection
        node = scene.ports.index(connection.port)
        view = scene.view()
        if not view[1][node]:
            # One that was just started may not be linked to any other: whatever it is asked may fail.
            view = view[0], (False,) * len(view[1])
        end = dice.choices(
            ("stay", "quit", "half close", "cut request", "reset", "close"), (88, 2, 3, 2, 2, 3)
        )[0]
        ops = self.traffic.ops(view, alone=end == "stay" and dice.random() < 0.08)
        lines = [op.as_line() and dice.random() < 0.5 for op in ops]
        sent = b"".join(op.encode(line) for op, line in zip(ops, lines))
        if end == "quit":
            sent += b"QUIT\r\n"
        elif end == "cut request":
            sent += dice.choice((b"SET %s1 lost", b"*3\r\n$3\r\nSET\r\n$9\r\n%s1", b"*2\r\n$3\r")).replace(
                b"%s", self.traffic.prefix.encode()
            )
        wanted = dice.randrange(len(ops)) if end == "reset" else len(ops)
        answered = 0
        began = time.monotonic()
        try:
            self.send(sent)
            if end == "half close":
                connection.socket.shutdown(socket.SHUT_WR)
            for op, line in zip(ops[:wanted], lines):
                self.check(op, line, began, view)
                answered += 1
                self.answers += 1
            if end == "quit" and connection.hello:
                connection.resp()
            if end in ("quit", "half close") and not connection.ends():
                raise Wrong(f"more than was asked for comes before the {end}")
        except (EOFError, OSError) as error:
            self.disconnect()
            self.traffic.broke(ops, answered, time.monotonic() + HOLD_S)
            if not scene.changed(view, node):
                raise Wrong(f"the connection to node {node} ended: {error!r}, at {ops[answered:][:1]}") from None
            self.traffic.done(view, scene.view(), began)
            return
        if end == "reset":
            self.traffic.broke(ops, answered, time.monotonic() + HOLD_S)
            connection.close(reset=True)
            self.connection = None
        elif end != "stay":
            self.disconnect()
        self.traffic.done(view, scene.view(), began)

    def send(self, sent):
        if self.random.random() < 0.8:
            self.connection.socket.sendall(sent)
            return
        at = 0
        while at < len(sent):
            size = self.random.choice((1, 7, 100, 3000))
            # Few very small pieces, else it takes long.
            size = max(size, len(sent) // 50)
            self.connection.socket.sendall(sent[at : at + size])
            at += size

    def check(self, op, line, began, view):
        if line and not self.connection.hello:
            got, wanted = self.connection.line(), op.text
            good = wanted.passes(got) if isinstance(wanted, Check) else got == text_of(wanted)
            is_error = got.startswith(b"(error)")
        else:
            got, wanted = self.connection.resp(), op.wanted
            good = wanted.passes(got) if isinstance(wanted, Check) else same(wanted, got)
            is_error = isinstance(got, Error)
        if not good:
            may_fail = self.traffic.may_fail(op, view, self.scene.view())
            if may_fail and (is_error or op.words[0] == b"EXEC"):
                if is_error and not any(
                    word in (got if isinstance(got, bytes) else got.encode())
                    for word in (b"CLUSTERDOWN", b"not linked", b"not answer", b"unknown", b"EXECABORT")
                ):
                    raise Wrong(f"{op.words[:4]!r:.300} is answered {got!r:.300} while a node is missing")
                self.tolerated += 1
                self.traffic.failed(op)
                return
            ago = time.monotonic() - began
            raise Wrong(
                f"{op.words[:6]!r:.400} is answered {got!r:.400}, not {wanted!r:.400} "
                f"({'line' if line else 'array'}, node at port {self.connection.port}, {ago:.3f} s after it was sent)"
            )
        if op.then:
            op.then(got, began, time.monotonic())


class Scene:
    """Servers, the workers that ask them, and what is looked at between."""

    def __init__(self, name, seed, seconds):
        self.name, self.seed, self.seconds = name, seed, seconds
        self.random = random.Random(f"{seed} {name}")
        self.is_over, self.is_pausing = threading.Event(), threading.Event()
        self.lock = threading.Condition()
        self.paused = self.left = 0
        self.failures = []
        self.workers = []
        self.ports, self.generations, self.is_up = [], [], []
        self.samples = {}
        self.flushes = self.kills = 0

    # What the workers ask.

    def view(self):
        """Of each node: how often it was killed, and whether it serves."""
        with self.lock:
            return tuple(self.generations), tuple(self.is_up)

    def is_settled(self):
        return all(self.is_up)

    def changed(self, view, node):
        now = self.view()
        return now[0][node] != view[0][node] or not view[1][node]

    def pause(self):
        with self.lock:
            self.paused += 1
            self.lock.notify_all()
            while self.is_pausing.is_set() and not self.is_over.is_set():
                self.lock.wait(1)
            self.paused -= 1
            self.lock.notify_all()

    def leave(self):
        with self.lock:
            self.left += 1
            self.lock.notify_all()

    def fail(self, text):
        with self.lock:
            self.failures.append(text)
            print(f"{self.name}: WRONG: {text}", flush=True)
        self.is_over.set()

    # What the scene does.

    def quiet(self):
        """Waits until no worker asks anything, and none is connected."""
        self.is_pausing.set()
        end = time.monotonic() + 3 * ANSWER_S
        with self.lock:
            while self.paused + self.left < len(self.workers):
                self.lock.wait(1)
                if time.monotonic() > end:
                    raise Wrong("the workers do not come to rest")
        # After a reset, requests may be under way for a moment.
        time.sleep(0.2)

    def go_on(self):
        self.is_pausing.clear()
        with self.lock:
            self.lock.notify_all()

    def ask(self, node, *words):
        connection = Connection(self.ports[node], False)
        try:
            connection.socket.sendall(Op(words, None).encode(False))
            return connection.resp()
        finally:
            connection.close()

    def info(self, node):
        text = self.ask(node, "INFO").decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def flush(self, is_last=False):
        """With nobody else there: how many keys there are, a flush, then memory and descriptors."""
        self.quiet()
        if self.is_over.is_set() and not is_last:
            return
        if not self.failures:
            low, high = self.expected_keys()
            count = self.ask(0, "DBSIZE")
            if not low <= count <= high:
                raise Wrong(f"DBSIZE is {count}, not from {low} to {high}")
            self.filled()
            word = self.random.choice(("FLUSH", "FLUSHALL", "FLUSHDB"))
            answer = self.ask(self.random.randrange(len(self.ports)), word)
            if answer != "OK" or self.ask(0, "DBSIZE") != 0:
                raise Wrong(f"{word} is answered {answer}, and DBSIZE then {self.ask(0, 'DBSIZE')}")
            self.flushes += 1
            for worker in self.workers:
                worker.traffic.forget()
            time.sleep(SETTLE_S)
            for pid in self.pids():
                self.sample(f"process {pid} flushed", pid)
        if not is_last:
            self.go_on()

    def filled(self):
        """Looks at what only full servers show."""

    def expected_keys(self):
        bounds = [worker.traffic.count(time.monotonic()) for worker in self.workers]
        return sum(low for low, _ in bounds), sum(high for _, high in bounds)

    def sample(self, what, pid):
        with open(f"/proc/{pid}/status") as file:
            kb = next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
        fds = len(os.listdir(f"/proc/{pid}/fd"))
        kept = self.samples.setdefault(what, [])
        # Descriptors that are being closed are waited for.
        end = time.monotonic() + 5
        while kept and fds > min(fds for _, fds in kept) and time.monotonic() < end:
            time.sleep(0.1)
            fds = len(os.listdir(f"/proc/{pid}/fd"))
        kept.append((kb, fds))

    def judge(self):
        """What all samples and counters say; prints the figures."""
        for what, kept in self.samples.items():
            shown = " ".join(str(kb) for kb, _ in kept)
            print(f"{self.name}: {what}: VmRSS kB {shown}; descriptors {kept[0][1]}, {kept[-1][1]} at the end")
            if kept[-1][0] > kept[0][0] * GROWTH_RATIO + GROWTH_KB:
                self.fail(f"{what}: grew from {kept[0][0]} to {kept[-1][0]} kB")
            # The first count may hold one that was just being closed; one that leaks is still there at the end.
            least = min(fds for _, fds in kept)
            if kept[-1][1] > least:
                self.fail(f"{what}: {kept[-1][1]} descriptors at the end, {least} before")
        for node in range(len(self.ports)):
            info = self.info(node)
            wanted = {
                "connected_clients": 1,
                "blocked_clients": 0,
                "rejected_connections": 0,
                "client_output_buffer_limit_disconnections": 0,
                "closed_by_protocol_error": 0,
            }
            # What was reset a moment ago is still being closed.
            end = time.monotonic() + 5
            while int(info["connected_clients"]) != 1 and time.monotonic() < end:
                time.sleep(0.1)
                info = self.info(node)
            for field, number in wanted.items():
                if int(info[field]) != number:
                    self.fail(f"node {node}: {field} is {info[field]}, not {number}")
            for field in self.positive():
                if int(info[field]) <= 0:
                    self.fail(f"node {node}: {field} is {info[field]}")
            fields = (
                "total_commands_processed",
                "total_connections_received",
                "expired_keys",
                "evicted_keys",
                "used_memory",
                "turn_worst_us",
            )
            print(f"{self.name}: node {node}: " + ", ".join(f"{field} {info[field]}" for field in fields))
        if len(self.ports) == 1:
            answers = sum(worker.answers for worker in self.workers)
            # Not counted are what was queued and not executed, and what was no command.
            if int(info["total_commands_processed"]) < answers * 0.8:
                self.fail(f"total_commands_processed is {info['total_commands_processed']} after {answers} answers")
        answers = sum(worker.answers for worker in self.workers)
        print(
            f"{self.name}: {answers} answers checked, of them {sum(w.tolerated for w in self.workers)} errors for a "
            f"missing node; {sum(w.connections for w in self.workers)} connections, {self.flushes} flushes, "
            f"{self.kills} kills; {len(self.failures)} wrong"
        )

    def positive(self):
        return ("expired_keys",)

    def act(self, until):
        """What happens between two flushes."""
        self.is_over.wait(max(0, until - time.monotonic()))

    def run(self):
        self.start()
        try:
            began = time.monotonic()
            end = began + self.seconds
            for worker in self.workers:
                worker.start()
            length = max(ROUND_S, self.seconds / 20)
            while time.monotonic() + length < end and not self.is_over.is_set():
                self.act(time.monotonic() + length)
                self.flush()
            self.act(end)
            self.flush(is_last=True)
        except (Wrong, EOFError, OSError, ValueError) as error:
            self.fail(repr(error))
        self.is_over.set()
        self.go_on()
        for worker in self.workers:
            if worker.ident:
                worker.join(2 * ANSWER_S)
        try:
            self.judge()
        except (EOFError, OSError, KeyError) as error:
            self.fail(f"counters cannot be had: {error!r}")
        finally:
            self.end()
        return not self.failures


class Single(Scene):
    """One server, whose limit is never reached."""

    traffic, count, options = Exact, 4, ("--maxmemory", "1gb")

    def start(self):
        self.server = Server(self.name, [program("memento"), "-a", "127.0.0.1", "-p", "PORT", *self.options])
        self.ports, self.generations, self.is_up = [self.server.port], [0], [True]
        self.owner = lambda key: 0
        self.workers = [Worker(self, number, self.traffic) for number in range(self.count)]

    def pids(self):
        return [self.server.pid]

    def end(self):
        self.server.end()

    def judge(self):
        super().judge()
        if self.server.process.poll() is not None:
            self.fail("the server ended by itself")


class Evicting(Single):
    """One server whose limit is far below what is stored: an answer is right, or nothing is there."""

    traffic, count = Lossy, 3
    options = ("--maxmemory", str(EVICTING_BYTES), "--maxmemory-policy", "allkeys-lru")

    def expected_keys(self):
        return 1, sum(worker.traffic.count(time.monotonic())[1] for worker in self.workers)

    def filled(self):
        used = int(self.info(0)["used_memory"])
        if used > EVICTING_BYTES * 1.02:
            raise Wrong(f"used_memory is {used}, beyond maxmemory, which is {EVICTING_BYTES}")
        self.sample("full", self.server.pid)

    def positive(self):
        return ("expired_keys", "evicted_keys")


class Clustered(Scene):
    """Three nodes by scripts/cluster.sh, one of which is killed every few seconds and comes back."""

    def start(self):
        self.folder = tempfile.mkdtemp()
        self.environment = dict(os.environ, MEMENTO_CLUSTER_DIR=self.folder + "/cluster")
        self.environment.setdefault("BIN", os.path.join(ROOT, "bin"))
        first = 15000 + os.getpid() % 15000
        for attempt in range(6):
            self.ports = [first + 7 * attempt + node for node in range(3)]
            said = self.script("start", "3", str(self.ports[0]))
            if said.returncode == 0:
                break
        else:
            shutil.rmtree(self.folder)
            raise SystemExit(f"soak: no cluster can be started: {said.stdout}{said.stderr}")
        self.generations, self.is_up = [0] * 3, [True] * 3
        owners = {}
        for low, high, node, *_ in self.ask(0, "CLUSTER", "SLOTS"):
            # Clients count slots modulo 16384; the first half of them is ours.
            owners.update({number: node[1] - self.ports[0] for number in range(low, min(high, 8191) + 1)})
        self.owner = lambda key: owners[slot(key)]
        self.workers = [Worker(self, number, Exact) for number in range(4)]

    def script(self, *words):
        return subprocess.run(
            ["sh", os.path.join(ROOT, "scripts/cluster.sh"), *words],
            env=self.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip

    def must(self, *words):
        said = self.script(*words)
        if said.returncode != 0:
            raise Wrong(f"cluster.sh {' '.join(words)}: {said.stdout}{said.stderr}")

    def pids(self):
        found = []
        for node in range(3):
            with open(f"{self.folder}/cluster/node{node}.pid") as file:
                found.append(int(file.read()))
        return found

    def act(self, until):
        while time.monotonic() + 7 < until and not self.is_over.is_set():
            self.is_over.wait(2)
            # After the first look at memory the first node lives on: what it takes is compared over the whole time.
            node = self.random.choice((1, 2)) if self.flushes else 0
            with self.lock:
                self.generations[node] += 1
                self.is_up[node] = False
            self.must("kill", str(node))
            self.kills += 1
            # All that was under way is answered, or has failed, before there is a new node to answer.
            before = [worker.batches for worker in self.workers]
            end = time.monotonic() + ANSWER_S
            while any(worker.batches == done for worker, done in zip(self.workers, before)):
                if self.is_over.wait(0.05):
                    return
                if time.monotonic() > end:
                    raise Wrong("a request is still not answered long after its node was killed")
            self.is_over.wait(self.random.uniform(0.2, 1))
            self.must("restart", str(node))
            self.wait_until_served(node)
            with self.lock:
                self.is_up[node] = True
        super().act(until)

    def wait_until_served(self, node):
        key = next(key for key in (b"s%d" % n for n in range(1000)) if self.owner(key) == node)
        end = time.monotonic() + ANSWER_S
        for asked in range(3):
            while isinstance(self.ask(asked, "EXISTS", key), Error):
                if time.monotonic() > end:
                    raise Wrong(f"node {asked} does not answer for the keys of node {node}, which came back")
                time.sleep(0.02)

    def positive(self):
        return ()

    def end(self):
        self.script("stop")
        shutil.rmtree(self.folder, ignore_errors=True)


SCENES = {"plain": Single, "evicting": Evicting, "cluster": Clustered}


def play(name, seed, seconds):
    # A typed end goes to the parent too, which waits for this one to clean up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        sys.exit(0 if SCENES[name](name, seed, seconds).run() else 1)
    except KeyboardInterrupt:
        sys.exit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("minutes", type=float)
    parser.add_argument("--only", choices=SCENES, action="append", help="this scene alone; may be repeated")
    options = parser.parse_args()
    if not 0 < options.minutes <= 60 * 24 * 30:
        parser.error("MINUTES is more than 0, and a month at most")
    program("memento")
    seed = int(os.environ.get("MEMENTO_SEED") or random.randrange(1 << 32))
    print(f"soak: {options.minutes:g} minutes, seed {seed} (MEMENTO_SEED={seed} runs it again)", flush=True)
    playing = [
        multiprocessing.Process(target=play, args=(name, seed, options.minutes * 60), name=name)
        for name in options.only or SCENES
    ]
    for process in playing:
        process.start()
    try:
        for process in playing:
            process.join()
    except KeyboardInterrupt:
        for process in playing:
            process.join()
    bad = [process.name for process in playing if process.exitcode != 0]
    print(f"soak: {'FAILED: ' + ', '.join(bad) if bad else 'ok, 0 wrong answers'} (seed {seed})")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
