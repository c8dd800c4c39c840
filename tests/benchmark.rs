//! memento-benchmark's loads as a process, against servers of a few lines that are late, wrong or slow by a script: what
//! it tells of them is known beforehand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Serves lines; `answer` gives what is sent for each, and may take its time. Gives back the port.
fn serve(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> String {
    serve_with(answer, |mut stream, bytes| stream.write_all(bytes).is_ok())
}

/// The same, where `send` sends the answer.
fn serve_with(answer: impl Fn(&str) -> String + Send + Sync + 'static, send: fn(&TcpStream, &[u8]) -> bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("a bound listener").port();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("a connection");
            stream.set_nodelay(true).expect("a socket takes the option");
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                for line in BufReader::new(&stream).lines() {
                    let Ok(line) = line else { break };
                    if !send(&stream, answer(&line).as_bytes()) {
                        break;
                    }
                }
            });
        }
    });
    port.to_string()
}

/// The exit status, standard output and standard error of a load in lines.
fn load(port: &str, words: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_memento"));
    command.args(["benchmark", "127.0.0.1", port, "--protocol", "text"]).args(words.split_ascii_whitespace());
    let done = command.stdin(Stdio::null()).output().expect("the executable starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (done.status.code(), text(done.stdout), text(done.stderr))
}

/// The rows of `--csv` behind the head, by their names.
#[track_caller]
fn rows(port: &str, words: &str) -> Vec<Vec<(String, String)>> {
    let (status, out, err) = load(port, &format!("{words} --csv"));
    assert_eq!((status, err.as_str()), (Some(0), ""), "{words}: {out}");
    let mut lines = out.lines().map(|line| line.split(',').map(str::to_string).collect::<Vec<_>>());
    let head = lines.next().expect("a head");
    lines.map(|row| head.iter().cloned().zip(row).collect()).collect()
}

#[track_caller]
fn number(row: &[(String, String)], name: &str) -> f64 {
    let (_, text) = row.iter().find(|(known, _)| known == name).expect(name);
    text.parse().expect(name)
}

#[test]
fn the_help_is_as_it_was_agreed() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_memento"));
    let done = command.args(["benchmark", "--help"]).output().expect("the executable starts");
    assert_eq!(String::from_utf8_lossy(&done.stdout), include_str!("benchmark/help.txt"));
}

/// Of 200 requests 120 take 5 ms, 70 take 20, 9 take 80 and one takes 320: between those steps each percentile stands,
/// also where some of them come late.
#[test]
fn percentiles_are_those_of_a_known_delay() {
    let seen = AtomicU64::new(0);
    let port = serve(move |_| {
        // 7 and 200 have no common divisor: each number comes once, and the slow ones are spread.
        let ms = match seen.fetch_add(1, Ordering::Relaxed) * 7 % 200 {
            0..120 => 5,
            120..190 => 20,
            190..199 => 80,
            _ => 320,
        };
        thread::sleep(Duration::from_millis(ms));
        "PONG\r\n".to_string()
    });
    let rows = rows(&port, "-t ping -c 8 -n 200 --threads 2");
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(number(row, "requests"), 200.0);
    for (name, least, bound) in [
        ("min_us", 5e3, 20e3),
        ("p50_us", 5e3, 20e3),
        ("p90_us", 20e3, 80e3),
        ("p99_us", 80e3, 320e3),
        ("p99.9_us", 320e3, 60e6),
        ("max_us", 320e3, 60e6),
        // 0.6 of 5, 0.35 of 20, 0.045 of 80, 0.005 of 320
        ("mean_us", 15.2e3, 80e3),
    ] {
        let told = number(row, name);
        assert!(told >= least && told < bound, "{name}: {told} in {row:?}");
    }
}

