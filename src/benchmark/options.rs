//! The command line of memento-benchmark.

use std::time::{SystemTime, UNIX_EPOCH};

use getopts::{Matches, Options};

use super::decimal;
use super::keys::Keys;
use super::template::{Check, KEYS_MAX, Layout, TESTS, Template};
use crate::client::{HOST_DEFAULT, PORT_DEFAULT, parse_port};

const USAGE: &str = "\
Usage: memento-benchmark [OPTION...] [HOST [PORT]]

Measures how many requests a second a memento server answers, one at a time on
each connection, and checks every answer. With any of the options for a load it
sends that instead, and tells how long the answers took: to memento or, in RESP,
to any server that speaks it.

  HOST       an address or a name (127.0.0.1)
  PORT       its port (6737)

  -h, --help       print this
  -V, --version    print the version

What a load is:
  -t, --tests LIST       of ping, set, get, inc, dec, incf, append, exists, del
                         and fill (each key once), one after the other (set,get)
  --mix LIST             requests of several kinds at once, each with its weight:
                         get:90,set:10
  --command TEXT         this command, where __key__ is a key, __data__ a value
                         and __rand__ a random number; may be repeated
  -c, --clients N        connections (50)
  -n, --requests N       in all, for each test (100000)
  --time S               for so many seconds instead
  --warmup S             seconds before, which do not count
  -P, --pipeline N       requests under way on each connection (1)
  --threads N            that share the connections (1)
  --rate R               so many requests a second, however long answers take:
                         times count from when a request was due
  -d, --data BYTES       the length of values, or a range: 10-1000 (32)
  -r, --key-space N      how many different keys (100000), which stay
  --keys KIND            uniform, sequential, or zipf:0.99: some much more often
                         than others
  --prefix TEXT          what a key begins with, before twelve digits (key:)
  --ttl S                what is set ends after so many seconds
  --verify               values must be those that a load with the same -d sets
  --seed N               the same random numbers again

What it is sent to:
  --protocol NAME        in resp (the default) or text
  -s, --socket PATH      a Unix socket
  --cluster              connections to all nodes of the cluster of memento that
                         HOST belongs to
  --compare HOST:PORT    the same work to a second server, in turns, and ratios

What is told:
  -q, --quiet            a line for each test, and no progress
  --csv, --json          tables for programs
  --histogram            a picture of how long answers took

Without these it sets the key 'keyone' and keys that begin with 'keyone:' or 'key:',
and deletes them in the end. Do not run it where such keys are of use.

The status is 0, or 1 when the server cannot be reached or an answer is wrong,
or 2 when this usage was not followed.
";

/// The most that a number of the command line may be.
const NUMBER_MAX: u64 = 1 << 40;

/// The most that one with a fraction may be.
const DECIMAL_MAX: u64 = 1_000_000_000;

/// The longest value that a server may take.
const VALUE_BYTES_MAX: u64 = 512 << 20;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Tcp { host: String, port: u16 },
    Unix(String),
}

impl Target {
    /// As people write it.
    pub(super) fn text(&self) -> String {
        match self {
            Target::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Target::Tcp { host, port } => format!("{host}:{port}"),
            Target::Unix(path) => path.clone(),
        }
    }
}

/// One kind of request in a part, and how often it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) name: String,
    pub(super) template: Template,
    pub(super) weight: u64,
}

/// What is measured by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) shares: Vec<Share>,
    /// Each key once, in order, whatever else is said.
    pub(super) is_fill: bool,
}

/// In which form figures are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Csv,
    Json,
}

/// A load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) target: Target,
    pub(super) compared: Option<Target>,
    pub(super) cluster: bool,
    pub(super) resp: bool,
    pub(super) parts: Vec<Part>,
    pub(super) connections: u64,
    pub(super) threads: u64,
    pub(super) pipeline: usize,
    /// No number where only time ends it.
    pub(super) requests: Option<u64>,
    /// In millionths, as the two that follow; the warm-up may be 0.
    pub(super) seconds: Option<u64>,
    pub(super) warmup: u64,
    pub(super) rate: Option<u64>,
    /// The least and the greatest length of a value.
    pub(super) value_bytes: (usize, usize),
    pub(super) keys: Keys,
    pub(super) key_space: u64,
    pub(super) verify: bool,
    pub(super) seed: u64,
    pub(super) quiet: bool,
    pub(super) form: Form,
    pub(super) histogram: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Print(String),
    /// The four parts that are ordered.
    Measure {
        host: String,
        port: u16,
    },
    Load(Box<Settings>),
}

