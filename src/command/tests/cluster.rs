//! Commands in a cluster, asked without one: where each request goes, and how the cluster is shown.

use super::*;
use crate::limits::SLOTS;
use crate::proto::{OwnedArgs, Piece, Typed, Word};
use crate::store::SlotId;
use std::rc::Rc;

/// Three nodes' shares of the slots.
const SHARES: [std::ops::Range<usize>; 3] = [0..2731, 2731..5461, 5461..SLOTS];

/// A cluster as the node at this place sees it; the last node is down.
struct Shown(usize);

impl Topology for Shown {
    fn is_cluster(&self) -> bool {
        true
    }

    fn epoch(&self) -> u64 {
        1
    }

    fn nodes(&self) -> Vec<NodeView> {
        (0..3)
            .map(|place| NodeView {
                id: format!("{place:040x}"),
                name: ["one", "two", "a-longer-name"][place].into(),
                ip: if place == 2 { "::1" } else { "127.0.0.1" }.parse().expect("an address"),
                port: 8081 + place as u16,
                bus_port: 8181 + place as u16,
                slots: SHARES[place].clone(),
                own: place == self.0,
                up: place != self.0 && place != 2,
                since_ms: 2_000,
                rtt_us: Some(1_239),
                keys: Some(70),
                ping_sent_ms: (place == 2).then_some(3_000),
                pong_received_ms: (place != self.0).then_some(2_500),
                in_flight: 0,
                unsent_bytes: 0,
                frames_sent: 10,
                frames_received: 9,
            })
            .collect()
    }
}

fn node(place: usize) -> Desk {
    let mut desk = Desk::new();
    desk.state.slots = Some(OwnSlots::new(SHARES[place].clone()));
    desk.topology = Box::new(Shown(place));
    desk
}

/// A key of the node at this place; each number another one, in a slot of its own.
fn key(place: usize, number: usize) -> String {
    let keys = (0..).map(|number| format!("k{number}"));
    let mut keys = keys.filter(|key| SHARES[place].contains(&SlotId::of_key(key.as_bytes()).index()));
    keys.nth(number).expect("a key")
}

fn slot(key: &str) -> SlotId {
    SlotId::of_key(key.as_bytes())
}

fn flat(output: &Output) -> String {
    let bytes = output.pieces().map(|piece| match piece {
        Piece::Bytes(bytes) => bytes.to_vec(),
        Piece::Shared(value) => value.to_vec(),
    });
    String::from_utf8(bytes.collect::<Vec<_>>().concat()).expect("text")
}

fn args_of(words: &[&str]) -> OwnedArgs {
    let (mut bytes, mut spans) = (Vec::new(), Words::default());
    for word in words {
        let start = bytes.len();
        bytes.extend_from_slice(word.as_bytes());
        spans.push(start, bytes.len());
    }
    OwnedArgs::new(Args::new(&bytes, &spans)).expect("memory")
}

impl Desk {
    /// Where a request goes; what is answered here, as text.
    fn send(&mut self, request: &str) -> Result<Route, String> {
        let words: Vec<&str> = request.split(' ').collect();
        self.send_as(&words, Encoding::Text)
    }

    fn send_as(&mut self, words: &[&str], encoding: Encoding) -> Result<Route, String> {
        let (mut output, owned) = (Output::default(), args_of(words));
        let spec = lookup(words[0].as_bytes()).expect("a command");
        match self.serve(owned.args(), &mut Reply::new(&mut output, encoding, spec.face)) {
            Flow::Away(route) => {
                assert!(output.is_empty(), "{words:?}");
                Ok(route)
            }
            flow => {
                let Some(mut walk) = flow.walk() else { return Err(flat(&output).trim_end_matches("\r\n").into()) };
                while !walk.step(&self.state.store, NOW.ms, 100, 10_000, &mut output) {}
                Err(flat(&output).trim_end_matches("\r\n").into())
            }
        }
    }

    #[track_caller]
    fn goes(&mut self, request: &str, route: Route) {
        assert_eq!(self.send(request), Ok(route), "{request}");
    }

