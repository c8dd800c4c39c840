//! Cases of keys and their ends beyond the first ones.

use super::*;

const NO_SUCH_KEY: &str = "(error) no such key";

pub fn unlink(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["UNLINK"]);
    check(client, &[("UNLINK k", "(null)"), ("MSET a 1 b 2 c 3", "OK"), ("UNLINK a x b", "OK"), ("DBSIZE", "1")]);
}

pub fn kind(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["TYPE", "TYPE a b"]);
    check(client, &[("TYPE k", "none"), ("SET k 1", "OK"), ("TYPE k", "string")]);
}

pub fn touch(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["TOUCH"]);
    check(client, &[("TOUCH k", "0"), ("SET k v", "OK"), ("TOUCH k x k", "2")]);
}

pub fn randomkey(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["RANDOMKEY x"]);
    check(client, &[("RANDOMKEY", "(null)"), ("SET a 1", "OK"), ("RANDOMKEY", "a"), ("MSET b 2 c 3", "OK")]);
    let mut seen = BTreeSet::new();
    wait_for("each key to be drawn", || {
        seen.insert(client.ask("RANDOMKEY"));
        seen.len() == 3
    });
    assert!(seen.iter().map(String::as_str).eq(["a", "b", "c"]), "{seen:?}");
}

pub fn rename(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["RENAME", "RENAME a", "RENAME a b c"]);
    check(client, &[("RENAME a b", NO_SUCH_KEY), ("RENAME a a", NO_SUCH_KEY), ("SETEX a 100 v w", "OK")]);
    check(
        client,
        &[("RENAME a a", "OK"), ("SET b old", "OK"), ("RENAME a b", "OK"), ("GET b", "v w"), ("TTL b", "100")],
    );
    check(
        client,
        &[("EXISTS a", "0"), ("DBSIZE", "1"), ("SETEX c 50 v", "OK"), ("SET d v", "OK"), ("RENAME d c", "OK")],
    );
    let long = "v".repeat(10_000);
    check(client, &[("TTL c", "-1"), (&format!("SET c {long}"), "OK"), ("RENAME c e", "OK"), ("GET e", &long)]);
}

pub fn renamenx(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["RENAMENX", "RENAMENX a", "RENAMENX a b c"]);
    check(client, &[("RENAMENX a b", NO_SUCH_KEY), ("RENAMENX a a", NO_SUCH_KEY), ("SETEX a 100 v", "OK")]);
    check(client, &[("RENAMENX a a", "0"), ("RENAMENX a b", "1"), ("TTL b", "100"), ("EXISTS a", "0")]);
    check(client, &[("SET a w", "OK"), ("RENAMENX a b", "0"), ("MGET a b", "w\nv")]);
}

pub fn copy(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["COPY", "COPY a"]);
    check(client, &[("COPY a b", "0"), ("SETEX a 100 v", "OK"), ("COPY a b", "1"), ("GET b", "v"), ("TTL b", "100")]);
    check(
        client,
        &[("SET a w", "OK"), ("COPY a b", "0"), ("COPY a b DB 0 replace", "1"), ("GET b", "w"), ("TTL b", "-1")],
    );
    let same = "(error) source and destination objects are the same";
    check(client, &[("COPY a a", same), ("COPY x x", same), ("COPY a a FOO", SYNTAX), ("COPY a b DB", SYNTAX)]);
    let out_of_range = "(error) DB index is out of range";
    check(
        client,
        &[("COPY a c DB 99", out_of_range), ("COPY a c DB -1", out_of_range), ("COPY a c DB x", NOT_INTEGER)],
    );
    let words = "(error) value is out of range, value must between -2147483648 and 2147483647";
    client.expect("COPY a c DB 2147483648", words);
    // A long value is shared by the two, and each is changed alone.
    let long = "v".repeat(10_000);
    check(client, &[(&format!("SET a {long}"), "OK"), ("COPY a c", "1"), ("APPEND a w", "OK"), ("GET c", &long)]);
    check(client, &[("SETRANGE c 0 w", "10000"), ("GETRANGE a 0 0", "v"), ("STRLEN a", "10001")]);
}

pub fn object(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["OBJECT"]);
    client.expect("OBJECT FOO", "(error) unknown subcommand 'FOO'. Try OBJECT HELP.");
    for sub in ["encoding", "freq", "idletime", "refcount"] {
        let words = format!("(error) wrong number of arguments for 'object|{sub}' command");
        check(client, &[(&format!("OBJECT {sub}"), &words), (&format!("OBJECT {sub} a b"), &words)]);
        client.expect(&format!("OBJECT {sub} none"), "(null)");
    }
    client.expect("OBJECT HELP x", "(error) wrong number of arguments for 'object|help' command");
    let help = client.ask("OBJECT HELP");
    assert!(help.starts_with("OBJECT <subcommand>") && help.split('\n').count() == 11, "{help}");
    check(client, &[("SET k 12345", "OK"), ("OBJECT ENCODING k", "int"), ("OBJECT REFCOUNT k", "1")]);
    check(client, &[("SET k 012345", "OK"), ("object encoding k", "embstr")]);
    check(client, &[(&format!("SET k {}", "v".repeat(45)), "OK"), ("OBJECT ENCODING k", "raw")]);
    let idle = client.ask("OBJECT IDLETIME k");
    assert!(idle.starts_with("(error) An LRU maxmemory policy is not selected, idle time not tracked. "), "{idle}");
    let freq = client.ask("OBJECT FREQ k");
    assert!(
        freq.starts_with("(error) An LFU maxmemory policy is not selected, access frequency not tracked. "),
        "{freq}"
    );
}

