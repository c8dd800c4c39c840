//! The command line of memento-benchmark.

use getopts::{Matches, Options};

use super::decimal;
use super::keys::Keys;
use super::template::{Check, KEYS_MAX, Layout, Template, test};
use super::text::Text;
use crate::client::{HOST_DEFAULT, PORT_DEFAULT, Target, add_options, host_and_port, option, parse_port};
use crate::lzf::packed;
use crate::secret;
use crate::sys::clock::monotonic_ns;

const USAGE: &str = "\
Usage: memento-benchmark [OPTION...] [HOST [PORT]]

Measures how many requests a second a memento server answers, one at a time on
each connection, and checks every answer. With any of the options for a load it
sends that instead, and tells how long the answers took: to memento or, in RESP,
to any server that speaks it.

  HOST       an address or a name (127.0.0.1)
  PORT       its port (6737)

  -h HOST                the server's address or name; alone: print this
  -p, --port PORT        its port
  --password-file FILE   the password is this file's first line; or set
                         MEMENTO_PASSWORD
  --help                 print this
  -V, --version          print the version

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

/// The greatest weight in a mix.
const WEIGHT_MAX: u64 = 1_000_000;

/// The longest value that a server may take.
const VALUE_BYTES_MAX: u64 = 512 << 20;

/// One kind of request in a part, and how often it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) name: &'static str,
    pub(super) template: Template,
    pub(super) weight: u64,
}

/// What is measured by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: &'static str,
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
    /// One, or the two to compare.
    pub(super) targets: Vec<Target>,
    pub(super) password: Option<Vec<u8>>,
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
    Print(&'static str),
    /// The four parts that are ordered.
    Measure {
        target: Target,
        password: Option<Vec<u8>>,
    },
    Load(Box<Settings>),
}

/// The options of a load: the short name where there is one, the long one, and whether a value follows.
const OPTIONS: &str = "t,tests= mix= c,clients= n,requests= time= warmup= P,pipeline= threads= rate= d,data= \
                       r,key-space= keys= prefix= ttl= verify seed= protocol= s,socket= cluster compare= q,quiet csv \
                       json histogram";

/// Reads the words after the program's name.
#[inline(never)]
pub(super) fn parse(args: &[String]) -> Result<Parsed, String> {
    let mut options = Options::new();
    options.optflagopt("h", "", "", "").optmulti("", "command", "", "");
    add_options(&mut options, "p,port= password-file= help V,version");
    add_options(&mut options, OPTIONS);
    let matches = options.parse(args).map_err(|fail| fail.to_string())?;
    let (mut host, mut port) = (matches.opt_str("h"), matches.opt_str("p"));
    if matches.opt_present("help") || (matches.opt_present("h") && host.is_none()) {
        return Ok(Parsed::Print(packed!(USAGE).text().leak()));
    }
    if matches.opt_present("version") {
        return Ok(Parsed::Print(concat!("memento-benchmark ", env!("CARGO_PKG_VERSION"), "\n")));
    }
    let is_said = host.is_some() || port.is_some();
    let words = &matches.free;
    if !is_said {
        (host, port) = (words.first().cloned(), words.get(1).cloned());
    }
    if let Some(more) = words.get(if is_said { 0 } else { 2 }) {
        return Err(format!("'{more}' is too much: only HOST and PORT are taken, once"));
    }
    let target = Target {
        name: host.unwrap_or_else(|| HOST_DEFAULT.to_string()),
        port: Some(port.map_or(Ok(PORT_DEFAULT), |port| parse_port(&port))?),
    };
    if target.name.trim_ascii().is_empty() {
        return Err("the host has no name".to_string());
    }
    let password = secret::password(matches.opt_str("password-file").as_deref())?;
    let mut is_load = matches.opt_present("command");
    for word in OPTIONS.split_ascii_whitespace() {
        is_load |= matches.opt_present(option(word).1);
    }
    if is_load {
        return settings(&matches, target, password).map(Parsed::Load);
    }
    Ok(Parsed::Measure { target, password })
}

/// What is wrong with an option.
fn refusal(name: &str, wants: &str, text: &str) -> String {
    let mut out = Text::default();
    out.add("--").add(name).add(" wants ").add(wants).add(", not '").add(text).add("'");
    out.0
}

/// Reads options. What is wrong first is kept until all are read: nobody has to look after each.
struct Reader<'a> {
    matches: &'a Matches,
    wrong: Option<String>,
}

