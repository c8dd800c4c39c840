//! The command line of memento-cli.

use std::time::Duration;

use getopts::{Matches, Options, ParsingStyle};

use super::show::Style;
use super::talk::Target;
use super::{Failure, dump, keys, mass, nodes, top, watch};
use crate::client::{CONNECT_TIMEOUT, HOST_DEFAULT, PORT_DEFAULT, add_options, parse_port};
use crate::lzf::packed;
use crate::secret;

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
pub(super) enum Parsed {
    Print(String),
    Talk(Box<Request>),
}

/// What can be done instead of talking.
pub(super) struct Mode {
    name: &'static str,
    takes_pattern: bool,
    pub(super) run: fn(&Request) -> Result<(), Failure>,
}

#[rustfmt::skip]
static MODES: [Mode; 9] = [
    Mode { name: "pipe", takes_pattern: false, run: mass::run },
    Mode { name: "scan", takes_pattern: true, run: keys::scan },
    Mode { name: "bigkeys", takes_pattern: true, run: keys::biggest },
    Mode { name: "stat", takes_pattern: false, run: watch::stat },
    Mode { name: "latency", takes_pattern: false, run: watch::latency },
    Mode { name: "cluster", takes_pattern: false, run: nodes::show },
    Mode { name: "top", takes_pattern: false, run: top::run },
    Mode { name: "dump", takes_pattern: true, run: dump::dump },
    Mode { name: "restore", takes_pattern: false, run: dump::restore },
];

static STYLES: [(&str, Style); 3] = [("raw", Style::Raw), ("json", Style::Json), ("csv", Style::Csv)];

/// Whom to talk to, and what to say.
#[derive(Default)]
pub(super) struct Request {
    pub(super) target: Target,
    pub(super) mode: Option<&'static Mode>,
    /// The file of a dump.
    pub(super) path: String,
    /// Empty for the lines of standard input.
    pub(super) command: Vec<String>,
    /// How answers are to be printed.
    pub(super) style: Style,
    pub(super) errors: bool,
    pub(super) from_stdin: bool,
    repeat: Option<u64>,
    pub(super) interval: Option<Duration>,
    pattern: Option<String>,
}

impl Request {
    /// Which keys are wanted.
    pub(super) fn pattern(&self) -> &str {
        self.pattern.as_deref().unwrap_or("*")
    }

    /// Does it again and again, as often as was said.
    ///
    /// # Errors
    /// The first one of the work's.
    #[inline(never)]
    pub(super) fn repeat(
        &self,
        default: u64,
        pause: Option<Duration>,
        work: &mut dyn FnMut() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut left = self.repeat.unwrap_or(default);
        while left > 0 {
            work()?;
            left -= 1;
            if let (Some(pause), true) = (pause, left > 0) {
                std::thread::sleep(pause);
            }
        }
        Ok(())
    }
}

/// Often enough to be for ever.
pub(super) const FOR_EVER: u64 = u64::MAX;

/// The short name where there is one, the long one, and whether a value follows. (And there is -h.)
const OPTIONS: &str = "p,port= s,socket= password-file= r,repeat= i,interval= x,stdin e,errors raw json csv pattern= pipe \
                       scan bigkeys stat latency cluster top dump= restore= help V,version";

#[inline(never)]
fn options() -> Options {
    let mut options = Options::new();
    // The words of a command are its own: `INC k -5` has no options of ours.
    options.parsing_style(ParsingStyle::StopAtFirstFree);
    options.optflagopt("h", "", "", "");
    add_options(&mut options, OPTIONS);
    options
}

/// The place of the one option that was given, of some of which one at most may be.
fn one_of(matches: &Matches, names: &mut dyn Iterator<Item = &'static str>) -> Result<Option<usize>, String> {
    let mut found = None;
    for (place, name) in names.enumerate() {
        if !matches.opt_present(name) {
            continue;
        }
        if let Some((_, one)) = found {
            return Err(format!("--{one} and --{name} cannot be both"));
        }
        found = Some((place, name));
    }
    Ok(found.map(|(place, _)| place))
}