pub fn flushdb(server: &mut Server) {
    flushes(server, "FLUSHDB");
}

pub fn flushall(server: &mut Server) {
    flushes(server, "FLUSHALL");
}

fn flushes(server: &mut Server, name: &str) {
    let client = &mut server.connect();
    for options in ["", " SYNC", " async"] {
        check(
            client,
            &[("MSET a 1 b 2", "OK"), (&format!("{name}{options}"), "OK"), ("DBSIZE", "0"), ("GET a", "(null)")],
        );
    }
    check(client, &[("SET a 1", "OK"), (&format!("{name} FOO"), SYNTAX), (&format!("{name} SYNC ASYNC"), SYNTAX)]);
    check(client, &[(&format!("{name} SYNC SYNC"), SYNTAX), ("DBSIZE", "1")]);
}

pub fn expireat(server: &mut Server) {
    expires_at(server, "EXPIREAT", "EXPIRETIME", 1);
}

pub fn pexpireat(server: &mut Server) {
    expires_at(server, "PEXPIREAT", "PEXPIRETIME", 1000);
}

fn expires_at(server: &mut Server, name: &str, show: &str, unit: i64) {
    let client = &mut server.connect();
    wrong_arity(client, &[name, &format!("{name} k")]);
    let call =
        |client: &mut Client, arguments: &str, wanted: &str| client.expect(&format!("{name} {arguments}"), wanted);
    call(client, "k 100", "0");
    call(client, "k x", NOT_INTEGER);
    call(client, "k x FOO", "(error) Unsupported option FOO");
    call(client, "k 1 GT LT", "(error) GT and LT options at the same time are not compatible");
    client.expect("SET k v", "OK");
    let time = |seconds: i64| (4_000_000_000 + seconds) * unit;
    for (arguments, wanted) in [
        (format!("{} XX", time(0)), "0"),
        (format!("{} GT", time(0)), "0"),
        (format!("{} NX", time(0)), "1"),
        (format!("{} NX", time(1)), "0"),
        (format!("{} GT", time(0)), "0"),
        (format!("{} gt", time(2)), "1"),
        (format!("{} LT", time(2)), "0"),
        (format!("{} LT", time(1)), "1"),
    ] {
        call(client, &format!("k {arguments}"), wanted);
    }
    // It is shown as it was given.
    client.expect(&format!("{show} k"), &time(1).to_string());
    if unit == 1 {
        let words = "(error) invalid expire time in 'expireat' command";
        call(client, "k 9223372036854776", words);
        call(client, "k -9223372036854776", words);
    } else {
        call(client, "k 9223372036854775807", "1");
    }
    // In the past: the key is deleted.
    for past in [1, 0, -5] {
        client.expect("SET k v", "OK");
        call(client, &format!("k {past}"), "1");
        client.expect("DBSIZE", "0");
    }
    let soon = if unit == 1 { now_ms() / 1000 + 1 } else { now_ms() + 30 };
    client.expect("SET k v", "OK");
    call(client, &format!("k {soon}"), "1");
    wait_for("the end of the key", || client.ask("GET k") == "(null)");
}

pub fn expiretime(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["EXPIRETIME", "EXPIRETIME a b"]);
    check(client, &[("EXPIRETIME k", "-2"), ("SET k v", "OK"), ("EXPIRETIME k", "-1")]);
    // Rounded to the nearest second, as TTL is.
    check(client, &[("PEXPIREAT k 4000000000499", "1"), ("EXPIRETIME k", "4000000000")]);
    check(client, &[("PEXPIREAT k 4000000000500", "1"), ("EXPIRETIME k", "4000000001")]);
}

pub fn pexpiretime(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["PEXPIRETIME", "PEXPIRETIME a b"]);
    check(client, &[("PEXPIRETIME k", "-2"), ("SET k v", "OK"), ("PEXPIRETIME k", "-1")]);
    check(client, &[("PEXPIREAT k 4000000000499", "1"), ("PEXPIRETIME k", "4000000000499")]);
}

/// The payload of `a`, as redis-server 7.0.15 gives it.
const PAYLOAD: &[u8] = b"\x00\x01a\x0a\x00\xbf\xfe\xef\x9b\x8f\x36\x7d\xb4";

