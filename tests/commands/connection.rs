//! Cases of the connection and of transactions.

use super::*;
use nix::sys::socket::{setsockopt, sockopt};
use std::time::{Duration, Instant};

/// What a conversation on a connection of its own comes to, lines ended by LF alone.
#[track_caller]
fn said(server: &Server, requests: &str, wanted: &str) {
    let got = server.exchange(requests.replace('\n', "\r\n").as_bytes());
    let got = String::from_utf8_lossy(&got).replace("\r\n", "\n");
    assert!(got == wanted, "\nrequests: {requests:?}\nwanted:   {wanted:?}\ngot:      {got:?}");
}

/// A server that wants the password `secret`.
fn guarded() -> (Server, std::path::PathBuf) {
    let path = std::env::temp_dir().join(format!("memento-password-{}", std::process::id()));
    std::fs::write(&path, "secret\nnot this\n").expect("to write the password file");
    (Server::start(&["--password-file", path.to_str().expect("a plain path")]), path)
}

pub fn auth(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["AUTH"]);
    let none = "AUTH <password> called without any password configured for the default user. Are you sure your \
                configuration is correct?";
    check(client, &[("AUTH x", &format!("(error) {none}")), ("AUTH a b c", SYNTAX), ("AUTH default x", "OK")]);

    let (server, path) = guarded();
    let required = "(error) NOAUTH Authentication required.";
    let wrong = "(error) WRONGPASS invalid username-password pair or user is disabled.";
    said(&server, "GET k\nECHO x\nNOSUCH\n", &format!("{required}\n{required}\n(Unknown command)\n"));
    said(&server, "AUTH secret\nECHO x\n", "OK\nx\n");
    said(&server, "AUTH default secret\nECHO x\nRESET\nECHO x\n", &format!("OK\nx\nRESET\n{required}\n"));
    said(&server, "AUTH nobody secret\nECHO x\n", &format!("{wrong}\n{required}\n"));
    said(&server, "*2\n$4\nAUTH\n$6\nsecret\n*1\n$4\nPING\n", "+OK\n+PONG\n");
    said(&server, "*11\n", "-ERR Protocol error: unauthenticated multibulk length\n");
    said(&server, "*2\n$16385\n", "-ERR Protocol error: unauthenticated bulk length\n");
    said(&server, &format!("SET k {}\n", "x".repeat(17_000)), "(error) line too long\n");
    // A wrong password is answered late, and nobody else waits for it.
    let mut guesser = server.connect();
    let began = Instant::now();
    guesser.send("AUTH guess\r\nAUTH secret\r\nPING\r\n");
    said(&server, "AUTH secret\nPING\n", "OK\nPONG\n");
    let meanwhile = began.elapsed();
    assert_eq!(guesser.until(b"PONG\r\n"), format!("{wrong}\r\nOK\r\n"));
    assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
    assert!(meanwhile < began.elapsed(), "{meanwhile:?}");
    // The password is in no log.
    said(
        &server,
        "AUTH secret\nCONFIG SET slowlog-log-slower-than 0\nAUTH secret\nHELLO 2 AUTH default secret\n*2\n$7\nSLOWLOG\n$3\nLEN\n",
        "OK\nOK\nOK\n*14\n$6\nserver\n$5\nredis\n$7\nversion\n$6\n7.0.15\n$5\nproto\n:2\n$2\nid\n:11\n$4\nmode\n$10\nstandalone\n\
         $4\nrole\n$6\nmaster\n$7\nmodules\n*0\n:3\n",
    );
    let log = server.exchange(b"AUTH secret\r\nSLOWLOG GET\r\n");
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("(redacted)") && !log.contains("secret"), "{log}");
    assert!(!server.log().contains("secret"), "{}", server.log());
    std::fs::remove_file(path).expect("to remove the password file");
}