/// The options of a load: the short name, the long one, and whether a value follows.
const OPTIONS: &[(&str, &str, bool)] = &[
    ("t", "tests", true),
    ("", "mix", true),
    ("c", "clients", true),
    ("n", "requests", true),
    ("", "time", true),
    ("", "warmup", true),
    ("P", "pipeline", true),
    ("", "threads", true),
    ("", "rate", true),
    ("d", "data", true),
    ("r", "key-space", true),
    ("", "keys", true),
    ("", "prefix", true),
    ("", "ttl", true),
    ("", "verify", false),
    ("", "seed", true),
    ("", "protocol", true),
    ("s", "socket", true),
    ("", "cluster", false),
    ("", "compare", true),
    ("q", "quiet", false),
    ("", "csv", false),
    ("", "json", false),
    ("", "histogram", false),
];

/// Reads the words after the program's name.
pub(super) fn parse(args: &[String]) -> Result<Parsed, String> {
    let mut options = Options::new();
    options.optflag("h", "help", "").optflag("V", "version", "").optmulti("", "command", "", "");
    for (short, long, takes_value) in OPTIONS {
        if *takes_value {
            options.optopt(short, long, "", "");
        } else {
            options.optflag(short, long, "");
        }
    }
    let matches = options.parse(args).map_err(|fail| fail.to_string())?;
    if matches.opt_present("help") {
        return Ok(Parsed::Print(USAGE.to_string()));
    }
    if matches.opt_present("version") {
        return Ok(Parsed::Print(format!("memento-benchmark {}\n", env!("CARGO_PKG_VERSION"))));
    }
    let (host, port) = match matches.free.as_slice() {
        [] => (HOST_DEFAULT.to_string(), PORT_DEFAULT),
        [name] => (host_of(name)?, PORT_DEFAULT),
        [name, port] => (host_of(name)?, parse_port(port)?),
        [_, _, more, ..] => return Err(format!("'{more}' is too much: only HOST and PORT are taken")),
    };
    let is_load = matches.opt_present("command") || OPTIONS.iter().any(|(_, long, _)| matches.opt_present(long));
    if is_load {
        settings(&matches, host, port).map(|it| Parsed::Load(Box::new(it)))
    } else {
        Ok(Parsed::Measure { host, port })
    }
}

fn host_of(word: &str) -> Result<String, String> {
    if word.trim().is_empty() { Err("the host has no name".to_string()) } else { Ok(word.to_string()) }
}

fn settings(matches: &Matches, host: String, port: u16) -> Result<Settings, String> {
    let number = |name: &str, default: u64, most: u64| match matches.opt_str(name) {
        None => Ok(default),
        Some(text) => match decimal::integer(&text) {
            Some(number) if number >= 1 && number <= most => Ok(number),
            _ => Err(format!("--{name} wants a number from 1 to {most}, not '{text}'")),
        },
    };
    let fraction = |name: &str| match matches.opt_str(name) {
        None => Ok(None),
        Some(text) => match decimal::parse(&text) {
            Some(number) if number > 0 && number <= DECIMAL_MAX * decimal::ONE => Ok(Some(number)),
            _ => Err(format!("--{name} wants a number over 0 up to {DECIMAL_MAX}, not '{text}'")),
        },
    };
    let resp = match matches.opt_str("protocol").as_deref() {
        None | Some("resp") => true,
        Some("text") => false,
        Some(other) => return Err(format!("--protocol is resp or text, not '{other}'")),
    };
    let target = match matches.opt_str("socket") {
        None => Target::Tcp { host, port },
        Some(_) if !matches.free.is_empty() => return Err("--socket takes the place of HOST and PORT".to_string()),
        Some(path) => Target::Unix(path),
    };
    let compared = match matches.opt_str("compare") {
        None => None,
        Some(text) => match text.rsplit_once(':') {
            Some((host, port)) => {
                let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
                Some(Target::Tcp { host: host_of(host)?, port: parse_port(port)? })
            }
            None => return Err(format!("--compare wants HOST:PORT, not '{text}'")),
        },
    };
    let time = fraction("time")?;
    let requests = if time.is_some() && !matches.opt_present("requests") {
        None
    } else {
        Some(number("requests", 100_000, NUMBER_MAX)?)
    };
    let form = match (matches.opt_present("csv"), matches.opt_present("json")) {
        (true, true) => return Err("--csv and --json do not go together".to_string()),
        (true, false) => Form::Csv,
        (false, true) => Form::Json,
        (false, false) => Form::Text,
    };
    let connections = number("clients", 50, 100_000)?;
    let seed = match matches.opt_str("seed") {
        // Any that is not the last one's; short enough to be typed again.
        None => {
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64 % 1_000_000_000)
        }
        Some(text) => decimal::integer(&text).ok_or_else(|| format!("--seed wants a number, not '{text}'"))?,
    };
    Ok(Settings {
        target,
        compared,
        cluster: matches.opt_present("cluster"),
        resp,
        parts: parts(matches, resp, number("ttl", 0, NUMBER_MAX)?)?,
        connections,
        threads: number("threads", 1, 1000)?.min(connections),
        pipeline: number("pipeline", 1, 1_000_000)? as usize,
        requests,
        seconds: time,
        warmup: fraction("warmup")?.unwrap_or(0),
        rate: fraction("rate")?,
        value_bytes: value_bytes(matches.opt_str("data").as_deref().unwrap_or("32"))?,
        keys: Keys::parse(matches.opt_str("keys").as_deref().unwrap_or("uniform"))?,
        key_space: number("key-space", 100_000, KEYS_MAX)?,
        verify: matches.opt_present("verify"),
        seed,
        quiet: matches.opt_present("quiet"),
        form,
        histogram: matches.opt_present("histogram"),
    })
}

