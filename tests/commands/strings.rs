//! Cases of strings and counters beyond the first ones.

use super::*;

pub fn getdel(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["GETDEL", "GETDEL a b"]);
    check(client, &[("GETDEL k", "(null)"), ("SET k a b", "OK"), ("GETDEL k", "a b"), ("EXISTS k", "0")]);
    let long = "v".repeat(10_000);
    check(client, &[(&format!("SET k {long}"), "OK"), ("GETDEL k", &long), ("GETDEL k", "(null)")]);
}

pub fn delifeq(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["DELIFEQ", "DELIFEQ k", "DELIFEQ k a b"]);
    check(client, &[("DELIFEQ k v", "0"), ("SET k v", "OK"), ("DELIFEQ k w", "0"), ("GET k", "v")]);
    check(client, &[("DELIFEQ k v", "1"), ("GET k", "(null)"), ("DELIFEQ k v", "0")]);
}

pub fn getex(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["GETEX"]);
    check(client, &[("GETEX k", "(null)"), ("GETEX k EX 0", "(null)"), ("SET k v", "OK"), ("GETEX k", "v")]);
    check(client, &[("TTL k", "-1"), ("GETEX k EX 100", "v"), ("TTL k", "100"), ("GETEX k", "v"), ("TTL k", "100")]);
    check(client, &[("GETEX k PERSIST", "v"), ("TTL k", "-1"), ("GETEX k px 200000", "v"), ("TTL k", "200")]);
    check(client, &[("GETEX k EXAT 4000000000", "v"), ("EXPIRETIME k", "4000000000")]);
    check(client, &[("GETEX k PXAT 4000000000123", "v"), ("PEXPIRETIME k", "4000000000123")]);
    for options in ["FOO", "EX", "EX 10 PX 10", "EX 10 PERSIST", "PERSIST EX 10", "NX", "GET", "KEEPTTL", "IFEQ v"] {
        client.expect(&format!("GETEX k {options}"), SYNTAX);
    }
    for options in ["EX 0", "PX -1", "EXAT 0", "EX 9223372036854775807", "PX 9223372036854775807"] {
        client.expect(&format!("GETEX k {options}"), "(error) invalid expire time in 'getex' command");
    }
    check(client, &[("GETEX k EX x", NOT_INTEGER), ("GETEX k PXAT 1.5", NOT_INTEGER)]);
    // In the past: a last answer.
    check(client, &[("PEXPIRETIME k", "4000000000123"), ("GETEX k PXAT 1", "v"), ("EXISTS k", "0")]);
}

pub fn msetnx(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["MSETNX", "MSETNX a", "MSETNX a 1 b"]);
    check(client, &[("MSETNX a 1 b 2 a 3", "1"), ("MGET a b", "3\n2"), ("MSETNX b 4 c 5", "0"), ("GET c", "(null)")]);
    check(client, &[("GET b", "2"), ("MSETNX c 5 d 6", "1"), ("DBSIZE", "4")]);
}

pub fn getrange(server: &mut Server) {
    ranges(server, "GETRANGE");
}

pub fn substr(server: &mut Server) {
    ranges(server, "SUBSTR");
}

fn ranges(server: &mut Server, name: &str) {
    let client = &mut server.connect();
    let call = |arguments: &str| format!("{name} {arguments}");
    wrong_arity(client, &[name, &call("k"), &call("k 0"), &call("k 0 1 2")]);
    check(client, &[(&call("k 0 -1"), ""), (&call("k x 1"), NOT_INTEGER), (&call("k 0 1.5"), NOT_INTEGER)]);
    client.expect("SET k hello world", "OK");
    for (range, wanted) in [
        ("0 -1", "hello world"),
        ("0 4", "hello"),
        ("-5 -1", "world"),
        ("-5 -7", ""),
        ("6 100", "world"),
        ("11 20", ""),
        ("3 2", ""),
        ("0 -100", "h"),
        ("-100 0", "h"),
        ("-9223372036854775808 9223372036854775807", "hello world"),
    ] {
        client.expect(&call(&format!("k {range}")), wanted);
    }
    let long = "0123456789".repeat(10_000);
    check(client, &[(&format!("SET k {long}"), "OK"), (&call("k 0 -1"), &long), (&call("k 99995 -1"), "56789")]);
    client.expect(&call("k 10 50009"), &long[10..50_010]);
}

pub fn setrange(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["SETRANGE", "SETRANGE k", "SETRANGE k 0"]);
    check(client, &[("SETRANGE k 0 ", "0"), ("EXISTS k", "0"), ("SETRANGE k 3 ab  c", "8")]);
    check(client, &[("GET k", "\0\0\0ab  c"), ("SETRANGE k 0 xyz", "8"), ("GET k", "xyzab  c"), ("EXPIRE k 100", "1")]);
    check(client, &[("SETRANGE k 7 !!", "9"), ("GET k", "xyzab  !!"), ("TTL k", "100"), ("SETRANGE k 100 ", "9")]);
    let out_of_range = "(error) offset is out of range";
    check(
        client,
        &[("SETRANGE k -1 v", out_of_range), ("SETRANGE k -1 ", out_of_range), ("SETRANGE k x v", NOT_INTEGER)],
    );
    let too_long = "(error) string exceeds maximum allowed size (proto-max-bulk-len)";
    for offset in ["536870912", "536870911", "9223372036854775807"] {
        client.expect(&format!("SETRANGE k {offset} vv"), too_long);
        client.expect(&format!("SETRANGE new {offset} vv"), too_long);
    }
    check(
        client,
        &[("GET k", "xyzab  !!"), ("EXISTS new", "0"), ("SETRANGE new 10000 v", "10001"), ("STRLEN new", "10001")],
    );
}

