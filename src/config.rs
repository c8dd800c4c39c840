//! The command line of the server.

use crate::limits::{CLIENTS_MAX, TIMEOUT_SECONDS_MAX};
use getopts::{Matches, Options};
use std::path::PathBuf;
use std::str::FromStr;

/// The environment variable that holds the password, where there is one.
pub const PASSWORD_VARIABLE: &str = "MEMENTO_PASSWORD";

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
    /// Seconds after which an idle client is closed; 0: never.
    pub timeout_s: u64,
    /// Seconds of silence after which the kernel probes a client; 0: never.
    pub keepalive_s: u32,
    /// How many connections the kernel queues for a listener.
    pub backlog: i32,
    /// Who may use DEBUG, as Redis has it: `no`body, `local` clients, or all (`yes`).
    pub debug_command: String,
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
            timeout_s: 0,
            keepalive_s: 300,
            backlog: 511,
            debug_command: "no".into(),
        }
    }
}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// To serve.
    Run(Config),
    /// To print this, and no more.
    Print(String),
}

fn options() -> Options {
    let mut options = Options::new();
    options
        .optmulti("a", "address", "listen on this host name or address (127.0.0.1); may be repeated", "ADDRESS")
        .optopt("p", "port", "listen on this TCP port (6737); 0: any free one, which the log tells", "PORT")
        .optopt("s", "socket", "listen on this Unix socket too", "PATH")
        .optopt("", "socket-mode", "the Unix socket's file mode (0660)", "MODE")
        .optopt(
            "",
            "password-file",
            "want the password that is this file's first line; or set MEMENTO_PASSWORD",
            "FILE",
        )
        .optopt("", "protected-mode", "refuse other boxes' clients while there is no password (yes)", "yes|no")
        .optopt("", "maxclients", "serve so many clients at once (10000)", "N")
        .optopt("", "timeout", "close a client that is idle for so many seconds (0: never)", "SECONDS")
        .optopt("", "tcp-keepalive", "probe a silent client after so many seconds (300; 0: never)", "SECONDS")
        .optopt("", "tcp-backlog", "let the kernel queue so many connections (511)", "N")
        .optopt("", "enable-debug-command", "let clients use DEBUG, for tests (no): no, local, yes", "WHO")
        .optflag("c", "cluster", "not in this version: be a node of a cluster")
        .optopt("f", "cluster-file", "not in this version: the cluster's file", "FILE")
        .optopt("i", "node-name", "not in this version: this node's name", "NAME")
        .optflagmulti("v", "verbose", "log more")
        .optflag("h", "help", "print this and exit")
        .optflag("V", "version", "print the version and exit");
    options
}

/// Reads a command line, the program's name not included.
///
/// # Errors
/// A sentence that names the option and says what is wrong with it.
pub fn parse(args: &[String]) -> Result<Action, String> {
    let options = options();
    let matches = options.parse(args).map_err(|fail| fail.to_string())?;
    if matches.opt_present("h") {
        return Ok(Action::Print(options.usage(
            "Usage: memento [OPTIONS]\n       memento cli ...\n       memento benchmark ...\n\n\
             An in-memory key-value store: serves the text protocol until SIGTERM or SIGINT.",
        )));
    }
    if matches.opt_present("V") {
        return Ok(Action::Print(concat!("memento ", env!("CARGO_PKG_VERSION"), "\n").into()));
    }
    if let Some(word) = matches.free.first() {
        return Err(format!("unexpected argument '{word}'; an address is given with -a, a port with -p"));
    }
    if let Some(option) = ["c", "f", "i"].into_iter().find(|option| matches.opt_present(option)) {
        return Err(format!("-{option}: this version has no cluster; leave out -c, -f and -i"));
    }
    let default = Config::default();
    let addresses = matches.opt_strs("a");
    let config = Config {
        addresses: if addresses.is_empty() { default.addresses } else { addresses },
        port: number(&matches, "port", 0, u16::MAX, default.port)?,
        socket: socket(&matches)?,
        socket_mode: mode(&matches, default.socket_mode)?,
        password: password(&matches)?,
        protected: word(&matches, "protected-mode", &["yes", "no"])? == "yes",
        verbose: matches.opt_present("verbose"),
        clients_max: number(&matches, "maxclients", 1, 1_000_000, default.clients_max)?,
        timeout_s: number(&matches, "timeout", 0, TIMEOUT_SECONDS_MAX, default.timeout_s)?,
        // The kernel takes at most 32767 seconds (tcp(7), TCP_KEEPIDLE).
        keepalive_s: number(&matches, "tcp-keepalive", 0, 32_767, default.keepalive_s)?,
        backlog: number(&matches, "tcp-backlog", 1, 4096, default.backlog)?,
        debug_command: word(&matches, "enable-debug-command", &["no", "local", "yes"])?,
    };
    Ok(Action::Run(config))
}

