//! A snapshot is loaded at the start: what is answered meanwhile, what is made of files that are bad, of time that has
//! passed, of memory that is short.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;

use crate::format::{self, HEAD, key, number};
use crate::support::cluster::{Cluster, array};
use crate::support::{Client, Scratch, Server, need, now_ms, program, run_to_end, skip, together, wait_for};
use crate::{
    Random, child, file, fill, pause_us, persistence, read, seed, serve, signal_child, start, wait_until_loaded,
};

/// A lock that keeps the reader of a file waiting: it takes that for a writer that is not done.
pub fn hold(path: &Path) -> Flock<fs::File> {
    let new = fs::File::create(
        path.with_file_name(format!("{}.tmp", path.file_name().expect("a name").to_str().expect("a plain name"))),
    );
    Flock::lock(new.expect("a file"), FlockArg::LockExclusiveNonblock).expect("the lock")
}

const LOADING: &str = "(error) LOADING memento is loading its keys";

/// What has to wait for the keys.
const REFUSED: &[&str] = &[
    "GET k",
    "GETP k",
    "SET k v",
    "MGET k l",
    "MSET k v",
    "DEL k",
    "EXISTS k",
    "INC k",
    "TTL k",
    "RENAME k l",
    "SCAN 0",
    "KEYS *",
    "DBSIZE",
    "RANDOMKEY",
    "FLUSH",
    "FLUSHALL",
    "DUMP k",
    "OBJECT ENCODING k",
    "MEMORY USAGE k",
    "SAVE",
    "BGSAVE",
    "PING",
];

#[test]
fn until_the_keys_are_loaded_who_wants_them_is_told_so() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    let bytes = format::file(&[&number(b'B', now_ms()), &key(b"k", b"v", None), &number(b'E', 1)]);
    fs::write(&path, &bytes).expect("a file");
    let lock = hold(&path);
    let server = start(&path, &[]).start();
    let mut client = server.connect();
    for request in REFUSED {
        let answer = client.ask(request);
        assert_eq!(answer, LOADING, "{request}");
    }
    assert_eq!((client.info("loading"), client.info("loading_loaded_bytes")), (1, 0));
    assert!(client.info("loading_start_time") <= now_ms() / 1000);
    for request in [
        "INFO",
        "CLIENT LIST",
        "CONFIG GET maxmemory",
        "COMMAND COUNT",
        "SLOWLOG GET",
        "WATCH k",
        "UNWATCH",
        "ECHO x",
        "LASTSAVE",
    ] {
        assert!(!client.ask(request).starts_with("(error)"), "{request}");
    }
    // Both protocols.
    let mut resp = server.connect();
    resp.send([array(&["HELLO", "3"]), array(&["GET", "k"]), array(&["GET", "k"]), array(&["QUIT"])].concat());
    let answer = String::from_utf8(resp.rest()).expect("text");
    assert!(answer.starts_with('%'), "{answer}");
    assert_eq!(answer.matches("-LOADING memento is loading its keys\r\n").count(), 2, "{answer}");
    // A transaction, what it queues, and one that was begun before.
    client.expect_line("MULTI", "OK");
    let queued = client.ask_line("SET k w");
    let outcome = client.ask_line("EXEC");
    assert!(queued == LOADING && outcome.starts_with("(error) EXECABORT"), "{queued} {outcome}");
    let mut early = server.connect();
    early.expect_line("MULTI", "OK");
    early.expect_line("ECHO x", "QUEUED");
    let mut subscriber = server.connect();
    subscriber.expect_line("RESET", "RESET");
    subscriber.expect_line("GET k", LOADING);

    drop(lock);
    wait_until_loaded(&server);
    // Who was there before is served as others are.
    for client in [&mut client, &mut subscriber] {
        client.expect("GET k", "v");
        client.expect("PING", "PONG");
        client.expect("DBSIZE", "1");
    }
    early.expect_line("EXEC", "x");
    client.expect("SET k w", "OK");
    server.connect().expect("GET k", "w");
    assert_eq!(client.info("rdb_last_load_keys_loaded"), 1);
    assert_eq!(client.info("rdb_changes_since_last_save"), 1);
}

