//! Clients and tools that others wrote, unchanged, against memento: the crate `redis`, redis-cli, redis-benchmark,
//! redis-py, and node's two where node is there; then their clients of a cluster against three nodes.
//!
//! `MEMENTO_TEST_SERVER=host:port` sends them to a server that runs already, which tries the tests themselves on a real
//! Redis. They leave keys there.

mod support;

use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use redis::{Commands, Connection, IntoConnectionInfo, RedisResult};
use support::cluster::{Cluster, cluster_info};
use support::{Scratch, Server, need, root, show, skip};

/// A server to talk to: one of this test's own, or one that the environment names.
struct Target {
    host: String,
    port: String,
    own: Option<Server>,
}

impl Target {
    fn new() -> Target {
        if let Ok(address) = std::env::var("MEMENTO_TEST_SERVER") {
            let (host, port) = address.rsplit_once(':').expect("MEMENTO_TEST_SERVER as host:port");
            return Target { host: host.to_string(), port: port.to_string(), own: None };
        }
        let server = Server::start(&[]);
        let address = server.address();
        Target { host: address.ip().to_string(), port: address.port().to_string(), own: Some(server) }
    }

    /// Is it memento, and not a Redis on which these tests are tried?
    fn is_memento(&self) -> bool {
        self.own.is_some()
    }

    /// A connection of the crate `redis`, in RESP2 or RESP3.
    fn connect(&self, protocol: &str) -> Connection {
        let url = format!("redis://{}:{}/?protocol={protocol}", self.host, self.port);
        let client = redis::Client::open(url.into_connection_info().expect("a url")).expect("a client");
        client.get_connection().expect("a connection")
    }

    /// One of Redis's own programs, with the options that lead it here.
    fn tool(&self, name: &str) -> Command {
        let mut command = limited(name, 120);
        command.args(["-h", &self.host, "-p", &self.port]);
        command
    }
}

/// A command that is ended after so many seconds.
fn limited(program: &str, seconds: u32) -> Command {
    let mut command = Command::new("timeout");
    command.arg(seconds.to_string()).arg(program).stdin(Stdio::null());
    command
}

/// Runs it with this on its standard input.
fn run(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("to run");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // A program that ends early does not take all of it.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("its output");
    writer.join().expect("the writing thread");
    output
}

/// What it wrote, standard error behind standard output; the test fails where its status does.
#[track_caller]
fn succeeds(command: &mut Command, input: &[u8]) -> String {
    let output = run(command, input);
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {:?}: {text}", output.status);
    text
}

// The crate `redis`.

#[test]
fn the_crate_redis_is_content() {
    let _machine = support::together();
    let target = Target::new();
    for protocol in ["resp2", "resp3"] {
        let mut con = target.connect(protocol);
        values(&mut con, protocol).unwrap_or_else(|error| panic!("{protocol}: {error}"));
        many(&mut con, protocol).unwrap_or_else(|error| panic!("{protocol}: {error}"));
        let mut other = target.connect(protocol);
        transactions(&mut con, &mut other, protocol).unwrap_or_else(|error| panic!("{protocol}: {error}"));
        messages(&mut con, &mut other, protocol).unwrap_or_else(|error| panic!("{protocol}: {error}"));
    }
}

