//! Commands asked without a server: what the text protocol has no words for (the options of SET), and what no client
//! can see.

#[cfg(test)]
mod cluster;

use super::*;
use crate::proto::{Encoding, Face, Output, Parsed, Parser, Words};
use crate::pubsub::Receiver;

#[test]
fn what_is_echoed_is_cut_and_printable() {
    assert_eq!(echo(b"a\x1b[1m\xff b"), "a?[1m? b");
    assert_eq!(echo(&[b'x'; 1000]).len(), ECHO_BYTES_MAX);
}

#[test]
fn http_is_told_from_commands() {
    assert!(is_http(b"POST") && is_http(b"host:") && !is_http(b"HOST") && !is_http(b"GET"));
}

/// A store at a moment, to be asked.
struct Desk {
    state: State,
    session: Session,
    topology: Box<dyn Topology>,
}

const NOW: Now = Now { ms: 5_000, wall_offset_ms: 1_700_000_000_000 };

static HOST: Host = Host { clock_ns: || 0, wall_us: || 0, cpu_us: || (0, 0) };

struct Nowhere;

impl Peer for Nowhere {
    fn address(&self) -> String {
        String::new()
    }

    fn is_local(&self) -> bool {
        true
    }
}

impl Desk {
    fn new() -> Desk {
        let node = Node {
            tcp_port: 0,
            started_ms: 0,
            clients: 0,
            waiting: 0,
            run_id: String::new(),
            memory_bytes: 0,
            kernel: String::new(),
            base_bytes: 0,
            client_bytes: 0,
            held_bytes: 0,
            exceeded_since_ms: None,
            buffer_bytes: 0,
        };
        Desk {
            state: State::new(node, Settings::default(), Access::default(), NOW, &HOST),
            session: Session::new(1, 0, true, false),
            topology: Box::new(NoCluster),
        }
    }

    /// The answer to a request whose words are all words of their own, as in RESP; written as text.
    fn ask(&mut self, request: &str) -> String {
        let (input, mut words) = (format!("{request}\r\n"), Words::default());
        let parsed = Parser::default().parse(input.as_bytes(), &mut words, true, |_| 0);
        assert!(matches!(parsed, Parsed::Request { .. }), "{request}");
        let (mut output, args) = (Output::default(), Args::new(input.as_bytes(), &words));
        self.serve(args, &mut Reply::new(&mut output, Encoding::Text, Face::Typed));
        String::from_utf8_lossy(output.plain().expect("a short answer")).trim_end_matches("\r\n").into()
    }

    /// Executes a request.
    fn serve(&mut self, args: Args<'_>, reply: &mut Reply<'_>) -> Flow {
        let spec = lookup(args.name()).expect("a command");
        execute(spec, &mut self.ctx(), args, reply)
    }

    fn ctx(&mut self) -> Ctx<'_> {
        let Desk { state, session, topology } = self;
        Ctx { state, session, peer: &Nowhere, topology: &**topology, probe: None }
    }

    #[track_caller]
    fn check(&mut self, cases: &[(&str, &str)]) {
        for (request, wanted) in cases {
            assert_eq!(self.ask(request), *wanted, "{request}");
        }
    }
}

const SYNTAX: &str = "(error) syntax error";
const NOT_INTEGER: &str = "(error) value is not an integer or out of range";
const BAD_TIME: &str = "(error) invalid expire time in 'set' command";

#[test]
fn set_depends_on_conditions() {
    Desk::new().check(&[
        ("SET k a XX", "(null)"),
        ("SET k a nx", "OK"),
        ("SET k b NX", "(null)"),
        ("SET k b xx", "OK"),
        ("SET k c NX GET", "b"),
        ("GET k", "b"),
        ("SET k c GET", "b"),
        ("SET k d XX GET", "c"),
        ("SET new d XX GET", "(null)"),
        ("EXISTS new", "0"),
        ("SET new d NX GET", "(null)"),
        ("GET new", "d"),
        ("SET k e NX NX", "(null)"),
    ]);
}

#[test]
fn set_compares() {
    Desk::new().check(&[
        ("SET k b IFEQ a", "(null)"),
        ("SET k b IFEQ a GET", "(null)"),
        ("EXISTS k", "0"),
        ("SET k a", "OK"),
        ("SET k b ifeq x", "(null)"),
        ("SET k b IFEQ x GET", "a"),
        ("SET k b IFEQ a", "OK"),
        ("SET k c GET IFEQ b EX 10", "b"),
        ("GET k", "c"),
        ("TTL k", "10"),
        ("SET k d IFEQ", SYNTAX),
        ("SET k d IFEQ c NX", SYNTAX),
        ("SET k d XX IFEQ c", SYNTAX),
        ("SET k d IFEQ c IFEQ c", SYNTAX),
    ]);
}

#[test]
fn set_sets_when_a_key_ends() {
    let mut desk = Desk::new();
    desk.check(&[
        ("SET k v EX 10", "OK"),
        ("PTTL k", "10000"),
        ("SET k v KEEPTTL", "OK"),
        ("PTTL k", "10000"),
        ("SET k v PX 300 px 200", "OK"),
        ("PTTL k", "200"),
        ("SET k v EXAT 1800000000", "OK"),
        ("EXPIRETIME k", "1800000000"),
        ("SET k v PXAT 1800000000001", "OK"),
        ("PEXPIRETIME k", "1800000000001"),
        ("SET k v", "OK"),
        ("TTL k", "-1"),
        ("SET k v KEEPTTL", "OK"),
        ("TTL k", "-1"),
        // A time that has passed ends the key at once.
        ("SET k w PXAT 1", "OK"),
        ("EXISTS k", "0"),
        ("SET k w EXAT 1700000005", "OK"),
        ("EXISTS k", "0"),
    ]);
    desk.check(&[("SET k v PX 100", "OK"), ("GET k", "v")]);
    desk.state.now.ms += 100;
    desk.check(&[("GET k", "(null)"), ("SET k v KEEPTTL", "OK"), ("TTL k", "-1")]);
}