pub fn hello(server: &mut Server) {
    let answer = "server: redis\nversion: 7.0.15\nproto: 2\nid: 1\nmode: standalone\nrole: master\nmodules: \n";
    said(server, "HELLO\n", answer);
    let version = "(error) Protocol version is not an integer or out of range";
    said(
        server,
        "HELLO x\nHELLO 4\nHELLO 3 FOO\nHELLO 3 SETNAME\nHELLO 3 SETNAME a\x01\nPING\n",
        &format!(
            "{version}\n(error) NOPROTO unsupported protocol version\n(error) Syntax error in HELLO option 'FOO'\n\
             (error) Syntax error in HELLO option 'SETNAME'\n\
             (error) Client names cannot contain spaces, newlines or special characters.\nPONG\n"
        ),
    );
    // After HELLO a line is parsed as a line and answered as the array would be.
    let server = Server::start(&[]);
    let map = "%7\n$6\nserver\n$5\nredis\n$7\nversion\n$6\n7.0.15\n$5\nproto\n:3\n$2\nid\n:1\n$4\nmode\n$10\nstandalone\n\
               $4\nrole\n$6\nmaster\n$7\nmodules\n*0\n";
    said(
        &server,
        "HELLO 3\nSET k two words\nGET k\nGET nosuch\nDEL k\nAPPEND k x\nQUIT\n",
        &format!("{map}+OK\n$9\ntwo words\n_\n:1\n:1\n+OK\n"),
    );
    said(&server, "*1\n$4\nPING\nPING\nGET nosuch\n*2\n$3\nGET\n$1\nz\n", "+PONG\nPONG\n(null)\n$-1\n");
}

pub fn reset(server: &mut Server) {
    wrong_arity(&mut server.connect(), &["RESET x"]);
    said(server, "HELLO 3 SETNAME me\nRESET\n*2\n$6\nCLIENT\n$7\nGETNAME\nPING\n", &{
        let hello = server.exchange(b"HELLO 3\r\n");
        let hello = String::from_utf8_lossy(&hello).replace("\r\n", "\n");
        let id: u64 = hello
            .split("id\n:")
            .nth(1)
            .and_then(|rest| rest.split('\n').next())
            .and_then(|id| id.parse().ok())
            .expect("an id");
        format!("{}+RESET\n$-1\nPONG\n", hello.replace(&format!("id\n:{id}"), &format!("id\n:{}", id + 1)))
    });
    said(server, "MULTI\nSET k v\nRESET\nEXISTS k\nEXEC\n", "OK\nQUEUED\nRESET\n0\n(error) EXEC without MULTI\n");
}

pub fn select(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["SELECT", "SELECT 0 0"]);
    let range = "(error) DB index is out of range";
    check(client, &[("SELECT 0", "OK"), ("SELECT 1", range), ("SELECT -1", range), ("SELECT x", NOT_INTEGER)]);
}

