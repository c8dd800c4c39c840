//! The two tools as processes, and the client under them, against a server of a few lines whose answers a test scripts:
//! what a real server never does (a wrong answer, half an answer) is here, and so is every cut of a reply.
//!
//! The checks take a port, so they serve as well for a port where a real server listens.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use memento::benchmark::{self, Failure, Plan};
use memento::client::Target;

/// Nothing here takes a tenth of it, except on a machine that is busy with something else.
const DEADLINE: Duration = Duration::from_secs(60);

// The scripted server.

/// Starts a server that runs the script for each connection in a thread of its own; gives back its port.
fn serve(script: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    serve_on(TcpListener::bind("127.0.0.1:0").expect("a free port"), script)
}

fn serve_on(listener: TcpListener, script: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let port = listener.local_addr().expect("a bound listener").port();
    let script = Arc::new(script);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let script = Arc::clone(&script);
            thread::spawn(move || script(stream.expect("a connection")));
        }
    });
    port
}

/// Answers each line that is not blank, and each array of RESP by its words, until the client's end or QUIT, as a server
/// does: in text, or after HELLO in RESP. A client who does not read is not read from either: writing waits.
fn answer_lines(stream: &TcpStream, mut answer: impl FnMut(&str) -> Vec<u8>) {
    stream.set_nodelay(true).expect("a socket takes the option");
    let mut input = BufReader::new(stream);
    let mut output = BufWriter::new(stream);
    let mut in_resp = false;
    while let Some(mut text) = read_line(&mut input) {
        if let Some(count) = text.strip_prefix('*') {
            let words: Option<Vec<String>> = (0..count.parse().expect("a count"))
                .map(|_| read_line(&mut input).and(read_line(&mut input)))
                .collect();
            let Some(words) = words else { break };
            text = words.join(" ");
        }
        if text.trim().is_empty() {
            continue;
        }
        if ["quit", "exit"].iter().any(|name| text.trim().eq_ignore_ascii_case(name)) {
            break;
        }
        let wire = if text == "HELLO 3" {
            in_resp = true;
            b"%0\r\n".to_vec()
        } else if in_resp {
            in_encoding(answer(&text))
        } else {
            answer(&text)
        };
        if output.write_all(&wire).is_err() {
            return;
        }
        if input.buffer().is_empty() && output.flush().is_err() {
            return;
        }
    }
    let _ = output.flush();
}

/// A line without its end, or `None` where there is no whole one.
fn read_line(input: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    input.read_until(b'\n', &mut line).ok().filter(|_| line.ends_with(b"\n"))?;
    // What is no UTF-8 here was sent on purpose and is not looked at.
    let text = String::from_utf8_lossy(&line);
    let text = text.trim_end_matches('\n');
    Some(text.strip_suffix('\r').unwrap_or(text).to_string())
}

