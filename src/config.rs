//! The command line of the server, and the files that it names.

pub mod nodes;

pub use nodes::Node;

use crate::limits::{CLIENTS_MAX, FIRST_REQUEST_SECONDS, SNAPSHOT_SECONDS, TIMEOUT_SECONDS_MAX};
use crate::lzf::packed;
use crate::proto::memory_size;
use crate::secret;
use crate::sys::program::variable;
use crate::sys::{files, reason, resolve};
use getopts::{HasArg, Matches, Occur, Options};
use nodes::{Hints, NODES_FILE_BYTES_MAX};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Redis's letters of events.
const EVENT_LETTERS: &str = "Ag$lshzxeKEtmdn";

/// What may happen when the memory limit is reached; the first where nothing is said.
const MEMORY_POLICIES: [&str; 8] = [
    "noeviction",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-ttl",
    "volatile-random",
];

/// The cluster's file, in the home directory, where `-f` names no other.
const CLUSTER_FILE: &str = ".memento";

/// A secret is at least so long: who can reach the bus, or listen to it, gets a proof made with the secret and may try
/// guesses on it at home, as many a second as the processor can hash. Sixteen random bytes withstand that.
const SECRET_BYTES_MIN: usize = 16;

/// What the server was told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Host names or numeric addresses to listen on.
    pub addresses: Vec<String>,
    /// The TCP port; 0: any free one.
    pub port: u16,
    /// A Unix socket to listen on besides.
    pub socket: Option<PathBuf>,
    /// The Unix socket's file mode.
    pub socket_mode: u32,
    /// What AUTH wants to hear; `None`: everybody may come in.
    pub password: Option<Vec<u8>>,
    /// Refuses clients from elsewhere while there is no password.
    pub protected: bool,
    /// Shows debug lines in the log.
    pub verbose: bool,
    /// Clients that may be connected at once.
    pub clients_max: usize,
    /// Clients of one address that may be connected at once; 0: any number.
    pub clients_per_address_max: usize,
    /// Seconds within which a client is to have sent its first whole request; 0: any number.
    pub first_request_timeout_s: u64,
    /// Seconds after which an idle client is closed; 0: never.
    pub timeout_s: u64,
    /// Seconds of silence after which the kernel probes a client; 0: never.
    pub keepalive_s: u32,
    /// How many connections the kernel queues for a listener.
    pub backlog: i32,
    /// Who may use DEBUG, as Redis has it: `no`body, `local` clients, or all (`yes`).
    pub debug_command: String,
    /// What is stored, with all that clients make the server hold, may take so many bytes; 0: any number.
    pub memory_bytes_max: u64,
    /// What happens then, by Redis's names of the memory policies.
    pub memory_policy: String,
    /// What all clients together make the server hold may take so many bytes; 0: any number, none: a part of the memory.
    pub clients_bytes_max: Option<u64>,
    /// Which events of keys are published, in Redis's letters.
    pub events: String,
    /// Where snapshots are kept, which is loaded at the start; empty: none are made.
    pub snapshot: String,
    /// Seconds after which the next one is made where keys have changed; 0: only when asked for, and at the end.
    pub snapshot_interval_s: u64,
    /// Moves a snapshot aside that cannot be loaded, instead of not starting.
    pub snapshot_ignore_bad: bool,
    /// The cluster that this server is a node of. `addresses` and `port` are then those of its own line, or cover them.
    pub cluster: Option<ClusterConfig>,
}

/// The cluster as its file and the command line tell of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterConfig {
    /// All nodes, in the order of the file; addresses and names are unique. One alone is a cluster too.
    pub members: Vec<Node>,
    /// Which of them this node is.
    pub own: usize,
    /// What this node calls itself: `-i`, else the name in the file. No other member's name.
    pub name: String,
    /// What the nodes prove to each other that they know.
    pub secret: Option<Vec<u8>>,
    /// The file that told all this.
    pub file: PathBuf,
}

impl ClusterConfig {
    /// This node's own line.
    pub fn own(&self) -> &Node {
        &self.members[self.own]
    }

    /// Refuses a bus that others can reach where there is no secret; the error names the file.
    #[inline(never)]
    fn check_secrecy(&self, file: &str) -> Result<(), String> {
        match self.members.iter().find(|node| !node.address.ip().is_loopback()) {
            Some(node) if self.secret.is_none() => Err(format!(
                "{file}: node {} ({}) is beyond loopback, and there is no secret: give every node the same \
                 --cluster-secret-file, or --protected-mode no where all who can reach the bus are trusted",
                node.name, node.address
            )),
            _ => Ok(()),
        }
    }