/// A server that stands still once for 400 ms: who asks only after the answer sees one late answer, but of those who
/// would have asked a thousand times a second 400 had to wait.
#[test]
fn an_open_loop_does_not_hide_who_waited() {
    let stalling = || {
        let seen = AtomicU64::new(0);
        serve(move |_| {
            if seen.fetch_add(1, Ordering::Relaxed) == 100 {
                thread::sleep(Duration::from_millis(400));
            }
            "PONG\r\n".to_string()
        })
    };
    let closed = rows(&stalling(), "-t ping -c 1 -n 1000");
    assert!(number(&closed[0], "p90_us") < 200e3 && number(&closed[0], "max_us") >= 400e3, "{closed:?}");
    let open = rows(&stalling(), "-t ping -c 1 -n 1000 --rate 1000");
    assert!(number(&open[0], "p90_us") >= 250e3 && number(&open[0], "mean_us") >= 60e3, "{open:?}");
    // The last one is due after 999 ms, and not before.
    assert!(number(&open[0], "seconds") >= 0.999, "{open:?}");
}

#[test]
fn time_ends_a_load_and_what_came_before_it_does_not_count() {
    let seen = Arc::new(AtomicU64::new(0));
    let served = Arc::clone(&seen);
    let port = serve(move |_| {
        served.fetch_add(1, Ordering::Relaxed);
        "PONG\r\n".to_string()
    });
    let rows = rows(&port, "-t ping -c 3 --time 0.3 --warmup 0.3 --rate 1000");
    let (counted, all) = (number(&rows[0], "requests"), seen.load(Ordering::Relaxed));
    assert_eq!((counted, all), (300.0, 600));
}

#[test]
fn wrong_values_are_found_where_values_are_verified() {
    let port = serve(|_| "nobody's\r\n".to_string());
    let (status, _, err) = load(&port, "-t get -n 100");
    assert_eq!((status, err.as_str()), (Some(0), ""));
    let (status, _, err) = load(&port, "-t get -n 100 --verify");
    assert!(status == Some(1) && err.contains(": wrong answer to get, key number "), "{err}");
    assert!(err.ends_with(", got 'nobody\\'s\\r\\n'\n"), "{err}");
    for (wrong, words) in [("(error) OOM\r\n", "-t set"), ("NO\r\n", "--mix set:1,ping:1"), ("one\r\n", "-t inc")] {
        let (status, _, err) = load(&serve(move |_| wrong.to_string()), &format!("{words} -n 100"));
        assert!(status == Some(1) && err.contains("wrong answer to "), "{words}: {err}");
    }
    let (status, _, err) = load(&serve(|_| "PONG\r\nPONG\r\n".to_string()), "-t ping -c 1 -n 100");
    assert!(status == Some(1) && err.contains("more answers than it was asked for"), "{err}");
}

/// Values that are set are those that are verified, of whatever length; misses are counted.
#[test]
fn values_are_kept_and_checked() {
    let keys = Mutex::new(std::collections::HashMap::new());
    let port = serve(move |line| {
        let mut keys = keys.lock().expect("sound");
        let mut words = line.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("SETEX"), Some(key), Some(value)) => {
                let value = value.strip_prefix("60 ").expect("the time to live");
                keys.insert(key.to_string(), value.to_string());
                "OK\r\n".to_string()
            }
            (Some("GET"), Some(key), None) if key.ends_with('3') => "(null)\r\n".to_string(),
            (Some("GET"), Some(key), None) => format!("{}\r\n", keys[key]),
            other => panic!("{other:?}"),
        }
    });
    let words = "-t fill,get --mix get:9,set:1 --verify --ttl 60 -n 1000 -r 100 -d 0-300 -c 4 -P 5 --threads 3";
    let rows = rows(&port, &format!("{words} --keys sequential"));
    let tests: Vec<&str> = rows.iter().map(|row| row[0].1.as_str()).collect();
    // The name of the mix has a comma, which the table's own reader would know.
    assert_eq!(tests, ["fill", "get", "\"get:9", "get", "set"]);
    assert_eq!((number(&rows[0], "requests"), number(&rows[1], "requests")), (100.0, 1000.0));
    // Three threads of 334, 333 and 333 go through the keys by threes.
    assert_eq!((number(&rows[0], "misses"), number(&rows[1], "misses")), (0.0, 100.0));
    let (gets, sets) = (number(&rows[3], "requests"), number(&rows[4], "requests"));
    assert!(gets + sets == 1000.0 && sets > 40.0 && sets < 200.0, "{gets} {sets}");
}

