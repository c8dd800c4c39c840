#!/usr/bin/env python3
"""Writes the manual pages memento(1), memento-cli(1), memento-benchmark(1) and memento.conf(5) into a folder.

Options come from what the programs print for --help, commands from the table of README.md, which the tests hold equal
to the program's own; what neither says stands below.
"""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.environ.get("BIN", os.path.join(ROOT, "bin"))

# An option, or a word such as HOST, and what is said of it on the same line: two blanks apart, or one where the name
# takes all the room.
ITEM = re.compile(r"^ {2,8}(-\S.*?|[A-Z]{3,})(?: {2,}(\S.*))?$")
CROWDED = re.compile(r"^ {2,8}(--\S+ [A-Z]+) (\S.*)$")

SEE_ALSO = {
    "memento": "memento-cli(1), memento-benchmark(1), memento.conf(5)",
    "memento-cli": "memento(1), memento-benchmark(1)",
    "memento-benchmark": "memento(1), memento-cli(1)",
    "memento.conf": "memento(1)",
}

NAMES = {
    "memento": "in-memory key-value store for small boxes",
    "memento-cli": "send commands to a memento server",
    "memento-benchmark": "measure a memento server",
    "memento.conf": "the nodes of a memento cluster",
}

CLI = """
.SH ENVIRONMENT
.TP
.B MEMENTO_PASSWORD
The password, where no \\fB\\-\\-password\\-file\\fR is named.
.TP
.B NO_COLOR
Where it is set, errors are not red.
.SH FILES
.TP
.I ~/.memento_history
The lines typed at the prompt; none with a password, and none that begins with a blank.
"""

SERVER = """
.SH PROTOCOLS
A request is a line of text, its words separated by blanks, or RESP as Redis's clients speak it; both on the same port.
The first byte tells which.
.SH SIGNALS
SIGTERM and SIGINT end the server: what it received is answered, what is owed is sent, for at most five seconds.
A second one ends it at once.
SIGHUP is ignored.
.SH ENVIRONMENT
.TP
.B MEMENTO_PASSWORD
The password that clients must give, where no \\fB\\-\\-password\\-file\\fR is named.
.TP
.BR LISTEN_FDS ", " LISTEN_PID
Sockets that a service manager has opened, as in
.BR sd_listen_fds (3).
The server then listens on these, and not on what
.BR \\-a ", " \\-p " and " \\-s
say.
.TP
.BR NOTIFY_SOCKET ", " WATCHDOG_USEC ", " WATCHDOG_PID
Where a service manager wants to hear READY=1, STOPPING=1 and WATCHDOG=1, as in
.BR sd_notify (3).
.TP
.B TZ
The time zone of the log.
.SH FILES
.TP
.I ~/.memento
The file of the cluster for
.BR \\-c ;
see
.BR memento.conf (5).
.TP
.I /etc/hosts
Where host names are looked up, and nowhere else.
.SH EXIT STATUS
0, or 1 for a failure, or 2 for a wrong command line.
"""

FILE = """
.SH DESCRIPTION
One file tells each node of a cluster which nodes there are. It is read once, at the start, from
.IR ~/.memento
.RB ( "memento \\-c" )
or from where
.B "memento \\-f FILE"
says.
"""

FILE_RULES = """
.TP
.B IP
A numeric address, of IPv4 in all lines or of IPv6 in all.
.TP
.B PORT
The port of the bus between the nodes: the port for clients, and 100 more.
.TP
.B NAME
What the node is called in the log and in answers; no two are alike.
.TP
.B SELF
1 on the line of the node that reads the file, 0 on the others.
.PP
All nodes must have the same addresses in their files; the order, names and comments may differ. There are at most 256.
The list does not change while a node runs.
.SH FILES
.TP
.I ~/.memento
The file where none is named.
"""


def escape(text):
    """Text that means nothing to troff."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = text.replace("~", "\\(ti").replace("^", "\\(ha")
    return "\\&" + text if text.startswith(".") else text


def bold(text):
    return "\\fB" + escape(text) + "\\fR"


def printed(name):
    """What the program prints for --help."""
    return subprocess.run([os.path.join(BIN, name), "--help"], check=True, capture_output=True, text=True).stdout


def usage(text):
    """The lines behind 'Usage:', and the rest."""
    lines = text.splitlines()
    end = lines.index("")
    return [line.removeprefix("Usage:").strip() for line in lines[:end]], lines[end + 1 :]


def body(lines):
    """Items, text and examples, in the order in which they stand."""
    out, in_item, in_example = [], False, False
    for line in lines:
        item = CROWDED.match(line) or ITEM.match(line)
        indent = len(line) - len(line.lstrip())
        if in_example and (indent < 4 or item):
            out.append(".fi\n.RE")
            in_example = False
        if item:
            out += [".TP", bold(item[1])] + ([escape(item[2])] if item[2] else [])
            in_item = True
        elif not line.strip():
            if in_item or (out and out[-1] not in (".PP", "")):
                out.append(".PP")
            in_item = False
        elif in_item and indent:
            out.append(escape(line.strip()))
        elif indent >= 4:
            if not in_example:
                out.append(".RS\n.nf")
            in_example = True
            out.append(escape(line.strip()))
        elif line == "Options:":
            out.append(".SH OPTIONS")
        else:
            out.append(escape(line))
    if in_example:
        out.append(".fi\n.RE")
    # A break for a paragraph before a heading, or at the end, would be one too many.
    text = "\n".join(out) + "\n"
    return re.sub(r"(\.PP\n)+(?=\.SH|\.TP|\Z)", "", text)


def commands():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        table = file.read().split("<!-- commands -->")[1].split("<!-- /commands -->")[0]
    out = [".SH COMMANDS"]
    for line in table.strip().splitlines()[2:]:
        cells = re.split(r"(?<!\\) \| ", line.strip("| \n") + " ")
        out += [".TP", bold(cells[0].strip("` ").replace("\\|", "|")), escape(cells[1].strip())]
    return "\n".join(out) + "\n"


def page(name, section, version, text):
    head = f'.TH {name.upper()} {section} "" "memento {version}"\n.SH NAME\n{escape(name)} \\- {NAMES[name]}\n'
    also = re.sub(r"(\S+)\((\d)\)", lambda match: f"\\fB{escape(match[1])}\\fR({match[2]})", SEE_ALSO[name])
    return f"{head}{text}.SH SEE ALSO\n{also}\n"


def program_page(name, version, extra):
    synopsis, rest = usage(printed(name))
    lines = "\n.br\n".join(escape(line) for line in synopsis)
    return page(name, 1, version, f".SH SYNOPSIS\n{lines}\n.SH DESCRIPTION\n{body(rest)}{extra}")


def main():
    if len(sys.argv) != 2:
        sys.exit("Usage: scripts/man.py FOLDER")
    version = subprocess.run([os.path.join(BIN, "memento"), "-V"], check=True, capture_output=True, text=True)
    version = version.stdout.split()[1]
    # The end of memento's help is about the file, and has a page of its own besides.
    about_file = printed("memento").split("exit\n")[-1].strip().splitlines()
    pages = {
        "memento.1": program_page("memento", version, commands() + SERVER),
        "memento-cli.1": program_page("memento-cli", version, CLI),
        "memento-benchmark.1": program_page("memento-benchmark", version, ""),
        "memento.conf.5": page("memento.conf", 5, version, FILE.lstrip() + body(about_file) + FILE_RULES.lstrip()),
    }
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, text in pages.items():
        with open(os.path.join(sys.argv[1], name), "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