#[test]
fn how_far_loading_is_can_be_seen_and_it_may_be_broken_off() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    let server = serve(&path);
    let mut client = server.connect();
    fill(&mut client, "filler", 300_000, "stays stays stays stays");
    client.expect("SAVE", "OK");
    drop((client, server));
    let bytes = fs::read(&path).expect("the file");
    for (signal, code) in [(Signal::SIGKILL, Some(1)), (Signal::SIGTERM, Some(0)), (Signal::SIGCONT, None)] {
        let lock = hold(&path);
        let stderr = folder.path("stderr");
        let within = ["sh", "-c", "exec \"$@\" 2>\"$0\"", stderr.to_str().expect("a plain path")];
        // Nothing is wrong with a file whose reader is killed: it stays.
        let mut server = start(&path, &["--snapshot-ignore-bad"]).within(&within).start();
        let reader = child(&server);
        let mut client = server.connect();
        drop(lock);
        wait_for("some keys", || client.info("loading_loaded_bytes") > 0);
        signal_child(reader, Signal::SIGSTOP);
        pause_us(20_000);
        let (total, done) = (client.info("loading_total_bytes"), client.info("loading_loaded_bytes"));
        assert_eq!((client.info("loading"), total), (1, bytes.len() as u64));
        assert!(done < total, "{done} of {total}");
        let percent = persistence(&mut client, "loading_loaded_perc");
        assert_eq!(percent, format!("{:.2}%", done as f64 * 100.0 / total as f64));
        client.expect("GET filler0", LOADING);
        match code {
            Some(1) => {
                signal_child(reader, signal);
                assert_eq!(client.rest(), b"");
                let why = "its process ended before it was done; was it killed?";
                assert_eq!(server.wait_exit().code(), code);
                let told = fs::read_to_string(&stderr).expect("what was told");
                assert!(told.starts_with(&format!("memento: --snapshot '{}': {why}", path.display())), "{told}");
            }
            Some(_) => {
                client.expect("SHUTDOWN x", "(error) syntax error");
                client.send("SHUTDOWN\r\n");
                assert_eq!(client.rest(), b"");
                assert_eq!(server.wait_exit().code(), code);
                signal_child(reader, Signal::SIGCONT);
            }
            None => {
                signal_child(reader, signal);
                wait_until_loaded(&server);
                client.expect("DBSIZE", "300000");
                server.wait_for_log("300000 keys are loaded in ");
            }
        }
        assert!(fs::read(&path).expect("the file") == bytes);
    }
}

/// The server refuses to start, and says this; the file stays as it is.
#[track_caller]
fn expect_refused(path: &Path, options: &[&str], why: &str) {
    let before = fs::read(path).ok();
    let (code, _, stderr) = run_to_end(&mut start(path, options).command());
    assert_eq!(code, Some(1), "{stderr}");
    let wanted = format!("memento: --snapshot '{}': {why}", path.display());
    assert!(stderr.starts_with(&wanted) && stderr.lines().count() == 1, "wanted: {wanted}\ngot:    {stderr}");
    assert!(fs::read(path).ok() == before, "the file is another one");
}

const ADVICE: &str = "; move it away, or let --snapshot-ignore-bad do so, to start without it\n";

/// Files of a key that are bad, and what is wrong with them.
fn bad_files() -> Vec<(Vec<u8>, &'static str)> {
    let (begin, entry) = (number(b'B', 1_000), key(b"k", b"v", None));
    let good = format::file(&[&begin, &entry, &number(b'E', 1)]);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let file = |records: &[&[u8]]| format::file(&[&records.concat()]);
    let length = good.len();
    vec![
        (Vec::new(), "'FILE' is no snapshot of memento"),
        (b"REDIS0011".to_vec(), "'FILE' is no snapshot of memento"),
        (good[..5].to_vec(), "'FILE' is no snapshot of memento"),
        (changed(0, b'M'), "'FILE' is no snapshot of memento"),
        (good[..20].to_vec(), "'FILE' is cut off at byte 20"),
        (good[..length - 1].to_vec(), "'FILE' is cut off at byte "),
        ([&good[..], b"x"].concat(), "'FILE' goes on behind its end, from byte "),
        (changed(8, 2), "'FILE' needs a newer memento: this one reads version 1 of the file, not version 2"),
        (changed(10, 13), "'FILE' needs a newer memento: this one reads values up to version 12, not version 13"),
        (changed(12, 1), "'FILE' is damaged in the block at byte 16"),
        (changed(30, b'x'), "'FILE' is damaged in the block at byte 16"),
        (file(&[&begin, b"Q", &number(b'E', 1)]), "it says of keys what cannot be"),
        (file(&[&entry, &number(b'E', 1)]), "it says of keys what cannot be"),
        // It depends on how it comes whether what is behind the end is looked at.
        (file(&[&begin, &number(b'E', 0), &entry]), ""),
        (file(&[&begin, &entry, &number(b'E', 2)]), "its last record is missing, or says something else"),
        (file(&[&begin, &entry]), "its last record is missing, or says something else"),
        (format::file(&[]), "its last record is missing, or says something else"),
        (file(&[&begin, &entry[..entry.len() - 1]]), "its last record is missing, or says something else"),
        // A value that is no string, and one that is packed.
        (file(&[&begin, b"K\x01k\x01\x01v", &number(b'E', 1)]), "it says of keys what cannot be"),
        // Lengths that nothing has.
        (file(&[&begin, b"K\x81\xff\0\0\0\0\0\0\0k", &number(b'E', 1)]), "it says of keys what cannot be"),
        (file(&[&begin, b"K\x01k\0\x81\xff\0\0\0\0\0\0\0", &number(b'E', 1)]), "it says of keys what cannot be"),
        (file(&[&begin, b"K\x01k\0\xc3\x02\x01\0v", &number(b'E', 1)]), "it says of keys what cannot be"),
    ]
}