pub fn dump(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["DUMP", "DUMP a b"]);
    check(client, &[("DUMP k", "(null)"), ("SET k a", "OK")]);
    client.send("*2\r\n$4\r\nDUMP\r\n$1\r\nk\r\n");
    let wanted = [b"$13\r\n", PAYLOAD, b"\r\n"].concat();
    assert_eq!(client.exactly(wanted.len()), wanted);
    let long = "v".repeat(100_000);
    check(client, &[(&format!("SET k {long}"), "OK")]);
    let payload = client.ask("DUMP k");
    assert!(payload.starts_with("\0\u{fffd}\0\u{1}\u{fffd}\u{fffd}vvv"), "{:?}", &payload[..20]);
}

/// RESTORE's answer; in a line of text no payload could be said, since it has an LF.
fn ask_restore(client: &mut Client, key: &str, ttl: &str, payload: &[u8], options: &str) -> String {
    let mut words = vec![&b"RESTORE"[..], key.as_bytes(), ttl.as_bytes(), payload];
    words.extend(options.split_ascii_whitespace().map(str::as_bytes));
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend(format!("${}\r\n", word.len()).into_bytes());
        request.extend(word);
        request.extend(b"\r\n");
    }
    client.send(request);
    client.line()
}

pub fn restore(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["RESTORE", "RESTORE k", "RESTORE k 0"]);
    let busy = "-BUSYKEY Target key name already exists.";
    assert_eq!(ask_restore(client, "k", "0", PAYLOAD, ""), "+OK");
    check(client, &[("GET k", "a"), ("TTL k", "-1")]);
    assert_eq!(ask_restore(client, "k", "0", PAYLOAD, ""), busy);
    assert_eq!(ask_restore(client, "k", "100000", PAYLOAD, "replace"), "+OK");
    check(client, &[("GET k", "a"), ("TTL k", "100"), ("SET k v", "OK")]);
    assert_eq!(ask_restore(client, "k", "4000000000123", PAYLOAD, "ABSTTL REPLACE"), "+OK");
    check(client, &[("PEXPIRETIME k", "4000000000123"), ("GET k", "a")]);
    // What has ended is not stored, and what it replaces goes.
    assert_eq!(ask_restore(client, "new", "1", PAYLOAD, "ABSTTL"), "+OK");
    assert_eq!(ask_restore(client, "k", "1", PAYLOAD, "ABSTTL REPLACE"), "+OK");
    check(client, &[("EXISTS new", "0"), ("EXISTS k", "0")]);
    // In the order in which Redis looks.
    let wrong = |client: &mut Client, ttl: &str, payload: &[u8], options: &str, wanted: &str| {
        assert_eq!(ask_restore(client, "new", ttl, payload, options), format!("-ERR {wanted}"), "{ttl} {options}");
        client.expect("EXISTS new", "0");
    };
    for options in ["FOO", "FREQ", "IDLETIME", "IDLETIME 1 FREQ 1", "FREQ 1 IDLETIME 1", "NX"] {
        wrong(client, "x", PAYLOAD, options, "syntax error");
    }
    wrong(client, "x", PAYLOAD, "FREQ 256", "Invalid FREQ value, must be >= 0 and <= 255");
    wrong(client, "x", PAYLOAD, "FREQ -1", "Invalid FREQ value, must be >= 0 and <= 255");
    wrong(client, "x", PAYLOAD, "IDLETIME -1", "Invalid IDLETIME value, must be >= 0");
    wrong(client, "0", PAYLOAD, "IDLETIME x", "value is not an integer or out of range");
    wrong(client, "x", b"junk", "", "value is not an integer or out of range");
    wrong(client, "-1", b"junk", "", "Invalid TTL value, must be >= 0");
    // Redis's sum of this and the time is a moment long ago, and it answers OK.
    wrong(client, "9223372036854775807", PAYLOAD, "", "invalid expire time in 'restore' command");
    let spoilt = "DUMP payload version or checksum are wrong";
    wrong(client, "0", b"junk", "", spoilt);
    wrong(client, "0", b"", "", spoilt);
    wrong(client, "0", &PAYLOAD[..12], "", spoilt);
    let sealed = |body: &[u8]| {
        let mut payload = body.to_vec();
        payload.extend(memento::dump::seal(&payload));
        payload
    };
    // A list, a string that ends too soon, one that was not packed.
    for body in [&b"\x01\x01\x01a"[..], b"\x00\x0fa", b"\x00\xc3\x02\x05\x20\x00", b""] {
        wrong(client, "0", &sealed(body), "", "Bad data format");
    }
    assert_eq!(ask_restore(client, "k", "0", &sealed(b"\x00\xc3\x02\x02\x01ab"), "FREQ 3"), "-ERR Bad data format");
    assert_eq!(ask_restore(client, "k", "0", &sealed(b"\x00\xc3\x06\x06\x02abc\x20\x02"), "FREQ 3"), "+OK");
    assert_eq!(ask_restore(client, "k", "0", &sealed(b"\x00\xc1\x39\x30"), "REPLACE IDLETIME 3"), "+OK");
    check(client, &[("GET k", "12345"), ("OBJECT ENCODING k", "int")]);
}