#[test]
fn set_refuses_what_makes_no_sense() {
    let mut desk = Desk::new();
    desk.check(&[("SET k v", "OK")]);
    for options in [
        "NX XX",
        "XX NX",
        "FOO",
        "EX",
        "PX",
        "EX 10 PX 10",
        "EX 10 KEEPTTL",
        "KEEPTTL EX 10",
        "PERSIST",
        "EXAT 10 EX 10",
        "IFEQ",
    ] {
        desk.check(&[(&format!("SET k w {options}"), SYNTAX)]);
    }
    for time in ["0", "-1", "9223372036854775807", "9223372036854775"] {
        desk.check(&[(&format!("SET k w EX {time}"), BAD_TIME)]);
    }
    for time in ["x", "1.5", "9223372036854775808"] {
        desk.check(&[(&format!("SET k w PXAT {time}"), NOT_INTEGER)]);
    }
    desk.check(&[("SET k w EXAT 0", BAD_TIME), ("SET k w PXAT -5", BAD_TIME), ("SET k w EX 0 NX", BAD_TIME)]);
    // A wrong time is told before the old value, and a syntax error before that.
    desk.check(&[("SET k w GET PX 0", BAD_TIME), ("SET k w EX x NX XX", SYNTAX), ("GET k", "v")]);
}

/// A key's creation time, in the clock of [`NOW`].
fn created_ms(desk: &mut Desk, key: &str) -> i64 {
    let answer = desk.ask(&format!("GETP {key}"));
    let line = answer.split('\n').find_map(|line| line.strip_prefix("creation_time: "));
    line.expect("a creation time").parse::<i64>().expect("digits") - NOW.wall_offset_ms
}

#[test]
fn creation_times_are_kept_by_changes_and_made_by_new_values() {
    let mut desk = Desk::new();
    desk.check(&[("SET k 1", "OK")]);
    let first = NOW.ms as i64;
    desk.state.now.ms += 10;
    for change in ["INCR k", "SETRANGE k 0 1", "EXPIRE k 100", "GETEX k PERSIST", "RENAME k l", "RENAMENX l k"] {
        desk.ask(change);
    }
    assert_eq!(created_ms(&mut desk, "k"), first);
    desk.check(&[("COPY k l", "1"), ("SET k 2 XX KEEPTTL", "OK")]);
    assert_eq!((created_ms(&mut desk, "k"), created_ms(&mut desk, "l")), (first + 10, first + 10));
}

#[test]
fn only_what_changes_a_key_is_noted() {
    let mut desk = Desk::new();
    desk.state.store.track_changes(true);
    for (request, wanted) in [
        ("SET a 1", &["a"][..]),
        ("SET a 2 NX", &[]),
        ("SET a 2 GET", &["a"]),
        ("MSETNX a 1 b 1", &[]),
        ("MSETNX b 1 c 1", &["b", "c"]),
        ("SETRANGE a 5 ", &[]),
        ("GETEX a", &[]),
        ("GETEX a PERSIST", &[]),
        ("GETEX a EX 10", &["a"]),
        ("GETEX a PERSIST", &["a"]),
        ("INCRBY b 1", &["b"]),
        ("COPY a d", &["d"]),
        ("COPY a d", &[]),
        ("RENAME a a", &[]),
        ("RENAME a d", &["a", "d"]),
        ("DEL a b", &["b"]),
        ("EXPIRE d 100 XX", &[]),
        ("EXPIRE d -1", &["d"]),
        ("GETDEL c", &["c"]),
        ("GETDEL c", &[]),
        ("SET gone 1 PXAT 1", &["gone"]),
        ("SET e 1", &["e"]),
        ("FLUSHALL", &[]),
    ] {
        desk.ask(request);
        let changes = desk.state.store.take_changes();
        let wanted = wanted.iter().map(|key| key.as_bytes());
        assert!(changes.iter().map(|key| &key[..]).eq(wanted), "{request}: {changes:?}");
    }
}

/// The sweep may not have come to it yet.
#[test]
fn a_key_s_end_is_told_before_what_becomes_of_it() {
    let mut desk = Desk::new();
    desk.state.settings.events = event_classes("EAm").expect("letters");
    desk.state.apply_events();
    assert_eq!(desk.ask("PSUBSCRIBE *"), "psubscribe * 1");
    // Somebody else asks.
    desk.session = Session::new(2, 0, true, false);
    for request in ["PSETEX k 10 v", "SET k w", "PSETEX k 10 v", "DEL k", "GET k"] {
        desk.ask(request);
        desk.state.now.ms += 20;
    }
    let mut events = Vec::new();
    while let Receiver::Client(_) = desk.state.pubsub.next_receiver() {
        let message = desk.state.pubsub.message(Encoding::Text).expect("a message");
        events.push(String::from_utf8_lossy(message.bytes()).trim_end().replace("pmessage * __keyevent@0__:", ""));
    }
    let wanted = ["set k", "expire k", "expired k", "set k", "set k", "expire k", "expired k", "keymiss k"];
    assert_eq!(events, wanted);
    assert_eq!((desk.state.stats.expired_keys, desk.state.store.len()), (2, 0));
}