pub fn client(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["CLIENT"]);
    check(
        client,
        &[
            ("CLIENT ID", "1"),
            ("CLIENT GETNAME", "(null)"),
            ("CLIENT SETNAME me", "OK"),
            ("CLIENT GETNAME", "me"),
            ("CLIENT SETINFO LIB-NAME x", "OK"),
            ("CLIENT SETINFO FOO x", "(error) Unrecognized option 'FOO'"),
            ("CLIENT NO-EVICT on", "OK"),
            ("CLIENT NO-TOUCH off", "OK"),
            ("CLIENT NO-TOUCH maybe", SYNTAX),
            ("CLIENT ID x", "(error) wrong number of arguments for 'client|id' command"),
            ("CLIENT TRACKING on", "(error) unknown subcommand 'TRACKING'. Try CLIENT HELP."),
            ("CLIENT LIST TYPE nosuch", "(error) Unknown client type 'nosuch'"),
            ("CLIENT LIST TYPE master", ""),
            ("CLIENT LIST ID x", "(error) Invalid client ID"),
            ("CLIENT KILL 1.2.3.4:5", "(error) No such client"),
            ("CLIENT KILL ID 0", "(error) client-id should be greater than 0"),
            ("CLIENT KILL ID 9999", "0"),
            ("CLIENT KILL FOO x", SYNTAX),
            ("CLIENT PAUSE x", "(error) timeout is not an integer or out of range"),
            ("CLIENT PAUSE -1", "(error) timeout is negative"),
            ("CLIENT PAUSE 1 FOO", "(error) CLIENT PAUSE mode must be WRITE or ALL"),
            ("CLIENT UNPAUSE", "OK"),
        ],
    );
    let info = client.ask("CLIENT INFO");
    assert!(
        info.starts_with("id=1 addr=127.0.0.1:") && info.contains(" name=me ") && info.contains(" cmd=client "),
        "{info}"
    );
    let mut other = server.connect();
    other.expect("PING", "PONG");
    assert_eq!(client.ask("CLIENT LIST").lines().count(), 2);
    assert!(client.ask("CLIENT LIST ID 1").starts_with("id=1 "));
    client.expect("CLIENT KILL TYPE normal", "1");
    assert_eq!(other.rest(), b"");
    said(
        server,
        "CLIENT REPLY SKIP\nSET k 1\nGET k\nCLIENT REPLY OFF\nGET k\nKEYS k\nCLIENT REPLY ON\nGET k\n",
        "1\nOK\n1\n",
    );
    said(server, "CLIENT KILL ID 1 SKIPME no\nCLIENT KILL TYPE normal SKIPME no\nPING\n", "1\n1\n");
    pause(server);
}

/// Clients are held up, only as long and only as far as was said.
fn pause(server: &Server) {
    let (mut pauser, mut writer) = (server.connect(), server.connect());
    pauser.expect("CLIENT PAUSE 100000 WRITE", "OK");
    writer.expect("GET k", "1");
    writer.send("SET k 2\r\nKEYS *\r\nGET k\r\n");
    pauser.expect("GET k", "1");
    assert!(pauser.ask("INFO clients").contains("blocked_clients:1"));
    pauser.expect("CLIENT UNPAUSE", "OK");
    assert_eq!(writer.until(b"2\r\n"), "OK\r\nk\r\n");
    let began = Instant::now();
    pauser.expect("CLIENT PAUSE 150", "OK");
    assert!(began.elapsed() >= Duration::from_millis(140), "{:?}", began.elapsed());
    // Who waits may go, and what it asked for is not done.
    pauser.expect("CLIENT PAUSE 100000 WRITE", "OK");
    let mut gone = server.connect();
    gone.send("SET k 3\r\n");
    wait_for("the request to wait", || pauser.ask("INFO clients").contains("blocked_clients:1"));
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&gone.stream, sockopt::Linger, &linger).expect("SO_LINGER");
    drop(gone);
    wait_for("the client to be gone", || pauser.ask("INFO clients").contains("blocked_clients:0"));
    pauser.expect("CLIENT UNPAUSE", "OK");
    pauser.expect("GET k", "2");
}

pub fn multi(server: &mut Server) {
    wrong_arity(&mut server.connect(), &["MULTI x"]);
    said(
        server,
        "MULTI\nMULTI\nSET k a b\nGET k\nAPPEND k c\nDEL k x\nKEYS *\nINC k x\nEXEC\nGET k\n",
        "OK\n(error) MULTI calls can not be nested\nQUEUED\nQUEUED\nQUEUED\nQUEUED\nQUEUED\nQUEUED\n\
         OK\na b\nOK\nOK\n(error) value is not an integer or out of range\n(null)\n",
    );
    let aborted = "(error) EXECABORT Transaction discarded because of previous errors.";
    said(server, "MULTI\nSET k 1\nNOSUCH\nEXEC\nEXISTS k\n", &format!("OK\nQUEUED\n(Unknown command)\n{aborted}\n0\n"));
    said(
        server,
        "MULTI\nGET\nEXEC\nMULTI\nSHUTDOWN\nEXEC\n",
        &format!(
            "OK\n(error) wrong number of arguments for 'get' command\n{aborted}\nOK\n\
             (error) Command not allowed inside a transaction\n{aborted}\n"
        ),
    );
}