impl Reader<'_> {
    #[inline(never)]
    fn refuse(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    /// What an option wants ends with the most that it takes.
    fn refuse_number(&mut self, name: &str, wants: &str, most: u64, text: &str) {
        let mut all = Text::default();
        all.add(wants).number(most);
        self.refuse(refusal(name, &all.0, text));
    }

    fn has(&self, name: &str) -> bool {
        self.matches.opt_present(name)
    }

    /// What an option says. It is never given back, since that is so until the end.
    #[inline(never)]
    fn said(&self, name: &str) -> Option<&'static str> {
        self.matches.opt_str(name).map(|text| &*text.leak())
    }

    fn word(&self, name: &str, default: &'static str) -> &'static str {
        self.said(name).unwrap_or(default)
    }

    /// A number of at least 1.
    fn number(&mut self, name: &str, default: u64, most: u64) -> u64 {
        let Some(text) = self.said(name) else { return default };
        match decimal::integer(text) {
            Some(number) if number >= 1 && number <= most => number,
            _ => {
                self.refuse_number(name, "a number from 1 to ", most, text);
                default
            }
        }
    }

    /// Millionths; none where nothing is said.
    fn fraction(&mut self, name: &str) -> Option<u64> {
        let text = self.said(name)?;
        match decimal::parse(text) {
            Some(number) if number > 0 && number <= DECIMAL_MAX * decimal::ONE => Some(number),
            _ => {
                self.refuse_number(name, "a number over 0 up to ", DECIMAL_MAX, text);
                None
            }
        }
    }

    /// `32`, or `10-1000`.
    fn value_bytes(&mut self) -> (usize, usize) {
        let text = self.word("data", "32");
        let (least, most) = text.split_once('-').unwrap_or((text, text));
        match (decimal::integer(least), decimal::integer(most)) {
            (Some(least), Some(most)) if least <= most && most <= VALUE_BYTES_MAX => (least as usize, most as usize),
            _ => {
                self.refuse_number("data", "a length, or two with '-' between, up to ", VALUE_BYTES_MAX, text);
                (0, 0)
            }
        }
    }

    #[inline(never)]
    fn targets(&mut self, target: Target) -> Vec<Target> {
        let mut targets = vec![target];
        if let Some(path) = self.said("socket") {
            if !self.matches.free.is_empty() || self.has("h") || self.has("p") {
                self.refuse("--socket takes the place of HOST and PORT".to_string());
            }
            targets[0] = Target { name: path.to_string(), port: None };
        }
        if let Some(text) = self.said("compare") {
            let (host, port) = host_and_port(text).unwrap_or_default();
            let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
            match parse_port(port) {
                Ok(port) if !host.is_empty() => targets.push(Target { name: host.to_string(), port: Some(port) }),
                _ => self.refuse(refusal("compare", "HOST:PORT", text)),
            }
        }
        targets
    }

    fn seed(&mut self) -> u64 {
        let Some(text) = self.said("seed") else {
            // Any that is not the last one's; short enough to be typed again.
            return monotonic_ns() % 1_000_000_000;
        };
        decimal::integer(text).unwrap_or_else(|| {
            self.refuse(refusal("seed", "a number", text));
            0
        })
    }
}

#[inline(never)]
fn settings(matches: &Matches, target: Target, password: Option<Vec<u8>>) -> Result<Box<Settings>, String> {
    let mut reader = Reader { matches, wrong: None };
    let protocol = reader.word("protocol", "resp");
    let resp = protocol == "resp";
    if !resp && protocol != "text" {
        reader.refuse(refusal("protocol", "resp or text", protocol));
    }
    let (csv, json) = (reader.has("csv"), reader.has("json"));
    if csv && json {
        reader.refuse("--csv and --json do not go together".to_string());
    }
    let seconds = reader.fraction("time");
    let requests = reader.number("requests", 100_000, NUMBER_MAX);
    let connections = reader.number("clients", 50, 100_000);
    let keys = reader.word("keys", "uniform");
    let settings = Box::new(Settings {
        targets: reader.targets(target),
        password,
        cluster: reader.has("cluster"),
        resp,
        parts: parts(&mut reader, resp),
        connections,
        threads: reader.number("threads", 1, 1000).min(connections),
        pipeline: reader.number("pipeline", 1, 1_000_000) as usize,
        requests: Some(requests).filter(|_| seconds.is_none() || reader.has("requests")),
        seconds,
        warmup: reader.fraction("warmup").unwrap_or(0),
        rate: reader.fraction("rate"),
        value_bytes: reader.value_bytes(),
        keys: Keys::parse(keys).unwrap_or_else(|what| {
            reader.refuse(what);
            Keys::Uniform
        }),
        key_space: reader.number("key-space", 100_000, KEYS_MAX),
        verify: reader.has("verify"),
        seed: reader.seed(),
        quiet: reader.has("quiet"),
        form: if csv {
            Form::Csv
        } else if json {
            Form::Json
        } else {
            Form::Text
        },
        histogram: reader.has("histogram"),
    });
    match reader.wrong {
        None => Ok(settings),
        Some(what) => Err(what),
    }
}

/// What is measured: the tests, or the mix, or the commands.
fn parts(reader: &mut Reader, resp: bool) -> Vec<Part> {
    let prefix = reader.word("prefix", "key:");
    if prefix.bytes().any(|byte| byte.is_ascii_whitespace()) {
        reader.refuse("--prefix takes no blanks".to_string());
    }
    let layout = Layout { resp, prefix };
    let ttl = reader.number("ttl", 0, NUMBER_MAX);
    let (mix, commands) = (reader.said("mix"), reader.matches.opt_strs("command").leak());
    let mut parts = Vec::new();
    if reader.has("tests") || (mix.is_none() && commands.is_empty()) {
        for name in reader.word("tests", "set,get").split(',') {
            parts.push(Part { name, shares: shares(reader, name, ttl, layout), is_fill: name == "fill" });
        }
    }
    if let Some(list) = mix {
        parts.push(Part { name: list, shares: shares(reader, list, ttl, layout), is_fill: false });
    }
    for command in commands {
        let shares = vec![share(reader, command, command, Check::Any, layout)];
        parts.push(Part { name: command, shares, is_fill: false });
    }
    parts
}

