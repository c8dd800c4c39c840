//! Cases of messages.

use super::*;

const NOT_NOW: &str = "only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context";

/// Sends one request, and compares so many lines of what comes.
#[track_caller]
fn told(client: &mut Client, request: &str, wanted: &[&str]) {
    client.send(format!("{request}\r\n"));
    for line in wanted {
        assert_eq!(client.line(), *line, "{request}");
    }
}

pub fn subscribe(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["SUBSCRIBE"]);
    told(client, "SUBSCRIBE a b a", &["subscribe a 1", "subscribe b 2", "subscribe a 2"]);
    for (request, name) in [("GET k", "get"), ("MULTI", "multi"), ("CLIENT ID", "client|id"), ("HELLO 3", "hello")] {
        told(client, request, &[&format!("(error) Can't execute '{name}': {NOT_NOW}")]);
    }
    told(client, "NOSUCH", &["(Unknown command)"]);
    told(client, "GET", &["(error) wrong number of arguments for 'get' command"]);
    told(client, "PING", &["PONG"]);
    server.connect().expect("PUBLISH b  two words ", "1");
    assert_eq!(client.line(), "message b  two words ");
    told(client, "RESET", &["RESET"]);
    client.expect("GET k", "(null)");
    server.connect().expect("PUBLISH b more", "0");

    // RESP2 tells a subscriber's PING from a message; RESP3 has pushes, beside all commands.
    let got =
        server.exchange(b"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nPING\r\n$1\r\nx\r\n");
    let wanted =
        "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n*2\r\n$4\r\npong\r\n$1\r\nx\r\n";
    assert_eq!(String::from_utf8_lossy(&got), wanted);
    let mut client = server.connect();
    client.send("HELLO 3\r\n");
    client.until(b"*0\r\n");
    client.send("SUBSCRIBE c\r\nPING\r\nGET k\r\n");
    let wanted = b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n+PONG\r\n_\r\n";
    assert_eq!(client.exactly(wanted.len()), wanted);

    // In a transaction; and where no replies are wanted, it is told all the same.
    let client = &mut server.connect();
    for (request, wanted) in [("MULTI", "OK"), ("SUBSCRIBE m n", "QUEUED"), ("PING", "QUEUED")] {
        client.expect_line(request, wanted);
    }
    client.expect_line("EXEC", "subscribe m 1\nsubscribe n 2\nPONG");
    let client = &mut server.connect();
    told(
        client,
        "CLIENT REPLY OFF\r\nSUBSCRIBE\r\nSUBSCRIBE quiet\r\nPING\r\nUNSUBSCRIBE",
        &["subscribe quiet 1", "unsubscribe quiet 0"],
    );
}

pub fn unsubscribe(server: &mut Server) {
    let client = &mut server.connect();
    told(client, "UNSUBSCRIBE", &["unsubscribe (null) 0"]);
    told(client, "UNSUBSCRIBE x y", &["unsubscribe x 0", "unsubscribe y 0"]);
    told(client, "SUBSCRIBE a b", &["subscribe a 1", "subscribe b 2"]);
    told(client, "UNSUBSCRIBE a nope", &["unsubscribe a 1", "unsubscribe nope 1"]);
    told(client, "PUNSUBSCRIBE", &["punsubscribe (null) 1"]);
    told(client, "UNSUBSCRIBE", &["unsubscribe b 0"]);
    client.expect("PUBLISH b x", "0");
    let got = server.exchange(b"*1\r\n$11\r\nUNSUBSCRIBE\r\n");
    assert_eq!(String::from_utf8_lossy(&got), "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
}

pub fn psubscribe(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["PSUBSCRIBE"]);
    told(client, "PSUBSCRIBE n[ab]* x?", &["psubscribe n[ab]* 1", "psubscribe x? 2"]);
    told(client, "SUBSCRIBE na", &["subscribe na 3"]);
    let other = &mut server.connect();
    other.expect("PUBLISH nb one", "1");
    other.expect("PUBLISH nc two", "0");
    other.expect("PUBLISH na three", "2");
    for line in ["pmessage n[ab]* nb one", "message na three", "pmessage n[ab]* na three"] {
        assert_eq!(client.line(), line);
    }
    let lines = other.ask("CLIENT LIST TYPE pubsub");
    assert!(lines.contains(" flags=P ") && lines.contains(" sub=1 psub=2 ") && lines.lines().count() == 1, "{lines}");
    assert!(!other.ask("CLIENT LIST TYPE normal").contains("flags=P"));
}

