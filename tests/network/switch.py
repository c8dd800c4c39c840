"""A switch between network namespaces, in user space: its ports can be cut, one way as well, delayed and made lossy.

The kernel's own emulation (tc netem) is not on every machine; TAP devices are. Orders come on standard input, one a
line, and are answered with `ok`; the devices go with this process.
"""

import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP_NO_PI = 0x1002

seed, prefix, *namespaces = sys.argv[1:]
chance = random.Random(int(seed))
ports = []
for index, namespace in enumerate(namespaces):
    port = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    name = f"{prefix}{index}"
    fcntl.ioctl(port, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP_NO_PI))
    inside = ["ip", "-n", namespace]
    for command in (
        ["ip", "link", "set", name, "netns", namespace],
        inside + ["addr", "add", f"10.77.0.{index + 1}/24", "dev", name],
        inside + ["link", "set", name, "up"],
        inside + ["link", "set", "lo", "up"],
    ):
        subprocess.run(command, check=True)
    ports.append(port)

cut = set()
delay, loss = 0.0, 0.0
waiting = []
count = 0


def order(words):
    """`cut A B`: nothing goes from A to B; `cut A`: A is alone; `delay MS`, `loss PERCENT`; `heal`: all is well."""
    global delay, loss
    match words:
        case ["cut", one]:
            cut.update((a, b) for a in range(len(ports)) for b in range(len(ports)) if int(one) in (a, b))
        case ["cut", one, other]:
            cut.add((int(one), int(other)))
        case ["delay", ms]:
            delay = float(ms) / 1000
        case ["loss", percent]:
            loss = float(percent) / 100
        case ["heal"]:
            cut.clear()
            delay, loss = 0.0, 0.0
        case _:
            sys.exit(f"what is {words}?")
    print("ok", flush=True)


def send(port, frame):
    try:
        os.write(port, frame)
    except OSError:
        # The device is down, or full: a frame is lost, as on any wire.
        pass


print("ok", flush=True)
orders = b""
while True:
    timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
    ready, _, _ = select.select([0, *ports], [], [], timeout)
    now = time.monotonic()
    if 0 in ready:
        piece = os.read(0, 4096)
        if not piece:
            sys.exit()
        *lines, orders = (orders + piece).split(b"\n")
        for line in lines:
            order(line.decode().split())
    for source, port in enumerate(ports):
        if port not in ready:
            continue
        for _ in range(64):
            try:
                frame = os.read(port, 65536)
            except OSError:
                break
            for target, other in enumerate(ports):
                if target == source or (source, target) in cut or chance.random() < loss:
                    continue
                count += 1
                heapq.heappush(waiting, (now + delay, count, other, frame))
    while waiting and waiting[0][0] <= now:
        _, _, port, frame = heapq.heappop(waiting)
        send(port, frame)
