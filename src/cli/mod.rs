//! `memento-cli`: lines to a server, answers back. One command from the command line, lines typed at a prompt, or lines
//! from a file or pipe.
//!
//! It does not parse commands: of the command table it asks only whether a word is a name in it, so as to tell a
//! command from a host.

mod lines;
mod pipe;
mod plain;

use std::io::{self, BufRead, BufReader, Write};

use getopts::{Options, ParsingStyle};

use crate::client::{CONNECT_TIMEOUT, Client, HOST_DEFAULT, PORT_DEFAULT, parse_port, reason};
use crate::sys::stdio::{self, INPUT, OUTPUT};
use lines::Answer;
use plain::Plain;

const USAGE: &str = "\
Usage: memento-cli [-h] [-V] [HOST [PORT]] [COMMAND ...]

Sends commands to a memento server and prints its answers.

  HOST       an address or a name (127.0.0.1)
  PORT       its port (6737)
  COMMAND    one command, its words joined by one blank. Without it, lines are
             read from standard input: each is a command, up to QUIT or EXIT.

A first word that is the name of a command starts the command; any other is
HOST.

  -h, --help       print this
  -V, --version    print the version

The status is 0, or 1 when the server cannot be reached, the connection is lost
or the answer to COMMAND is an error, or 2 when this usage was not followed.
";

/// Runs the tool with the words after the program's name; gives back the exit status.
pub fn main(args: Vec<String>) -> i32 {
    let request = match parse(&args, |name| crate::command::lookup(name).is_some()) {
        Ok(Parsed::Print(text)) => return exit_status(print(&text)),
        Ok(Parsed::Talk(request)) => request,
        Err(what) => {
            complain(&format!("{what}\nTry 'memento-cli --help'."));
            return 2;
        }
    };
    exit_status(talk(&request))
}

/// Why the tool gives up.
enum Failure {
    /// A sentence for the user.
    Message(String),
    /// The answer was an error, and is printed.
    ErrorAnswer,
    /// Nobody reads the output any more, as in `memento-cli < file | head`: no reason to complain.
    OutputClosed,
}

impl Failure {
    fn at(what: &str, error: &io::Error) -> Failure {
        Failure::Message(format!("{what}: {}", reason(error)))
    }

    fn output(error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::at("cannot write to standard output", error),
        }
    }
}

/// The client's errors are whole sentences.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Message(error.to_string())
    }
}

fn exit_status(result: Result<(), Failure>) -> i32 {
    match result {
        Ok(()) | Err(Failure::OutputClosed) => 0,
        Err(Failure::ErrorAnswer) => 1,
        Err(Failure::Message(text)) => {
            complain(&text);
            1
        }
    }
}

/// A closed standard error must not stop the tool, as `eprintln` would.
fn complain(text: &str) {
    stdio::complain("memento-cli", text);
}

fn print(text: &str) -> Result<(), Failure> {
    let mut output = OUTPUT;
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(|error| Failure::output(&error))
}

/// What the command line asks for.
#[derive(Debug, PartialEq)]
enum Parsed {
    Print(String),
    Talk(Request),
}

/// Whom to talk to, and what to say; no command means the lines of standard input.
#[derive(Debug, PartialEq)]
struct Request {
    host: String,
    host_given: bool,
    port: u16,
    command: Option<String>,
}

fn parse(args: &[String], is_command: fn(&[u8]) -> bool) -> Result<Parsed, String> {
    let mut options = Options::new();
    // The words of a command are its own: `INC k -5` has no options of ours.
    options.parsing_style(ParsingStyle::StopAtFirstFree);
    options.optflag("h", "help", "").optflag("V", "version", "");
    let matches = options.parse(args).map_err(|fail| fail.to_string())?;
    if matches.opt_present("help") {
        return Ok(Parsed::Print(USAGE.to_string()));
    }
    if matches.opt_present("version") {
        return Ok(Parsed::Print(format!("memento-cli {}\n", env!("CARGO_PKG_VERSION"))));
    }

    let mut words = matches.free.as_slice();
    let mut request = Request { host: HOST_DEFAULT.to_string(), host_given: false, port: PORT_DEFAULT, command: None };
    if let Some((host, rest)) = words.split_first()
        && !is_command(host.as_bytes())
    {
        if host.trim().is_empty() {
            return Err("the host has no name".to_string());
        }
        request.host.clone_from(host);
        request.host_given = true;
        words = rest;
        if let Some((port, rest)) = words.split_first()
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && !port.is_empty()
        {
            request.port = parse_port(port)?;
            words = rest;
        }
    }
    if !words.is_empty() {
        let command = words.join(" ");
        if command.contains('\n') {
            return Err("a command cannot hold a line feed".to_string());
        }
        request.command = Some(command);
    }
    Ok(Parsed::Talk(request))
}

fn talk(request: &Request) -> Result<(), Failure> {
    let mut client = Client::connect(&request.host, request.port, CONNECT_TIMEOUT).map_err(|error| {
        // Most likely a command with a slip of the finger.
        let known = error.kind() != io::ErrorKind::NotFound || !request.host_given;
        let hint = if known { "" } else { " (and it is not the name of a command)" };
        Failure::Message(format!("{error}{hint}"))
    })?;
    // Who copies answers into a file or another program is to have them as they are.
    let is_terminal = OUTPUT.is_terminal();
    let (mut plain, mut raw) = (Plain(OUTPUT), OUTPUT);
    let output: &mut dyn Write = if is_terminal { &mut plain } else { &mut raw };
    if let Some(command) = &request.command {
        return say(&mut client, command.as_bytes(), output, true)
            .and_then(|said| if said == Said::Error { Err(Failure::ErrorAnswer) } else { Ok(()) });
    }
    if INPUT.is_terminal() && is_terminal {
        converse(&mut client, &mut BufReader::new(INPUT), output)
    } else {
        pipe::run(client, INPUT, output)
    }
}