pub fn punsubscribe(server: &mut Server) {
    let client = &mut server.connect();
    told(client, "PSUBSCRIBE a* b*", &["psubscribe a* 1", "psubscribe b* 2"]);
    told(client, "PUNSUBSCRIBE a*", &["punsubscribe a* 1"]);
    server.connect().expect("PUBLISH axe x", "0");
    told(client, "UNSUBSCRIBE", &["unsubscribe (null) 1"]);
    told(client, "PUNSUBSCRIBE", &["punsubscribe b* 0"]);
    client.expect("PUBLISH bee x", "0");
}

pub fn publish(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["PUBLISH", "PUBLISH ch"]);
    client.expect("PUBLISH ch x", "0");
    let subscriber = &mut server.connect();
    told(subscriber, "SUBSCRIBE ch", &["subscribe ch 1"]);
    for (request, wanted) in [("MULTI", "OK"), ("PING", "QUEUED"), ("PUBLISH ch it is said", "QUEUED")] {
        client.expect_line(request, wanted);
    }
    client.expect_line("EXEC", "PONG\n1");
    assert_eq!(subscriber.line(), "message ch it is said");
    client.expect("PUBLISH ch ", "1");
    assert_eq!(subscriber.line(), "message ch ");
}

pub fn pubsub(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["PUBSUB"]);
    let wrong = "(error) unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP.";
    check(
        client,
        &[
            ("PUBSUB CHANNELS", "(empty)"),
            ("PUBSUB CHANNELS a b", wrong),
            ("PUBSUB NUMSUB", "(empty)"),
            ("PUBSUB NUMPAT", "0"),
            ("PUBSUB NUMPAT x", "(error) wrong number of arguments for 'pubsub|numpat' command"),
            ("PUBSUB NOPE", "(error) unknown subcommand 'NOPE'. Try PUBSUB HELP."),
        ],
    );
    assert!(client.ask("PUBSUB HELP").contains("\nNUMSUB [<channel> ...]\n"));
    let subscriber = &mut server.connect();
    told(subscriber, "SUBSCRIBE news", &["subscribe news 1"]);
    told(subscriber, "PSUBSCRIBE n* m*", &["psubscribe n* 2", "psubscribe m* 3"]);
    check(
        client,
        &[
            ("PUBSUB CHANNELS", "news"),
            ("PUBSUB CHANNELS N*", "(empty)"),
            ("PUBSUB CHANNELS n*", "news"),
            ("PUBSUB NUMSUB news other", "news\n1\nother\n0"),
            ("PUBSUB NUMPAT", "2"),
        ],
    );
    assert_eq!((client.info("pubsub_channels"), client.info("pubsub_patterns")), (1, 2));
}

pub fn monitor(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["MONITOR now"]);
    told(client, "MONITOR", &["OK"]);
    // Its own requests as well; the administration's are not shown.
    told(client, "ECHO two  words", &["two  words"]);
    let line = client.line();
    let (_, rest) = line.split_once(" [0 ").expect("a database and an address");
    assert!(rest.ends_with(r#"] "ECHO" "two  words""#), "{line}");
    let time = line.split(' ').next().expect("a time").split_once('.').expect("microseconds");
    assert!(time.0.parse::<u64>().is_ok() && time.1.len() == 6, "{line}");
    told(client, "CONFIG SET slowlog-max-len 128", &["OK"]);
    told(client, "RESET", &["RESET"]);
    client.expect("ECHO x", "x");
}