/// The tests of a list, each with its weight where one is said.
#[inline(never)]
fn shares(reader: &mut Reader, list: &'static str, ttl: u64, layout: Layout) -> Vec<Share> {
    let mut ending = Text::default();
    ending.add("SETEX __key__ ").number(ttl).add(" __data__");
    let mut shares = Vec::new();
    for word in list.split(',') {
        let (name, weight) = word.split_once(':').unwrap_or((word, "1"));
        let Some((command, check)) = test(name) else {
            reader.refuse(format!("there is no test '{name}' (see --help); --command sends any command"));
            continue;
        };
        let command = if ttl > 0 && command.starts_with("SET ") { &ending.0 } else { command };
        let mut share = share(reader, name, command, check, layout);
        share.weight = decimal::integer(weight).unwrap_or(0);
        if !(1..=WEIGHT_MAX).contains(&share.weight) {
            reader.refuse_number("mix", "NAME:WEIGHT with a weight from 1 to ", WEIGHT_MAX, word);
        }
        shares.push(share);
    }
    shares
}

#[inline(never)]
fn share(reader: &mut Reader, name: &'static str, command: &str, check: Check, layout: Layout) -> Share {
    let template = Template::new(command, check, layout).unwrap_or_else(|what| {
        reader.refuse(what);
        Template::default()
    });
    Share { name, template, weight: 1 }
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
            (&["-h", "box"], "box", 6737),
            (&["-p", "80"], "127.0.0.1", 80),
            (&["-h", "::1", "--port", "80"], "::1", 80),
        ] {
            let target = Target { name: host.to_string(), port: Some(port) };
            assert_eq!(parsed(line), Ok(Parsed::Measure { target, password: None }), "{line:?}");
        }
        assert_eq!(parsed(&["box", "-h"]), Ok(Parsed::Print(USAGE)));
        assert!(matches!(parsed(&["-V"]), Ok(Parsed::Print(text)) if text.starts_with("memento-benchmark ")));
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let found = load(&["-c", "20"]);
        assert_eq!(found.targets, [Target { name: "127.0.0.1".to_string(), port: Some(6737) }]);
        assert_eq!((found.connections, found.threads, found.pipeline, found.requests), (20, 1, 1, Some(100_000)));
        assert_eq!((found.value_bytes, found.keys, found.key_space), ((32, 32), Keys::Uniform, 100_000));
        assert_eq!((found.seconds, found.warmup, found.rate), (None, 0, None));
        assert!(found.resp && !found.verify && !found.quiet && !found.cluster && !found.histogram);
        assert_eq!(found.form, Form::Text);
        let names: Vec<&str> = found.parts.iter().map(|part| part.name).collect();
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
        let targets: Vec<String> = found.targets.iter().map(Target::text).collect();
        assert_eq!(targets, ["box:81", "[::1]:80"]);
        // A thread without a connection would have nothing to do.
        assert_eq!((found.connections, found.threads, found.pipeline, found.requests), (7, 7, 3, Some(9)));
        assert_eq!((found.value_bytes, found.keys, found.key_space), ((1, 5), Keys::Zipf(990_000), 11));
        assert_eq!(
            (found.seconds, found.warmup, found.rate, found.seed),
            (Some(1_500_000), 2_000_000, Some(500_000), 5)
        );
        assert!(!found.resp && found.verify && found.quiet && found.cluster && found.histogram);
        assert_eq!(found.form, Form::Csv);
        let names: Vec<&str> = found.parts.iter().map(|part| part.name).collect();
        assert_eq!(names, ["fill", "inc", "get:90,set:10", "GETP __key__", "PING"]);
        let fills: Vec<bool> = found.parts.iter().map(|part| part.is_fill).collect();
        assert_eq!(fills, [true, false, false, false, false]);
        let weights: Vec<u64> = found.parts[2].shares.iter().map(|share| share.weight).collect();
        assert_eq!(weights, [90, 10]);
        let layout = Layout { resp: false, prefix: "p" };
        let ending = Template::new("SETEX __key__ 60 __data__", Check::Ok, layout).expect("a template");
        assert_eq!((&found.parts[0].shares[0].template, &found.parts[2].shares[1].template), (&ending, &ending));
        assert_eq!(load(&["--time", "2"]).requests, None);
        assert_eq!(load(&["-s", "/run/sock"]).targets, [Target { name: "/run/sock".to_string(), port: None }]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            &["-x"][..],
            &["box", "eighty"],
            &["box", "0"],
            &["box", "80", "more"],
            &["-h", "box", "80"],
            &["-p", "80", "box"],
            &["-p", "80", "-s", "/run/sock"],
            &["--password-file", "/no/such"],
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