/// An answer of the text protocol as RESP has it.
fn in_encoding(text: Vec<u8>) -> Vec<u8> {
    let Some(text) = text.strip_suffix(b"\r\n") else { return text };
    match text {
        b"(null)" => b"_\r\n".to_vec(),
        b"(Unknown command)" => b"-ERR unknown command 'x', with args beginning with: \r\n".to_vec(),
        _ => match text.strip_prefix(b"(error) ") {
            Some(message) => [b"-ERR ", message, b"\r\n"].concat(),
            None => [format!("${}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat(),
        },
    }
}

/// A server that answers each line with `wire` of it.
fn serve_lines(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> u16 {
    serve(move |stream| answer_lines(&stream, &answer))
}

/// A server that waits for one line, sends these bytes one by one, and closes.
fn serve_bytes(bytes: &'static [u8]) -> u16 {
    serve(move |stream| {
        stream.set_nodelay(true).expect("a socket takes the option");
        let mut line = String::new();
        let _ = BufReader::new(&stream).read_line(&mut line);
        for byte in bytes {
            let _ = (&stream).write_all(&[*byte]);
            thread::sleep(Duration::from_millis(2));
        }
    })
}

/// The same after HELLO: `bytes` answer the command behind it.
fn serve_resp(bytes: &'static [u8]) -> u16 {
    serve(move |stream| {
        stream.set_nodelay(true).expect("a socket takes the option");
        let mut input = BufReader::new(&stream);
        greet(&stream, &mut input);
        let _ = read_line(&mut input);
        for byte in bytes {
            let _ = (&stream).write_all(&[*byte]);
            thread::sleep(Duration::from_millis(2));
        }
    })
}

/// Answers `HELLO 3`.
fn greet(mut stream: &TcpStream, input: &mut impl BufRead) {
    for _ in b"*2 $5 HELLO $1 3".split(|&byte| byte == b' ') {
        let _ = read_line(input);
    }
    let _ = stream.write_all(b"%0\r\n");
}

/// Keys and values: what the benchmark needs of a server.
#[derive(Default)]
struct Keys(Mutex<HashMap<String, String>>);

impl Keys {
    fn answer(&self, line: &str) -> Vec<u8> {
        let mut keys = self.0.lock().expect("no test panics with the lock");
        let (command, rest) = line.split_once(' ').expect("a command with arguments");
        let text = match command {
            "SET" => {
                let (key, value) = rest.split_once(' ').expect("key and value");
                keys.insert(key.to_string(), value.to_string());
                "OK".to_string()
            }
            "GET" => keys.get(rest).cloned().unwrap_or("(null)".to_string()),
            "DEL" if rest.split(' ').filter(|key| keys.remove(*key).is_some()).count() > 0 => "OK".to_string(),
            _ => "(null)".to_string(),
        };
        format!("{text}\r\n").into_bytes()
    }

    fn len(&self) -> usize {
        self.0.lock().expect("no test panics with the lock").len()
    }
}

/// A port where nobody listens.
fn dead_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("a bound listener").port()
}

// The tools as processes.

struct Finished {
    status: Option<i32>,
    out: String,
    err: String,
}

fn tool(name: &str, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_memento"));
    command.arg(name).args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn slurp(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            stream.read_to_end(&mut bytes).expect("the tool's output");
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Waits for the end, or stops the process and fails.
fn finish(mut child: Child) -> Finished {
    let (out, err) = (slurp(child.stdout.take()), slurp(child.stderr.take()));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if start.elapsed() > DEADLINE {
            child.kill().expect("a child");
            panic!("hangs: {:?} {:?}", out.join(), err.join());
        }
        thread::sleep(Duration::from_millis(2));
    };
    Finished { status: status.code(), out: out.join().expect("output"), err: err.join().expect("output") }
}

fn run(command: &mut Command) -> Finished {
    finish(command.spawn().expect("the executable starts"))
}

fn cli(port: u16, words: &[&str]) -> Finished {
    let port = port.to_string();
    run(&mut tool("cli", &[&["127.0.0.1", &port], words].concat()))
}

/// Lines through a pipe. The input is written in a thread, since the tool may stop taking it for a while.
fn cli_lines(port: u16, input: &[u8]) -> Finished {
    let mut child = cli_piped(port);
    let mut stdin = take_stdin(&mut child);
    let input = input.to_vec();
    thread::spawn(move || stdin.write_all(&input));
    finish(child)
}

fn cli_piped(port: u16) -> Child {
    let port = port.to_string();
    tool("cli", &["127.0.0.1", &port]).stdin(Stdio::piped()).spawn().expect("the executable starts")
}

fn take_stdin(child: &mut Child) -> ChildStdin {
    child.stdin.take().expect("a pipe")
}

#[track_caller]
fn check(finished: &Finished, status: i32, out: &str, err_part: &str) {
    assert_eq!((finished.status, finished.out.as_str()), (Some(status), out), "standard error: {}", finished.err);
    if err_part.is_empty() {
        assert_eq!(finished.err, "");
    } else {
        assert!(finished.err.contains(err_part), "wanted {err_part:?} in {:?}", finished.err);
    }
}

// memento-cli.

#[test]
fn a_command_prints_its_answer() {
    let port = serve_lines(|line| format!("<{line}>\r\n").into_bytes());
    check(&cli(port, &["SET", "k", "two  words", ""]), 0, "<SET k two  words >\n", "");
    check(&cli(port, &["nonsense"]), 0, "<nonsense>\n", "");
    check(&cli(port, &["INC", "k", "-5"]), 0, "<INC k -5>\n", "");
    check(&cli(port, &["SET", "k", "cr\r"]), 0, "<SET k cr\r>\n", "");
    check(&cli(port, &["QUIT"]), 0, "", "");
    check(&cli(port, &[" "]), 0, "", "");
}

#[test]
fn an_error_in_answer_to_a_command_is_the_status() {
    let port = serve_lines(|line| match line {
        "GET" => b"(error) wrong number of arguments for 'get' command\r\n".to_vec(),
        "GET null" => b"(null)\r\n".to_vec(),
        _ => b"(Unknown command)\r\n".to_vec(),
    });
    check(&cli(port, &["GET"]), 1, "(error) wrong number of arguments for 'get' command\n", "");
    check(&cli(port, &["GET", "null"]), 0, "(null)\n", "");
    check(&cli(port, &["nonsense"]), 1, "(Unknown command)\n", "");
    // Among lines an error is an answer like another.
    check(&cli_lines(port, b"GET\n"), 0, "(error) wrong number of arguments for 'get' command\n", "");
}

#[test]
fn an_answer_may_come_byte_by_byte_and_have_lines() {
    let text = b"key: k\nvalue: \xc3\xa9 \rx\ncreation_time: 1\nexpire_time: -1\r\n";
    let resp = b"%4\r\n+key\r\n+k\r\n+value\r\n$5\r\n\xc3\xa9 \rx\r\n+creation_time\r\n:1\r\n+expire_time\r\n:-1\r\n";
    let wanted = "key: k\nvalue: \u{e9} \rx\ncreation_time: 1\nexpire_time: -1\n";
    check(&cli(serve_resp(resp), &["GETP", "k"]), 0, wanted, "");
    check(&cli_lines(serve_bytes(text), b"GETP k\n"), 0, wanted, "");
}

#[test]
fn messages_are_printed_until_the_connection_ends() {
    let port =
        serve_resp(b">3\r\n+subscribe\r\n+ch\r\n:1\r\n>3\r\n+message\r\n+ch\r\n+a\r\n>3\r\n+message\r\n+ch\r\n+b\r\n");
    let out = "subscribe ch 1\nmessage ch a\nmessage ch b\n";
    check(&cli(port, &["SUBSCRIBE", "ch"]), 1, out, "closed the connection");
    check(&cli(serve_resp(b"-ERR no\r\nx"), &["SUBSCRIBE", "ch"]), 1, "(error) no\n", "");
}

#[test]
fn a_command_may_close_the_connection() {
    check(&cli(serve_resp(b""), &["SHUTDOWN"]), 0, "", "");
    check(&cli(serve_resp(b"-ERR no\r\n"), &["SHUTDOWN"]), 1, "(error) no\n", "");
    check(&cli_lines(serve_bytes(b""), b"shutdown\n"), 0, "", "");
    check(&cli(serve_lines(|_| Vec::new()), &["CLIENT", "REPLY", "OFF"]), 0, "", "");
}

#[test]
fn a_server_out_of_reach_is_said_so() {
    let port = dead_port();
    let wanted = format!("memento-cli: cannot connect to 127.0.0.1:{port}: Connection refused\n");
    check(&cli(port, &["GET", "k"]), 1, "", &wanted);
    check(&cli_lines(port, b"GET k\n"), 1, "", &wanted);
    let name = run(&mut tool("cli", &["no-such-host.invalid", "GET", "k"]));
    check(&name, 1, "", "cannot connect to no-such-host.invalid:6737: ");
    assert!(name.err.contains("not the name of a command"), "{}", name.err);
}

#[test]
fn wrong_usage_is_status_2_and_help_is_not() {
    for name in ["cli", "benchmark"] {
        let usage = run(&mut tool(name, &["--help"]));
        assert!(usage.out.starts_with(&format!("Usage: memento-{name} ")), "{}", usage.out);
        check(&run(&mut tool(name, &["-h"])), 0, &usage.out, "");
        check(&run(&mut tool(name, &["-V"])), 0, &format!("memento-{name} {}\n", env!("CARGO_PKG_VERSION")), "");
        check(&run(&mut tool(name, &["--nonsense"])), 2, "", "nonsense");
        check(&run(&mut tool(name, &["127.0.0.1", "70000"])), 2, "", "the port must be");
    }
    check(&run(&mut tool("benchmark", &["127.0.0.1", "1", "2"])), 2, "", "'2'");
}

#[test]
fn a_connection_lost_before_the_answer_is_an_error() {
    check(&cli(serve_resp(b""), &["GET", "k"]), 1, "", "closed the connection without an answer");
    check(&cli(serve_resp(b"$5\r\nval\r"), &["GET", "k"]), 1, "", "in the middle of an answer");
}

#[test]
fn lines_are_answered_in_order_and_some_not_at_all() {
    let port = serve_lines(|line| format!("<{line}>\r\n").into_bytes());
    check(&cli_lines(port, b""), 0, "", "");
    check(&cli_lines(port, b"\n \t\n\r\n"), 0, "", "");
    check(&cli_lines(port, b"a\n\n b \r\n  \nc\n"), 0, "<a>\n< b >\n<c>\n", "");
    // A last line without its end is a command all the same, as a file of some editors has it.
    check(&cli_lines(port, b"a\nb"), 0, "<a>\n<b>\n", "");
    check(&cli_lines(port, b"quit"), 0, "", "");
    check(&cli_lines(port, b"a\n QUIT \nb\n"), 0, "<a>\n", "");
}

#[test]
fn after_quit_nothing_is_sent_and_the_input_need_not_end() {
    let port = serve_lines(|line| format!("<{line}>\r\n").into_bytes());
    let mut child = cli_piped(port);
    let mut stdin = take_stdin(&mut child);
    stdin.write_all(b"a\nQUIT\nb\n").expect("the tool reads");
    check(&finish(child), 0, "<a>\n", "");
    drop(stdin);
}

#[test]
fn a_million_lines_pass_with_both_directions_full() {
    const COUNT: usize = 1_000_000;
    let path = std::env::temp_dir().join(format!("memento-tools-{}", std::process::id()));
    let mut file = BufWriter::new(File::create(&path).expect("a file"));
    for number in 0..COUNT {
        writeln!(file, "ECHO {number}").expect("room on the disk");
    }
    file.into_inner().expect("room on the disk");
    // The answers are longer than the lines, and the server reads nothing while an answer waits.
    let port = serve_lines(|line| format!("{line} and some more\r\n").into_bytes());
    let input = File::open(&path).expect("the file");
    let finished = run(tool("cli", &["127.0.0.1", &port.to_string()]).stdin(input));
    std::fs::remove_file(&path).expect("the file");
    assert_eq!((finished.status, finished.err.as_str()), (Some(0), ""));
    let mut lines = finished.out.lines();
    for number in 0..COUNT {
        assert_eq!(lines.next(), Some(format!("ECHO {number} and some more").as_str()));
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn a_connection_lost_among_lines_is_an_error_after_what_came() {
    let once = |answer: &'static [u8], reset: bool| {
        serve(move |stream| {
            let mut byte = [0; 1];
            let _ = (&stream).read_exact(&mut byte);
            let _ = (&stream).write_all(answer);
            if !reset {
                // All is read, so that the close is an orderly one.
                let _ = stream.shutdown(Shutdown::Write);
                let _ = (&stream).read_to_end(&mut Vec::new());
            }
        })
    };
    for reset in [false, true] {
        let lost = cli_lines(once(b"one\r\n", reset), b"a\nb\nc\n");
        check(&lost, 1, "one\n", "is lost (answers received: 1): ");
        check(&cli_lines(once(b"one\r\ntw", reset), b"a\nb\n"), 1, "one\ntw", "is lost (answers received: 1): ");
    }
    // The input goes on, but nobody will answer.
    let mut child = cli_piped(once(b"one\r\n", true));
    let mut stdin = take_stdin(&mut child);
    stdin.write_all(b"a\nb\n").expect("the tool reads");
    check(&finish(child), 1, "one\n", "is lost (answers received: 1): ");
    drop(stdin);
}

#[test]
fn nobody_reading_the_answers_is_no_error() {
    let port = serve_lines(|line| format!("<{line}>\r\n").into_bytes());
    let mut child = cli_piped(port);
    drop(child.stdout.take());
    let mut stdin = take_stdin(&mut child);
    thread::spawn(move || while stdin.write_all(b"a line of some length\n").is_ok() {});
    check(&finish(child), 0, "", "");
}

#[test]
fn an_output_that_is_full_and_an_input_that_is_none_are_errors() {
    let port = serve_lines(|_| b"OK\r\n".to_vec());
    let port = port.to_string();
    let full = File::options().write(true).open("/dev/full").expect("Linux has it");
    let finished = run(tool("cli", &["127.0.0.1", &port, "GET", "k"]).stdout(full));
    check(&finished, 1, "", "cannot write to standard output: No space left on device");
    let directory = File::open("/").expect("a directory");
    let finished = run(tool("cli", &["127.0.0.1", &port]).stdin(directory));
    check(&finished, 1, "", "cannot read standard input: Is a directory");
}

#[test]
fn on_a_terminal_there_is_a_prompt() {
    if !has_program("script") {
        return;
    }
    let port = serve_lines(|line| format!("<{line}>\r\n").into_bytes());
    let prompt = format!("127.0.0.1:{port}> ");
    for (typed, answered) in [("one\n\n two \nexit\nthree\n", vec!["one", " two "]), ("one\n", vec!["one"])] {
        let line = format!("{} cli 127.0.0.1 {port}", env!("CARGO_BIN_EXE_memento"));
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it was there a moment ago");
        take_stdin(&mut child).write_all(typed.as_bytes()).expect("it reads");
        let finished = finish(child);
        // What is typed is echoed whenever the terminal takes it, so the echoes may stand anywhere: look at the rest.
        assert_eq!(finished.status, Some(0), "{:?}", finished.out);
        let mut rest = finished.out.as_str();
        for text in answered {
            let wanted = format!("<{text}>\r\n");
            let (before, after) = rest.split_once(&wanted).unwrap_or_else(|| panic!("{wanted:?} in {rest:?}"));
            assert!(before.contains(&prompt), "{:?}", finished.out);
            rest = after;
        }
        assert!(rest.contains(&prompt) && !rest.contains("<three>"), "{:?}", finished.out);
    }
}

#[test]
fn a_terminal_is_shown_nothing_that_it_would_obey() {
    if !has_program("script") {
        return;
    }
    let port = serve_lines(|_| b"a\x1b]0;title\x07b \xc2\x9b2J \xff end\r\n".to_vec());
    let shown = r"a\x1b]0;title\x07b \xc2\x9b2J \xff end";
    let line = format!("{} cli 127.0.0.1 {port} GET k", env!("CARGO_BIN_EXE_memento"));
    for (line, input) in [(line, ""), (format!("{} cli 127.0.0.1 {port}", env!("CARGO_BIN_EXE_memento")), "GET k\n")] {
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it was there a moment ago");
        take_stdin(&mut child).write_all(input.as_bytes()).expect("it reads");
        let finished = finish(child);
        assert!(finished.out.contains(shown), "{:?}", finished.out);
        // The prompt's own editing asks for nothing but movements and attributes.
        assert!(!finished.out.contains(['\x07', '\u{9b}']) && !finished.out.contains("\x1b]"), "{:?}", finished.out);
    }
    // A pipe gets the bytes as they are.
    let finished = cli(port, &["GET", "k"]);
    assert!(finished.out.contains("\x1b]0;title\x07b \u{9b}2J"), "{:?}", finished.out);
}

/// Whether there is such a program; in CI there must be.
fn has_program(name: &str) -> bool {
    let found = Command::new(name).arg("--version").output().is_ok();
    assert!(found || std::env::var("CI").as_deref() != Ok("true"), "the program '{name}' is missing");
    if !found {
        eprintln!("skipped: the program '{name}' is missing");
    }
    found
}

/// A server that sends an answer without an end, where that is wanted after HELLO.
fn serve_endless(greets: bool) -> u16 {
    serve(move |stream| {
        if greets {
            greet(&stream, &mut BufReader::new(&stream));
        }
        let piece = vec![b'1'; 1 << 20];
        let _ = (&stream).write_all(b"+");
        while (&stream).write_all(&piece).is_ok() {}
    })
}

#[test]
fn an_answer_without_an_end_is_an_error_where_no_more_can_be_held() {
    if !has_program("prlimit") {
        return;
    }
    let (greeted, port) = (serve_endless(true).to_string(), serve_endless(false).to_string());
    for words in [&["cli", "127.0.0.1", &greeted, "GET", "k"][..], &["benchmark", "127.0.0.1", &port]] {
        let mut command = Command::new("prlimit");
        command.args(["--as=200000000", env!("CARGO_BIN_EXE_memento")]).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let finished = run(&mut command);
        assert_eq!(finished.status, Some(1), "{words:?}: {:?}", finished.err);
        assert!(finished.err.contains("is not over after"), "{words:?}: {:?}", finished.err);
    }
    // In RESP it is no answer at all, and found out at once.
    for (protocol, part) in [("resp", "wrong answer"), ("text", "is not over after")] {
        let mut command = Command::new("prlimit");
        command.args(["--as=200000000", env!("CARGO_BIN_EXE_memento"), "benchmark", "127.0.0.1", &port]);
        command.args(["-t", "get", "-c", "1", "--protocol", protocol]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let finished = run(&mut command);
        assert!(finished.status == Some(1) && finished.err.contains(part), "{protocol}: {:?}", finished.err);
    }
}

// memento-benchmark.

const SMALL: Plan = Plan { operations: 500, threads: 4, thread_operations: 300 };

/// Runs a small plan; gives back how it ended and what it printed.
fn benchmark_small(port: u16) -> (Result<(), Failure>, String) {
    let mut output = Vec::new();
    let target = Target { name: "127.0.0.1".to_string(), port: Some(port) };
    let result = benchmark::run(SMALL, &target, None, &mut output);
    (result, String::from_utf8(output).expect("text"))
}

#[track_caller]
fn check_message(result: Result<(), Failure>, part: &str) {
    let Err(Failure::Message(text)) = result else { panic!("{result:?}") };
    assert!(text.contains(part), "wanted {part:?} in {text:?}");
}

#[test]
fn the_benchmark_prints_its_parts_and_leaves_nothing() {
    let keys = Arc::new(Keys::default());
    let served = Arc::clone(&keys);
    let port = serve_lines(move |line| served.answer(line));
    let (result, text) = benchmark_small(port);
    assert_eq!(result, Ok(()));
    let lines: Vec<&str> = text.lines().collect();
    let wanted = [
        " Nr. operations 500",
        " 1) SET keyone valueone",
        " 2) GET keyone",
        " 3) SET with growing keys",
        " 4) All previous operations in 4 threads, each one performing 300 requests per type",
    ];
    assert_eq!(lines[..5], wanted);
    let parts = [
        ("SET", 500.0),
        ("GET", 500.0),
        ("SET growing keys", 500.0),
        ("SET, GET, SET growing keys in 4 threads", 3600.0),
    ];
    assert_eq!(lines.len(), 5 + parts.len(), "{text}");
    for (line, (label, operations)) in lines[5..].iter().zip(parts) {
        let figures = line.strip_prefix(&format!(" [{label}] - Elapsed time: ")).expect(line);
        let (seconds, rate) = figures.split_once(" s  Op/s: ").expect(line);
        let (seconds, rate): (f64, f64) = (seconds.parse().expect(line), rate.parse().expect(line));
        assert!((seconds * rate / operations - 1.0).abs() < 0.01, "{line}");
    }
    assert_eq!(keys.len(), 0);
}

#[test]
fn the_benchmark_finds_a_wrong_answer_in_every_part() {
    for (part, shown) in
        [("SET keyone ", 0), ("GET keyone", 1), ("SET key:9", 2), ("GET keyone:2", 3), ("SET key:3:7", 3)]
    {
        let keys = Arc::new(Keys::default());
        let served = Arc::clone(&keys);
        let port = serve_lines(move |line| {
            let answer = served.answer(line);
            if line.starts_with(part) { b"valuetwo\x1b\r\n".to_vec() } else { answer }
        });
        let (result, text) = benchmark_small(port);
        check_message(result, &format!("wrong answer: request '{part}"));
        assert_eq!(text.lines().count(), 5 + shown, "{part}: {text}");
        assert_eq!(keys.len(), 0, "{part}: a run that fails on a sound connection cleans up");
    }
}

#[test]
fn a_benchmark_of_a_full_server_says_what_the_server_says() {
    let port = serve_lines(|_| b"(error) OOM command not allowed when used memory > 'maxmemory'.\r\n".to_vec());
    check_message(benchmark_small(port).0, "wanted 'OK', got '(error) OOM command not allowed");
}

#[test]
fn the_benchmark_process_fails_for_wrong_answers_and_lost_connections() {
    let wrong_at = |count: u64, wrong: &'static [u8]| {
        let seen = AtomicU64::new(0);
        serve_lines(move |_| {
            let now = seen.fetch_add(1, Ordering::Relaxed);
            if now == count { wrong.to_vec() } else { b"OK\r\n".to_vec() }
        })
    };
    let bench = |port: u16| run(&mut tool("benchmark", &["127.0.0.1", &port.to_string()]));
    let finished = bench(wrong_at(1000, b"OK \r\n"));
    assert_eq!(finished.status, Some(1), "{}", finished.out);
    assert_eq!(
        finished.err,
        "memento-benchmark: wrong answer: request 'SET keyone valueone', wanted 'OK', got 'OK '\n"
    );
    assert!(finished.out.starts_with(" Nr. operations 100000\n 1) SET keyone valueone\n"), "{}", finished.out);

    for (bytes, part) in
        [(&b""[..], "without an answer"), (b"OK\r\nO", "in the middle"), (b"(null)\r\n", "got '(null)'")]
    {
        let finished = bench(serve_bytes(bytes));
        assert_eq!(finished.status, Some(1), "{}", finished.out);
        // The server may close before the second request is sent or after.
        let lost = finished.err.contains("is lost: ") && !bytes.is_empty();
        assert!(finished.err.contains(part) || lost, "{}", finished.err);
    }
    let port = dead_port();
    let finished = bench(port);
    check(&finished, 1, "", &format!("memento-benchmark: cannot connect to 127.0.0.1:{port}: Connection refused\n"));
}