    /// Is every node on this box's loopback? Then nobody on another box can reach the bus.
    pub fn is_local(&self) -> bool {
        self.members.iter().all(|node| node.address.ip().is_loopback())
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            addresses: vec!["127.0.0.1".into()],
            port: 6737,
            socket: None,
            socket_mode: 0o660,
            password: None,
            protected: true,
            verbose: false,
            clients_max: CLIENTS_MAX,
            clients_per_address_max: 0,
            first_request_timeout_s: FIRST_REQUEST_SECONDS,
            timeout_s: 0,
            keepalive_s: 300,
            backlog: 511,
            debug_command: "no".into(),
            memory_bytes_max: 0,
            memory_policy: MEMORY_POLICIES[0].into(),
            clients_bytes_max: None,
            events: String::new(),
            snapshot: String::new(),
            snapshot_interval_s: SNAPSHOT_SECONDS,
            snapshot_ignore_bad: false,
            cluster: None,
        }
    }
}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// To serve.
    Run(Box<Config>),
    /// To print this, and no more.
    Print(String),
}

/// What `--help` prints. The options are those that it names.
const HELP: &str = "\
Usage: memento [OPTIONS]
       memento cli ...
       memento benchmark ...

An in-memory key-value store: serves the text protocol until SIGTERM or SIGINT.

Options:
    -a, --address ADDRESS
                        listen on this host name or address (127.0.0.1); may
                        be repeated
    -p, --port PORT     listen on this TCP port (6737); 0: any free one, which
                        the log tells
    -s, --socket PATH   listen on this Unix socket too
        --socket-mode MODE
                        the Unix socket's file mode (0660)
        --password-file FILE
                        want the password that is this file's first line; or
                        set MEMENTO_PASSWORD
        --protected-mode yes|no
                        refuse other boxes' clients while there is no password
                        (yes)
        --maxclients N  serve so many clients at once (10000)
        --maxclients-per-address N
                        serve so many clients of one address at once (0: any
                        number)
        --first-request-timeout SECONDS
                        close a client that has sent no whole request after so
                        many seconds (120; 0: never)
        --timeout SECONDS
                        close a client that is idle for so many seconds (0:
                        never)
        --tcp-keepalive SECONDS
                        probe a silent client after so many seconds (300; 0:
                        never)
        --tcp-backlog N let the kernel queue so many connections (511)
        --maxmemory SIZE
                        let keys and clients take so much memory, such as 64mb
                        (0: no limit)
        --maxmemory-policy POLICY
                        then refuse writes or evict keys (noeviction):
                        noeviction, allkeys-lru, allkeys-lfu, allkeys-random,
                        volatile-lru, volatile-lfu, volatile-ttl,
                        volatile-random
        --maxmemory-clients SIZE
                        close who makes the server hold most, where all
                        clients together make it hold more (an eighth of
                        --maxmemory, or of the box's memory; 0: no limit)
        --notify-keyspace-events CLASSES
                        publish what becomes of keys, in Redis's letters, such
                        as KEA (none)
        --snapshot FILE keep all keys in this file: loaded at the start, written at
                        the end, and in between
        --snapshot-interval SECONDS
                        write it so often where keys have changed (3600; 0: only
                        on SAVE, BGSAVE and at the end)
        --snapshot-ignore-bad
                        move it aside if it cannot be loaded, instead of not
                        starting
        --enable-debug-command WHO
                        let clients use DEBUG, for tests (no): no, local, yes
    -c, --cluster       be a node of the cluster that a file tells of
                        (~/.memento)
    -f, --cluster-file FILE
                        be a node of the cluster that this file tells of
    -i, --node-name NAME
                        call this node so, or say which line of the file it is
        --cluster-secret-file FILE
                        let in nodes only that know this file's first line
    -v, --verbose       log more
    -h, --help          print this and exit
    -V, --version       print the version and exit

The cluster's file has a line for every node, IP PORT NAME SELF, such as
    127.0.0.1 8181 node0 1    # comments, blanks, tabs and empty lines are free
PORT is the client port + 100. SELF is 1 on this node's own line and 0 on the others;
where it is 0 on all, -i NAME, or -a and -p, say which line is this node's.
build_cluster.py (in scripts/, or installed in share/memento/) writes such files.
";

/// The column where the long name of an option begins in [`HELP`], and that of the short one.
const LONG_AT: usize = 8;
const SHORT_AT: usize = 4;

/// The options: a line for each has its names, then one blank and what the next word is to be, where one is wanted.
fn options(help: &str) -> Options {
    let mut options = Options::new();
    for line in help.lines() {
        let Some(rest) = line.get(LONG_AT..).and_then(|rest| rest.strip_prefix("--")) else { continue };
        let (name, behind) = rest.split_once(' ').unwrap_or((rest, ""));
        let short = line[SHORT_AT..LONG_AT].strip_prefix('-').map_or("", |short| &short[..1]);
        let wants_word = !behind.is_empty() && !behind.starts_with(' ');
        let has_arg = if wants_word { HasArg::Yes } else { HasArg::No };
        let occur = if matches!(name, "address" | "verbose") { Occur::Multi } else { Occur::Optional };
        options.opt(short, name, "", "", has_arg, occur);
    }
    options
}

/// Reads a command line, the program's name not included.
///
/// # Errors
/// A sentence that names the option and says what is wrong with it.
pub fn parse(args: &[String]) -> Result<Action, String> {
    let help = packed!(HELP).text();
    let options = options(&help);
    let matches = options.parse(args).map_err(|fail| fail.to_string())?;
    if matches.opt_present("h") {
        return Ok(Action::Print(help));
    }
    if matches.opt_present("V") {
        return Ok(Action::Print(concat!("memento ", env!("CARGO_PKG_VERSION"), "\n").into()));
    }
    if let Some(word) = matches.free.first() {
        let what = if matches.opt_present("c") { "the cluster's file with -f" } else { "a port with -p" };
        return Err(format!("unexpected argument '{word}'; an address is given with -a, {what}"));
    }
    let mut config = Box::new(Config::default());
    let mut given = Given { matches: &matches, wrong: None };
    given.read(&mut config);
    if given.wrong.is_none() {
        given.wrong = given.join(&mut config).err();
    }
    match given.wrong {
        Some(wrong) => Err(wrong),
        None => Ok(Action::Run(config)),
    }
}

/// What was given, and what is wrong with the first option that is.
struct Given<'a> {
    matches: &'a Matches,
    wrong: Option<String>,
}