/// Reads the words; `is_command` says whether one is the name of a command, `style` how answers are printed where nothing
/// is said of it.
///
/// # Errors
/// What is wrong, for the user.
#[inline(never)]
pub(super) fn parse(args: &[String], is_command: fn(&[u8]) -> bool, style: Style) -> Result<Parsed, String> {
    let matches = options().parse(args).map_err(|fail| fail.to_string())?;
    if matches.opt_present("help") || (matches.opt_present("h") && matches.opt_str("h").is_none()) {
        return Ok(Parsed::Print(packed!(USAGE).text()));
    }
    if matches.opt_present("version") {
        return Ok(Parsed::Print(concat!("memento-cli ", env!("CARGO_PKG_VERSION"), "\n").to_string()));
    }
    let mut request = Box::new(Request { style, ..Request::default() });
    let words = request.target.read(&matches, is_command)?;
    request.read(&matches, words)?;
    Ok(Parsed::Talk(request))
}

impl Target {
    /// Reads where the server is; gives the words behind that.
    #[inline(never)]
    fn read<'a>(&mut self, matches: &'a Matches, is_command: fn(&[u8]) -> bool) -> Result<&'a [String], String> {
        let text = |name: &str| matches.opt_str(name);
        let mut words = matches.free.as_slice();
        (self.port, self.socket, self.patience) = (PORT_DEFAULT, text("s"), CONNECT_TIMEOUT);
        let (host, port) = (text("h"), text("p"));
        self.host_given = host.is_some();
        self.host = host.unwrap_or_else(|| HOST_DEFAULT.to_string());
        if let Some(port) = &port {
            self.port = parse_port(port)?;
        }
        if let [first, rest @ ..] = words
            && !(self.host_given || port.is_some() || self.socket.is_some() || is_command(first.as_bytes()))
        {
            (self.host_given, self.host, words) = (true, first.clone(), rest);
            if let [second, rest @ ..] = words
                && !second.is_empty()
                && second.bytes().all(|byte| byte.is_ascii_digit())
            {
                (self.port, words) = (parse_port(second)?, rest);
            }
        }
        self.password = secret::password(text("password-file").as_deref())?;
        if self.host.trim_ascii().is_empty() {
            return Err("the host has no name".to_string());
        }
        if self.socket.as_ref().is_some_and(String::is_empty) {
            return Err("--socket: the path is empty".to_string());
        }
        Ok(words)
    }
}

impl Request {
    /// Reads what to say and how to print what is answered.
    #[inline(never)]
    fn read(&mut self, matches: &Matches, words: &[String]) -> Result<(), String> {
        let text = |name: &str| matches.opt_str(name);
        let has = |name: &str| matches.opt_present(name);
        if let Some(place) = one_of(matches, &mut MODES.iter().map(|mode| mode.name))? {
            self.mode = Some(&MODES[place]);
            self.path = text(MODES[place].name).unwrap_or_default();
            if let Some(word) = words.first() {
                return Err(format!("'{word}' is one word too many"));
            }
        }
        self.pattern = text("pattern");
        if self.pattern.is_some() && !self.mode.is_some_and(|mode| mode.takes_pattern) {
            return Err("--pattern is for --scan, --bigkeys and --dump".to_string());
        }
        (self.errors, self.from_stdin) = (has("e"), has("x"));
        if self.from_stdin && words.is_empty() {
            return Err("-x is for a command, whose last argument it reads".to_string());
        }
        if let Some(place) = one_of(matches, &mut STYLES.iter().map(|(name, _)| *name))? {
            self.style = STYLES[place].1;
        }
        if let Some(word) = text("r") {
            self.repeat = if word == "-1" { Some(FOR_EVER) } else { word.parse().ok() };
            if self.repeat.is_none() {
                return Err(format!("--repeat must be a number, or -1 for ever, not '{word}'"));
            }
        }
        if let Some(word) = text("i") {
            self.interval = milliseconds(&word);
            if self.interval.is_none() {
                return Err(format!("--interval must be a number of seconds, not '{word}'"));
            }
        }
        self.command = words.to_vec();
        Ok(())
    }
}