fn values(con: &mut Connection, prefix: &str) -> RedisResult<()> {
    let key = |name: &str| format!("rs:{prefix}:{name}");
    let _: () = con.set(key("a"), "value")?;
    assert_eq!(con.get::<_, String>(key("a"))?, "value");
    assert_eq!(con.get::<_, Option<String>>(key("missing"))?, None);
    let _: () = con.set_ex(key("a"), 7, 100)?;
    assert!((99..=100).contains(&con.ttl::<_, i64>(key("a"))?));
    assert_eq!(con.incr::<_, _, i64>(key("a"), 35)?, 42);
    assert!(con.expire::<_, bool>(key("a"), 1000)?);
    assert!(con.persist::<_, bool>(key("a"))?);
    assert_eq!(con.mget::<_, Vec<Option<i64>>>(&[key("a"), key("missing")])?, [Some(42), None]);
    let binary: Vec<u8> = (0..=255).chain(*b"\r\n\0").collect();
    let _: () = con.set(key("binary"), &binary)?;
    assert_eq!(con.get::<_, Vec<u8>>(key("binary"))?, binary);
    let large: Vec<u8> = binary.iter().copied().cycle().take(5_000_000).collect();
    let _: () = con.set(key("large"), &large)?;
    assert!(con.get::<_, Vec<u8>>(key("large"))? == large);
    let error = redis::cmd("INCR").arg(key("large")).query::<i64>(con).expect_err("no number");
    assert!(error.to_string().contains("value is not an integer or out of range"), "{error}");
    assert_eq!(con.del::<_, i64>(&[key("binary"), key("large"), key("missing")])?, 2);
    let lifetime = Duration::from_millis(20).as_millis() as u64;
    let _: () = con.pset_ex(key("a"), "short", lifetime)?;
    support::wait_for("the end of the key", || !con.exists::<_, bool>(key("a")).expect("an answer"));
    Ok(())
}

fn many(con: &mut Connection, prefix: &str) -> RedisResult<()> {
    const COUNT: usize = 5000;
    let mut pipe = redis::pipe();
    for number in 0..COUNT {
        pipe.set(format!("rs:{prefix}:key:{number}"), number).ignore();
        pipe.get(format!("rs:{prefix}:key:{number}"));
    }
    assert_eq!(pipe.query::<Vec<usize>>(con)?, (0..COUNT).collect::<Vec<_>>());
    let mut keys = std::collections::BTreeSet::new();
    for key in con.scan_match::<_, String>(format!("rs:{prefix}:key:*"))? {
        keys.insert(key?);
    }
    assert_eq!(keys.len(), COUNT);
    let keys: Vec<String> = keys.into_iter().collect();
    assert_eq!(con.del::<_, usize>(keys)?, COUNT);
    Ok(())
}

fn transactions(con: &mut Connection, other: &mut Connection, prefix: &str) -> RedisResult<()> {
    let key = format!("rs:{prefix}:counter");
    let _: () = con.set(&key, 0)?;
    let mut tries = 0;
    let (sum,): (i64,) = redis::transaction(con, &[&key], |con, pipe| {
        tries += 1;
        let now: i64 = con.get(&key)?;
        // Somebody else changes it between the look and the first try.
        if tries == 1 {
            let _: () = other.set(&key, 10)?;
        }
        pipe.set(&key, now + 1).ignore().get(&key).query(con)
    })?;
    assert_eq!((sum, tries), (11, 2));
    let (a, b): (i64, Option<String>) = redis::pipe().atomic().incr(&key, 1).get("rs:missing").query(con)?;
    assert_eq!((a, b), (12, None));
    Ok(())
}

fn messages(con: &mut Connection, other: &mut Connection, prefix: &str) -> RedisResult<()> {
    let channel = format!("rs:{prefix}:news");
    let mut subscriber = con.as_pubsub();
    subscriber.set_read_timeout(Some(support::DEADLINE))?;
    subscriber.subscribe(&channel)?;
    subscriber.psubscribe(format!("rs:{prefix}:n*"))?;
    assert_eq!(other.publish::<_, _, i64>(&channel, "first")?, 2);
    for pattern in [false, true] {
        let message = subscriber.get_message()?;
        assert_eq!((message.get_payload::<String>()?, message.get_channel_name()), ("first".into(), &*channel));
        assert_eq!(message.from_pattern(), pattern);
    }
    subscriber.unsubscribe(&channel)?;
    assert_eq!(other.publish::<_, _, i64>(&channel, "second")?, 1);
    assert_eq!(subscriber.get_message()?.get_pattern::<String>()?, format!("rs:{prefix}:n*"));
    // What is left is ended with this, and the connection is as any other.
    drop(subscriber);
    assert_eq!(con.get::<_, Option<String>>("rs:missing")?, None);
    Ok(())
}