impl Given<'_> {
    /// Reads what concerns the server alone; what is not given stays as it is.
    fn read(&mut self, config: &mut Config) {
        let addresses = self.matches.opt_strs("a");
        if !addresses.is_empty() {
            config.addresses = addresses;
        }
        config.port = self.number("port", 0, u16::MAX.into(), config.port.into()) as u16;
        config.socket = self.socket();
        config.socket_mode = self.mode(config.socket_mode);
        match secret::password(self.matches.opt_str("password-file").as_deref()) {
            Ok(password) => config.password = password,
            Err(what) => self.refuse(what),
        }
        config.protected = self.word("protected-mode", &["yes", "no"]) == "yes";
        config.verbose = self.matches.opt_present("verbose");
        config.clients_max = self.number("maxclients", 1, 1_000_000, config.clients_max as u64) as usize;
        config.clients_per_address_max = self.number("maxclients-per-address", 0, 1_000_000, 0) as usize;
        let (seconds_max, default) = (TIMEOUT_SECONDS_MAX, config.first_request_timeout_s);
        config.first_request_timeout_s = self.number("first-request-timeout", 0, seconds_max, default);
        config.timeout_s = self.number("timeout", 0, seconds_max, config.timeout_s);
        // The kernel takes at most 32767 seconds (tcp(7), TCP_KEEPIDLE).
        config.keepalive_s = self.number("tcp-keepalive", 0, 32_767, config.keepalive_s.into()) as u32;
        config.backlog = self.number("tcp-backlog", 1, 4096, config.backlog as u64) as i32;
        config.debug_command = self.word("enable-debug-command", &["no", "local", "yes"]);
        config.memory_bytes_max = self.memory("maxmemory").unwrap_or_default();
        config.memory_policy = self.word("maxmemory-policy", &MEMORY_POLICIES);
        config.clients_bytes_max = self.memory("maxmemory-clients");
        config.events = self.events();
        self.snapshots(config);
    }

    fn refuse(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    /// An empty path would be a name of the kernel's choice, which no file mode protects (unix(7), autobind).
    fn socket(&mut self) -> Option<PathBuf> {
        let path = self.matches.opt_str("socket")?;
        if path.is_empty() {
            self.refuse("--socket: the path is empty".into());
        }
        Some(path.into())
    }

    /// The file mode that `--socket-mode` gives, in octal digits.
    fn mode(&mut self, default: u32) -> u32 {
        let Some(text) = self.matches.opt_str("socket-mode") else { return default };
        match u32::from_str_radix(&text, 8) {
            Ok(mode) if mode <= 0o777 && !text.starts_with('+') => return mode,
            _ => self.refuse(format!("--socket-mode: '{text}' is not an octal mode from 0 to 0777")),
        }
        default
    }

    /// The number that option `name` gives, between `least` and `most`.
    #[inline(never)]
    fn number(&mut self, name: &str, least: u64, most: u64, default: u64) -> u64 {
        let Some(text) = self.matches.opt_str(name) else { return default };
        // As people write numbers: `parse` would take a plus too.
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) && !text.starts_with('+') => return number,
            _ => self.refuse(format!("--{name}: '{text}' is not a number from {least} to {most}")),
        }
        default
    }

    /// The word that option `name` gives, one of `words`; the first one where it is not given.
    #[inline(never)]
    fn word(&mut self, name: &str, words: &[&str]) -> String {
        let text = self.matches.opt_str(name).unwrap_or_else(|| words[0].to_string());
        if !words.contains(&text.as_str()) {
            self.refuse(format!("--{name}: '{text}' is none of {}", words.join(", ")));
        }
        text
    }

    /// Which events are published; what the letters mean, the command CONFIG knows.
    fn events(&mut self) -> String {
        let text = self.matches.opt_str("notify-keyspace-events").unwrap_or_default();
        if !text.bytes().all(|letter| EVENT_LETTERS.as_bytes().contains(&letter)) {
            self.refuse(format!("--notify-keyspace-events: '{text}' has other letters than {EVENT_LETTERS}"));
        }
        text
    }

    /// What becomes of the keys when the server ends.
    fn snapshots(&mut self, config: &mut Config) {
        config.snapshot = self.matches.opt_str("snapshot").unwrap_or_default();
        config.snapshot_interval_s =
            self.number("snapshot-interval", 0, TIMEOUT_SECONDS_MAX, config.snapshot_interval_s);
        config.snapshot_ignore_bad = self.matches.opt_present("snapshot-ignore-bad");
        let given = |name| self.matches.opt_present(name);
        if config.snapshot.is_empty() && ["snapshot", "snapshot-interval", "snapshot-ignore-bad"].into_iter().any(given)
        {
            self.refuse("--snapshot: it is to name the file that keys are kept in".into());
        }
    }

    /// The amount of memory that option `name` gives. An empty one, which Redis takes for 0, is most likely a mistake.
    #[inline(never)]
    fn memory(&mut self, name: &str) -> Option<u64> {
        let text = self.matches.opt_str(name)?;
        let bytes = memory_size(text.as_bytes()).filter(|_| matches!(text.as_bytes(), [b'0'..=b'9', ..]));
        if bytes.is_none() {
            self.refuse(format!(
                "--{name}: '{text}' is not an amount of memory: bytes, or a number with k, m, g (powers of 1000), kb, \
                 mb, gb (of 1024)"
            ));
        }
        bytes
    }

    /// Makes this the configuration of a node of a cluster, where one is asked for.
    #[inline(never)]
    fn join(&self, config: &mut Config) -> Result<(), String> {
        let Some(file) = cluster_file(self.matches, variable(c"HOME"))? else { return Ok(()) };
        let mut cluster = ClusterConfig { file, ..ClusterConfig::default() };
        self.read_cluster(config, &mut cluster)?;
        config.port = cluster.own().client_address().port();
        config.cluster = Some(cluster);
        Ok(())
    }

    /// Reads what there is to know of the cluster, and sees that it agrees with what was given.
    #[inline(never)]
    fn read_cluster(&self, config: &mut Config, cluster: &mut ClusterConfig) -> Result<(), String> {
        let shown = cluster.file.to_string_lossy();
        let mut hints = Hints::default();
        self.hint(config.port, &mut hints)?;
        let nodes = nodes::parse(&shown, &read_nodes(self.matches, &cluster.file)?)?;
        cluster.own = nodes.own(&shown, &hints)?;
        cluster.members = nodes.members;
        cluster.secret = self.secret()?;
        if config.protected {
            cluster.check_secrecy(&shown)?;
        }
        if hints.given.is_empty() {
            config.addresses = vec![cluster.own().address.ip().to_string()];
        }
        cluster.name = hints.name.unwrap_or_else(|| cluster.own().name.clone());
        Ok(())
    }

    /// What says which line of the cluster's file is this node's.
    #[inline(never)]
    fn hint(&self, port: u16, hints: &mut Hints) -> Result<(), String> {
        if self.matches.opt_present("port") {
            if port == 0 {
                return Err(
                    "-p 0: a node of a cluster has the port that its line in the file says; leave out -p".into()
                );
            }
            hints.port = Some(port);
        }
        hints.name = self.matches.opt_str("node-name");
        if let Some(name) = &hints.name {
            nodes::check_name(name).map_err(|why| format!("-i: {why}"))?;
        }
        // The default address says nothing about which line is meant; one that was given does.
        for host in self.matches.opt_strs("a") {
            for address in resolve::addresses(&host, 0).map_err(|error| format!("-a {host}: {error}"))? {
                hints.addresses.push(address.ip());
            }
            hints.given += if hints.given.is_empty() { "-a " } else { " -a " };
            hints.given += &host;
        }
        Ok(())
    }

    /// The secret that is given, which must be long enough.
    #[inline(never)]
    fn secret(&self) -> Result<Option<Vec<u8>>, String> {
        const OPTION: &str = "cluster-secret-file";
        let Some(path) = self.matches.opt_str(OPTION) else { return Ok(None) };
        let secret = secret::first_line(OPTION, &path)?;
        if secret.len() < SECRET_BYTES_MIN {
            return Err(format!(
                "--{OPTION}: {path}: its first line has {} bytes; {SECRET_BYTES_MIN} are the least that nobody guesses, \
                 such as those of 'head -c 24 /dev/urandom | base64'",
                secret.len()
            ));
        }
        Ok(Some(secret))
    }
}