#[test]
fn a_bad_file_is_refused_and_stays_or_is_moved_aside() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    for (bytes, why) in bad_files() {
        fs::write(&path, &bytes).expect("a file");
        let why = why.replace("FILE", path.to_str().expect("a plain path"));
        expect_refused(&path, &[], &why);
        let (_, _, stderr) = run_to_end(&mut start(&path, &[]).command());
        assert!(stderr.ends_with(ADVICE), "{stderr}");

        let mut server = start(&path, &["--snapshot-ignore-bad"]).start();
        wait_until_loaded(&server);
        server.wait_for_log(&format!("the snapshot was moved to '{}.bad-", path.display()));
        server.wait_for_log(&why);
        let mut client = server.connect();
        client.expect("DBSIZE", "0");
        client.expect("SET k new", "OK");
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait_exit().code(), Some(0));
        assert_eq!(read(&path).text("k"), "new");
        let aside: Vec<_> = fs::read_dir(path.parent().expect("a folder"))
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path())
            .filter(|other| other.to_string_lossy().starts_with(&format!("{}.bad-", path.display())))
            .collect();
        assert_eq!(aside.len(), 1, "{aside:?}");
        assert!(fs::read(&aside[0]).expect("the bad file") == bytes);
        fs::remove_file(&aside[0]).expect("to remove our own file");
    }
}

#[test]
fn no_torn_or_damaged_file_is_taken_for_a_whole_one() {
    let _together = together();
    let seed = seed();
    let mut random = Random(seed);
    let folder = Scratch::new();
    let path = file(&folder);
    let server = serve(&path);
    let mut client = server.connect();
    fill(&mut client, "filler", 3000, "stays");
    client.expect(&format!("SET long {}", "l".repeat(300_000)), "OK");
    client.expect("SAVE", "OK");
    drop(server);
    let good = fs::read(&path).expect("the file");
    for _ in 0..40 {
        let at = random.below(good.len() as u64) as usize;
        fs::write(&path, &good[..at]).expect("a file");
        let what = if at < 8 { "is no snapshot of memento".into() } else { format!("is cut off at byte {at}") };
        expect_refused(&path, &[], &format!("'{}' {what}", path.display()));
        let mut bytes = good.clone();
        bytes[at] ^= 1 << random.below(8);
        fs::write(&path, &bytes).expect("a file");
        expect_refused(&path, &[], &format!("'{}' ", path.display()));
    }
    fs::write(&path, &good).expect("a file");
    serve(&path).connect().expect("DBSIZE", "3001");
}

#[test]
fn what_is_no_file_or_may_not_be_read_is_refused() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    fs::create_dir(&path).expect("a folder");
    let why = format!("cannot open '{}': it is no regular file", path.display());
    expect_refused(&path, &[], &why);
    // Nor is it moved aside: whether it is bad is not known.
    expect_refused(&path, &["--snapshot-ignore-bad"], &why);
    assert!(path.is_dir());
    fs::remove_dir(&path).expect("to remove our own folder");
    fs::write(&path, format::file(&[&number(b'B', 0), &number(b'E', 0)])).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("our own file");
    // Who may do all may read it nevertheless, and is to be somebody else; who is nobody may not even start it everywhere.
    let mut refused = start(&path, &[]);
    if nix::unistd::geteuid().is_root() {
        if !need("setpriv") {
            return;
        }
        let folder = path.parent().expect("a folder");
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("our own folder");
        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"];
        let mut try_it = Command::new(nobody[0]);
        try_it.args(&nobody[1..]).arg(program()).arg("--version");
        if run_to_end(&mut try_it).0 != Some(0) {
            return skip("nobody cannot start the program where it lies");
        }
        refused = refused.within(&nobody);
    }
    let (code, _, stderr) = run_to_end(&mut refused.command());
    let why = format!("--snapshot '{0}': cannot open '{0}': Permission denied", path.display());
    assert!(code == Some(1) && stderr.starts_with(&format!("memento: {why}")), "{stderr}");
}