/// The number that option `name` gives, between `least` and `most`.
fn number<T>(matches: &Matches, name: &str, least: T, most: T, default: T) -> Result<T, String>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    let Some(text) = matches.opt_str(name) else { return Ok(default) };
    // As people write numbers: `parse` would take a plus too.
    let digits = Some(&text).filter(|text| !text.starts_with('+'));
    let number = digits.and_then(|text| text.parse().ok()).filter(|number| (&least..=&most).contains(&number));
    number.ok_or_else(|| format!("--{name}: '{text}' is not a number from {least} to {most}"))
}

/// The first line of the password file; else what the environment says. A password on the command line would be seen
/// by everybody on the box (ps), so there is no such option.
fn password(matches: &Matches) -> Result<Option<Vec<u8>>, String> {
    let Some(path) = matches.opt_str("password-file") else {
        let password = std::env::var_os(PASSWORD_VARIABLE).map(std::ffi::OsString::into_encoded_bytes);
        return Ok(password.filter(|password| !password.is_empty()));
    };
    let text = std::fs::read(&path).map_err(|error| format!("--password-file: {path}: {error}"))?;
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(format!("--password-file: {path}: its first line is empty"));
    }
    Ok(Some(line.to_vec()))
}

/// An empty path would be a name of the kernel's choice, which no file mode protects (unix(7), autobind).
fn socket(matches: &Matches) -> Result<Option<PathBuf>, String> {
    match matches.opt_str("socket") {
        Some(path) if path.is_empty() => Err("--socket: the path is empty".into()),
        path => Ok(path.map(PathBuf::from)),
    }
}

/// The word that option `name` gives, one of `words`; the first one where it is not given.
fn word(matches: &Matches, name: &str, words: &[&str]) -> Result<String, String> {
    let text = matches.opt_str(name).unwrap_or_else(|| words[0].to_string());
    let known = words.contains(&text.as_str());
    if known { Ok(text) } else { Err(format!("--{name}: '{text}' is none of {}", words.join(", "))) }
}

/// The file mode that `--socket-mode` gives, in octal digits.
fn mode(matches: &Matches, default: u32) -> Result<u32, String> {
    let Some(text) = matches.opt_str("socket-mode") else { return Ok(default) };
    let digits = Some(&text).filter(|text| !text.starts_with('+'));
    let mode = digits.and_then(|text| u32::from_str_radix(text, 8).ok()).filter(|&mode| mode <= 0o777);
    mode.ok_or_else(|| format!("--socket-mode: '{text}' is not an octal mode from 0 to 0777"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Result<Action, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_string).collect();
        parse(&args)
    }

    fn config(line: &str) -> Config {
        match run(line) {
            Ok(Action::Run(config)) => config,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn options_are_read_and_have_defaults() {
        assert_eq!(config(""), Config::default());
        let got = config(
            "-a ::1 --address localhost -p 0 -s /tmp/s --socket-mode 600 --protected-mode no -vv --maxclients 5 --timeout 9 \
             --tcp-keepalive 0 --tcp-backlog 1 --enable-debug-command local",
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
            timeout_s: 9,
            keepalive_s: 0,
            backlog: 1,
            debug_command: "local".into(),
        };
        assert_eq!(got, wanted);
    }

    #[test]
    fn mistakes_name_the_option() {
        for (line, words) in [
            ("-p 65536", "--port: '65536' is not a number from 0 to 65535"),
            ("-p x", "--port: 'x'"),
            ("-p +6", "--port: '+6'"),
            ("--socket-mode +7", "--socket-mode: '+7'"),
            ("--socket=", "--socket: the path is empty"),
            ("--maxclients 0", "--maxclients: '0' is not a number from 1"),
            ("--socket-mode 9", "--socket-mode: '9' is not an octal mode"),
            ("--tcp-backlog -1", "--tcp-backlog: '-1'"),
            ("--enable-debug-command maybe", "--enable-debug-command: 'maybe' is none of no, local, yes"),
            ("-c", "-c: this version has no cluster"),
            ("-f x", "-f: this version has no cluster"),
            ("-i x", "-i: this version has no cluster"),
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
        for word in ["-a", "-p", "-s", "-v", "-h", "-V", "6737", "0660", "10000", "--timeout", "300", "511"] {
            assert!(help.contains(word), "{word} in {help}");
        }
        assert!(matches!(run("-V"), Ok(Action::Print(text)) if text.starts_with("memento ")));
    }
}