// Redis's own programs.

#[test]
fn redis_cli_runs_single_commands() {
    let _machine = support::together();
    if !need("redis-cli") {
        return;
    }
    let target = Target::new();
    let cases: &[(&[&str], &str)] = &[
        (&["SET", "cli:a", "two words"], "OK\n"),
        (&["GET", "cli:a"], "two words\n"),
        (&["GET", "cli:missing"], "\n"),
        (&["--no-raw", "GET", "cli:missing"], "(nil)\n"),
        (&["--no-raw", "-3", "GET", "cli:missing"], "(nil)\n"),
        (&["--no-raw", "DEL", "cli:a", "cli:missing"], "(integer) 1\n"),
        (&["--no-raw", "MSET", "cli:a", "1", "cli:b", "2"], "OK\n"),
        (&["--no-raw", "-3", "MGET", "cli:a", "cli:b", "cli:missing"], "1) \"1\"\n2) \"2\"\n3) (nil)\n"),
        (&["--no-raw", "-3", "CONFIG", "GET", "appendonly"], "1# \"appendonly\" => \"no\"\n"),
        (&["--no-raw", "CONFIG", "GET", "appendonly"], "1) \"appendonly\"\n2) \"no\"\n"),
        (&["-r", "3", "INCR", "cli:a"], "2\n3\n4\n"),
        (&["--scan", "--pattern", "cli:[a]"], "cli:a\n"),
        (&["-n", "0", "PING"], "PONG\n"),
    ];
    for (words, wanted) in cases {
        assert_eq!(succeeds(target.tool("redis-cli").args(*words), b""), *wanted, "redis-cli {words:?}");
    }
    let error = run(target.tool("redis-cli").args(["-e", "GET"]), b"");
    assert_eq!(error.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&[error.stdout, error.stderr].concat()),
        "ERR wrong number of arguments for 'get' command\n"
    );
    assert!(succeeds(target.tool("redis-cli").arg("INFO"), b"").contains("redis_version:7.0."));
    for option in ["--bigkeys", "--memkeys"] {
        let text = succeeds(target.tool("redis-cli").arg(option), b"");
        assert!(text.contains("-------- summary -------") && !text.contains("rror"), "{option}: {text}");
    }
    // The last word comes from standard input, any byte of it.
    let value = [0, 255, b'\r', b'\n', b'x'];
    assert_eq!(succeeds(target.tool("redis-cli").args(["-x", "SET", "cli:binary"]), &value), "OK\n");
    assert_eq!(run(target.tool("redis-cli").args(["--raw", "GET", "cli:binary"]), b"").stdout[..5], value);
}

