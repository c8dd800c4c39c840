use super::*;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::Instant;

const SOON: Duration = Duration::from_secs(20);

/// A server of one connection; the client, and what the server's thread returns at its end.
fn beside<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (RespClient, thread::JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = thread::spawn(move || serve(listener.accept().expect("a client").0));
    (RespClient::connect("127.0.0.1", port, Deadline::after(SOON)).expect("to connect"), server)
}

fn read_all(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("to read");
    bytes
}

#[test]
fn a_deadline_is_shared_by_what_is_tried_in_turn() {
    let left = |deadline: Deadline| deadline.left().expect("time").expect("an end");
    let minute = Deadline::after(Duration::from_secs(60));
    assert!(left(minute.share(3)) <= Duration::from_secs(20));
    assert!(left(minute.share(1)) > Duration::from_secs(20));
    assert_eq!(Deadline::NEVER.share(3).left().expect("time"), None);
    assert!(Deadline::after(Duration::ZERO).share(3).left().is_err());
}

#[test]
fn an_ipv6_address_may_have_brackets() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        eprintln!("skipped: no IPv6 here");
        return;
    };
    let port = listener.local_addr().expect("an address").port();
    for host in ["::1", "[::1]"] {
        let client = RespClient::connect(host, port, Deadline::after(SOON)).expect("to connect");
        assert_eq!(client.address(), format!("[::1]:{port}"));
    }
}

#[test]
fn a_password_is_refused_or_taken_or_not_minded() {
    let none = "ERR AUTH <password> called without any password configured for the default user.";
    for (answer, why) in [
        ("+OK".to_string(), None),
        (format!("-{none}"), None),
        ("-WRONGPASS no".to_string(), Some(&b"WRONGPASS no"[..])),
    ] {
        let (mut client, server) = beside(move |mut stream| {
            stream.write_all(format!("{answer}\r\n").as_bytes()).expect("to send");
            read_all(stream)
        });
        assert_eq!(client.authenticate(None, Deadline::after(SOON)).expect("nothing"), None);
        assert_eq!(client.authenticate(Some(b"a b"), Deadline::after(SOON)).expect("an answer"), why);
        drop(client);
        assert_eq!(server.join().expect("no panic"), b"*2\r\n$4\r\nAUTH\r\n$3\r\na b\r\n");
    }
}

#[test]
fn a_call_is_an_array_and_takes_its_reply() {
    let (mut client, server) = beside(|mut stream| {
        stream.write_all(b">2\r\n+message\r\n+hi\r\n$2\r\na\0\r\n").expect("to send");
        read_all(stream)
    });
    let deadline = Deadline::after(SOON);
    assert_eq!(format!("{:?}", client.call(&[b"GET", b"k\r\n", b""], deadline).unwrap()), "Bulk(a\\x00)");
    assert_eq!(format!("{:?}", client.take_push().unwrap()), "Push[Simple(message), Simple(hi)]");
    assert!(client.take_push().is_none() && !client.has_buffered());
    drop(client);
    assert_eq!(server.join().unwrap(), b"*3\r\n$3\r\nGET\r\n$3\r\nk\r\n\r\n$0\r\n\r\n");
}

#[test]
fn hello_carries_the_password() {
    let (mut client, server) = beside(|mut stream| {
        stream.write_all(b"%1\r\n+proto\r\n:3\r\n").expect("to send");
        read_all(stream)
    });
    assert_eq!(client.hello(3, Some(b"pw"), Deadline::after(SOON)).unwrap().kind(), Kind::Map);
    drop(client);
    assert_eq!(server.join().unwrap(), b"*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$2\r\npw\r\n");
}

#[test]
fn a_deadline_is_for_the_whole_and_not_for_each_byte() {
    let (mut client, server) = beside(|mut stream| {
        stream.write_all(b"$1000\r\n").expect("to send");
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let start = Instant::now();
    let error = client.receive(Deadline::after(Duration::from_millis(200))).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), format!("{} gave no answer within 0.2 s", client.address()));
    assert!(start.elapsed() >= Duration::from_millis(200) && start.elapsed() < SOON);
    drop(client);
    server.join().unwrap();
}

#[test]
fn who_takes_nothing_ends_a_send_in_time() {
    let (over, waits) = std::sync::mpsc::channel::<()>();
    let (mut client, server) = beside(move |stream| {
        let _ = waits.recv();
        drop(stream);
    });
    let error = client.send(&vec![b'x'; 256 << 20], Deadline::after(Duration::from_millis(100))).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    drop(over);
    server.join().unwrap();
}

#[test]
fn an_end_says_where_it_came() {
    for (bytes, when) in [(&b""[..], "without an answer"), (b"$5\r\nab", "in the middle of an answer")] {
        let (mut client, server) = beside(move |mut stream| {
            stream.write_all(bytes).expect("to send");
            stream.shutdown(Shutdown::Both).expect("to end");
        });
        let error = client.receive(Deadline::NEVER).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(error.to_string(), format!("{} closed the connection {when}", client.address()));
        server.join().unwrap();
    }
}

