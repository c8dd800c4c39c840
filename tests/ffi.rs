//! libmemento, by programs in C: the examples and those of ffi/tests/, built with all warnings, linked either way, and run
//! under valgrind and the compiler's sanitizers against memento, redis-server, and servers that break the conversation.

mod support;

#[path = "ffi/building.rs"]
mod building;
#[path = "ffi/hostile.rs"]
mod hostile;
#[path = "ffi/readme.rs"]
mod readme;
#[path = "ffi/subscriber.rs"]
mod subscriber;

use building::{How, Program, library};
use support::reference::Reference;
use support::{Scratch, Server, need, run_to_end};

/// What the tests here cannot do without.
fn ready() -> bool {
    ["make", "cc", "ld", "objcopy", "valgrind"].iter().all(|program| need(program))
}

#[test]
fn each_function_does_what_the_header_says() {
    if !ready() {
        return;
    }
    let folder = Scratch::new();
    for how in [How::Static, How::Dynamic, How::Sanitized] {
        // Each run finds a server without keys.
        let socket = folder.path("s");
        let server = Server::start(&["-s", socket.to_str().expect("a plain path")]);
        let program = Program::test(&folder, "functions", how);
        program.succeeds(&["127.0.0.1", &server.port().to_string(), socket.to_str().expect("a plain path")]);
    }
}

#[test]
fn no_argument_is_too_absurd() {
    if !ready() {
        return;
    }
    let folder = Scratch::new();
    for how in [How::Static, How::Dynamic, How::Sanitized] {
        let server = Server::start(&[]);
        Program::test(&folder, "absurd", how).succeeds(&["127.0.0.1", &server.port().to_string()]);
    }
    let program = Program::test(&folder, "absurd", How::Sanitized);
    for what in [hostile::What::DiesWithin, hostile::What::Garbage, hostile::What::Slow, hostile::What::Floods] {
        program.succeeds(&["127.0.0.1", &hostile::start(what).to_string(), "hostile"]);
    }
}

#[test]
fn why_a_server_closes_is_heard() {
    if !ready() {
        return;
    }
    let folder = Scratch::new();
    let port = hostile::start(hostile::What::Full).to_string();
    Program::test(&folder, "refused", How::Sanitized).succeeds(&[&port, hostile::FULL, "amid"]);
    let server = Server::start(&["--maxclients", "1"]);
    let only = server.connect();
    Program::test(&folder, "refused", How::Static).succeeds(&[&server.port().to_string(), hostile::FULL]);
    drop(only);
}

#[test]
fn what_is_no_message_is_an_error_of_poll() {
    if !ready() {
        return;
    }
    let folder = Scratch::new();
    let program = Program::test(&folder, "polling", How::Sanitized);
    let half = b"*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$5\r\nab";
    for (bytes, is_last, status, words) in [
        (half.as_slice(), false, "0", ""),
        (half, true, "-5", "in the middle of an answer"),
        (b"", true, "-5", "closed the connection without an answer"),
        (b"HTTP/1.1 400 Bad Request\r\n", false, "-6", "no reply begins with 'HTTP/1.1 400 Bad"),
        (b"*1\r\n+message\r\n", false, "-6", "the answer should be a message"),
        (b"+OK\r\n", false, "-6", "the answer should be a message"),
        (b"-ERR no more of it\r\n", false, "-7", "ERR no more of it"),
    ] {
        let port = hostile::start(hostile::What::Confirms(bytes, is_last)).to_string();
        program.succeeds(&[&port, status, words]);
    }
}

#[test]
fn signals_change_nothing() {
    if !ready() {
        return;
    }
    let folder = Scratch::new();
    let silent = hostile::start(hostile::What::Silent).to_string();
    let channel = hostile::start(hostile::What::Confirms(b"", false)).to_string();
    let slow = hostile::once_more().to_string();
    Program::test(&folder, "interrupted", How::Sanitized).succeeds(&[&silent, &slow, &channel]);
}

#[test]
fn a_handle_keeps_little_and_has_a_number_for_too_much() {
    if !ready() {
        return;
    }
    let folder = Scratch::new();
    let server = Server::start(&[]);
    let row = hostile::start(hostile::What::Row).to_string();
    Program::test(&folder, "memory", How::Plain).succeeds(&[&server.port().to_string(), &row]);
}

#[test]
fn the_examples_do_what_they_say() {
    if !ready() {
        return;
    }
    let folder = Scratch::new();
    let socket = folder.path("s");
    let server = Server::start(&["-s", socket.to_str().expect("a plain path")]);
    let port = server.port().to_string();
    for (number, how) in [How::Static, How::Dynamic, How::Sanitized].into_iter().enumerate() {
        let counter = Program::example(&folder, "counter", how);
        assert_eq!(counter.succeeds(&["127.0.0.1", &port, "visits"]), format!("{}\n", 3 * number + 1));
        assert_eq!(counter.succeeds(&["127.0.0.1", &port, "visits", "2"]), format!("{}\n", 3 * number + 3));
        let (status, _, told) = counter.run(&["127.0.0.1", "1", "visits"]);
        assert_eq!((status, &*told), (Some(1), "cannot connect to 127.0.0.1:1: Connection refused\n"));

        let bound = (1000 + number).to_string();
        let cache = Program::example(&folder, "cache", how);
        let told = cache.succeeds(&[socket.to_str().expect("a plain path"), &bound, &bound]);
        assert_eq!(told, format!("{bound}: 168\n{bound}: 168 (cached)\n"));
        let (status, told, _) = cache.run(&["/no/such/socket", "10"]);
        assert_eq!((status, &*told), (Some(0), "10: 4\n"));
    }
}