/// `32`, or `10-1000`.
fn value_bytes(text: &str) -> Result<(usize, usize), String> {
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    match (decimal::integer(least), decimal::integer(most)) {
        (Some(least), Some(most)) if least <= most && most <= VALUE_BYTES_MAX => Ok((least as usize, most as usize)),
        _ => Err(format!("--data wants a length up to {VALUE_BYTES_MAX}, or two with '-' between, not '{text}'")),
    }
}

/// What is measured: the tests, or the mix, or the commands; a `ttl` of 0 is none.
fn parts(matches: &Matches, resp: bool, ttl: u64) -> Result<Vec<Part>, String> {
    let prefix = matches.opt_str("prefix").unwrap_or_else(|| "key:".to_string());
    if prefix.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return Err("--prefix takes no blanks".to_string());
    }
    let layout = Layout { resp, prefix: &prefix };
    let share = |name: &str, weight: u64| {
        let Some((_, command, check)) = TESTS.iter().find(|(known, ..)| *known == name) else {
            return Err(format!("there is no test '{name}' (see --help); --command sends any command"));
        };
        let command = match command.strip_prefix("SET ") {
            Some(_) if ttl > 0 => format!("SETEX __key__ {ttl} __data__"),
            _ => command.to_string(),
        };
        Ok(Share { name: name.to_string(), template: Template::new(&command, *check, layout)?, weight })
    };
    let mut parts = Vec::new();
    if let Some(list) = matches.opt_str("tests") {
        for name in list.split(',') {
            parts.push(Part { name: name.to_string(), shares: vec![share(name, 1)?], is_fill: name == "fill" });
        }
    }
    if let Some(list) = matches.opt_str("mix") {
        let mut shares = Vec::new();
        for word in list.split(',') {
            let (name, weight) = word.split_once(':').unwrap_or((word, "1"));
            match decimal::integer(weight) {
                Some(weight) if (1..=1_000_000).contains(&weight) => shares.push(share(name, weight)?),
                _ => return Err(format!("--mix wants NAME:WEIGHT with a weight from 1 to 1000000, not '{word}'")),
            }
        }
        parts.push(Part { name: list, shares, is_fill: false });
    }
    for command in matches.opt_strs("command") {
        let template = Template::new(&command, Check::Any, layout)?;
        parts.push(Part {
            name: command.clone(),
            shares: vec![Share { name: command, template, weight: 1 }],
            is_fill: false,
        });
    }
    if parts.is_empty() {
        for name in ["set", "get"] {
            parts.push(Part { name: name.to_string(), shares: vec![share(name, 1)?], is_fill: false });
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Parsed, String> {
        parse(&line.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[track_caller]
    fn load(line: &[&str]) -> Settings {
        match parsed(line) {
            Ok(Parsed::Load(settings)) => *settings,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    #[test]
    fn without_options_of_a_load_the_four_parts_are_measured() {
        for (line, host, port) in [
            (&[][..], "127.0.0.1", 6737),
            (&["box"], "box", 6737),
            (&["box", "80"], "box", 80),
            (&["::1", "80"], "::1", 80),
        ] {
            assert_eq!(parsed(line), Ok(Parsed::Measure { host: host.to_string(), port }), "{line:?}");
        }
        assert_eq!(parsed(&["box", "-h"]), Ok(Parsed::Print(USAGE.to_string())));
        assert!(matches!(parsed(&["-V"]), Ok(Parsed::Print(text)) if text.starts_with("memento-benchmark ")));
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let found = load(&["-c", "20"]);
        assert_eq!(found.target, Target::Tcp { host: "127.0.0.1".to_string(), port: 6737 });
        assert_eq!((found.connections, found.threads, found.pipeline, found.requests), (20, 1, 1, Some(100_000)));
        assert_eq!((found.value_bytes, found.keys, found.key_space), ((32, 32), Keys::Uniform, 100_000));
        assert_eq!((found.seconds, found.warmup, found.rate), (None, 0, None));
        assert!(found.resp && !found.verify && !found.quiet && !found.cluster && !found.histogram);
        assert_eq!(found.form, Form::Text);
        let names: Vec<&str> = found.parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["set", "get"]);
    }

    #[test]
    fn all_that_can_be_said() {
        let line = "-t fill,inc --mix get:90,set:10 -c 7 -n 9 --time 1.5 --warmup 2 -P 3 --threads 9 --rate 0.5 -d 1-5 \
                    -r 11 --keys zipf:0.99 --prefix p --ttl 60 --verify --seed 5 --protocol text --compare [::1]:80 \
                    --cluster -q --csv --histogram box 81";
        let mut words: Vec<&str> = line.split_ascii_whitespace().collect();
        words.extend(["--command", "GETP __key__", "--command", "PING"]);
        let found = load(&words);
        assert_eq!(found.target.text(), "box:81");
        assert_eq!(found.compared.map(|target| target.text()), Some("[::1]:80".to_string()));
        // A thread without a connection would have nothing to do.
        assert_eq!((found.connections, found.threads, found.pipeline, found.requests), (7, 7, 3, Some(9)));
        assert_eq!((found.value_bytes, found.keys, found.key_space), ((1, 5), Keys::Zipf(990_000), 11));
        assert_eq!(
            (found.seconds, found.warmup, found.rate, found.seed),
            (Some(1_500_000), 2_000_000, Some(500_000), 5)
        );
        assert!(!found.resp && found.verify && found.quiet && found.cluster && found.histogram);
        assert_eq!(found.form, Form::Csv);
        let names: Vec<&str> = found.parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["fill", "inc", "get:90,set:10", "GETP __key__", "PING"]);
        let fills: Vec<bool> = found.parts.iter().map(|part| part.is_fill).collect();
        assert_eq!(fills, [true, false, false, false, false]);
        let weights: Vec<u64> = found.parts[2].shares.iter().map(|share| share.weight).collect();
        assert_eq!(weights, [90, 10]);
        let layout = Layout { resp: false, prefix: "p" };
        let ending = Template::new("SETEX __key__ 60 __data__", Check::Ok, layout).expect("a template");
        assert_eq!((&found.parts[0].shares[0].template, &found.parts[2].shares[1].template), (&ending, &ending));
        assert_eq!(load(&["--time", "2"]).requests, None);
        assert_eq!(load(&["-s", "/run/sock"]).target, Target::Unix("/run/sock".to_string()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            &["-x"][..],
            &["box", "eighty"],
            &["box", "0"],
            &["box", "80", "more"],
            &[""],
            &["-t", "walk"],
            &["-t", ""],
            &["-t", "set,"],
            &["--mix", "get:0"],
            &["--mix", "get:x"],
            &["--mix", "walk:1"],
            &["--command", ""],
            &["--command", "SET k x__data__"],
            &["-P", "0"],
            &["-c", "-1"],
            &["-n", "many"],
            &["-r", "1000000000001"],
            &["-d", "9-1"],
            &["-d", "1-"],
            &["-d", "536870913"],
            &["--keys", "normal"],
            &["--time", "0"],
            &["--rate", "NaN"],
            &["--seed", "x"],
            &["--prefix", "a b"],
            &["--protocol", "http"],
            &["--compare", "box"],
            &["--compare", ":80"],
            &["-s", "/run/sock", "box"],
            &["--csv", "--json"],
            &["-q", "-q"],
        ] {
            assert!(parsed(line).is_err(), "{line:?}");
        }
    }
}