#[test]
fn a_file_that_was_written_by_hand_is_loaded() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    let now = now_ms();
    let long = "l".repeat(100_000);
    let records: &[&[u8]] = &[
        &number(b'B', now),
        &key(b"before", b"a flush", None),
        b"F",
        &key(b"k", b"old", Some(9)),
        &key(b"k", b"new", None),
        &key(b"gone", b"v", None),
        b"D\x04gone",
        b"D\x05never",
        &key(b"again", b"v", None),
        b"D\x05again",
        &key(b"again", b"w", None),
        &key(b"long", long.as_bytes(), None),
        &key(b"long", b"short", None),
        &key(b"short", b"short", None),
        &key(b"short", long.as_bytes(), Some(1_000_000)),
        // Numbers of one, two and four bytes.
        b"K\x03one\0\xc0\x80",
        b"K\x03two\0\xc1\xff\x7f",
        b"K\x04four\0\xc2\0\0\0\x80",
        &key(b"", b"", None),
    ];
    let end = number(b'E', records.len() as u64 - 1);
    let all = [records, &[&end]].concat();
    // However they lie in blocks.
    let (bytes, whole) = (all.concat(), all.concat());
    let single: Vec<_> = bytes[..300].chunks(1).chain([&bytes[300..]]).collect();
    for payloads in [&all[..], &[&whole], &single] {
        let file = format::file(payloads);
        fs::write(&path, &file).expect("a file");
        let server = serve(&path);
        let mut client = server.connect();
        client.expect("DBSIZE", "8");
        let wanted = [("k", "new"), ("again", "w"), ("long", "short"), ("short", &long), ("one", "-128")];
        for (key, value) in wanted.into_iter().chain([("two", "32767"), ("four", "-2147483648")]) {
            client.expect(&format!("GET {key}"), value);
            let ttl = client.ask(&format!("TTL {key}"));
            assert!(if key == "short" { ttl == "1000" || ttl.starts_with('9') } else { ttl == "-1" }, "{key} {ttl}");
        }
        client.send(array(&["STRLEN", ""]));
        assert_eq!(client.line(), ":0");
    }
    // What the server writes of one key is these bytes, but for the time.
    fs::write(&path, format::file(&[&number(b'B', now), &number(b'E', 0)])).expect("a file");
    let server = serve(&path);
    let mut client = server.connect();
    client.expect("SET key value", "OK");
    client.expect("SAVE", "OK");
    let wall_ms = read(&path).wall_ms as u64;
    assert!((now..=now_ms()).contains(&wall_ms), "{wall_ms} is not within {now} and now");
    let wanted = format::file(&[&[number(b'B', wall_ms), key(b"key", b"value", None), number(b'E', 1)].concat()]);
    assert_eq!(fs::read(&path).expect("the file").escape_ascii().to_string(), wanted.escape_ascii().to_string());
    assert_eq!(&wanted[..16], HEAD);
}

#[test]
fn what_passed_while_no_server_was_there_is_subtracted() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    let hour = 3_600_000;
    // An hour ago, in an hour (the clock went back), at the beginning of time and at its end.
    for (wall_ms, left) in [
        (now_ms() - hour, [None, Some(hour), Some(i64::MAX as u64)]),
        (now_ms() + hour, [Some(hour - 1000), Some(2 * hour), Some(i64::MAX as u64)]),
        (0, [None, None, Some(i64::MAX as u64)]),
        (i64::MIN as u64, [None, None, None]),
        (i64::MAX as u64, [Some(hour - 1000), Some(2 * hour), Some(i64::MAX as u64)]),
    ] {
        let bytes = format::file(&[
            &number(b'B', wall_ms),
            &key(b"soon", b"v", Some(hour - 1000)),
            &key(b"later", b"v", Some(2 * hour)),
            &key(b"late", b"v", Some(u64::MAX)),
            &key(b"never", b"v", None),
            &number(b'E', 4),
        ]);
        fs::write(&path, bytes).expect("a file");
        let server = serve(&path);
        let mut client = server.connect();
        let mut ended = 0;
        for (key, left) in ["soon", "later", "late"].into_iter().zip(left) {
            match left {
                None => {
                    client.expect(&format!("EXISTS {key}"), "0");
                    ended += 1;
                }
                // Time goes on.
                Some(left) if left < i64::MAX as u64 => {
                    let got: u64 = client.ask(&format!("PTTL {key}")).parse().expect("a number");
                    assert!(got <= left + 5 && got + 10_000 > left, "{key}: {got}, not {left}");
                }
                Some(_) => client.expect(&format!("EXISTS {key}"), "1"),
            }
        }
        client.expect("TTL never", "-1");
        client.expect("DBSIZE", &(4 - ended).to_string());
        assert_eq!(client.info("rdb_last_load_keys_expired"), ended);
        assert_eq!(client.info("rdb_last_load_keys_loaded"), 4 - ended);
    }
}