#[test]
fn answers_in_pieces_are_whole() {
    let one_by_one = |mut stream: &TcpStream, bytes: &[u8]| bytes.iter().all(|byte| stream.write_all(&[*byte]).is_ok());
    let port = serve_with(|_| "a line\nand another one\r\n".to_string(), one_by_one);
    let words = ["-n", "100", "-P", "7", "-c", "2", "--csv", "--command", "GETP __key__"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_memento"));
    command.args(["benchmark", "127.0.0.1", &port, "--protocol", "text"]).args(words);
    let done = command.output().expect("the executable starts");
    let out = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && out.contains("\nGETP __key__,127.0.0.1:"), "{out}");
    assert!(out.contains(",100,0,"), "{out}");
}

/// Two servers are asked the same, in turns, and the ratio tells which is slower.
#[test]
fn two_servers_get_the_same_work() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let server = |name: char, delay: Duration| {
        let log = Arc::clone(&log);
        serve(move |line| {
            log.lock().expect("sound").push((name, line.to_string()));
            thread::sleep(delay);
            "1\r\n".to_string()
        })
    };
    let slow = server('a', Duration::from_millis(8));
    let fast = server('b', Duration::ZERO);
    let rows = rows(&slow, &format!("-t inc -n 50 -c 1 --seed 3 --compare 127.0.0.1:{fast}"));
    let log = log.lock().expect("sound");
    let of = |wanted: char| log.iter().filter(|(name, _)| *name == wanted).map(|(_, line)| line).collect::<Vec<_>>();
    assert_eq!(of('a').len(), 50);
    assert_eq!(of('a'), of('b'));
    let turns: Vec<char> = log.chunk_by(|one, other| one.0 == other.0).map(|turn| turn[0].0).collect();
    assert_eq!(turns, ['a', 'b', 'a', 'b', 'a', 'b', 'a', 'b', 'a', 'b']);
    assert_eq!((number(&rows[0], "requests"), number(&rows[1], "requests")), (50.0, 50.0));
    assert!(number(&rows[0], "rate_ratio") < 1.0, "{rows:?}");
}

/// The same seed asks for the same keys.
#[test]
fn a_seed_names_the_keys() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&log);
    let port = serve(move |line| {
        asked.lock().expect("sound").push(line.to_string());
        "(null)\r\n".to_string()
    });
    let mut asked = ["5", "5", "6"].map(|seed| {
        rows(&port, &format!("-t get -n 100 -c 1 --keys zipf:1.1 --seed {seed}"));
        std::mem::take(&mut *log.lock().expect("sound"))
    });
    assert_eq!(asked[0], asked[1]);
    assert_ne!(asked[1], asked[2]);
    // Zipf's first key is among few that are asked for again and again.
    asked[0].sort();
    asked[0].dedup();
    assert!(asked[0].len() < 95, "{}", asked[0].len());
}

/// Nobody answers, or the connection ends: it is said and not waited for.
#[test]
fn a_server_that_goes_away_is_told_of() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("a bound listener").port().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // Something is read, so that the end is an end and no reset.
            let _ = stream.expect("a connection").read(&mut [0; 4096]);
        }
    });
    let (status, _, err) = load(&port, "-t ping -c 3 --threads 3");
    assert_eq!(status, Some(1));
    assert!(err.contains("closed a connection") || err.contains("is lost: "), "{err}");
    let (status, _, err) = load("1", "-t ping");
    assert_eq!((status, err.contains("cannot connect to 127.0.0.1:1: ")), (Some(1), true), "{err}");
}