/// The cluster's file, where a cluster is asked for.
#[inline(never)]
fn cluster_file(matches: &Matches, home: Option<OsString>) -> Result<Option<PathBuf>, String> {
    if let Some(path) = matches.opt_str("cluster-file") {
        return if path.is_empty() { Err("-f: the path is empty".into()) } else { Ok(Some(path.into())) };
    }
    if matches.opt_present("cluster") {
        let home = home.filter(|home| !home.is_empty());
        let home =
            home.ok_or("-c: HOME is not set, so there is no ~/.memento; name the cluster's file with -f FILE")?;
        return Ok(Some(Path::new(&home).join(CLUSTER_FILE)));
    }
    for &(option, shown) in &[("i", "-i"), ("cluster-secret-file", "--cluster-secret-file")] {
        if matches.opt_present(option) {
            return Err(format!("{shown}: this is for a node of a cluster; give -c or -f FILE too"));
        }
    }
    Ok(None)
}

/// The bytes of the cluster's file; one too many where there are too many.
#[inline(never)]
fn read_nodes(matches: &Matches, file: &Path) -> Result<Vec<u8>, String> {
    files::read_at_most(file, NODES_FILE_BYTES_MAX + 1).map_err(|error| {
        let advice = match matches.opt_present("cluster-file") {
            true => "it is to have a line for every node (-f)",
            false => "-c alone reads this file; build_cluster.py makes such files, -f FILE names another",
        };
        format!("{}: {}; {advice}", file.to_string_lossy(), reason(&error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    fn run(line: &str) -> Result<Action, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_string).collect();
        parse(&args)
    }

    fn config(line: &str) -> Config {
        match run(line) {
            Ok(Action::Run(config)) => *config,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn options_are_read_and_have_defaults() {
        assert_eq!(config(""), Config::default());
        let got = config(
            "-a ::1 --address localhost -p 0 -s /tmp/s --socket-mode 600 --protected-mode no -vv --maxclients 5 --timeout 9 \
             --tcp-keepalive 0 --tcp-backlog 1 --enable-debug-command local --maxmemory 64MB --maxmemory-policy volatile-ttl \
             --maxmemory-clients 2mb --maxclients-per-address 3 --first-request-timeout 7 --notify-keyspace-events KEA \
             --snapshot d --snapshot-interval 60 --snapshot-ignore-bad",
        );
        let wanted = Config {
            addresses: vec!["::1".into(), "localhost".into()],
            port: 0,
            socket: Some("/tmp/s".into()),
            socket_mode: 0o600,
            password: None,
            protected: false,
            verbose: true,
            clients_max: 5,
            clients_per_address_max: 3,
            first_request_timeout_s: 7,
            timeout_s: 9,
            keepalive_s: 0,
            backlog: 1,
            debug_command: "local".into(),
            memory_bytes_max: 64 << 20,
            memory_policy: "volatile-ttl".into(),
            clients_bytes_max: Some(2 << 20),
            events: "KEA".into(),
            snapshot: "d".into(),
            snapshot_interval_s: 60,
            snapshot_ignore_bad: true,
            cluster: None,
        };
        assert_eq!(got, wanted);
    }

    #[test]
    fn mistakes_name_the_option() {
        for (line, words) in [
            ("--snapshot-interval 5", "--snapshot: it is to name"),
            ("--snapshot=", "--snapshot: it is to name"),
            ("--snapshot d --snapshot-interval x", "--snapshot-interval: 'x' is not a number from 0 to"),
            ("-p 65536", "--port: '65536' is not a number from 0 to 65535"),
            ("-p x", "--port: 'x'"),
            ("-p +6", "--port: '+6'"),
            ("--socket-mode +7", "--socket-mode: '+7'"),
            ("--socket=", "--socket: the path is empty"),
            ("--maxclients-per-address -1", "--maxclients-per-address: '-1' is not a number from 0"),
            ("--first-request-timeout x", "--first-request-timeout: 'x' is not a number from 0"),
            ("--maxclients 0", "--maxclients: '0' is not a number from 1"),
            ("--socket-mode 9", "--socket-mode: '9' is not an octal mode"),
            ("--tcp-backlog -1", "--tcp-backlog: '-1'"),
            ("--enable-debug-command maybe", "--enable-debug-command: 'maybe' is none of no, local, yes"),
            ("--maxmemory 64mib", "--maxmemory: '64mib' is not an amount of memory: bytes, or a number with k, m, g"),
            ("--maxmemory=", "--maxmemory: '' is not an amount"),
            ("--maxmemory -1", "--maxmemory: '-1' is not an amount"),
            ("--maxmemory-clients 5%", "--maxmemory-clients: '5%' is not an amount"),
            ("--maxmemory-policy lru", "--maxmemory-policy: 'lru' is none of noeviction, allkeys-lru, "),
            ("--notify-keyspace-events KEq", "--notify-keyspace-events: 'KEq' has other letters than Ag$lshzxeKEtmdn"),
            ("-c nodes", "unexpected argument 'nodes'; an address is given with -a, the cluster's file with -f"),
            ("-i x", "-i: this is for a node of a cluster; give -c or -f FILE too"),
            ("--cluster-secret-file x", "--cluster-secret-file: this is for a node of a cluster; give -c or -f"),
            ("--cluster-file=", "-f: the path is empty"),
            ("-f /no/such", "/no/such: No such file or directory; it is to have a line for every node (-f)"),
            ("-f /tmp", "/tmp: Is a directory; "),
            ("-f /dev/null", "/dev/null: there is no node in it; a line is IP PORT NAME SELF"),
            ("-f /dev/zero", "/dev/zero: it is larger than 1 MiB"),
            ("-f /no/such -p 0", "-p 0: a node of a cluster has the port that its line in the file says"),
            ("-f /no/such -i a#b", "-i: 'a#b' is no name for a node; a name is 1 to 64 printable ASCII"),
            ("-f /no/such -a no-such-host.invalid", "-a no-such-host.invalid: no host"),
            ("--password-file /dev/zero", "--password-file: /dev/zero: its first line is longer than 64 KiB"),
            ("--protected-mode on", "--protected-mode: 'on' is none of yes, no"),
            ("--password-file /no/such", "--password-file: /no/such: No such file"),
            ("--nonsense", "nonsense"),
            ("-p", "p"),
            ("-p 1 -p 2", "p"),
            ("127.0.0.1", "unexpected argument '127.0.0.1'"),
        ] {
            let error = run(line).unwrap_err();
            assert!(error.contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn help_names_every_option_and_its_default() {
        let Ok(Action::Print(help)) = run("--help") else { panic!("help") };
        for word in
            ["-a", "-p", "-s", "-v", "-h", "-V", "6737", "0660", "10000", "--timeout", "300", "511", "~/.memento"]
        {
            assert!(help.contains(word), "{word} in {help}");
        }
        for word in ["-c, --cluster", "-f", "-i", "--cluster-secret-file", "IP PORT NAME SELF"] {
            assert!(help.contains(word), "{word} in {help}");
        }
        assert!(matches!(run("-V"), Ok(Action::Print(text)) if text.starts_with("memento ")));
    }

    /// A folder of this test's own, with these files, whose names the tests give as `@name`.
    struct Files(PathBuf);

    impl Files {
        fn new(files: &[(&str, &str)]) -> Files {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let number = COUNT.fetch_add(1, Relaxed);
            let folder = std::env::temp_dir().join(format!("memento-config-{}-{number}", std::process::id()));
            std::fs::create_dir_all(&folder).expect("a folder");
            for (name, text) in files {
                std::fs::write(folder.join(name), text).expect("a file");
            }
            Files(folder)
        }

        fn line(&self, line: &str) -> String {
            line.replace('@', &format!("{}/", self.0.display()))
        }

        #[track_caller]
        fn config(&self, line: &str) -> (Config, ClusterConfig) {
            let config = config(&self.line(line));
            let cluster = config.cluster.clone().unwrap_or_else(|| panic!("{line}: no cluster"));
            (config, cluster)
        }

        #[track_caller]
        fn check_refused(&self, line: &str, words: &str) {
            let words = self.line(words);
            match run(&self.line(line)) {
                Err(error) => assert!(error.contains(&words), "{line}:\n got    {error}\n wanted {words}"),
                Ok(_) => panic!("{line} was taken, and {words} was wanted"),
            }
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const LOCAL: &str = "# three nodes\n127.0.0.1 8181 node0 0\n127.0.0.1 8182 node1 1\n127.0.0.1 8183 node2 0\n";
    const NOBODY: &str = "127.0.0.1 8181 node0 0\n127.0.0.1 8182 node1 0\n127.0.0.2 8182 node2 0\n";
    const SIX: &str = "::1 8181 node0 0\n::1 8182 node1 0\n";
    const WIDE: &str = "10.0.0.1 8181 a 1\n10.0.0.2 8181 b 0\n10.0.0.3 8181 c 0\n";

    #[test]
    fn a_cluster_listens_where_its_own_line_says() {
        let files =
            Files::new(&[("conf", LOCAL), ("nobody", NOBODY), ("six", SIX), ("secret", "0123456789abcdef\r\nmore\n")]);
        let (config, cluster) = files.config("-f @conf");
        assert_eq!((config.addresses, config.port), (vec!["127.0.0.1".to_string()], 8082));
        assert_eq!((cluster.own, cluster.name.as_str(), cluster.members.len()), (1, "node1", 3));
        assert_eq!(cluster.file, files.0.join("conf"));
        assert_eq!(cluster.own().client_address(), "127.0.0.1:8082".parse().unwrap());
        assert!(cluster.is_local() && cluster.secret.is_none());

        // What is given besides and agrees is kept as it is given.
        let (config, cluster) =
            files.config("-c -f @conf -a 0.0.0.0 -a ::1 -p 8082 -i other --cluster-secret-file @secret");
        assert_eq!((config.addresses, config.port), (vec!["0.0.0.0".to_string(), "::1".to_string()], 8082));
        assert_eq!((cluster.own, cluster.name.as_str()), (1, "other"));
        assert_eq!((cluster.own().name.as_str(), cluster.secret.as_deref()), ("node1", Some(&b"0123456789abcdef"[..])));
        assert_eq!(files.config("-f @conf -i node1").1.name, "node1");

        for (line, own, name, address) in [
            ("-i node0", 0, "node0", "127.0.0.1"),
            ("-i node2 -a 127.0.0.2 -p 8082", 2, "node2", "127.0.0.2"),
            ("-a localhost -p 8081", 0, "node0", "localhost"),
            ("-a 127.0.0.2 -p 8082", 2, "node2", "127.0.0.2"),
            ("-a ::ffff:127.0.0.1 -p 8082", 1, "node1", "::ffff:127.0.0.1"),
            ("-a 0.0.0.0 -p 8081 -i free", 0, "free", "0.0.0.0"),
            ("-a 127.0.0.2", 2, "node2", "127.0.0.2"),
            ("-p 8081", 0, "node0", "127.0.0.1"),
        ] {
            let (config, cluster) = files.config(&format!("-f @nobody {line}"));
            assert_eq!((cluster.own, cluster.name.as_str()), (own, name), "{line}");
            assert_eq!(config.addresses, [address], "{line}");
            assert_eq!(config.port, cluster.own().client_address().port(), "{line}");
        }
        let (config, cluster) = files.config("-f @six -a :: -p 8082");
        assert_eq!((cluster.own, config.addresses), (1, vec!["::".to_string()]));
    }

    #[test]
    fn what_does_not_agree_with_the_file_is_refused() {
        let files = Files::new(&[("conf", LOCAL), ("nobody", NOBODY)]);
        for (line, words) in [
            ("-f @conf -i node2", "-i node2: @conf:4 has this name for another node; this one is 'node1' of line 3"),
            (
                "-f @conf -p 8182",
                "-p 8182: @conf:3 says that this node's bus port is 8182, so its client port is 8082 (bus port - 100); \
                 leave out -p, or change one of them",
            ),
            (
                "-f @conf -a ::1 -a 10.0.0.1",
                "-a ::1 -a 10.0.0.1: @conf:3 says that this node is 127.0.0.1; leave out -a, or let it be that or 0.0.0.0",
            ),
            ("-f @conf -a ::", "-a ::: @conf:3 says that this node is 127.0.0.1"),
            ("-f @nobody -i node0 -p 8082", "-p 8082: @nobody:1 says that this node's bus port is 8181"),
            (
                "-f @nobody -i node2 -a 127.0.0.1",
                "-a 127.0.0.1: @nobody:3 says that this node is 127.0.0.2; leave out -a",
            ),
            (
                "-f @nobody",
                "@nobody: no line has SELF 1; -i NAME, or -a ADDRESS and -p PORT, say which line is this node's",
            ),
            (
                "-f @nobody -i x",
                "-i x: @nobody has no node of that name, and no line with SELF 1; its nodes are node0, node1",
            ),
            (
                "-f @nobody -a 127.0.0.1 -p 8083",
                "-a 127.0.0.1 -p 8083: no line of @nobody has SELF 1 or is this address (PORT is the client port + 100); \
                 its clients' addresses are 127.0.0.1:8081, 127.0.0.1:8082, 127.0.0.2:8082",
            ),
            ("-f @nobody -p 8082", "-p 8082: this may be line 2 or 3 of @nobody, and none has SELF 1; -i NAME, or"),
            ("-f @nobody -a 127.0.0.1", "-a 127.0.0.1: this may be line 1 or 2 of @nobody"),
            ("-c -f @none", "@none: No such file or directory; it is to have a line for every node"),
        ] {
            files.check_refused(line, words);
        }
    }

    #[test]
    fn beyond_loopback_a_cluster_wants_a_secret() {
        let files = Files::new(&[
            ("wide", WIDE),
            ("short", "0123456789abcde\n"),
            ("long", "0123456789abcdef"),
            ("empty", "\nx"),
        ]);
        files.check_refused(
            "-f @wide",
            "@wide: node a (10.0.0.1:8181) is beyond loopback, and there is no secret: give every node the same \
             --cluster-secret-file, or --protected-mode no",
        );
        files.check_refused(
            "-f @wide --cluster-secret-file @short",
            "--cluster-secret-file: @short: its first line has 15 bytes; 16 are the least",
        );
        files.check_refused("-f @wide --cluster-secret-file @empty", "@empty: its first line is empty");
        files.check_refused("-f @wide --cluster-secret-file @none", "--cluster-secret-file: @none: No such file");
        let (config, cluster) = files.config("-f @wide --cluster-secret-file @long");
        assert!(config.protected && !cluster.is_local() && cluster.secret.is_some());
        // A password is the clients' affair: the bus stays as open as it was.
        files.check_refused("-f @wide --password-file @long", "there is no secret");
        assert!(files.config("-f @wide --protected-mode no").1.secret.is_none());
    }

    #[test]
    fn the_file_is_in_the_home_directory_where_none_is_named() {
        let of = |line: &str, home: Option<&str>| {
            let matches = options(HELP).parse(line.split_whitespace()).expect("options");
            cluster_file(&matches, home.map(Into::into))
        };
        assert_eq!(of("-c", Some("/home/me")), Ok(Some("/home/me/.memento".into())));
        assert_eq!(of("-c -f here", Some("/home/me")), Ok(Some("here".into())));
        assert_eq!(of("-f here", None), Ok(Some("here".into())));
        assert_eq!(of("", Some("/home/me")), Ok(None));
        for home in [None, Some("")] {
            let error = of("-c", home).unwrap_err();
            assert!(error.starts_with("-c: HOME is not set") && error.contains("-f FILE"), "{error}");
        }
        let matches = options(HELP).parse(["-c"]).expect("options");
        let error = read_nodes(&matches, Path::new("/no/such/.memento")).unwrap_err();
        assert!(error.starts_with("/no/such/.memento: No such file or directory; -c alone reads this file"), "{error}");
    }
}