#[test]
fn nonsense_is_shown() {
    let (mut client, server) = beside(|mut stream| stream.write_all(b"SSH-2.0\r\n").expect("to send"));
    let error = client.receive(Deadline::after(SOON)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(error.to_string().ends_with("sent is no answer: no reply begins with 'SSH-2.0\\r\\n'"), "{error}");
    server.join().unwrap();
}

#[test]
fn replies_are_taken_while_more_is_sent() {
    // More than the buffers of both sockets hold, each way: who only sends would wait for ever.
    const COUNT: usize = 200_000;
    let (mut client, server) = beside(|mut stream| {
        let mut buffer = vec![0; 64 * 1024];
        let mut owed = 0;
        loop {
            let count = stream.read(&mut buffer).expect("to read");
            if count == 0 {
                return;
            }
            owed += count;
            let replies = owed / 14;
            owed %= 14;
            stream
                .write_all(
                    &b"$100\r\n"
                        .iter()
                        .chain(&[b'v'; 100])
                        .chain(b"\r\n")
                        .copied()
                        .collect::<Vec<u8>>()
                        .repeat(replies),
                )
                .expect("to send");
        }
    });
    let mut commands = Vec::new();
    for _ in 0..COUNT {
        write_command(&mut commands, [b"PING".as_slice()].into_iter());
    }
    assert_eq!(commands.len(), COUNT * 14);
    let mut found = 0;
    let mut handle = |view: View<'_>| found += usize::from(view.bytes() == [b'v'; 100]);
    client.exchange(&commands, COUNT, Deadline::after(SOON), &mut handle).unwrap();
    assert_eq!(found, COUNT);
    // What came in between is not kept for ever.
    assert!(client.input.bytes.len() <= 64 * 1024, "{}", client.input.bytes.len());
    drop(client);
    server.join().unwrap();
}

#[test]
fn answers_to_what_was_not_asked_are_none() {
    let (mut client, server) = beside(|mut stream| {
        stream.write_all(b"+OK\r\n").expect("to send");
        let mut byte = [0];
        while stream.peek(&mut byte).is_err() {}
        stream
    });
    // Far more than the sockets hold, so that the answer comes first.
    let mut commands = Vec::new();
    write_command(&mut commands, [vec![b'x'; 64 << 20].as_slice()].into_iter());
    let error = client.exchange(&commands, 1, Deadline::after(SOON), &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    drop(client);
    drop(server.join().unwrap());
}

/// Takes a little of what comes, says this, and closes: with what it did not read, the close is a reset.
fn refuses(words: &'static [u8]) -> impl FnOnce(TcpStream) + Send + 'static {
    move |mut stream| {
        stream.read_exact(&mut [0; 1000]).expect("to read");
        stream.write_all(words).expect("to send");
    }
}

#[test]
fn last_words_are_heard_by_who_was_still_sending() {
    let long = vec![b'x'; 16 << 20];
    for words in [&b"-ERR full\r\n"[..], b">1\r\n+a\r\n-ERR full\r\n"] {
        let (mut client, server) = beside(refuses(words));
        assert_eq!(format!("{:?}", client.call(&[&long], Deadline::after(SOON)).unwrap()), "Error(ERR full)");
        assert_eq!(client.take_push().is_some(), words[0] == b'>');
        assert!(is_end(&client.receive(Deadline::after(SOON)).unwrap_err()));
        server.join().unwrap();

        let (mut client, server) = beside(refuses(words));
        client.send(&long, Deadline::after(SOON)).unwrap();
        assert!(client.has_buffered());
        assert_eq!(client.buffered().unwrap().expect("the error").bytes(), b"ERR full");
        assert!(!client.has_buffered());
        server.join().unwrap();

        for count in [1, 2] {
            let (mut client, server) = beside(refuses(words));
            let mut found = String::new();
            let mut handle = |view: View<'_>| found += &format!("{view:?}");
            let error = client.exchange(&long, count, Deadline::after(SOON), &mut handle).unwrap_err();
            assert_eq!(found, "Error(ERR full)");
            assert!(is_end(&error), "{error}");
            server.join().unwrap();
        }
    }
    // Only an error answers what was not sent.
    for words in [&b"+OK\r\n"[..], b"-ERR fu", b"nonsense\r\n", b""] {
        let (mut client, server) = beside(refuses(words));
        let error = client.call(&[&long], Deadline::after(SOON)).unwrap_err();
        assert!(is_end(&error), "{error}");
        server.join().unwrap();
    }
}

#[test]
fn what_was_taken_is_lent_until_more_is_looked_for() {
    let (mut client, server) = beside(|mut stream| stream.write_all(b"+a\r\n+b").expect("to send"));
    assert!(client.last().is_none());
    assert_eq!(client.receive(Deadline::after(SOON)).unwrap().bytes(), b"a");
    assert_eq!(client.last().map(|view| view.bytes().to_vec()).as_deref(), Some(&b"a"[..]));
    assert!(client.buffered().unwrap().is_none() && client.last().is_none());
    server.join().unwrap();
}

#[test]
fn nothing_waits_where_it_is_not_to() {
    let (mut client, server) = beside(|mut stream| {
        let mut byte = [0];
        stream.write_all(b"+a\r\n+b\r\n+c").expect("to send");
        stream.read_exact(&mut byte).expect("a word that the client goes on");
        stream.write_all(b"\r\n").expect("to send");
        stream.read_exact(&mut byte).expect("a word that the client goes on");
    });
    let take = |client: &mut RespClient| client.try_receive().unwrap().map(|view| view.bytes().to_vec());
    let mut found = Vec::new();
    while found.len() < 2 {
        found.extend(take(&mut client));
    }
    while !client.has_buffered() {
        assert_eq!(take(&mut client), None);
    }
    client.send(b".", Deadline::NEVER).unwrap();
    while found.len() < 3 {
        dial::wait(client.as_fd(), false, None).unwrap();
        found.extend(take(&mut client));
    }
    assert_eq!(found, [b"a", b"b", b"c"]);
    client.send(b".", Deadline::NEVER).unwrap();
    server.join().unwrap();
}

#[test]
fn a_reply_without_an_end_has_a_bound() {
    let (mut client, server) = beside(|mut stream| {
        stream.write_all(b"$1000000\r\n").expect("to send");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    client.input.bytes_max = 5 * READ_BYTES;
    let error = client.receive(Deadline::after(SOON)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
    assert!(error.to_string().contains("is not over after 81920 bytes"), "{error}");
    drop(client);
    server.join().unwrap();
}

#[test]
fn the_buffer_falls_back_after_a_big_reply() {
    let (mut client, server) = beside(|mut stream| {
        stream.write_all(b"$200000\r\n").expect("to send");
        stream.write_all(&[b'x'; 200_000]).expect("to send");
        stream.write_all(b"\r\n+OK\r\n").expect("to send");
    });
    assert_eq!(client.receive(Deadline::after(SOON)).unwrap().bytes().len(), 200_000);
    assert_eq!(client.receive(Deadline::after(SOON)).unwrap().bytes(), b"OK");
    assert!(client.receive(Deadline::after(SOON)).is_err());
    assert_eq!(client.input.bytes.len(), READ_BYTES);
    server.join().unwrap();
}

#[test]
fn a_reply_that_is_done_with_takes_no_memory() {
    let (mut client, server) = beside(|mut stream| {
        stream.write_all(&[b"*100000\r\n".as_slice(), &b":1\r\n".repeat(100_000)].concat()).expect("to send");
        stream.read_exact(&mut [0]).expect("a word that the client goes on");
        stream.write_all(b"+a\r\n+b").expect("to send");
        stream.read_exact(&mut [0]).expect("a word that the client goes on");
        stream.write_all(b"c\r\n").expect("to send");
    });
    let deadline = Deadline::after(SOON);
    assert_eq!(client.receive(deadline).unwrap().len(), 100_000);
    assert!(client.input.bytes.len() > 400_000);
    client.forget();
    assert!(client.last().is_none());
    assert_eq!(client.input.bytes.capacity(), READ_BYTES);
    client.send(b".", deadline).unwrap();
    assert_eq!(client.receive(deadline).unwrap().bytes(), b"a");
    // What came of the next one stays.
    while !client.has_buffered() {
        assert!(client.receive_more(None).unwrap());
    }
    client.forget();
    client.send(b".", deadline).unwrap();
    assert_eq!(client.receive(deadline).unwrap().bytes(), b"bc");
    server.join().unwrap();
}

#[test]
fn who_cannot_be_reached_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let refused = RespClient::connect("127.0.0.1", port, Deadline::after(SOON)).err().expect("nobody listens");
    assert_eq!(refused.to_string(), format!("cannot connect to 127.0.0.1:{port}: Connection refused"));
    let unknown = RespClient::connect("no-such-host.invalid", 1, Deadline::NEVER).err().expect("no such host");
    assert_eq!(unknown.kind(), io::ErrorKind::NotFound);
    let path = std::env::temp_dir().join(format!("memento-resp-{}", std::process::id()));
    let missing = RespClient::connect_unix(&path, Deadline::NEVER).err().expect("no such file");
    assert_eq!(missing.to_string(), format!("cannot connect to {}: No such file or directory", path.display()));
    let long = RespClient::connect_unix(Path::new(&"x".repeat(200)), Deadline::NEVER).err().expect("too long");
    assert!(long.to_string().ends_with("File name too long"), "{long}");
}

#[test]
fn a_unix_socket_serves_too() {
    let path = std::env::temp_dir().join(format!("memento-resp-unix-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).expect("a socket");
    let server = thread::spawn(move || {
        let mut stream = listener.accept().expect("a client").0;
        stream.write_all(b"+PONG\r\n").expect("to send");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("to read");
        bytes
    });
    let mut client = RespClient::connect_unix(&path, Deadline::after(SOON)).unwrap();
    assert_eq!(client.call(&[b"PING"], Deadline::after(SOON)).unwrap().bytes(), b"PONG");
    drop(client);
    assert_eq!(server.join().unwrap(), b"*1\r\n$4\r\nPING\r\n");
    let _ = std::fs::remove_file(&path);
}
