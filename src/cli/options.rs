//! The command line of memento-cli.

use std::path::PathBuf;
use std::time::Duration;

use getopts::{Matches, Options, ParsingStyle};

use super::show::Style;
use super::talk::Target;
use crate::client::{HOST_DEFAULT, PORT_DEFAULT, parse_port};

const USAGE: &str = "\
Usage: memento-cli [OPTION ...] [HOST [PORT]] [COMMAND ...]

Sends commands to a memento server and prints its answers.

  HOST       an address or a name (127.0.0.1)
  PORT       its port (6737)
  COMMAND    one command, each word as it is. Without it, lines are read from
             standard input: each is a command, up to QUIT or EXIT; on a
             terminal with a prompt, where 'help' says more.

A first word that is the name of a command starts the command; any other is
HOST, unless -h, -p or -s say where the server is.

  -h HOST                  the server's address or name; alone: print this
  -p, --port PORT          its port
  -s, --socket PATH        its Unix socket
  --password-file FILE     the password is this file's first line; or set
                           MEMENTO_PASSWORD
  -r, --repeat N           run COMMAND so many times; -1: for ever
  -i, --interval S         wait so many seconds in between (--stat, --latency,
                           --top: between two looks)
  -x, --stdin              read the last argument of COMMAND from standard input
  -e, --errors             let an error among the answers to lines be status 1
  --raw                    print values as their bytes, on a terminal too
  --json                   print a value of JSON a line
  --csv                    print comma-separated values

Instead of a COMMAND:

  --pipe                   send standard input, lines or RESP, as fast as can
                           be; count the answers and the errors among them
  --scan                   list the keys, those like --pattern GLOB
  --pattern GLOB           which keys --scan, --bigkeys and --dump are to take
  --bigkeys                look for the longest values
  --dump FILE              write all keys into FILE, with values and expiry; go
                           on with one that is not whole
  --restore FILE           set the keys of such a FILE; go on where it was cut
                           off
  --stat                   print a line of figures a second
  --latency                measure how long a PING takes
  --cluster                show the nodes and which slots they have
  --top                    show the whole cluster, or one server, live
  --help                   print this
  -V, --version            print the version

The status is 0, or 1 when the server cannot be reached, the connection is lost
or the answer to COMMAND is an error, or 2 when this usage was not followed.
";

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Parsed {
    Print(String),
    Talk(Request),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Run a command, or the lines of standard input.
    Talk,
    Pipe,
    Scan,
    BigKeys,
    Stat,
    Latency,
    Cluster,
    Top,
    Dump,
    Restore,
}

const MODES: [(&str, Mode); 9] = [
    ("pipe", Mode::Pipe),
    ("scan", Mode::Scan),
    ("bigkeys", Mode::BigKeys),
    ("stat", Mode::Stat),
    ("latency", Mode::Latency),
    ("cluster", Mode::Cluster),
    ("top", Mode::Top),
    ("dump", Mode::Dump),
    ("restore", Mode::Restore),
];

/// Whom to talk to, and what to say; no command means the lines of standard input.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    pub(super) target: Target,
    pub(super) mode: Mode,
    /// The file of a dump.
    pub(super) path: String,
    pub(super) command: Option<Vec<String>>,
    /// How answers are to be printed, where that was said.
    pub(super) style: Option<Style>,
    pub(super) errors: bool,
    pub(super) from_stdin: bool,
    /// How often; `None` is for ever.
    pub(super) repeat: Option<u64>,
    pub(super) repeat_given: bool,
    pub(super) interval: Option<Duration>,
    pub(super) pattern: Option<String>,
}

