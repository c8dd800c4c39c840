//! The example that waits in a loop of its own: messages, a server that goes and comes back, one that has no messages.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::building::{How, Program};
use crate::ready;
use crate::support::reference::Reference;
use crate::support::{DEADLINE, Scratch, Server, holds_within};

/// memento itself, and its C library.
#[test]
fn a_subscriber_of_memento_gets_its_messages() {
    if !ready() {
        return;
    }
    let folder = Scratch::new();
    let server = Server::start(&[]);
    for how in [How::Static, How::Dynamic, How::Sanitized] {
        let mut child = Program::example(&folder, "subscriber", how)
            .command()
            .args(["127.0.0.1", &server.port().to_string(), "news", "weather"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("to run it");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map(|line| line.expect("a line"));
        assert_eq!(lines.next().as_deref(), Some("subscribed"));
        let mut publisher = server.connect();
        publisher.send("PUBLISH news first\r\nPUBLISH weather rain\r\nPUBLISH other none\r\n");
        assert_eq!([publisher.line(), publisher.line(), publisher.line()], ["1", "1", "0"]);
        assert_eq!(lines.next().as_deref(), Some("news: first"));
        assert_eq!(lines.next().as_deref(), Some("weather: rain"));
        drop(child.stdin.take());
        assert_eq!(lines.next().as_deref(), Some("2 messages"));
        assert!(holds_within(DEADLINE, || child.try_wait().expect("our own child").is_some()));
        drop(publisher);
    }
    for how in [How::Static, How::Sanitized] {
        Program::test(&folder, "subscriptions", how).succeeds(&["127.0.0.1", &server.port().to_string()]);
    }
}

#[test]
fn a_subscriber_lives_in_a_loop_of_its_own() {
    let Some(mut redis) = Reference::start() else { return };
    if !ready() {
        return;
    }
    let folder = Scratch::new();
    for how in [How::Static, How::Dynamic, How::Sanitized] {
        let program = Program::example(&folder, "subscriber", how);
        let port = redis.address().port();
        let mut child = program
            .command()
            .args(["127.0.0.1", &port.to_string(), "news", "weather"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("to run it");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map(|line| line.expect("a line"));
        assert_eq!(lines.next().as_deref(), Some("subscribed"));
        let mut publisher = redis.connect();
        publisher.send("PUBLISH news first\r\nPUBLISH weather rain\r\nPUBLISH other none\r\n");
        assert_eq!([publisher.line(), publisher.line(), publisher.line()], [":1", ":1", ":0"]);
        assert_eq!(lines.next().as_deref(), Some("news: first"));
        assert_eq!(lines.next().as_deref(), Some("weather: rain"));

        drop(publisher);
        redis = redis.restart();
        assert_eq!(lines.next().as_deref(), Some("subscribed again"));
        let mut publisher = redis.connect();
        publisher.send("PUBLISH weather sun\r\n");
        assert_eq!(publisher.line(), ":1");
        assert_eq!(lines.next().as_deref(), Some("weather: sun"));

        drop(child.stdin.take());
        assert_eq!(lines.next().as_deref(), Some("3 messages"));
        assert!(holds_within(DEADLINE, || child.try_wait().expect("our own child").is_some()));
        let output = child.wait_with_output().expect("its end");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        assert_eq!(told, format!("127.0.0.1:{port} closed the connection without an answer\n"));
    }
}

/// Where a server does not know the command, its words are passed on.
#[test]
fn who_has_no_subscriptions_says_so() {
    if !ready() {
        return;
    }
    let folder = Scratch::new();
    let port = crate::hostile::start(crate::hostile::What::Refuses).to_string();
    let (status, said, told) = Program::example(&folder, "subscriber", How::Static).run(&["127.0.0.1", &port, "news"]);
    assert_eq!((status, &*said, &*told), (Some(1), "", "ERR unknown command 'subscribe'\n"));
}