pub fn exec(server: &mut Server) {
    said(server, "EXEC\nMULTI\nEXEC\n", "(error) EXEC without MULTI\nOK\n(empty)\n");
    let refused = "(error) EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command";
    said(server, "MULTI\nSET k 1\nEXEC x\nEXISTS k\n", &format!("OK\nQUEUED\n{refused}\n0\n"));
    said(server, "*1\n$5\nMULTI\n*2\n$3\nGET\n$1\nk\n*1\n$4\nEXEC\n", "+OK\n+QUEUED\n*1\n$-1\n");
}

pub fn discard(server: &mut Server) {
    wrong_arity(&mut server.connect(), &["DISCARD x"]);
    said(server, "DISCARD\nMULTI\nSET k 1\nDISCARD\nEXISTS k\n", "(error) DISCARD without MULTI\nOK\nQUEUED\nOK\n0\n");
}

/// Watches `k`, lets another client make a request, and says what EXEC answers then.
fn watched(server: &Server, before: &str, request: &str) -> String {
    let (mut watcher, mut other) = (server.connect(), server.connect());
    other.ask("FLUSH");
    if !before.is_empty() {
        other.ask(before);
    }
    watcher.expect("WATCH k", "OK");
    other.ask(request);
    watcher.send("MULTI\r\nPING\r\nEXEC\r\nECHO end\r\n");
    let answer = watcher.until(b"end\r\n");
    answer.trim_start_matches("OK\r\nQUEUED\r\n").trim_end().to_string()
}

pub fn watch(server: &mut Server) {
    wrong_arity(&mut server.connect(), &["WATCH"]);
    said(server, "MULTI\nWATCH k\nEXEC\n", "OK\n(error) WATCH inside MULTI is not allowed\n(empty)\n");
    for request in ["SET k 2", "DEL k", "APPEND k x", "INC k", "EXPIRE k 100", "FLUSH", "RENAME k x", "PEXPIRE k -1"] {
        assert_eq!(watched(server, "SET k 1", request), "(null)", "{request}");
    }
    for request in ["SET x 2", "GET k", "SETNX k 2", "DEL x", "PERSIST k", "COPY k y"] {
        assert_eq!(watched(server, "SET k 1", request), "PONG", "{request}");
    }
    assert_eq!(watched(server, "", "SET k 1"), "(null)");
    assert_eq!(watched(server, "", "FLUSH"), "PONG");
    // A key that ends is a key that changes.
    let mut watcher = server.connect();
    watcher.expect("PSETEX k 30 v", "OK");
    watcher.expect("WATCH k", "OK");
    let mut other = server.connect();
    wait_for("the key to end", || other.ask("EXISTS k") == "0");
    watcher.send("MULTI\r\nPING\r\nEXEC\r\nECHO end\r\n");
    assert_eq!(watcher.until(b"end\r\n"), "OK\r\nQUEUED\r\n(null)\r\n");
}

pub fn unwatch(server: &mut Server) {
    wrong_arity(&mut server.connect(), &["UNWATCH x"]);
    said(server, "WATCH k\nSET k 1\nUNWATCH\nMULTI\nGET k\nEXEC\n", "OK\nOK\nOK\nOK\nQUEUED\n1\n");
    said(
        server,
        "WATCH k\nSET k 2\nMULTI\nGET k\nEXEC\nMULTI\nGET k\nEXEC\n",
        "OK\nOK\nOK\nQUEUED\n(null)\nOK\nQUEUED\n2\n",
    );
}