fn options() -> Options {
    let mut options = Options::new();
    // The words of a command are its own: `INC k -5` has no options of ours.
    options.parsing_style(ParsingStyle::StopAtFirstFree);
    options.optflagopt("h", "", "", "HOST").optopt("p", "port", "", "PORT").optopt("s", "socket", "", "PATH");
    options.optopt("", "password-file", "", "FILE").optopt("r", "repeat", "", "N").optopt("i", "interval", "", "S");
    options.optflag("x", "stdin", "").optflag("e", "errors", "").optopt("", "pattern", "", "GLOB");
    for name in ["raw", "json", "csv", "help"] {
        options.optflag("", name, "");
    }
    for (name, _) in &MODES[..MODES.len() - 2] {
        options.optflag("", name, "");
    }
    options.optopt("", "dump", "", "FILE").optopt("", "restore", "", "FILE");
    options.optflag("V", "version", "");
    options
}

/// The choice among options of which one at most may be given.
fn one_of<T: Copy>(matches: &Matches, choices: &[(&str, T)]) -> Result<Option<T>, String> {
    let mut found = None;
    for &(name, choice) in choices {
        if !matches.opt_present(name) {
            continue;
        }
        if let Some((one, _)) = found {
            return Err(format!("--{one} and --{name} cannot be both"));
        }
        found = Some((name, choice));
    }
    Ok(found.map(|(_, choice)| choice))
}

/// Reads the words; `is_command` says whether one is the name of a command.
///
/// # Errors
/// What is wrong, for the user.
pub(super) fn parse(args: &[String], is_command: fn(&[u8]) -> bool) -> Result<Parsed, String> {
    let matches = options().parse(args).map_err(|fail| fail.to_string())?;
    if matches.opt_present("help") || (matches.opt_present("h") && matches.opt_str("h").is_none()) {
        return Ok(Parsed::Print(USAGE.to_string()));
    }
    if matches.opt_present("version") {
        return Ok(Parsed::Print(format!("memento-cli {}\n", env!("CARGO_PKG_VERSION"))));
    }

    let mut words = matches.free.as_slice();
    let mut target = Target {
        host: matches.opt_str("h").unwrap_or_else(|| HOST_DEFAULT.to_string()),
        host_given: matches.opt_present("h"),
        port: matches.opt_str("p").map_or(Ok(PORT_DEFAULT), |port| parse_port(&port))?,
        socket: matches.opt_str("s").map(PathBuf::from),
        password: password(&matches)?,
    };
    if target.host.trim().is_empty() {
        return Err("the host has no name".to_string());
    }
    if target.socket.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
        return Err("--socket: the path is empty".to_string());
    }
    let placed = ["h", "p", "s"].iter().any(|name| matches.opt_present(name));
    if let Some((host, rest)) = words.split_first()
        && !placed
        && !is_command(host.as_bytes())
    {
        if host.trim().is_empty() {
            return Err("the host has no name".to_string());
        }
        target.host.clone_from(host);
        target.host_given = true;
        words = rest;
        if let Some((port, rest)) = words.split_first()
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && !port.is_empty()
        {
            target.port = parse_port(port)?;
            words = rest;
        }
    }
    let mode = one_of(&matches, &MODES)?.unwrap_or(Mode::Talk);
    let command = (!words.is_empty()).then(|| words.to_vec());
    if let (Some(command), true) = (&command, mode != Mode::Talk) {
        return Err(format!("'{}' is one word too many", command[0]));
    }
    if matches.opt_present("pattern") && !matches!(mode, Mode::Scan | Mode::BigKeys | Mode::Dump) {
        return Err("--pattern is for --scan, --bigkeys and --dump".to_string());
    }
    let from_stdin = matches.opt_present("x");
    if from_stdin && command.is_none() {
        return Err("-x is for a command, whose last argument it reads".to_string());
    }
    let styles = [("raw", Style::Raw), ("json", Style::Json), ("csv", Style::Csv)];
    Ok(Parsed::Talk(Request {
        target,
        mode,
        path: matches.opt_str("dump").or_else(|| matches.opt_str("restore")).unwrap_or_default(),
        command,
        style: one_of(&matches, &styles)?,
        errors: matches.opt_present("e"),
        from_stdin,
        repeat: repeat(&matches)?,
        repeat_given: matches.opt_present("r"),
        interval: interval(&matches)?,
        pattern: matches.opt_str("pattern"),
    }))
}