#[test]
fn the_memory_limit_holds_while_keys_are_loaded() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    let server = serve(&path);
    let mut client = server.connect();
    fill(&mut client, "filler", 20_000, &"v".repeat(1000));
    client.expect("SAVE", "OK");
    drop(server);
    let bytes = fs::read(&path).expect("the file");
    expect_refused(
        &path,
        &["--maxmemory", "10mb", "--maxmemory-policy", "noeviction"],
        "it does not fit into --maxmemory, and --maxmemory-policy lets nothing go\n",
    );
    // Nor is it moved aside: nothing is wrong with it.
    expect_refused(&path, &["--maxmemory", "10mb", "--snapshot-ignore-bad"], "it does not fit into --maxmemory");
    for policy in ["allkeys-lru", "allkeys-random"] {
        let mut server = start(&path, &["--maxmemory", "10mb", "--maxmemory-policy", policy]).start();
        wait_until_loaded(&server);
        let mut client = server.connect();
        let keys: u64 = client.ask("DBSIZE").parse().expect("a number");
        assert!((4000..10_500).contains(&keys), "{keys}");
        // Some keys come at once, before it is looked whether there is room.
        assert!(client.info("used_memory") <= (10 << 20) + 64 * 1100, "{}", client.info("used_memory"));
        assert!(server.peak_kb() < 24 << 10, "{} kB", server.peak_kb());
        assert_eq!(client.info("evicted_keys") + keys, 20_000);
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait_exit().code(), Some(0));
        fs::write(&path, &bytes).expect("the old file");
    }
    let server = start(&path, &["--maxmemory", "100mb"]).start();
    wait_until_loaded(&server);
    server.connect().expect("GET filler19999", &"v".repeat(1000));
}

/// Sets keys until there is no memory for more; how many there are.
fn fill_up(client: &mut Client) -> u64 {
    let value = "v".repeat(300);
    (0..).find(|number| client.ask(&format!("SET filler{number} {value}")).starts_with("(error) OOM")).expect("an end")
}

#[test]
fn a_full_server_has_all_its_keys_again_whatever_clients_hold() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    let options = ["--maxmemory", "8mb", "--maxmemory-policy", "noeviction"];
    let mut server = start(&path, &options).start();
    wait_until_loaded(&server);
    let keys = fill_up(&mut server.connect());
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    let lock = hold(&path);
    let server = start(&path, &options).start();
    // A long value is on its way.
    let mut sending = server.connect();
    sending.send(format!("*3\r\n$3\r\nSET\r\n$4\r\nlong\r\n$3000000\r\n{}", "v".repeat(2_900_000)));
    let mut client = server.connect();
    wait_for("the value", || client.info("used_memory") > 2_900_000);
    drop(lock);
    wait_until_loaded(&server);
    client.expect("DBSIZE", &keys.to_string());
    assert!(client.ask("SET more v").starts_with("(error) OOM"));
}

