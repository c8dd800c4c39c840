#!/usr/bin/env python3
"""Writes the files that tell each node of a cluster which nodes there are.

Takes the nodes as their clients reach them, HOST:PORT, an IPv6 address as [ADDRESS]:PORT. The file node0.conf is for
the first one (memento -f node0.conf), node1.conf for the second, and so on. All files list all nodes in the order
given, under the same names (node0, node1, ...); each has SELF 1 on its own line. Files of these names are written
over, others are left alone.
"""

import argparse
import ipaddress
import os
import sys
import tempfile

# The bus port of a node is its client port and so much more.
BUS_PORT_OFFSET = 100
CLIENT_PORT_MAX = 65535 - BUS_PORT_OFFSET
NODES_MAX = 256


class Mistake(Exception):
    """What is wrong with what was asked for, as a sentence."""


def ip_of(host, text):
    """The canonical address that memento would take: the files hold numbers alone, so that no node depends on names."""
    if host == "localhost":
        host = "127.0.0.1"
    if "%" in host:
        raise Mistake("%s: a zone (%%) means nothing to other boxes" % text)
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        ip = None
    # Older versions of the library take 010.0.0.1, which is another address to other programs.
    if ip is None or (ip.version == 4 and str(ip) != host):
        raise Mistake("%s: '%s' is no numeric IP address, nor localhost" % (text, host))
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_unspecified:
        raise Mistake("%s: %s stands for every address of a box; one of them is wanted" % (text, ip))
    if ip.is_multicast or ip == ipaddress.ip_address("255.255.255.255"):
        raise Mistake("%s: %s is no address of one box" % (text, ip))
    if ip.version == 6 and ip.is_link_local:
        raise Mistake("%s: %s is a link-local address, which means another box on every link" % (text, ip))
    return ip


def node_of(text):
    """The address and the client port that HOST:PORT says."""
    if any(not "!" <= char <= "~" for char in text):
        raise Mistake("%a: HOST:PORT is wanted, and nothing else" % text)
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or (":" in host and not bracketed):
        raise Mistake("%s: HOST:PORT is wanted, for IPv6 [ADDRESS]:PORT" % text)
    if bracketed:
        host = host[1:-1]
        if ":" not in host:
            raise Mistake("%s: brackets are for IPv6 addresses" % text)
    if not port.isdigit() or len(port) > 5 or not 1 <= int(port) <= CLIENT_PORT_MAX:
        raise Mistake(
            "%s: the port is to be from 1 to %d, since the bus takes the one %d above"
            % (text, CLIENT_PORT_MAX, BUS_PORT_OFFSET)
        )
    return ip_of(host, text), int(port)


def check_nodes(nodes):
    """No two nodes may meet on a port, be it for clients or for the bus, and each must reach all others."""
    taken = {}
    for ip, port in nodes:
        if ip.version != nodes[0][0].version:
            raise Mistake("%s and %s: the nodes need all IPv4 addresses or all IPv6 ones" % (nodes[0][0], ip))
        for number, use in ((port, "client"), (port + BUS_PORT_OFFSET, "bus")):
            shown = "[%s]:%d" % (ip, port) if ip.version == 6 else "%s:%d" % (ip, port)
            if (ip, number) in taken:
                other, other_use = taken[ip, number]
                if other == shown:
                    raise Mistake("%s is given twice" % shown)
                raise Mistake("%s and %s: port %d is the %s port of one and the %s port of the other; the bus port is "
                              "the client port + %d" % (other, shown, number, other_use, use, BUS_PORT_OFFSET))
            taken[ip, number] = (shown, use)


def text_of(nodes, own):
    """What the file of one node says."""
    lines = [
        "# A memento cluster of %d: start this node with memento -f node%d.conf; written by build_cluster.py."
        % (len(nodes), own),
        "# IP, bus port (client port + %d), name, 1 for the node whose file this is" % BUS_PORT_OFFSET,
    ]
    for index, (ip, port) in enumerate(nodes):
        lines.append("%s %d node%d %d" % (ip, port + BUS_PORT_OFFSET, index, index == own))
    return "\n".join(lines) + "\n"


def write_all(directory, texts):
    """Writes all files aside first, then gives them their names: a node never reads half of one, and where one cannot
    be written, none is."""
    ready = []
    try:
        for index, text in enumerate(texts):
            name = os.path.join(directory, "node%d.conf" % index)
            if os.path.isdir(name):
                raise IsADirectoryError(21, "Is a directory", name)
            handle, aside = tempfile.mkstemp(prefix=".node%d.conf." % index, dir=directory)
            ready.append((aside, name))
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        # As the shell would have made it; mkstemp made it for its owner alone.
        mask = os.umask(0)
        os.umask(mask)
        for aside, _ in ready:
            os.chmod(aside, 0o666 & ~mask)
        while ready:
            os.replace(*ready[0])
            ready.pop(0)
    finally:
        for aside, _ in ready:
            os.unlink(aside)


def main(arguments):
    parser = argparse.ArgumentParser(
        prog="build_cluster.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: build_cluster.py 127.0.0.1:8081 127.0.0.1:8082 127.0.0.1:8083",
    )
    parser.add_argument("--dir", default=".", metavar="DIR", help="write into this directory, which must exist (.)")
    parser.add_argument("nodes", nargs="+", metavar="HOST:PORT",
                        help="where clients reach a node: a numeric address, or localhost for 127.0.0.1")
    # Intermixed, so that --dir may stand anywhere.
    options = parser.parse_intermixed_args(arguments)
    try:
        nodes = [node_of(text) for text in options.nodes]
        if len(nodes) > NODES_MAX:
            raise Mistake("%d nodes are too many; a cluster has at most %d" % (len(nodes), NODES_MAX))
        check_nodes(nodes)
        if not os.path.isdir(options.dir):
            raise Mistake("--dir: there is no directory '%s'" % options.dir)
    except Mistake as mistake:
        parser.error(str(mistake))
    try:
        write_all(options.dir, [text_of(nodes, own) for own in range(len(nodes))])
    except OSError as error:
        print("build_cluster.py: %s: %s" % (error.filename or options.dir, error.strerror), file=sys.stderr)
        return 1
    for index, (ip, port) in enumerate(nodes):
        print("%s: %s port %d" % (os.path.join(options.dir, "node%d.conf" % index), ip, port))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