fn repeat(matches: &Matches) -> Result<Option<u64>, String> {
    match matches.opt_str("r").as_deref() {
        None => Ok(Some(1)),
        Some("-1") => Ok(None),
        Some(word) => match word.parse() {
            Ok(count) => Ok(Some(count)),
            Err(_) => Err(format!("--repeat must be a number, or -1 for ever, not '{word}'")),
        },
    }
}

fn interval(matches: &Matches) -> Result<Option<Duration>, String> {
    let Some(word) = matches.opt_str("i") else { return Ok(None) };
    milliseconds(&word).map(Some).ok_or_else(|| format!("--interval must be a number of seconds, not '{word}'"))
}

/// Seconds in digits, with as many behind a point as milliseconds have. (The standard library's way to read a number with
/// a fraction takes 15 kB.)
fn milliseconds(word: &str) -> Option<Duration> {
    let (whole, part) = word.split_once('.').unwrap_or((word, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if word.len() > 15 || whole.len() + part.len() == 0 || !digits(whole) || !digits(part) {
        return None;
    }
    format!("{whole}{:0<3.3}", part).parse().ok().map(Duration::from_millis)
}

/// The first line of the password file; else what the environment says. A password on the command line would be seen by
/// everybody on the box (ps), so there is no such option.
fn password(matches: &Matches) -> Result<Option<Vec<u8>>, String> {
    let password = match matches.opt_str("password-file") {
        Some(path) => {
            let text = super::read_file(path.as_ref())
                .map_err(|error| format!("--password-file: '{path}': {}", crate::client::reason(&error)))?;
            let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                return Err(format!("--password-file: '{path}': the first line is empty"));
            }
            Some(line.to_vec())
        }
        None => std::env::var_os("MEMENTO_PASSWORD").map(std::ffi::OsString::into_encoded_bytes),
    };
    Ok(password.filter(|password| !password.is_empty()))
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

    fn request(line: &[&str]) -> Request {
        match parsed(line) {
            Ok(Parsed::Talk(request)) => request,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    #[test]
    fn the_first_word_is_a_command_or_a_host() {
        for (line, host, port, command) in [
            (&[][..], "127.0.0.1", 6737, &[][..]),
            (&["get", "k"], "127.0.0.1", 6737, &["get", "k"]),
            (&["SET", "k", "two  words", ""], "127.0.0.1", 6737, &["SET", "k", "two  words", ""]),
            (&["INC", "k", "-5"], "127.0.0.1", 6737, &["INC", "k", "-5"]),
            (&["--", "INC", "k", "-h"], "127.0.0.1", 6737, &["INC", "k", "-h"]),
            (&["box"], "box", 6737, &[]),
            (&["box", "80"], "box", 80, &[]),
            (&["::1", "GET", "80"], "::1", 6737, &["GET", "80"]),
            (&["box", "80", "nonsense", "-V"], "box", 80, &["nonsense", "-V"]),
            (&["get", "80"], "127.0.0.1", 6737, &["get", "80"]),
            (&["box", "80", "80"], "box", 80, &["80"]),
            (&["box", ""], "box", 6737, &[""]),
            (&["SET", "k", "a\nFLUSH"], "127.0.0.1", 6737, &["SET", "k", "a\nFLUSH"]),
            (&["-h", "box"], "box", 6737, &[]),
            (&["-h", "box", "-p", "80", "nonsense", "9"], "box", 80, &["nonsense", "9"]),
            (&["-p", "80", "nonsense"], "127.0.0.1", 80, &["nonsense"]),
            (&["--port=80", "get", "-p"], "127.0.0.1", 80, &["get", "-p"]),
        ] {
            let request = request(line);
            assert_eq!((request.target.host.as_str(), request.target.port), (host, port), "{line:?}");
            assert_eq!(request.target.host_given, host != "127.0.0.1", "{line:?}");
            assert_eq!(request.command.unwrap_or_default(), command, "{line:?}");
        }
    }

    #[test]
    fn options_say_how_and_what() {
        let plain = request(&["get", "k"]);
        assert_eq!((plain.style, plain.mode, plain.repeat, plain.interval), (None, Mode::Talk, Some(1), None));
        assert_eq!(request(&["--json", "get", "k"]).style, Some(Style::Json));
        assert_eq!(request(&["-r", "-1", "get", "k"]).repeat, None);
        assert_eq!(request(&["-r", "3", "-i", "0.5", "get", "k"]).interval, Some(Duration::from_millis(500)));
        for (word, ms) in [("2", 2000), ("0.05", 50), (".5", 500), ("1.", 1000), ("1.23456", 1234), ("0", 0)] {
            assert_eq!(request(&["-i", word]).interval, Some(Duration::from_millis(ms)), "{word}");
        }
        assert_eq!(request(&["-s", "/run/m"]).target.socket, Some(PathBuf::from("/run/m")));
        assert_eq!(request(&["box", "80"]).mode, Mode::Talk);
        let scan = request(&["--scan", "--pattern", "a*", "box"]);
        assert_eq!((scan.mode, scan.pattern.as_deref(), scan.target.host.as_str()), (Mode::Scan, Some("a*"), "box"));
        let dump = request(&["--dump", "/tmp/d", "box"]);
        assert_eq!((dump.mode, dump.path.as_str(), dump.target.host.as_str()), (Mode::Dump, "/tmp/d", "box"));
        assert_eq!(request(&["--restore", "/tmp/d"]).path, "/tmp/d");
        assert!(request(&["-x", "set", "k"]).from_stdin && request(&["-e"]).errors);
    }

    #[test]
    fn help_and_version() {
        for line in [&["-h"][..], &["--help"], &["-V", "-h"], &["-h", "-p", "80"]] {
            assert_eq!(parsed(line), Ok(Parsed::Print(USAGE.to_string())), "{line:?}");
        }
        for line in [&["-V"][..], &["--version", "box"]] {
            let Ok(Parsed::Print(text)) = parsed(line) else { panic!("{line:?}") };
            assert!(text.starts_with("memento-cli ") && text.ends_with('\n'), "{text:?}");
        }
        // Every option is told of.
        for word in options().usage("").split_whitespace().filter(|word| word.starts_with("--")) {
            assert!(USAGE.contains(word.trim_end_matches(',')), "{word}");
        }
    }

    #[test]
    fn wrong_usage_says_what_is_wrong() {
        for (line, part) in [
            (&["-y"][..], "'y'"),
            (&["--ports", "80"], "'ports'"),
            (&["box", "0"], "not '0'"),
            (&["box", "99999"], "not '99999'"),
            (&["-p", "x"], "not 'x'"),
            (&[" "], "host"),
            (&["-s", ""], "empty"),
            (&["--json", "--csv"], "both"),
            (&["--stat", "--scan"], "both"),
            (&["--stat", "get"], "'get'"),
            (&["--dump", "a", "--restore", "b"], "both"),
            (&["--dump"], "'dump'"),
            (&["--restore", "a", "--pattern", "b"], "--pattern is for"),
            (&["--pattern", "b", "get", "k"], "--pattern is for"),
            (&["-x"], "-x"),
            (&["-r", "x", "get"], "'x'"),
            (&["-i", "-1", "get"], "'-1'"),
            (&["-i", ".", "get"], "'.'"),
            (&["-i", "1e3", "get"], "'1e3'"),
            (&["-i", "9999999999999999", "get"], "'9999999999999999'"),
            (&["--password-file", "/nowhere/at/all"], "/nowhere/at/all"),
        ] {
            let what = parsed(line).expect_err("wrong usage");
            assert!(what.contains(part), "{line:?}: {what}");
        }
    }
}