#[test]
fn a_long_value_that_was_told_of_twice_takes_its_memory_once() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    let long = |byte: u8| key(b"long", &vec![byte; 20 << 20], None);
    let payload = [number(b'B', now_ms()), long(b'o'), long(b'n'), number(b'E', 2)].concat();
    let payloads: Vec<&[u8]> = payload.chunks(1 << 20).collect();
    fs::write(&path, format::file(&payloads)).expect("a file");
    for policy in ["noeviction", "allkeys-lru"] {
        let server = start(&path, &["--maxmemory", "32mb", "--maxmemory-policy", policy]).start();
        wait_until_loaded(&server);
        let mut client = server.connect();
        client.expect("GETRANGE long 0 3", "nnnn");
        client.expect("STRLEN long", &(20 << 20).to_string());
        assert_eq!(client.info("evicted_keys"), 0);
        assert!(server.peak_kb() < 32 << 10, "{} kB", server.peak_kb());
    }
    // One that is longer than all that there may be goes, where anything may.
    let server = start(&path, &["--maxmemory", "16mb", "--maxmemory-policy", "allkeys-lru"]).start();
    wait_until_loaded(&server);
    server.connect().expect("DBSIZE", "0");
    expect_refused(&path, &["--maxmemory", "16mb"], "it does not fit into --maxmemory");
}

#[test]
fn each_node_of_a_cluster_has_its_own_keys_again() {
    let _together = together();
    let mut cluster = Cluster::prepare(3);
    let start = |cluster: &Cluster, node: usize| -> Server {
        let path = cluster.path(&format!("keys{node}"));
        cluster
            .start_of(node, &["--snapshot", path.to_str().expect("a plain path"), "--snapshot-interval", "0"])
            .start()
    };
    for node in 0..3 {
        let server = start(&cluster, node);
        cluster.put(node, server);
    }
    cluster.wait_until_formed();
    let mut client = cluster.connect(0);
    wait_for("all nodes to be loaded", || (0..3).all(|node| cluster.connect(node).info("loading") == 0));
    fill(&mut client, "filler", 900, "stays");
    // Each is told by itself.
    for node in 0..3 {
        cluster.connect(node).expect("SAVE", "OK");
    }
    let sizes: Vec<_> = (0..3).map(|node| read(&cluster.path(&format!("keys{node}"))).keys.len()).collect();
    assert!(sizes.iter().sum::<usize>() == 900 && sizes.iter().all(|&size| size > 200), "{sizes:?}");
    let key = (0..900).map(|number| format!("filler{number}")).find(|key| cluster.owner(key) == Some(2));
    let key = key.expect("a key of the last node");
    cluster.kill(2);
    let lock = hold(&cluster.path("keys2"));
    let server = start(&cluster, 2);
    cluster.put(2, server);
    // It is there, and has no keys yet.
    wait_for("the node to be linked", || client.ask(&format!("GET {key}")).contains("LOADING"));
    client.expect(&format!("GET {key}"), LOADING);
    client.expect(&format!("SET {key} v"), LOADING);
    client.expect(&format!("EXISTS {key}"), LOADING);
    assert!(client.ask("DBSIZE").contains("LOADING"));
    // For the keys of others it asks these.
    let other = (0..900).map(|number| format!("filler{number}")).find(|key| cluster.owner(key) == Some(0));
    let other = other.expect("a key of the first node");
    let mut through = cluster.connect(2);
    through.expect(&format!("GET {other}"), "stays");
    through.expect_line("MULTI", "OK");
    through.expect_line(&format!("SET {other} stays"), "QUEUED");
    through.expect("EXEC", "OK");
    // What is its own was refused before it could be queued.
    through.expect_line("MULTI", "OK");
    through.expect_line(&format!("SET {key} v"), LOADING);
    assert!(through.ask("EXEC").contains("EXECABORT"));
    assert!(client.ask(&format!("MGET {key} filler1 filler2")).contains("LOADING"));
    drop(lock);
    wait_until_loaded(cluster.node(2));
    client.expect(&format!("GET {key}"), "stays");
    client.expect("DBSIZE", "900");
}

#[test]
fn a_node_leaves_out_what_other_nodes_have() {
    let _together = together();
    let mut cluster = Cluster::prepare(2);
    let path = cluster.path("keys0");
    let mut records = vec![number(b'B', now_ms())];
    records.extend((0..100).map(|at| key(format!("key{at}").as_bytes(), b"v", None)));
    records.push(number(b'E', 100));
    fs::write(&path, format::file(&records.iter().map(Vec::as_slice).collect::<Vec<_>>())).expect("a file");
    let server = cluster.start_of(0, &["--snapshot", path.to_str().expect("a plain path")]).start();
    cluster.put(0, server);
    wait_until_loaded(cluster.node(0));
    let own = (0..100).filter(|at| cluster.owner(&format!("key{at}")) == Some(0)).count();
    assert!(0 < own && own < 100);
    assert_eq!(cluster.connect(0).info("rdb_last_load_keys_loaded"), own as u64);
    cluster.node(0).wait_for_log(&format!("{} keys of the snapshot are left out", 100 - own));
}
