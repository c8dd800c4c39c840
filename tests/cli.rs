//! memento-cli's options and looks at a server, against memento and, where both should do the same, Debian's redis-server.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use support::cluster::Cluster;
use support::{Scratch, Server, need, program, wait_for};

/// Runs the tool with this standard input; gives status, standard output and standard error.
fn run(words: &[&str], input: &[u8]) -> (Option<i32>, String, String) {
    let mut child = Command::new("timeout")
        .arg("60")
        .arg(program())
        .arg("cli")
        .args(words)
        .env_remove("MEMENTO_PASSWORD")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writing = std::thread::spawn(move || stdin.write_all(&input));
    let Output { status, stdout, stderr } = child.wait_with_output().expect("its output");
    // The tool may end before it has read all.
    let _ = writing.join().expect("the writer");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

/// A server to talk to, by the options that lead to it.
struct Target {
    options: Vec<String>,
}

impl Target {
    fn run(&self, words: &[&str], input: &[u8]) -> (Option<i32>, String, String) {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        run(&[&options[..], words].concat(), input)
    }

    #[track_caller]
    fn check(&self, words: &[&str], input: &[u8], status: i32, out: &str) {
        let (code, stdout, stderr) = self.run(words, input);
        assert_eq!((code, stdout.as_str()), (Some(status), out), "{words:?}: {stderr}");
    }
}

fn on_port(port: u16) -> Target {
    Target { options: vec!["-h".to_string(), "127.0.0.1".to_string(), "-p".to_string(), port.to_string()] }
}

fn memento() -> (Server, Target) {
    let server = Server::start(&[]);
    let target = on_port(server.port());
    (server, target)
}

/// A line without its end; `None` at the end.
fn line(reader: &mut dyn BufRead) -> Option<String> {
    let mut line = String::new();
    let count = reader.read_line(&mut line).ok()?;
    (count > 0).then(|| line.trim_end().to_string())
}

/// The words of a command, which have no line ends.
fn words(reader: &mut dyn BufRead) -> Option<Vec<String>> {
    let count: usize = line(reader)?.strip_prefix('*')?.parse().ok()?;
    let mut words = Vec::new();
    for _ in 0..count {
        line(reader)?;
        words.push(line(reader)?);
    }
    Some(words)
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// A server that answers commands as `answer` says, one connection after the other; it ends with the test.
fn scripted(answer: impl Fn(&[String]) -> String + Send + 'static) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("a bound listener").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
            while let Some(words) = words(&mut reader) {
                if stream.write_all(answer(&words).as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    on_port(port)
}

/// What both servers answer alike.
fn check_both(target: &Target) {
    target.check(&["SET", "k", "two  words", "EX", "100"], b"", 0, "OK\n");
    target.check(&["GET", "k"], b"", 0, "two  words\n");
    target.check(&["SET", "k", "a", "b"], b"", 1, "(error) syntax error\n");
    target.check(&["-x", "SET", "k"], b"a\0b\xff\r\n", 0, "OK\n");
    target.check(&["--json", "GET", "k"], b"", 0, "{\"base64\":\"YQBi/w0K\"}\n");
    target.check(&["-r", "3", "-i", "0.01", "INCR", "n"], b"", 0, "1\n2\n3\n");
    target.check(&["--json", "MGET", "n", "none"], b"", 0, "[\"3\",null]\n");
    target.check(&["--csv", "MGET", "n", "none", "n"], b"", 0, "\"3\",,\"3\"\n");
    target.check(&["--json", "GET"], b"", 1, "{\"error\":\"ERR wrong number of arguments for 'get' command\"}\n");
    target.check(&["-r", "2", "nonsense"], b"", 1, "(Unknown command)\n(Unknown command)\n");
    // Lines: an error is the status where that is wanted.
    target.check(&["-e"], b"SET a 1\nGET a\n\nINCR a", 0, "OK\n1\n2\n");
    target.check(&["-e"], b"GET\nGET a\n", 1, "(error) wrong number of arguments for 'get' command\n2\n");
    target.check(
        &["--json"],
        b"GET\nGET a\nQUIT\nGET a\n",
        0,
        "{\"error\":\"ERR wrong number of arguments for 'get' command\"}\n\"2\"\n",
    );
    // Lines that are cut between two reads.
    let texts: Vec<String> = (0..3000).map(|n| format!("{n}{}", "x".repeat(n % 97))).collect();
    let lines: String = texts.iter().map(|text| format!("ECHO {text}\n")).collect();
    target.check(&["-e"], lines.as_bytes(), 0, &format!("{}\n", texts.join("\n")));
    // Into a file and from it.
    let scratch = Scratch::new();
    let path = scratch.path("dump");
    let file = path.to_str().expect("a path");
    target.check(&["PEXPIREAT", "a", "4102444800123"], b"", 0, "1\n");
    target.check(&["--dump", file], b"", 0, "keys: 3\n");
    target.check(&["FLUSHALL"], b"", 0, "OK\n");
    target.check(&["--restore", file], b"", 0, "keys: 3, ended meanwhile: 0, errors: 0\n");
    target.check(&["-e"], b"MGET a n\nPEXPIRETIME a\nPEXPIRETIME k\n", 0, "2\n3\n4102444800123\n-1\n");
    target.check(&["FLUSHALL"], b"", 0, "OK\n");

    // Many at once: lines and arrays, errors counted, all keys found again.
    let mut input: Vec<u8> = (0..20_000).flat_map(|n| format!("SET key:{n} value{n}\r\n").into_bytes()).collect();
    input.extend_from_slice(b"*3\r\n$3\r\nSET\r\n$4\r\nl\r\ng\r\n$5000\r\n");
    input.extend_from_slice(&[b'x'; 5000]);
    input.extend_from_slice(b"\r\nGET\r\nnonsense");
    let (code, out, errors) = target.run(&["--pipe"], &input);
    assert_eq!((code, out.as_str()), (Some(1), "answers: 20003, errors: 2\n"), "{errors}");
    assert!(
        errors.contains("answer 20002: ERR wrong number") && errors.contains("answer 20003: ERR unknown"),
        "{errors}"
    );
    target.check(&["--pipe"], b"", 0, "answers: 0, errors: 0\n");
    let (code, out, _) = target.run(&["--scan", "--pattern", "key:1999?"], b"");
    let mut keys: Vec<&str> = out.lines().collect();
    keys.sort_unstable();
    let wanted: Vec<String> = (19_990..20_000).map(|n| format!("key:{n}")).collect();
    assert_eq!((code, keys), (Some(0), wanted.iter().map(String::as_str).collect()));
    let (code, out, _) = target.run(&["--scan"], b"");
    let mut keys: Vec<&str> = out.split_inclusive('\n').collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!((code, out.contains("l\r\ng\n"), keys.len()), (Some(0), true, 20_002));
    let (code, out, _) = target.run(&["--bigkeys"], b"");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((code, lines.len(), lines[0]), (Some(0), 12, "        5000  l\\x0d"), "{out}");
    assert!(lines[11].starts_with("keys: 20001, bytes in values: "), "{out}");

    let (code, out, _) = target.run(&["--stat", "-r", "2", "-i", "0.05"], b"");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((code, lines.len(), lines[1].split_whitespace().next()), (Some(0), 3, Some("20001")), "{out}");
    let (code, out, _) = target.run(&["--latency", "-i", "0.1"], b"");
    assert!(code == Some(0) && out.starts_with("PING in µs: least ") && out.lines().count() == 1, "{out}");
}

/// Whoever changes what --help says, says it in `tests/terminal/help.txt` too.
#[test]
fn help_says_what_it_should() {
    let (code, out, errors) = run(&["--help"], b"");
    assert_eq!((code, out.as_str(), errors.as_str()), (Some(0), include_str!("terminal/help.txt"), ""));
    assert!(out.lines().all(|line| line.chars().count() <= 80), "a terminal of 80 columns");
}

#[test]
fn memento_is_talked_to() {
    let (_server, target) = memento();
    check_both(&target);
    // Its own commands, and the faces of the text protocol.
    target.check(&["SET", "a", ""], b"", 0, "OK\n");
    target.check(&["DEL", "a"], b"", 0, "OK\n");
    target.check(&["DEL", "a"], b"", 0, "(null)\n");
    target.check(&["APPEND", "a", "b"], b"", 0, "OK\n");
    target.check(
        &["-e"],
        b"DEL a\nDEL a\nMULTI\nAPPEND a  b \nDEL c\nEXEC\n",
        0,
        "OK\n(null)\nOK\nQUEUED\nQUEUED\nOK\n(null)\n",
    );
    let (_, out, _) = target.run(&["--csv", "GETP", "a"], b"");
    assert!(out.starts_with("\"key\",\"a\"\n\"value\",\" b \"\n\"creation_time\",1"), "{out}");
    let (code, _, errors) = target.run(&["--cluster"], b"");
    assert_eq!((code, errors.contains("is in no cluster")), (Some(1), true), "{errors}");
    let (code, _, errors) = target.run(&["--json"], b"CLIENT REPLY OFF\n");
    assert_eq!((code, errors.contains("CLIENT REPLY")), (Some(1), true), "{errors}");
    // The last request lacks its end, and the server waits for it.
    let (code, _, errors) = run(&["-p", "1", "--pipe"], b"");
    assert_eq!((code, errors.contains("cannot connect to 127.0.0.1:1")), (Some(1), true), "{errors}");
}

/// Answers of the server's own accord, and those that change the conversation, do not put the others out of step.
fn check_steps(target: &Target) {
    let lines = b"SET k v\nUNSUBSCRIBE\nGET k\nRESET\nGET k\nHELLO 2\nGET k\n";
    let (code, out, errors) = target.run(&["--json"], lines);
    let values: Vec<&str> = out.lines().filter(|line| *line == "\"v\"").collect();
    assert!(code == Some(0) && values.len() == 3, "{out}{errors}");
}

#[test]
fn redis_is_talked_to() {
    if !need("redis-server") {
        return;
    }
    let scratch = Scratch::new();
    let socket = scratch.path("redis");
    let folder = scratch.path("");
    let mut redis = Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--unixsocket"])
        .arg(&socket)
        .arg("--dir")
        .arg(folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server");
    wait_for("redis-server", || UnixStream::connect(&socket).is_ok());
    let target = Target { options: vec!["-s".to_string(), socket.to_str().expect("a path").to_string()] };
    let checked = std::panic::catch_unwind(|| {
        check_both(&target);
        check_steps(&target);
    });
    redis.kill().expect("our own child");
    redis.wait().expect("our own child");
    if let Err(panic) = checked {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn a_socket_and_a_password_let_in() {
    let scratch = Scratch::new();
    let (socket, password) = (scratch.path("s"), scratch.path("password"));
    fs::write(&password, "open sésame\nnot this\n").expect("a file");
    let (socket, password) = (socket.to_str().expect("a path"), password.to_str().expect("a path"));
    let server = support::Start::new(&["-s", socket, "--password-file", password]).listeners(2).start();
    let port = server.port().to_string();
    let wrong = scratch.path("wrong");
    fs::write(&wrong, "wrong\n").expect("a file");
    for place in [&["-s", socket][..], &["127.0.0.1", &port]] {
        let with = |file: &str, mode: &[&str], words: &[&str], input: &[u8]| {
            run(&[&["--password-file", file], mode, place, words].concat(), input)
        };
        assert_eq!(with(password, &[], &["SET", "k", "v"], b"").1, "OK\n");
        // Lines that are copied, and lines whose answers are looked at.
        assert_eq!(with(password, &[], &[], b"SET k a b\nGET k\n").1, "OK\na b\n");
        assert_eq!(with(password, &["-e"], &[], b"GET k\n").1, "a b\n");
        assert_eq!(with(password, &["--pipe"], &[], b"GET k\n").1, "answers: 1, errors: 0\n");
        let (code, _, errors) = with(wrong.to_str().expect("a path"), &[], &["GET", "k"], b"");
        assert!(code == Some(1) && errors.contains("WRONGPASS"), "{errors}");
        for mode in [&[][..], &["--json"], &["-e"]] {
            let (code, out, errors) = with(wrong.to_str().expect("a path"), mode, &[], b"GET k\n");
            assert!(code == Some(1) && out.is_empty() && errors.contains("WRONGPASS"), "{mode:?}: {out}{errors}");
        }
        let (code, out, _) = run(&[place, &["GET", "k"]].concat(), b"");
        assert_eq!((code, out.as_str()), (Some(1), "(error) NOAUTH Authentication required.\n"));
        let (code, _, errors) = run(&[&["--scan"], place].concat(), b"");
        assert!(code == Some(1) && errors.contains("NOAUTH"), "{errors}");
    }
    // The environment may hold it.
    for (word, wanted) in [("open sésame", "a b\n"), ("wrong", ""), ("", "(error) NOAUTH Authentication required.\n")]
    {
        let mut tool = Command::new(program());
        tool.args(["cli", "-s", socket, "GET", "k"]).env("MEMENTO_PASSWORD", word);
        let found = tool.output().expect("the tool");
        assert_eq!(String::from_utf8_lossy(&found.stdout), wanted, "{word}");
    }
    // memento-benchmark is told in the same ways.
    let benchmark = |words: &[&str]| {
        let done = Command::new(program()).arg("benchmark").args(words).output().expect("the tool");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (done.status.code(), text(&done.stdout), text(&done.stderr))
    };
    for place in [&["-s", socket][..], &["-h", "127.0.0.1", "-p", &port], &["127.0.0.1", &port]] {
        for protocol in ["resp", "text"] {
            let load =
                [&["-t", "set,get", "-n", "100", "-r", "10", "-q", "--verify", "--protocol", protocol], place].concat();
            let (code, out, errors) = benchmark(&[&["--password-file", password], &load[..]].concat());
            assert!(code == Some(0) && out.lines().count() == 2 && errors.is_empty(), "{out}{errors}");
            let file = wrong.to_str().expect("a path");
            let (code, out, errors) = benchmark(&[&["--password-file", file], &load[..]].concat());
            assert!(code == Some(1) && out.is_empty() && errors.contains("WRONGPASS"), "{out}{errors}");
            let (code, _, errors) = benchmark(&load);
            assert!(code == Some(1) && errors.contains("NOAUTH"), "{errors}");
        }
    }
    let (code, out, errors) = benchmark(&["-p", &port, "--password-file", password]);
    assert!(code == Some(0) && out.contains("in 10 threads"), "{out}{errors}");
    // A password among the lines changes how the next ones are answered.
    fs::write(scratch.path("word"), "word\n").expect("a file");
    let word = scratch.path("word");
    let server = Server::start(&["--password-file", word.to_str().expect("a path")]);
    let target = on_port(server.port());
    let lines = b"GET k\nAUTH word\nSET k  a b\nGET k\nGETP k\n";
    let (_, out, errors) = target.run(&["-e"], lines);
    let wanted = "(error) NOAUTH Authentication required.\nOK\nOK\n a b\nkey: k\nvalue:  a b\n";
    assert!(out.starts_with(wanted), "{out}{errors}");
    // A server that wants none does not mind one.
    let (open, target) = memento();
    target.check(&["--password-file", password, "SET", "k", "v"], b"", 0, "OK\n");
    target.check(&["--password-file", password], b"GET k\n", 0, "v\n");
    let port = open.port().to_string();
    let (code, _, errors) = benchmark(&["-p", &port, "-t", "set", "-n", "9", "-q", "--password-file", password]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
}

/// All keys of a server with their values and ends, as JSON has them.
fn contents(target: &Target) -> Vec<String> {
    let (_, keys, _) = target.run(&["--csv", "KEYS", "*"], b"");
    let mut keys: Vec<&str> = keys.trim_end().split(',').map(|key| key.trim_matches('"')).collect();
    keys.sort_unstable();
    let lines: String = keys.iter().map(|key| format!("GET {key}\nPEXPIRETIME {key}\n")).collect();
    let (_, answers, _) = target.run(&["--json"], lines.as_bytes());
    let names = keys.iter().map(|key| key.to_string());
    names.chain(answers.lines().map(str::to_string)).collect()
}

/// Every file that a dump could have been cut off to is gone on with; every damage is found; what is restored is what
/// there was.
#[test]
fn all_keys_go_into_a_file_and_come_back() {
    let (_server, target) = memento();
    let scratch = Scratch::new();
    let path = scratch.path("dump");
    let file = path.to_str().expect("a path");
    let note = scratch.path("dump.restored");
    target.check(&["--dump", file], b"", 0, "keys: 0\n");
    target.check(&["--restore", file], b"", 0, "keys: 0, ended meanwhile: 0, errors: 0\n");
    let (code, _, errors) = target.run(&["--dump", file], b"");
    assert!(code == Some(1) && errors.contains("is a whole dump already"), "{errors}");
    fs::remove_file(&path).expect("the file");

    for n in 0..12 {
        target.check(&["-x", "SET", &format!("key:{n}")], &[n; 1000], 0, "OK\n");
    }
    target.check(&["-x", "SET", "binary"], b"\0\r\n\xff", 0, "OK\n");
    target.check(&["SET", "empty", ""], b"", 0, "OK\n");
    target.check(&["SET", "later", "v", "PXAT", "4102444800123"], b"", 0, "OK\n");
    target.check(&["-x", "SET", "long1"], &[b'1'; 3 << 20], 0, "OK\n");
    target.check(&["-x", "SET", "long2"], &[b'2'; 5 << 20], 0, "OK\n");
    // A key that ends between dump and restore, on a machine however slow.
    for ms in [500, 3000, 15_000] {
        target.check(&["SET", "soon", "v", "PX", &ms.to_string()], b"", 0, "OK\n");
        let (code, out, errors) = target.run(&["--dump", file], b"");
        assert_eq!(code, Some(0), "{errors}");
        if out == "keys: 18\n" {
            break;
        }
        assert!(out == "keys: 17\n" && ms < 15_000, "{out}");
        fs::remove_file(&path).expect("the file");
    }
    assert_eq!(fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o600);
    let whole = fs::read(&path).expect("the file");
    let only = scratch.path("only");
    target.check(&["--pattern", "key:1*", "--dump", only.to_str().expect("a path")], b"", 0, "keys: 3\n");
    wait_for("the end of a key", || target.run(&["EXISTS", "soon"], b"").1 == "0\n");
    let wanted = contents(&target);

    let (_other, restored) = memento();
    restored.check(&["SET", "key:1", "another"], b"", 0, "OK\n");
    // What has ended meanwhile ends here too.
    restored.check(&["SET", "soon", "an earlier value"], b"", 0, "OK\n");
    restored.check(&["--restore", file], b"", 0, "keys: 17, ended meanwhile: 1, errors: 0\n");
    assert!(contents(&restored) == wanted);

    // Cut off anywhere, it is not whole, and a dump goes on with it.
    let line = whole.iter().position(|&byte| byte == b'\n').expect("a line") + 1;
    let end = whole.len() - 21;
    for cut in [line, line + 3, line + 100, whole.len() / 2, end - 1, end, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).expect("the file");
        let (code, out, errors) = restored.run(&["--restore", file], b"");
        assert!(code == Some(1) && errors.contains("is not whole"), "cut at {cut}: {out}{errors}");
        // It would go on there, and the keys are deleted.
        let _ = fs::remove_file(&note);
        let (code, _, errors) = target.run(&["--dump", file], b"");
        assert!(code == Some(0) && errors.contains("going on"), "cut at {cut}: {errors}");
        restored.check(&["FLUSH"], b"", 0, "OK\n");
        let (code, _, errors) = restored.run(&["--restore", file], b"");
        assert_eq!(code, Some(0), "cut at {cut}: {errors}");
        assert!(contents(&restored) == wanted, "cut at {cut}");
    }
    // A byte that is another one.
    for place in [0, line, line + 1, line + 4, line + 8, line + 40, whole.len() / 2, end, end + 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        fs::write(&path, &damaged).expect("the file");
        let (code, _, errors) = restored.run(&["--restore", file], b"");
        assert!(code == Some(1) && errors.contains(file), "damaged at {place}: {errors}");
        assert!(!errors.contains("is not whole"), "damaged at {place}: {errors}");
        let (code, _, errors) = target.run(&["--dump", file], b"");
        assert!(code == Some(1) && fs::read(&path).expect("the file") == damaged, "damaged at {place}: {errors}");
    }
    let _ = fs::remove_file(&note);
    // What another server, or another pattern, has begun is not gone on with.
    fs::write(&path, &whole[..line]).expect("the file");
    for (server, words) in [(&restored, &["--dump", file][..]), (&target, &["--pattern", "a*", "--dump", file])] {
        let (code, _, errors) = server.run(words, b"");
        assert!(code == Some(1) && errors.contains("was begun on"), "{words:?}: {errors}");
    }

    // A restore that was cut off goes on where it was.
    fs::write(&path, &whole[..end]).expect("the file");
    restored.check(&["FLUSH"], b"", 0, "OK\n");
    assert_eq!(restored.run(&["--restore", file], b"").0, Some(1));
    fs::write(&path, &whole).expect("the file");
    let half = fs::read(&note).expect("a note of how far it is");
    // What was restored into one server is not taken for what another one has.
    let (_third, other) = memento();
    let (code, out, errors) = other.run(&["--restore", file], b"");
    assert_eq!((code, out.as_str()), (Some(0), "keys: 17, ended meanwhile: 1, errors: 0\n"), "{errors}");
    assert!(!errors.contains("going on at byte") && contents(&other) == wanted, "{errors}");
    fs::write(&note, half).expect("the note");
    restored.check(&["FLUSH"], b"", 0, "OK\n");
    let (code, out, errors) = restored.run(&["--restore", file], b"");
    assert_eq!((code, out.as_str()), (Some(0), "keys: 17, ended meanwhile: 1, errors: 0\n"), "{errors}");
    assert!(errors.contains("going on at byte"), "{errors}");
    restored.check(&["DBSIZE"], b"", 0, "0\n");
    // Then it is done, and the next one begins anew.
    assert_eq!(restored.run(&["--restore", file], b"").0, Some(0));
    assert!(contents(&restored) == wanted);
    // What the server refuses is an error, and is tried again the next time.
    restored.check(&["FLUSH"], b"", 0, "OK\n");
    restored.check(&["CONFIG", "SET", "maxmemory", "1"], b"", 0, "OK\n");
    let (code, out, errors) = restored.run(&["--restore", file], b"");
    assert!(code == Some(1) && !out.contains("errors: 0") && errors.contains("OOM"), "{out}{errors}");
    restored.check(&["CONFIG", "SET", "maxmemory", "0"], b"", 0, "OK\n");
    assert_eq!(restored.run(&["--restore", file], b"").0, Some(0));
    assert!(contents(&restored) == wanted);
}

/// A value that the server cannot say now is not one that there is not.
#[test]
fn an_error_for_a_key_ends_a_dump_that_goes_on_later() {
    let asked = AtomicUsize::new(0);
    let target = scripted(move |words| match words[0].as_str() {
        "HELLO" => "%0\r\n".to_string(),
        "INFO" => bulk("memento_version:1\r\nrun_id:0123456789abcdef\r\n"),
        "DBSIZE" => ":2\r\n".to_string(),
        "SCAN" => ["*2\r\n", &bulk("0"), "*2\r\n", &bulk("a"), &bulk("b")].concat(),
        "STRLEN" => ":1\r\n".to_string(),
        "GETP" if words[1] == "b" && asked.fetch_add(1, Ordering::Relaxed) == 0 => {
            "-CLUSTERDOWN the key's node cannot be reached\r\n".to_string()
        }
        "GETP" => {
            let value = [bulk("key"), bulk(&words[1]), bulk("value"), bulk("v")].concat();
            format!("%4\r\n{value}{}:1\r\n{}:-1\r\n", bulk("creation_time"), bulk("expire_time"))
        }
        _ => "-ERR unknown command\r\n".to_string(),
    });
    let scratch = Scratch::new();
    let path = scratch.path("dump");
    let file = path.to_str().expect("a path");
    let (code, out, errors) = target.run(&["--dump", file], b"");
    assert!(code == Some(1) && out.is_empty() && errors.contains("CLUSTERDOWN"), "{out}{errors}");
    target.check(&["--dump", file], b"", 0, "keys: 2\n");
    let (_server, restored) = memento();
    restored.check(&["--restore", file], b"", 0, "keys: 2, ended meanwhile: 0, errors: 0\n");
    restored.check(&["MGET", "a", "b"], b"", 0, "v\nv\n");
}

#[test]
fn a_cluster_is_shown() {
    let mut cluster = Cluster::start(3);
    let port = cluster.port(0).to_string();
    let (code, out, errors) = run(&["-p", &port, "--cluster"], b"");
    assert_eq!(code, Some(0), "{errors}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.iter().filter(|line| line.contains(" up ")).count(), 3, "{out}");
    let slots: usize = lines[1..4]
        .iter()
        .map(|line| line.split_whitespace().nth(3).expect("slots").parse::<usize>().expect(line))
        .sum();
    assert_eq!(slots, 8192, "{out}");
    let cells: String = lines[5..9].iter().map(|line| line.trim_start().split_once(' ').expect(line).1).collect();
    assert_eq!(cells.len(), 256, "{out}");
    // All of its keys go through any node.
    let scratch = Scratch::new();
    let path = scratch.path("dump");
    let file = path.to_str().expect("a path");
    let lines: Vec<u8> = (0..5000).flat_map(|n| format!("SET key:{n} value:{n}\n").into_bytes()).collect();
    assert_eq!(run(&["-p", &port, "--pipe"], &lines).1, "answers: 5000, errors: 0\n");
    assert_eq!(run(&["-p", &port, "--dump", file], b"").1, "keys: 5000\n");
    let (_server, target) = memento();
    target.check(&["--restore", file], b"", 0, "keys: 5000, ended meanwhile: 0, errors: 0\n");
    target.check(&["DBSIZE"], b"", 0, "5000\n");
    target.check(&["GET", "key:4999"], b"", 0, "value:4999\n");
    for letter in ['a', 'b', 'c'] {
        assert!((80..=90).contains(&cells.matches(letter).count()), "{out}");
    }
    // A node that is gone is told of, with the slots that it has.
    cluster.kill(2);
    let (code, out, errors) = run(&["-p", &port, "--cluster"], b"");
    let gone = format!("127.0.0.1:{} ", cluster.port(2));
    let row = out.lines().find(|line| line.contains(&gone)).expect("a row for it");
    assert!(code == Some(0) && row.contains(" silent "), "{out}{errors}");
    assert_eq!(out.lines().filter(|line| line.contains(" silent ")).count(), 1, "{out}");
}