/// What became of a line.
#[derive(PartialEq)]
enum Said {
    Ok,
    Error,
    /// The connection was closed, as the line asked.
    Closed,
}

/// Sends one line and prints its answer. `last` says that no other line follows.
fn say(client: &mut Client, line: &[u8], output: &mut dyn Write, last: bool) -> Result<Said, Failure> {
    let kind = lines::answer(line);
    if kind == Answer::None {
        return Ok(Said::Ok);
    }
    client.send_line(line)?;
    if kind == Answer::Unknown && last {
        // After the half-close the server answers or closes, and either way there is something to wait for.
        client.end_lines()?;
    }
    let may_close = matches!(kind, Answer::End | Answer::MayEnd) || (kind == Answer::Unknown && last);
    let said = match client.read_reply() {
        Ok(reply) => print_reply(reply, output)?,
        Err(error) if may_close && error.kind() == io::ErrorKind::UnexpectedEof => Said::Closed,
        Err(error) => return Err(error.into()),
    };
    if said == Said::Ok && kind == Answer::Stream {
        loop {
            print_reply(client.read_reply()?, output)?;
        }
    }
    Ok(said)
}

/// Prints a reply with LF, and tells an error from the rest. (A value that reads like one is taken for one: the text
/// protocol has no other mark.)
fn print_reply(reply: &[u8], output: &mut dyn Write) -> Result<Said, Failure> {
    let written = output.write_all(reply).and_then(|()| output.write_all(b"\n")).and_then(|()| output.flush());
    written.map_err(|error| Failure::output(&error))?;
    let error = reply.starts_with(b"(error) ") || reply == b"(Unknown command)";
    Ok(if error { Said::Error } else { Said::Ok })
}

/// A prompt, a line, an answer, until the input ends or a line says so. The kernel's line editing is all there is.
fn converse(client: &mut Client, input: &mut dyn BufRead, output: &mut dyn Write) -> Result<(), Failure> {
    let prompt = format!("{}> ", client.address());
    let mut line = Vec::new();
    loop {
        output.write_all(prompt.as_bytes()).and_then(|()| output.flush()).map_err(|error| Failure::output(&error))?;
        line.clear();
        let count =
            input.read_until(b'\n', &mut line).map_err(|error| Failure::at("cannot read standard input", &error))?;
        if count == 0 {
            // The shell's prompt belongs on a line of its own.
            return output.write_all(b"\n").map_err(|error| Failure::output(&error));
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        if say(client, text, output, false)? == Said::Closed {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_command(name: &[u8]) -> bool {
        ["GET", "SET", "INC"].iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    }

    fn parsed(line: &[&str]) -> Result<Parsed, String> {
        let args: Vec<String> = line.iter().map(ToString::to_string).collect();
        parse(&args, is_command)
    }

    #[test]
    fn the_first_word_is_a_command_or_a_host() {
        for (line, host, port, command) in [
            (&[][..], "127.0.0.1", 6737, None),
            (&["get", "k"], "127.0.0.1", 6737, Some("get k")),
            (&["SET", "k", "two  words", ""], "127.0.0.1", 6737, Some("SET k two  words ")),
            (&["INC", "k", "-5"], "127.0.0.1", 6737, Some("INC k -5")),
            (&["--", "INC", "k", "-h"], "127.0.0.1", 6737, Some("INC k -h")),
            (&["box"], "box", 6737, None),
            (&["box", "80"], "box", 80, None),
            (&["::1", "GET", "80"], "::1", 6737, Some("GET 80")),
            (&["box", "80", "nonsense", "-V"], "box", 80, Some("nonsense -V")),
            (&["get", "80"], "127.0.0.1", 6737, Some("get 80")),
            (&["box", "80", "80"], "box", 80, Some("80")),
            (&["box", ""], "box", 6737, Some("")),
        ] {
            let wanted = Request {
                host: host.to_string(),
                host_given: host != "127.0.0.1",
                port,
                command: command.map(str::to_string),
            };
            assert_eq!(parsed(line), Ok(Parsed::Talk(wanted)), "{line:?}");
        }
    }

    #[test]
    fn help_and_version() {
        for line in [&["-h"][..], &["--help"], &["-V", "-h"]] {
            assert_eq!(parsed(line), Ok(Parsed::Print(USAGE.to_string())), "{line:?}");
        }
        for line in [&["-V"][..], &["--version", "box"]] {
            let Ok(Parsed::Print(text)) = parsed(line) else { panic!("{line:?}") };
            assert!(text.starts_with("memento-cli ") && text.ends_with('\n'), "{text:?}");
        }
    }

    #[test]
    fn wrong_usage_says_what_is_wrong() {
        for (line, part) in [
            (&["-x"][..], "'x'"),
            (&["--port", "80"], "'port'"),
            (&["box", "0"], "not '0'"),
            (&["box", "99999"], "not '99999'"),
            (&[" "], "host"),
            (&["SET", "k", "a\nFLUSH"], "line feed"),
        ] {
            let what = parsed(line).expect_err("wrong usage");
            assert!(what.contains(part), "{line:?}: {what}");
        }
    }
}