#[test]
fn a_handle_makes_its_connection_anew() {
    if !ready() {
        return;
    }
    let folder = Scratch::new();
    let port = hostile::once_more();
    Program::test(&folder, "reconnect", How::Static).succeeds(&[&port.to_string()]);
}

#[test]
fn a_pipeline_may_end_before_its_time() {
    if !ready() {
        return;
    }
    let folder = Scratch::new();
    let silent = hostile::start(hostile::What::Once).to_string();
    let dying = hostile::start(hostile::What::OnceAndDies).to_string();
    Program::test(&folder, "pipelines", How::Static).succeeds(&[&silent, &dying]);
}

#[test]
fn a_broken_conversation_is_an_error_of_each_call() {
    if !ready() {
        return;
    }
    let folder = Scratch::new();
    let valgrind = Program::test(&folder, "hostile", How::Dynamic);
    let sanitized = Program::test(&folder, "hostile", How::Sanitized);
    for (what, status, words) in [
        (hostile::What::DiesBefore, "-5", "closed the connection without an answer"),
        (hostile::What::DiesWithin, "-5", "closed the connection in the middle of an answer"),
        (hostile::What::Garbage, "-6", "no reply begins with 'HTTP/1.1 400 Bad"),
        (hostile::What::Nested, "-6", "it is nested more than"),
        (hostile::What::Slow, "-4", "gave no answer within 0.15 s"),
        (hostile::What::Silent, "-4", "gave no answer within 0.15 s"),
    ] {
        let port = hostile::start(what).to_string();
        let timeout = if status == "-4" { "150" } else { "20000" };
        for program in [&valgrind, &sanitized] {
            program.succeeds(&[&port, timeout, status, words]);
        }
    }
    // However much comes, no call takes longer than its time: that this comes to an end is what is seen here.
    let port = hostile::start(hostile::What::Floods).to_string();
    sanitized.succeeds(&[&port, "150", "-4", "no answer within 0.15 s"]);
    let port = hostile::start(hostile::What::OtherTypes).to_string();
    valgrind.succeeds(&[&port, "20000", "-6", "the answer should be ", "typed"]);
}

#[test]
fn any_answer_is_borne() {
    if !ready() {
        return;
    }
    let folder = Scratch::new();
    let seed: u64 = std::env::var("MEMENTO_SEED").ok().map_or(1, |text| text.parse().expect("a number"));
    println!("MEMENTO_SEED={seed}");
    let port = hostile::start(hostile::What::Anything(seed)).to_string();
    let program = Program::test(&folder, "chaos", How::Static);
    program.succeeds(&[&port, &seed.to_string(), "300"]);
    let program = Program::test(&folder, "chaos", How::Sanitized);
    program.succeeds(&[&port, &(seed + 1).to_string(), "600"]);
}

#[test]
fn subscriptions_do_what_the_header_says() {
    let Some(redis) = Reference::start() else { return };
    if !ready() {
        return;
    }
    let folder = Scratch::new();
    for how in [How::Static, How::Sanitized] {
        let program = Program::test(&folder, "subscriptions", how);
        program.succeeds(&["127.0.0.1", &redis.address().port().to_string()]);
    }
}

#[test]
fn a_subscriber_comes_back_with_its_password_and_patterns() {
    let Some(redis) = Reference::start() else { return };
    if !ready() {
        return;
    }
    let folder = Scratch::new();
    let port = redis.address().port().to_string();
    Program::test(&folder, "resubscribe", How::Static).succeeds(&[&port]);
}

#[test]
fn the_header_is_c_plus_plus_too() {
    if !ready() || !need("c++") {
        return;
    }
    let folder = Scratch::new();
    let server = Server::start(&[]);
    for how in [How::Static, How::Dynamic] {
        Program::plus_plus(&folder, "plusplus", how).succeeds(&["127.0.0.1", &server.port().to_string()]);
    }
}

#[test]
fn no_other_name_is_for_others() {
    if !ready() {
        return;
    }
    let header = std::fs::read_to_string(support::root().join("ffi/include/memento.h")).expect("the header");
    let mut promised: Vec<&str> = header
        .lines()
        .filter(|line| !line.starts_with([' ', '/', 't', '*']))
        .filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*']).next())
        .collect();
    promised.sort_unstable();
    assert!(promised.len() > 30 && promised.iter().all(|name| name.starts_with("memento_")), "{promised:?}");
    for (file, option) in [("libmemento.a", "--extern-only"), ("libmemento.so", "--dynamic")] {
        let path = library().join(file);
        let output =
            run_to_end(std::process::Command::new("nm").args(["--defined-only", "--format=posix", option]).arg(path));
        let rows = output.1.lines().filter(|row| !row.contains("[libmemento.o]") && !row.starts_with("MEMENTO_0"));
        let mut names: Vec<&str> = rows.filter_map(|row| row.split([' ', '@']).next()).collect();
        names.sort_unstable();
        assert_eq!(names, promised, "{file}: {}", output.2);
    }
    let (_, dynamic, _) =
        run_to_end(std::process::Command::new("readelf").arg("-d").arg(library().join("libmemento.so")));
    assert!(dynamic.contains("[libmemento.so.0]"), "{dynamic}");
}