    #[track_caller]
    fn stays(&mut self, request: &str, answer: &str) {
        assert_eq!(self.send(request), Err(answer.into()), "{request}");
    }

    /// The answer to a request that another node sent, for this client there.
    fn for_other(&mut self, request: &str) -> Output {
        let (mut output, words) = (Output::default(), request.split(' ').collect::<Vec<_>>());
        let flow = self.serve(args_of(&words).args(), &mut Reply::new(&mut output, Encoding::Bus, Face::Typed));
        assert!(matches!(flow, Flow::Continue), "{request}: {flow:?}");
        output
    }

    /// Executes a transaction of another node's client here, and gives the answer as that node would write it.
    fn execute_for_other(&mut self, transaction: &Transaction, encoding: Encoding) -> String {
        let (mut counts, mut bytes, mut words) = (Vec::new(), Vec::new(), Words::default());
        for word in transaction.words(&mut counts) {
            match word {
                Word::Received(word) => {
                    bytes.extend_from_slice(word);
                    words.push(bytes.len() - word.len(), bytes.len());
                }
                Word::Long(word) => words.push_long(Rc::clone(word)),
            }
        }
        let (mut typed, mut output) = (Output::default(), Output::default());
        let mut reply = Reply::new(&mut typed, Encoding::Bus, Face::Typed);
        execute_queued(&mut self.ctx(), Args::new(&bytes, &words), &mut reply);
        let longs: Vec<_> = typed.longs().cloned().collect();
        let typed = Typed::new(typed.bytes(), &longs);
        assert_eq!(typed.check(), Ok(()));
        typed.reader().pass_value(&mut Reply::new(&mut output, encoding, Face::Typed)).expect("a value");
        flat(&output)
    }
}

const CROSSSLOT: &str = "(error) CROSSSLOT Keys in request don't hash to the same slot";

/// A request of a row, with the least words that it must have, and two keys where it can have as many.
fn request(name: &str, arity: i8, keys: Keys, key: impl Fn(usize) -> String) -> Vec<String> {
    let least = arity.unsigned_abs() as usize;
    let most = if arity < 0 { least.max(5) } else { least };
    let mut words: Vec<String> = name.split('|').map(String::from).collect();
    words.resize(most, "1".into());
    keys.places(most).enumerate().for_each(|(number, place)| words[place] = key(number));
    words
}