#[test]
fn redis_cli_takes_lines_and_masses() {
    let _machine = support::together();
    if !need("redis-cli") {
        return;
    }
    let target = Target::new();
    let lines = b"SET cli:line \"a  b\"\nGET cli:line\nMULTI\nINCR cli:n\nGET cli:line\nDISCARD\nNOSUCH\nPING\n";
    let text = succeeds(&mut target.tool("redis-cli"), lines);
    let wanted = "OK\na  b\nOK\nQUEUED\nQUEUED\nOK\nERR unknown command 'NOSUCH', with args beginning with: \n\nPONG\n";
    assert_eq!(text, wanted);

    const COUNT: usize = 100_000;
    let mut requests = Vec::new();
    for number in 0..COUNT {
        let (key, value) = (format!("cli:mass:{number}"), format!("value {number}\r\n"));
        write!(requests, "*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len())
            .expect("to write to memory");
    }
    let text = succeeds(target.tool("redis-cli").arg("--pipe"), &requests);
    assert!(text.contains(&format!("errors: 0, replies: {COUNT}")), "{text}");
    assert_eq!(
        run(target.tool("redis-cli").args(["--raw", "GET", "cli:mass:99999"]), b"").stdout,
        b"value 99999\r\n\n"
    );
    let found = succeeds(target.tool("redis-cli").args(["--scan", "--pattern", "cli:mass:*"]), b"");
    assert_eq!(found.lines().collect::<std::collections::BTreeSet<_>>().len(), COUNT);
}

#[test]
fn redis_cli_is_interactive_on_a_terminal() {
    let _machine = support::together();
    if !need("redis-cli") || !need("script") {
        return;
    }
    let target = Target::new();
    for option in ["", "-3"] {
        // The library that reads lines asks a terminal without a size where its cursor is, and nobody answers here.
        let line = format!("stty rows 24 cols 100; exec redis-cli -h {} -p {} {option}", target.host, target.port);
        let mut command = limited("script", 60);
        // The hints and the history need a terminal type and a home.
        let home = Scratch::new();
        command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").env("HOME", home.path(""));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("to run script");
        let mut stdin = child.stdin.take().expect("a pipe");
        let mut stdout = child.stdout.take().expect("a pipe");
        let mut text = String::new();
        // What is typed before the prompt is there would be read as a line of another kind of terminal.
        let mut wait_for = |wanted: &str| {
            let mut piece = [0; 4096];
            while !text.contains(wanted) {
                let count = stdout.read(&mut piece).expect("the terminal's output");
                assert!(count > 0, "{wanted:?} in {text:?}");
                text += &String::from_utf8_lossy(&piece[..count]);
            }
            text = text.split_once(wanted).expect("it is there").1.to_string();
        };
        let prompt = format!("{}:{}> ", target.host, target.port);
        let in_transaction = format!("{}:{}(TX)> ", target.host, target.port);
        let unknown = "(error) ERR unknown command 'NOSUCH', with args beginning with: 'x' ";
        wait_for(&prompt);
        for (line, wanted, prompt) in [
            ("SET tty:a 41", "OK\r\n", &prompt),
            ("INCR tty:a", "(integer) 42\r\n", &prompt),
            ("GET tty:a", "\"42\"\r\n", &prompt),
            ("MULTI", "OK\r\n", &in_transaction),
            ("GET tty:a", "QUEUED\r\n", &in_transaction),
            ("EXEC", "1) \"42\"\r\n", &prompt),
            ("GET tty:missing", "(nil)\r\n", &prompt),
            ("NOSUCH x", unknown, &prompt),
        ] {
            stdin.write_all(format!("{line}\r").as_bytes()).expect("to type");
            wait_for(wanted);
            wait_for(prompt);
        }
        stdin.write_all(b"exit\r").expect("to type");
        assert!(child.wait().expect("its end").success());
    }
}

#[test]
fn redis_benchmark_finds_no_error() {
    let _machine = support::together();
    if !need("redis-benchmark") {
        return;
    }
    let target = Target::new();
    for (requests, depth) in [("100000", "16"), ("20000", "1")] {
        // With -3 it says HELLO first. Without, `ping` would send the line PING as well, which is answered in text.
        for (version, ping) in [(&["-3"][..], "ping"), (&[], "ping_mbulk")] {
            let tests = format!("{ping},set,get,incr,mset");
            let options = ["-q", "-n", requests, "-P", depth, "-t", &tests];
            let text = succeeds(target.tool("redis-benchmark").args(version).args(options), b"");
            assert!(!text.to_lowercase().contains("error") && !text.contains("WARNING"), "{text}");
            let inline = (ping == "ping").then_some("PING_INLINE");
            for name in ["PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"].into_iter().chain(inline) {
                let done = |line: &str| line.starts_with(&format!("{name}: ")) && line.contains("requests per second");
                assert!(text.split(['\r', '\n']).any(done), "{name} in {text}");
            }
        }
    }
}

// Clients of other languages.

/// Is a program of another language's there? A missing one is said, and fails in the continuous integration.
fn installed(what: &str, command: &mut Command) -> bool {
    let output = run(command, b"");
    if !output.status.success() {
        skip(&format!("{what} cannot be installed: {}", show(&output.stderr)));
    }
    output.status.success()
}

/// A folder with redis-py; none where it cannot be installed, which is said.
fn redis_py() -> Option<Scratch> {
    let folder = Scratch::new();
    let mut pip = limited("python3", 300);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"])
        .arg(folder.path(""))
        .arg("redis");
    installed("redis-py", &mut pip).then_some(folder)
}

#[test]
fn redis_py_is_content() {
    let _machine = support::together();
    if !need("python3") {
        return;
    }
    let Some(folder) = redis_py() else { return };
    let target = Target::new();
    let mut python = limited("python3", 120);
    python.arg(root().join("tests/clients/redis_py.py")).arg(&target.port);
    python.arg(if target.is_memento() { "memento" } else { "redis" }).env("PYTHONPATH", folder.path(""));
    let text = succeeds(&mut python, b"");
    assert!(text.contains("is content"), "{text}");
}

/// A folder with node-redis and ioredis. Node is no tool of this repository: where it is missing, nothing is lost that
/// the others do not show as well.
fn node_packages() -> Option<Scratch> {
    let node = Command::new("npm").arg("--version").output().is_ok_and(|output| output.status.success());
    if !node {
        eprintln!("skipped: node and npm are not installed");
        return None;
    }
    let folder = Scratch::new();
    let mut npm = limited("npm", 300);
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
    npm.arg(folder.path("")).args(["redis", "ioredis"]);
    if !run(&mut npm, b"").status.success() {
        eprintln!("skipped: node-redis and ioredis cannot be installed");
        return None;
    }
    Some(folder)
}

#[test]
fn node_clients_are_content() {
    let _machine = support::together();
    let Some(folder) = node_packages() else { return };
    let target = Target::new();
    let mut node = limited("node", 120);
    node.arg(root().join("tests/clients/node.mjs")).arg(&target.port).arg(folder.path(""));
    let text = succeeds(&mut node, b"");
    assert!(text.contains("node-redis is content") && text.contains("ioredis is content"), "{text}");
}

// Clients of a cluster.

/// So few requests may have gone to a node that does not own their keys: those without a key, and the first ones.
const FORWARDED_MAX: u64 = 100;

/// How many requests the nodes forwarded to each other, in all.
fn forwarded(cluster: &Cluster) -> u64 {
    (0..cluster.len()).map(|node| cluster_info(&mut cluster.connect(node), "cluster_forwarded")).sum()
}

/// Does this, of which the nodes forward next to nothing.
#[track_caller]
fn goes_to_the_owners(cluster: &Cluster, work: impl FnOnce()) {
    let before = forwarded(cluster);
    work();
    let count = forwarded(cluster) - before;
    assert!(count <= FORWARDED_MAX, "{count} requests were forwarded");
}

/// The ports of its nodes.
fn ports(cluster: &Cluster) -> Vec<String> {
    (0..cluster.len()).map(|node| cluster.port(node).to_string()).collect()
}

#[test]
fn the_crate_redis_finds_the_owners() {
    const COUNT: usize = 1000;
    let _machine = support::together();
    let cluster = Cluster::start(3);
    for protocol in ["resp2", "resp3"] {
        goes_to_the_owners(&cluster, || {
            let url = format!("redis://{}/?protocol={protocol}", cluster.address(1));
            let client = redis::cluster::ClusterClient::new(vec![url]).expect("a client");
            let mut con = client.get_connection().expect("a connection");
            for number in 0..COUNT {
                let _: () = con.set(format!("rsc:{number}"), number).expect("to set");
            }
            for number in 0..COUNT {
                assert_eq!(con.get::<_, usize>(format!("rsc:{number}")).expect("to get"), number);
            }
            let mut pipe = redis::cluster::cluster_pipe();
            for number in 0..COUNT {
                pipe.incr(format!("rsc:{number}"), 1);
            }
            let sums: Vec<usize> = pipe.query(&mut con).expect("a pipeline");
            assert_eq!(sums, (1..=COUNT).collect::<Vec<_>>());
            // Keys of several nodes: it splits them itself.
            let keys: Vec<String> = (0..20).map(|number| format!("rsc:{number}")).collect();
            let values: Vec<usize> = con.mget(&keys).expect("many");
            assert_eq!(values, (1..=20).collect::<Vec<_>>());
            let _: () = con.mset(&[("{rsc}a", 1), ("{rsc}b", 2)]).expect("a pair");
            assert_eq!(con.del::<_, usize>(&["{rsc}a", "{rsc}b"]).expect("to delete"), 2);
        });
    }
}

#[test]
fn redis_py_finds_the_owners() {
    let _machine = support::together();
    if !need("python3") {
        return;
    }
    let Some(folder) = redis_py() else { return };
    let cluster = Cluster::start(3);
    let mut python = limited("python3", 120);
    python.arg(root().join("tests/clients/redis_py_cluster.py")).args(ports(&cluster));
    python.env("PYTHONPATH", folder.path(""));
    goes_to_the_owners(&cluster, || {
        let text = succeeds(&mut python, b"");
        assert!(text.contains("RedisCluster is content"), "{text}");
    });
}

#[test]
fn node_clients_find_the_owners() {
    let _machine = support::together();
    let Some(folder) = node_packages() else { return };
    let cluster = Cluster::start(3);
    let mut node = limited("node", 120);
    node.arg(root().join("tests/clients/node_cluster.mjs")).arg(folder.path("")).args(ports(&cluster));
    goes_to_the_owners(&cluster, || {
        let text = succeeds(&mut node, b"");
        assert!(text.contains("createCluster is content") && text.contains("ioredis's Cluster is content"), "{text}");
    });
}

/// It works through any node, whether it knows of clusters or not; with -c it is never sent elsewhere.
#[test]
fn redis_cli_works_through_any_node() {
    let _machine = support::together();
    if !need("redis-cli") {
        return;
    }
    let cluster = Cluster::start(3);
    for port in ports(&cluster) {
        for options in [&[][..], &["-c"], &["-3"], &["-c", "-3"]] {
            let tool = || {
                let mut command = limited("redis-cli", 60);
                command.args(["-h", "127.0.0.1", "-p", &port]).args(options);
                command
            };
            let lines: String =
                (0..20).map(|number| format!("SET clic:{number} {number}\nGET clic:{number}\n")).collect();
            let wanted: String = (0..20).map(|number| format!("OK\n{number}\n")).collect();
            assert_eq!(succeeds(&mut tool(), lines.as_bytes()), wanted, "{options:?}");
            assert_eq!(succeeds(tool().args(["CLUSTER", "KEYSLOT", "123456789"]), b""), "12739\n");
            assert_eq!(succeeds(tool().arg("DBSIZE"), b""), "20\n");
            let found = succeeds(tool().args(["--scan", "--pattern", "clic:*"]), b"");
            assert_eq!(found.lines().count(), 20, "{found}");
            let lines = b"MULTI\nSET {clic}a 1\nINCR {clic}a\nEXEC\nDEL {clic}a\nMGET clic:1 clic:2 clic:3\n";
            assert_eq!(succeeds(&mut tool(), lines), "OK\nQUEUED\nQUEUED\nOK\n2\n1\n1\n2\n3\n", "{options:?}");
        }
    }
    // What redis-cli itself finds out about a cluster.
    let first = cluster.address(0).to_string();
    let text = succeeds(limited("redis-cli", 60).args(["--cluster", "check", &first]), b"");
    assert!(text.contains("All 16384 slots covered"), "{text}");
}