pub fn lcs(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["LCS", "LCS a"]);
    check(client, &[("LCS a b", ""), ("LCS a b LEN", "0")]);
    assert!(client.ask("LCS a b IDX").ends_with("len: 0"));
    check(client, &[("MSET a ohmytext b mynewtext", "OK"), ("LCS a b", "mytext"), ("LCS a b LEN", "6")]);
    check(client, &[("LCS a b IDX", "matches: 4\n7\n5\n8\n2\n3\n0\n1\nlen: 6")]);
    check(client, &[("LCS a b idx minmatchlen 4 withmatchlen", "matches: 4\n7\n5\n8\n4\nlen: 6")]);
    check(client, &[("LCS a b MINMATCHLEN -1 IDX WITHMATCHLEN", "matches: 4\n7\n5\n8\n4\n2\n3\n0\n1\n2\nlen: 6")]);
    check(client, &[("LCS a b FOO", SYNTAX), ("LCS a b MINMATCHLEN", SYNTAX), ("LCS a b MINMATCHLEN x", NOT_INTEGER)]);
    client.expect("LCS a b LEN IDX", "(error) If you want both the length and indexes, please just use IDX.");
    let (short, long) = ("v".repeat(2048), "v".repeat(2049));
    check(
        client,
        &[(&format!("MSET a {short} b {short} c {long}"), "OK"), ("LCS a b", &short), ("LCS b a LEN", "2048")],
    );
    let words = "(error) strings too long for LCS: the product of their lengths exceeds 4194304";
    check(client, &[("LCS a c", words), ("LCS c a LEN", words)]);
}

pub fn incr(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["INCR", "INCR k 1"]);
    check(client, &[("INCR k", "1"), ("INCR k", "2"), ("SET k 9223372036854775807", "OK"), ("INCR k", OVERFLOW)]);
    check(client, &[("SET k v", "OK"), ("INCR k", NOT_INTEGER), ("SET k  1", "OK"), ("INCR k", NOT_INTEGER)]);
}

pub fn decr(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["DECR", "DECR k 1"]);
    check(client, &[("DECR k", "-1"), ("DECR k", "-2"), ("SET k -9223372036854775808", "OK"), ("DECR k", OVERFLOW)]);
    check(client, &[("SET k v", "OK"), ("DECR k", NOT_INTEGER)]);
}

pub fn incrby(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["INCRBY", "INCRBY k", "INCRBY k 1 2"]);
    check(
        client,
        &[("INCRBY k 5", "5"), ("INCRBY k -7", "-2"), ("INCRBY k x", NOT_INTEGER), ("INCRBY k 1.5", NOT_INTEGER)],
    );
    check(client, &[("INCRBY k -9223372036854775807", OVERFLOW), ("GET k", "-2"), ("EXPIRE k 100", "1")]);
    check(client, &[("INCRBY k 2", "0"), ("TTL k", "100"), ("SET k v", "OK"), ("INCRBY k 1", NOT_INTEGER)]);
}

pub fn decrby(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["DECRBY", "DECRBY k", "DECRBY k 1 2"]);
    check(client, &[("DECRBY k 5", "-5"), ("DECRBY k -7", "2"), ("DECRBY k x", NOT_INTEGER), ("GET k", "2")]);
    check(client, &[("DECRBY k -9223372036854775808", "(error) decrement would overflow"), ("SET k -3", "OK")]);
    check(client, &[("DECRBY k 9223372036854775807", OVERFLOW), ("GET k", "-3")]);
}

pub fn incrbyfloat(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["INCRBYFLOAT", "INCRBYFLOAT k", "INCRBYFLOAT k 1 2"]);
    check(client, &[("INCRBYFLOAT k 0.1", "0.1"), ("INCRBYFLOAT k 0.2", "0.3"), ("INCRBYFLOAT k -3e0", "-2.7")]);
    check(client, &[("INCRBYFLOAT k x", NOT_FLOAT), ("INCRBYFLOAT k nan", NOT_FLOAT), ("GET k", "-2.7")]);
    let infinite = "(error) increment would produce NaN or Infinity";
    check(client, &[("INCRBYFLOAT k inf", infinite), ("INCRBYFLOAT k -Infinity", infinite), ("GET k", "-2.7")]);
    check(
        client,
        &[("SET k v", "OK"), ("INCRBYFLOAT k 1", NOT_FLOAT), ("INCRBYFLOAT k inf", NOT_FLOAT), ("GET k", "v")],
    );
}