#[test]
fn every_row_with_keys_is_routed_by_them() {
    for spec in COMMANDS {
        let subs = spec.subcommands().iter().map(|sub| (sub.name(), sub.arity, sub.keys, sub.reach));
        for (name, arity, keys, reach) in subs.chain([(spec.name(), spec.arity, spec.keys, spec.reach)]) {
            let by_keys = matches!(reach, Reach::Slot | Reach::Split(_));
            assert!(keys.step == 0 || by_keys || name == "watch", "{name}: {reach:?}");
            assert!(!by_keys || keys.step > 0, "{name}: {reach:?}");
            // A family alone has no request of its own.
            if !by_keys || name == spec.name() && !spec.subcommands.is_empty() {
                continue;
            }
            let mut desk = node(0);
            let mut send = |words: Vec<String>| {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                desk.send_as(&words, Encoding::Text)
            };
            let (own, other) = (key(0, 0), key(1, 0));
            let same_slot = |key: &str| request(name, arity, keys, |number| format!("{{{key}}}{number}"));
            assert!(send(same_slot(&own)).is_err(), "{name} of own keys is executed here");
            let wanted = match reach {
                Reach::Split(merge) => Route::Split(merge),
                _ => Route::Slot(slot(&other)),
            };
            assert_eq!(send(same_slot(&other)), Ok(wanted), "{name} of another node's keys");
            let two_slots = request(name, arity, keys, |number| key(number % 3, number));
            match reach {
                Reach::Split(_) => assert_eq!(send(two_slots), Ok(wanted), "{name} of keys of two nodes"),
                _ if keys.places(two_slots.len()).count() > 1 => {
                    assert_eq!(send(two_slots), Err(CROSSSLOT.into()), "{name} of keys of two nodes");
                    let own = request(name, arity, keys, |number| key(0, number));
                    assert_eq!(send(own), Err(CROSSSLOT.into()), "{name} of keys of one node in two slots");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn without_a_cluster_everything_stays() {
    let mut desk = Desk::new();
    desk.stays("MSET a 1 b 2 c 3", "OK");
    desk.stays("MSETNX a 1 b 2", "0");
    desk.stays("DEL a b", "OK");
    desk.stays("DBSIZE", "1");
}

#[test]
fn what_concerns_the_cluster_goes_to_all() {
    let mut desk = node(1);
    desk.goes("DBSIZE", Route::Cluster(Merge::Sum));
    desk.goes("KEYS *", Route::Cluster(Merge::List));
    desk.goes("RANDOMKEY", Route::Cluster(Merge::Any));
    for flush in ["FLUSH", "FLUSHALL", "FLUSHDB ASYNC", "FLUSHALL sync"] {
        desk.goes(flush, Route::Cluster(Merge::Ok));
    }
    // What every node would refuse no node sees.
    for (wrong, answer) in [
        ("FLUSHALL NOW", SYNTAX),
        ("FLUSHDB ASYNC SYNC", SYNTAX),
        ("KEYS", "(error) wrong number of arguments for 'keys' command"),
        ("SCAN x", "(error) invalid cursor"),
        ("CLUSTER COUNTKEYSINSLOT 16384", "(error) Invalid slot"),
        ("CLUSTER GETKEYSINSLOT x 1", NOT_INTEGER),
    ] {
        desk.stays(wrong, answer);
    }
    let mset = format!("MSET {} 1 {}", key(1, 0), key(0, 0));
    desk.stays(&mset, "(error) wrong number of arguments for 'mset' command");
    desk.stays("PING", "PONG");
    desk.stays("OBJECT HELP x", "(error) wrong number of arguments for 'object|help' command");
}

#[test]
fn numbers_of_slots_are_those_of_clients() {
    let mut desk = node(0);
    desk.goes("CLUSTER COUNTKEYSINSLOT 8191", Route::Slot(SlotId::wrapping(8191)));
    desk.goes("CLUSTER COUNTKEYSINSLOT 16383", Route::Slot(SlotId::wrapping(8191)));
    desk.goes("CLUSTER GETKEYSINSLOT 5000 10", Route::Slot(SlotId::wrapping(5000)));
    let own = key(0, 0);
    desk.stays(&format!("MSET {{{own}}}a 1 {{{own}}}b 2 {{{own}}}c 3"), "OK");
    for number in [slot(&own).index(), slot(&own).index() + SLOTS] {
        desk.stays(&format!("CLUSTER COUNTKEYSINSLOT {number}"), "3");
        let listed = desk.send(&format!("CLUSTER GETKEYSINSLOT {number} 1000")).expect_err("an answer");
        assert_eq!(listed.lines().count(), 3, "{listed}");
        let two = desk.send(&format!("CLUSTER GETKEYSINSLOT {number} 2")).expect_err("an answer");
        assert_eq!(two.lines().count(), 2, "{two}");
        desk.stays(&format!("CLUSTER GETKEYSINSLOT {number} 0"), "(empty)");
        desk.stays(&format!("CLUSTER GETKEYSINSLOT {number} -1"), "(error) Invalid slot or number of keys");
    }
    desk.stays("CLUSTER KEYSLOT 123456789", "12739");
    desk.stays("CLUSTER KEYSLOT x{123456789}y", "12739");
}

#[test]
fn readonly_asks_this_node_alone() {
    let mut desk = node(0);
    let own = key(0, 0);
    desk.stays(&format!("SET {own} v"), "OK");
    desk.stays("READONLY", "OK");
    for (request, answer) in [("DBSIZE", "1"), ("KEYS *", &own), ("RANDOMKEY", &own), ("SCAN 0", &format!("0\n{own}"))]
    {
        desk.stays(request, answer);
    }
    // It says nothing of keys, and nothing of writes.
    desk.goes(&format!("GET {}", key(1, 0)), Route::Slot(slot(&key(1, 0))));
    desk.goes("FLUSHALL", Route::Cluster(Merge::Ok));
    desk.stays("READWRITE", "OK");
    desk.goes("DBSIZE", Route::Cluster(Merge::Sum));
    desk.stays("READONLY", "OK");
    desk.stays("RESET", "RESET");
    desk.goes("DBSIZE", Route::Cluster(Merge::Sum));
    desk.stays("ASKING", "OK");
    for request in ["READONLY", "READWRITE", "ASKING", "CLUSTER INFO", "CLUSTER SLOTS", "CLUSTER COUNTKEYSINSLOT 1"] {
        Desk::new().stays(request, "(error) This instance has cluster support disabled");
    }
    Desk::new().stays("CLUSTER KEYSLOT 123456789", "12739");
    Desk::new().stays("CLUSTERINFO", "This node is alone: it was started without a cluster.");
}

#[test]
fn what_another_node_sent_is_executed() {
    let mut desk = node(1);
    for request in ["DBSIZE", "RANDOMKEY", "FLUSHALL", &format!("MGET {} {}", key(1, 0), key(1, 1))] {
        let output = desk.for_other(request);
        assert_eq!(Typed::new(output.bytes(), &[]).error(), None, "{request}");
    }
    // Its client is not here.
    for request in ["HELLO 3", "RESET", "QUIT", "MULTI", "SHUTDOWN", "CLIENT REPLY OFF", "INFO", "AUTH x"] {
        let output = desk.for_other(request);
        assert!(Typed::new(output.bytes(), &[]).error().is_some(), "{request}");
    }
}

#[test]
fn a_scan_goes_from_node_to_node() {
    let mut nodes = [node(0), node(1), node(2)];
    let mut wanted = Vec::new();
    for (place, desk) in nodes.iter_mut().enumerate() {
        for number in 0..200 {
            wanted.push(key(place, number));
            desk.stays(&format!("SET {} v", key(place, number)), "OK");
        }
    }
    let (mut cursor, mut found, mut asked) = ("0".to_string(), Vec::new(), 0);
    loop {
        let request = format!("SCAN {cursor} COUNT 50");
        // Whichever node a client asks, the owner of the cursor's slot answers.
        let owner = match nodes[asked % 3].send(&request) {
            Ok(Route::Slot(slot)) => SHARES.iter().position(|share| share.contains(&slot.index())).expect("an owner"),
            Ok(route) => panic!("{request}: {route:?}"),
            Err(_) => asked % 3,
        };
        let output = nodes[owner].for_other(&request);
        let mut text = Output::default();
        let typed = Typed::new(output.bytes(), &[]);
        typed.reader().pass_value(&mut Reply::new(&mut text, Encoding::Text, Face::Typed)).expect("a value");
        let answer = flat(&text);
        let mut lines = answer.trim_end().split('\n');
        cursor = lines.next().expect("a cursor").into();
        found.extend(lines.map(String::from));
        asked += 1;
        if cursor == "0" {
            break;
        }
    }
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}

#[test]
fn a_transaction_goes_to_the_owner_of_its_slot() {
    let (mut desk, own, other) = (node(0), key(0, 0), key(1, 0));
    // Of this node's slots, or of none.
    desk.stays("MULTI", "OK");
    desk.stays(&format!("SET {own} v"), "QUEUED");
    desk.stays("CLIENT ID", "QUEUED");
    desk.stays("EXEC", "OK\n1");
    desk.stays("MULTI", "OK");
    desk.stays("PING", "QUEUED");
    desk.stays("EXEC", "PONG");
    // Of another node's.
    desk.stays("MULTI", "OK");
    desk.stays(&format!("SET {other} v"), "QUEUED");
    desk.stays("ECHO x", "QUEUED");
    desk.goes("EXEC", Route::Exec(slot(&other)));
    assert_eq!(desk.session.transaction.take().expect("it is for the server to take").queued(), Some(2));
    // Of two slots, be they of one node.
    for second in [format!("GET {other}"), format!("GET {}", key(0, 1)), "DBSIZE".into(), "FLUSHALL".into()] {
        desk.stays("MULTI", "OK");
        desk.stays(&format!("GET {own}"), "QUEUED");
        desk.stays(&second, "QUEUED");
        desk.stays("EXEC", CROSSSLOT);
        desk.stays("EXEC", "(error) EXEC without MULTI");
    }
    // Of one request in two slots: it is refused at once.
    desk.stays("MULTI", "OK");
    desk.stays(&format!("RENAME {own} {other}"), CROSSSLOT);
    desk.stays("EXEC", "(error) EXECABORT Transaction discarded because of previous errors.");
    desk.stays("MULTI", "OK");
    desk.stays(&format!("DEL {own} {other}"), "QUEUED");
    desk.stays("EXEC", CROSSSLOT);
    // What concerns the client's own node does not travel.
    desk.stays("MULTI", "OK");
    desk.stays("CLIENT SETNAME x", "QUEUED");
    desk.stays(&format!("GET {other}"), "QUEUED");
    let why = "'client' concerns this node, the keys are another node's";
    desk.stays("EXEC", &format!("(error) EXECABORT Transaction discarded because of: {why}"));
    assert_eq!((desk.session.name(), desk.session.transaction.is_none()), (&b""[..], true));
}

#[test]
fn a_transaction_answers_elsewhere_what_it_would_answer_here() {
    let tag = key(1, 0);
    let long = "v".repeat(10_000);
    let requests = [
        format!("SET {{{tag}}}a {long}"),
        format!("GET {{{tag}}}a"),
        format!("DEL {{{tag}}}a {{{tag}}}b"),
        format!("APPEND {{{tag}}}b x"),
        format!("INCR {{{tag}}}b"),
        format!("MGET {{{tag}}}b {{{tag}}}c"),
        "PING".into(),
        "UNWATCH".into(),
        "COMMAND INFO get".into(),
        format!("OBJECT ENCODING {{{tag}}}b"),
        "CLUSTER HELP".into(),
        "SELECT 1".into(),
    ];
    for encoding in [Encoding::Text, Encoding::Resp2, Encoding::Resp3] {
        let (mut alone, mut asked, mut owner) = (Desk::new(), node(0), node(1));
        alone.stays("MULTI", "OK");
        asked.stays("MULTI", "OK");
        for request in &requests {
            alone.stays(request, "QUEUED");
            asked.stays(request, "QUEUED");
        }
        asked.goes("EXEC", Route::Exec(slot(&tag)));
        let transaction = asked.session.transaction.take().expect("a transaction");
        let wanted = alone.send_as(&["EXEC"], encoding).expect_err("an answer");
        let got = owner.execute_for_other(&transaction, encoding);
        assert_eq!(got.trim_end_matches("\r\n"), wanted, "{encoding:?}");
    }
}

#[test]
fn junk_is_no_transaction() {
    let mut desk = node(1);
    for words in [
        &["EXEC", "0"][..],
        &["EXEC", "x", "GET", "k"],
        &["EXEC", "3", "GET", "k"],
        &["EXEC", "-1", "GET", "k"],
        &["EXEC", "99999999999999999999", "GET", "k"],
        &["EXEC", "1", "NOSUCH"],
        &["EXEC", "1", "GET"],
        &["EXEC", "1", "EXEC"],
        &["EXEC", "1", "MULTI"],
        &["EXEC", "2", "WATCH", "k"],
        &["EXEC", "1", "SHUTDOWN"],
        &["EXEC", "2", "HELLO", "3"],
        &["EXEC", "3", "SET", "k", "v", "1", "INFO"],
    ] {
        let mut output = Output::default();
        let mut reply = Reply::new(&mut output, Encoding::Bus, Face::Typed);
        execute_queued(&mut desk.ctx(), args_of(words).args(), &mut reply);
        assert!(reply.is_whole(), "{words:?}");
        assert!(Typed::new(output.bytes(), &[]).error().is_some(), "{words:?}");
    }
    assert!(desk.state.store.is_empty(), "nothing of it was executed");
}

#[test]
fn keys_are_watched_at_their_owner() {
    let (mut asked, mut owner, own, other) = (node(0), node(1), key(0, 0), key(1, 0));
    let queue = |asked: &mut Desk| {
        asked.stays("MULTI", "OK");
        asked.stays(&format!("INCR {other}"), "QUEUED");
        asked.goes("EXEC", Route::Exec(slot(&other)));
        asked.session.transaction.take().expect("a transaction")
    };
    let watch = format!("WATCH {other} {{{other}}}2");
    // Nothing changes; then something does.
    asked.goes(&watch, Route::Watch(slot(&other)));
    owner.for_other(&watch);
    assert_eq!(asked.session.transaction.as_ref().expect("a watch").watch_elsewhere(), Some(slot(&other)));
    let transaction = queue(&mut asked);
    assert_eq!(owner.execute_for_other(&transaction, Encoding::Resp2), "*1\r\n:1\r\n");
    assert!(owner.state.watches.is_empty() && owner.session.transaction.is_none());
    asked.goes(&watch, Route::Watch(slot(&other)));
    owner.for_other(&watch);
    owner.for_other(&format!("SET {{{other}}}2 changed"));
    let transaction = queue(&mut asked);
    assert_eq!(owner.execute_for_other(&transaction, Encoding::Resp2), "*-1\r\n");
    assert!(owner.state.watches.is_empty() && owner.session.transaction.is_none());
    assert_eq!(asked.session.forget_elsewhere, None, "EXEC forgets by itself");

    // One slot for all that is watched.
    asked.goes(&watch, Route::Watch(slot(&other)));
    asked.stays(&format!("WATCH {own}"), CROSSSLOT);
    asked.stays(&format!("WATCH {own} {other}"), CROSSSLOT);
    // And for what is queued.
    asked.stays("MULTI", "OK");
    asked.stays(&watch, "(error) WATCH inside MULTI is not allowed");
    asked.stays(&format!("GET {own}"), "QUEUED");
    asked.stays("EXEC", CROSSSLOT);
    assert_eq!(asked.session.forget_elsewhere.take(), Some(slot(&other)));

    // Whatever ends it tells the owner.
    for end in [&["UNWATCH"][..], &["MULTI", "DISCARD"], &["RESET"], &["MULTI", "GET", "EXEC"], &["MULTI", "EXEC x"]] {
        asked.goes(&watch, Route::Watch(slot(&other)));
        end.iter().for_each(|request| drop(asked.send(request)));
        assert_eq!(asked.session.forget_elsewhere.take(), Some(slot(&other)), "{end:?}");
        assert!(asked.session.transaction.is_none(), "{end:?}");
    }
    asked.goes(&watch, Route::Watch(slot(&other)));
    forget(&mut asked.session, &mut asked.state.watches, &mut asked.state.store);
    assert_eq!(asked.session.forget_elsewhere.take(), Some(slot(&other)));

    // An owner that was lost may have seen any change.
    asked.goes(&watch, Route::Watch(slot(&other)));
    asked.session.transaction.as_mut().expect("a watch").lose_watch();
    asked.stays("MULTI", "OK");
    asked.stays(&format!("INCR {other}"), "QUEUED");
    asked.stays("EXEC", "(null)");
    assert_eq!(asked.session.forget_elsewhere, None, "there is nobody to tell");
    asked.stays("MULTI", "OK");
    asked.stays(&format!("INCR {other}"), "QUEUED");
    asked.goes("EXEC", Route::Exec(slot(&other)));
}

#[test]
fn the_cluster_is_shown_as_redis_shows_it() {
    let mut desk = node(0);
    let id = |place: usize| format!("{place:040x}");
    desk.stays("CLUSTER MYID", &id(0));
    let wall_ms = NOW.wall_offset_ms;
    let nodes = [
        format!("{} 127.0.0.1:8081@8181 myself,master - 0 0 1 connected 0-2730 8192-10922", id(0)),
        format!("{} 127.0.0.1:8082@8182 master - 0 {} 1 connected 2731-5460 10923-13652", id(1), wall_ms + 2_500),
        format!(
            "{} ::1:8083@8183 master,fail - {} {} 1 disconnected 5461-8191 13653-16383",
            id(2),
            wall_ms + 3_000,
            wall_ms + 2_500
        ),
    ];
    desk.stays("CLUSTER NODES", &nodes.join("\n"));
    let info = desk.send("CLUSTER INFO").expect_err("an answer");
    for line in [
        "cluster_state:fail",
        "cluster_slots_assigned:16384",
        "cluster_slots_ok:10922",
        "cluster_slots_fail:5462",
        "cluster_known_nodes:3",
        "cluster_size:3",
        "cluster_current_epoch:1",
        "cluster_stats_messages_sent:30",
        "cluster_stats_messages_received:27",
    ] {
        assert!(info.lines().any(|shown| shown == line), "{line} in {info}");
    }
    let slots = desk.send_as(&["CLUSTER", "SLOTS"], Encoding::Resp3).expect_err("an answer");
    let entry = |from: usize, to: usize, ip: &str, place: usize| {
        format!(
            "*3\r\n:{from}\r\n:{to}\r\n*4\r\n${}\r\n{ip}\r\n:{}\r\n$40\r\n{}\r\n%0\r\n",
            ip.len(),
            8081 + place,
            id(place)
        )
    };
    let wanted = [
        entry(0, 2730, "127.0.0.1", 0),
        entry(8192, 10922, "127.0.0.1", 0),
        entry(2731, 5460, "127.0.0.1", 1),
        entry(10923, 13652, "127.0.0.1", 1),
        entry(5461, 8191, "::1", 2),
        entry(13653, 16383, "::1", 2),
    ];
    assert_eq!(slots, format!("*6\r\n{}", wanted.concat()).trim_end());
    let shards = desk.send_as(&["CLUSTER", "SHARDS"], Encoding::Resp3).expect_err("an answer");
    let shard =
        "%2\r\n$5\r\nslots\r\n*4\r\n:0\r\n:2730\r\n:8192\r\n:10922\r\n$5\r\nnodes\r\n*1\r\n%7\r\n$2\r\nid\r\n$40\r\n";
    assert!(shards.starts_with(&format!("*3\r\n{shard}{}\r\n$4\r\nport\r\n:8081\r\n", id(0))), "{shards}");
    assert_eq!((shards.matches("online").count(), shards.matches("\r\nfail").count()), (2, 1));
    let links = desk.send("CLUSTER LINKS").expect_err("an answer");
    assert!(
        links.starts_with(&format!("direction: to\nnode: {}\ncreate-time: {}\n", id(1), wall_ms + 2_000)),
        "{links}"
    );
    assert_eq!(links.matches("node: ").count(), 1);
}

#[test]
fn the_cluster_is_shown_to_people() {
    let mut desk = node(0);
    desk.stays(&format!("SET {} v", key(0, 0)), "OK");
    let table = "  node           address         slots      state      keys  round trip
* one            127.0.0.1:8081  0-2730     this node     1           -
  two            127.0.0.1:8082  2731-5460  up 3 s       70     1.23 ms
  a-longer-name  [::1]:8083      5461-8191  down 3 s      -           -";
    desk.stays("CLUSTERINFO", table);
    desk.state.stats.cluster_forwarded = 5;
    let info = desk.send("INFO cluster").expect_err("an answer");
    let wanted = "# Cluster\ncluster_enabled:1\ncluster_state:fail\ncluster_nodes:3\ncluster_linked:1\n\
                  cluster_forwarded:5\ncluster_served:0\n";
    assert!(info.starts_with(wanted), "{info}");
    assert!(!desk.send("INFO stats").expect_err("an answer").contains("cluster_"));
    assert!(desk.send("INFO server").expect_err("an answer").contains("\nredis_mode:cluster\n"));
    assert!(desk.send("HELLO 2").expect_err("an answer").contains("mode\r\n$7\r\ncluster\r\n"));
    Desk::new().stays("INFO cluster", "# Cluster\ncluster_enabled:0");
}
