#!/usr/bin/env python3
"""What a snapshot costs, memento's beside redis-server's: its time, its file, memory, who waits, and loading it again.

Each server gets the same keys of 16 bytes, from memento-benchmark, and a load of GET and SET at a fixed rate. A
bystander asks for one key after the other all the while; its waits are told for the time before BGSAVE and during it.
Memory is the private and shared pages of the server and its children (Pss), the most that was seen while the snapshot
was made. BIN names the folder of memento.
"""

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.environ.get("BIN", os.path.join(ROOT, "bin"))


class Client:
    """One connection, one request at a time."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, *words):
        parts = [b"*%d\r\n" % len(words)]
        parts += [b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words]
        self.socket.sendall(b"".join(parts))
        answer = b""
        while not answer.endswith(b"\r\n"):
            piece = self.socket.recv(65536)
            if not piece:
                sys.exit("the server has closed the connection")
            answer += piece
        return answer.decode()

    def field(self, name):
        found = re.search(rf"^{name}:(.*)\r$", self.ask("INFO", "persistence"), re.M)
        return found[1] if found else ""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, name, folder):
        self.name, self.folder, self.port = name, folder, free_port()
        self.file = os.path.join(folder, "dump")
        self.start()

    def start(self):
        if self.name == "memento":
            command = [os.path.join(BIN, "memento"), "-p", str(self.port), "--snapshot", self.file]
        else:
            command = ["redis-server", "--port", str(self.port), "--save", "", "--dir", self.folder, "--dbfilename"]
            command += ["dump", "--appendonly", "no", "--rdbcompression", "no"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(1000):
            try:
                return Client(self.port).socket.close()
            except OSError:
                time.sleep(0.005)
        sys.exit(f"{self.name} does not listen")

    def memory(self):
        """Of the server and its children, in kB."""
        family, total = {self.process.pid}, 0
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8") as stat:
                    if int(stat.read().rsplit(")", 1)[1].split()[1]) == self.process.pid:
                        family.add(int(name))
            except OSError:
                pass
        for number in family:
            try:
                with open(f"/proc/{number}/smaps_rollup", encoding="utf-8") as rollup:
                    total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
            except (OSError, StopIteration):
                pass
        return total


def measure(name, keys, value_bytes, rate):
    folder = tempfile.mkdtemp(prefix="memento-snapshot-")
    server = Server(name, folder)
    try:
        benchmark = [os.path.join(BIN, "memento"), "benchmark", "-p", str(server.port), "-q"]
        benchmark += ["-r", str(keys), "-d", str(value_bytes)]
        client = Client(server.port)
        while "PONG" not in client.ask("PING"):
            time.sleep(0.01)
        subprocess.run(benchmark + ["-t", "fill", "-P", "64"], stdout=subprocess.DEVNULL, check=True)
        before = server.memory()
        waits = {"before": [], "during": [], "behind": []}
        phase = ["before"]

        def stand_by():
            bystander, number = Client(server.port), 0
            while phase[0] != "behind":
                began = time.perf_counter()
                bystander.ask("GET", f"key:{number * 7919 % keys:012}")
                waits[phase[0]].append(time.perf_counter() - began)
                number += 1
                time.sleep(0.0005)

        bystander = threading.Thread(target=stand_by)
        load = benchmark + ["--mix", "get:50,set:50", "--rate", str(rate), "--time", "3600", "-c", "20"]
        with subprocess.Popen(load, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as working:
            bystander.start()
            time.sleep(4)
            phase[0], began, most = "during", time.monotonic(), before
            client.ask("BGSAVE")
            while client.field("rdb_bgsave_in_progress") != "0":
                most = max(most, server.memory())
                time.sleep(0.05)
            took, phase[0] = time.monotonic() - began, "behind"
            working.terminate()
        bystander.join()
        if client.field("rdb_last_bgsave_status") != "ok":
            sys.exit(f"{name}: no snapshot was made")
        if name == "redis":
            client.ask("SAVE")
        server.process.terminate()
        server.process.wait()
        size, began = os.path.getsize(server.file), time.monotonic()
        server.start()
        client = Client(server.port)
        while "PONG" not in client.ask("PING"):
            time.sleep(0.005)
        loading = time.monotonic() - began
        worst = [max(waits[part], default=0) * 1000 for part in ("before", "during")]
        extra = (most - before) * 100 / before
        print(
            f"| {name} | {took:.1f} s | {size / 1e6:.0f} MB | {extra:.0f} % | {worst[1]:.1f} ms ({worst[0]:.1f}) "
            f"| {loading:.1f} s |"
        )
    finally:
        server.process.kill()
        server.process.wait()
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=4_000_000)
    parser.add_argument("--value-bytes", type=int, default=100)
    parser.add_argument("--rate", type=int, default=20_000, help="requests a second meanwhile")
    options = parser.parse_args()
    print("| server | time | file | more memory | longest wait (before) | loading |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in ["memento", "redis"] if shutil.which("redis-server") else ["memento"]:
        measure(name, options.keys, options.value_bytes, options.rate)


if __name__ == "__main__":
    main()