/// Seconds in digits, with as many behind a point as milliseconds have. (The standard library's way to read a number with
/// a fraction takes 15 kB.)
fn milliseconds(word: &str) -> Option<Duration> {
    let (mut ms, mut digits, mut point, mut unit) = (0, 0, false, 1000);
    if word.len() > 15 {
        return None;
    }
    for byte in word.bytes() {
        match byte {
            b'.' if !point => point = true,
            b'0'..=b'9' => {
                digits += 1;
                let digit = u64::from(byte - b'0');
                if point {
                    unit /= 10;
                    ms += digit * unit;
                } else {
                    ms = ms * 10 + digit * unit;
                }
            }
            _ => return None,
        }
    }
    (digits > 0).then_some(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_command(name: &[u8]) -> bool {
        ["GET", "SET", "INC"].iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    }

    fn parsed(line: &[&str]) -> Result<Parsed, String> {
        let args: Vec<String> = line.iter().map(ToString::to_string).collect();
        parse(&args, is_command, Style::Raw)
    }

    fn printed(line: &[&str]) -> String {
        match parsed(line) {
            Ok(Parsed::Print(text)) => text,
            _ => panic!("{line:?}"),
        }
    }

    fn mode(request: &Request) -> &str {
        request.mode.map_or("", |mode| mode.name)
    }

    fn request(line: &[&str]) -> Request {
        match parsed(line) {
            Ok(Parsed::Talk(request)) => *request,
            Ok(Parsed::Print(text)) => panic!("{line:?}: {text}"),
            Err(what) => panic!("{line:?}: {what}"),
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
            assert_eq!(request.command, command, "{line:?}");
        }
    }

    #[test]
    fn options_say_how_and_what() {
        let plain = request(&["get", "k"]);
        assert_eq!((plain.style, mode(&plain), plain.repeat, plain.interval), (Style::Raw, "", None, None));
        assert_eq!(request(&["--json", "get", "k"]).style, Style::Json);
        assert_eq!(request(&["-r", "-1", "get", "k"]).repeat, Some(FOR_EVER));
        assert_eq!(request(&["-r", "3", "-i", "0.5", "get", "k"]).interval, Some(Duration::from_millis(500)));
        for (word, ms) in [("2", 2000), ("0.05", 50), (".5", 500), ("1.", 1000), ("1.23456", 1234), ("0", 0)] {
            assert_eq!(request(&["-i", word]).interval, Some(Duration::from_millis(ms)), "{word}");
        }
        assert_eq!(request(&["-s", "/run/m"]).target.socket.as_deref(), Some("/run/m"));
        assert_eq!(mode(&request(&["box", "80"])), "");
        let scan = request(&["--scan", "--pattern", "a*", "box"]);
        assert_eq!((mode(&scan), scan.pattern.as_deref(), scan.target.host.as_str()), ("scan", Some("a*"), "box"));
        let dump = request(&["--dump", "/tmp/d", "box"]);
        assert_eq!((mode(&dump), dump.path.as_str(), dump.target.host.as_str()), ("dump", "/tmp/d", "box"));
        assert_eq!(request(&["--restore", "/tmp/d"]).path, "/tmp/d");
        assert!(request(&["-x", "set", "k"]).from_stdin && request(&["-e"]).errors);
    }

    #[test]
    fn help_and_version() {
        for line in [&["-h"][..], &["--help"], &["-V", "-h"], &["-h", "-p", "80"]] {
            assert_eq!(printed(line), USAGE, "{line:?}");
        }
        for line in [&["-V"][..], &["--version", "box"]] {
            let text = printed(line);
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
            let Err(what) = parsed(line) else { panic!("no wrong usage: {line:?}") };
            assert!(what.contains(part), "{line:?}: {what}");
        }
    }
}
