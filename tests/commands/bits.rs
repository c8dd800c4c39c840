//! Cases of values as rows of bits.

use super::*;

const BAD_OFFSET: &str = "(error) bit offset is not an integer or out of range";

pub fn setbit(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["SETBIT", "SETBIT k", "SETBIT k 1", "SETBIT k 1 1 1"]);
    check(client, &[("SETBIT k 1 1", "0"), ("SETBIT k 1 1", "1"), ("SETBIT k 7 1", "0"), ("GET k", "A")]);
    // What is changed in its place keeps its times; what was not there becomes zeros.
    let created = |client: &mut Client| client.ask("GETP k").split('\n').nth(2).map(str::to_owned);
    let before = created(client);
    check(client, &[("EXPIRE k 100", "1"), ("SETBIT k 23 0", "0"), ("GET k", "A\0\0"), ("SETBIT k 1 0", "1")]);
    check(client, &[("GET k", "\u{1}\0\0"), ("TTL k", "100"), ("STRLEN k", "3")]);
    assert_eq!(created(client), before);
    for wrong in ["2", "-1", "x", "01"] {
        client.expect(&format!("SETBIT k 0 {wrong}"), "(error) bit is not an integer or out of range");
    }
    for wrong in ["-1", "x", "4294967296", "9223372036854775808", "#1"] {
        client.expect(&format!("SETBIT k {wrong} 1"), BAD_OFFSET);
        client.expect(&format!("SETBIT new {wrong} 1"), BAD_OFFSET);
    }
    check(client, &[("EXISTS new", "0"), ("SETBIT new 100000000 1", "0"), ("STRLEN new", "12500001")]);
    check(client, &[("BITPOS new 1", "100000000"), ("SETBIT new 3 1", "0"), ("BITCOUNT new", "2")]);
    // The last bit that there can be.
    check(client, &[("SETBIT new 4294967295 1", "0"), ("STRLEN new", "536870912"), ("GETBIT new 4294967295", "1")]);
    check(client, &[("DEL new", "OK"), ("SETBIT new 4294967295 0", "0"), ("STRLEN new", "536870912")]);
}

pub fn getbit(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["GETBIT", "GETBIT k", "GETBIT k 1 1"]);
    check(client, &[("GETBIT k 0", "0"), ("EXISTS k", "0"), ("SET k A", "OK"), ("GETBIT k 0", "0")]);
    check(client, &[("GETBIT k 1", "1"), ("GETBIT k 7", "1"), ("GETBIT k 8", "0"), ("GETBIT k 4294967295", "0")]);
    check(client, &[("GETBIT k -1", BAD_OFFSET), ("GETBIT k x", BAD_OFFSET), ("GETBIT k 4294967296", BAD_OFFSET)]);
}

pub fn bitcount(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["BITCOUNT"]);
    check(client, &[("BITCOUNT k", "0"), ("BITCOUNT k 0 x", "0"), ("SET k foobar", "OK"), ("BITCOUNT k", "26")]);
    check(client, &[("BITCOUNT k 0 0", "4"), ("BITCOUNT k 1 1", "6"), ("BITCOUNT k 1 1 byte", "6")]);
    check(client, &[("BITCOUNT k 5 30 BIT", "17"), ("BITCOUNT k -8 -1 bit", "4"), ("BITCOUNT k 5 5 BIT", "1")]);
    check(client, &[("BITCOUNT k 2 1", "0"), ("BITCOUNT k -2 -3 FOO", "0"), ("BITCOUNT k -999 999", "26")]);
    check(client, &[("BITCOUNT k 0", SYNTAX), ("BITCOUNT k 0 1 FOO", SYNTAX), ("BITCOUNT k 0 1 BIT x", SYNTAX)]);
    check(client, &[("BITCOUNT k x 1", NOT_INTEGER), ("BITCOUNT k 0 1.5", NOT_INTEGER)]);
    for length in [4096, 4097, 70_000, 1_000_000] {
        client.expect(&format!("SET k {}", "w".repeat(length)), "OK");
        client.expect("BITCOUNT k", &(6 * length).to_string());
        client.expect("BITCOUNT k 1 -2", &(6 * (length - 2)).to_string());
    }
}

pub fn bitpos(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["BITPOS", "BITPOS k"]);
    check(client, &[("BITPOS k 0", "0"), ("BITPOS k 1", "-1"), ("BITPOS k 1 x", "-1")]);
    client.expect("SETBIT k 21 1", "0");
    check(client, &[("BITPOS k 1", "21"), ("BITPOS k 1 2", "21"), ("BITPOS k 1 0 1", "-1"), ("BITPOS k 1 3", "-1")]);
    check(client, &[("BITPOS k 0 2 2", "16"), ("BITPOS k 1 17 21 BIT", "21"), ("BITPOS k 1 17 20 BIT", "-1")]);
    check(client, &[("BITPOS k 0 21 21 bit", "-1"), ("BITPOS k 0 21 -1 bit", "22"), ("BITPOS k 1 -1 -1 byte", "21")]);
    // Behind the value there are zeros, unless an end is named.
    check(client, &[("BITFIELD full SET i16 0 -1", "0"), ("BITPOS full 0", "16"), ("BITPOS full 0 1", "16")]);
    check(client, &[("BITPOS full 0 0 -1", "-1"), ("BITPOS full 0 5", "-1"), ("BITPOS full 1 0 5 BIT", "0")]);
    let words = "(error) The bit argument must be 1 or 0.";
    check(client, &[("BITPOS k 2", words), ("BITPOS none 2", words), ("BITPOS k x", NOT_INTEGER)]);
    check(client, &[("BITPOS k 1 x", NOT_INTEGER), ("BITPOS k 1 0 x", NOT_INTEGER), ("BITPOS k 1 0 x FOO", SYNTAX)]);
    check(client, &[("BITPOS k 1 0 1 FOO", SYNTAX), ("BITPOS k 1 0 1 BIT x", SYNTAX)]);
}

pub fn bitop(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["BITOP", "BITOP AND", "BITOP AND d"]);
    check(client, &[("SET a abc", "OK"), ("SET b `bb!!", "OK"), ("BITOP AND d a b", "5"), ("GET d", "`bb\0\0")]);
    check(
        client,
        &[("BITOP or d a b", "5"), ("GET d", "abc!!"), ("BITOP XOR d a b", "5"), ("GET d", "\u{1}\0\u{1}!!")],
    );
    check(client, &[("BITOP XOR d d b", "5"), ("GET d", "abc\0\0"), ("BITOP NOT d a", "3"), ("BITCOUNT d", "14")]);
    check(client, &[("BITOP NOT d d", "3"), ("GET d", "abc"), ("BITOP AND d a a a", "3"), ("GET d", "abc")]);
    check(client, &[("BITOP AND d a none", "3"), ("GET d", "\0\0\0"), ("BITOP OR d none a", "3"), ("GET d", "abc")]);
    // The result is a new value; of nothing there is none.
    check(client, &[("EXPIRE d 100", "1"), ("BITOP OR d a", "3"), ("TTL d", "-1"), ("BITOP OR d none nor", "0")]);
    check(client, &[("EXISTS d", "0"), ("BITOP NAND d a", SYNTAX)]);
    client.expect("BITOP NOT d a b", "(error) BITOP NOT must be called with a single source key.");
    let (long, short) = ("w".repeat(100_000), "v".repeat(70_000));
    check(client, &[(&format!("SET a {long}"), "OK"), (&format!("SET b {short}"), "OK"), ("BITOP OR d a b", "100000")]);
    check(client, &[("GET d", &long), ("BITOP AND d a b", "100000"), ("BITCOUNT d", "350000")]);
    check(client, &[("SETBIT a 40000000 1", "0"), ("BITOP OR d a b", "5000001")]);
    let words = "(error) values too long for BITOP: they may have 8388608 bytes";
    check(client, &[("BITOP OR e a d", words), ("EXISTS e", "0"), ("STRLEN d", "5000001")]);
}

pub fn bitfield(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["BITFIELD"]);
    check(client, &[("BITFIELD k", "(empty)"), ("BITFIELD k GET u8 0", "0"), ("EXISTS k", "0")]);
    check(client, &[("BITFIELD k SET u8 #1 65 INCRBY i8 0 -1 GET u16 0", "0\n-1\n65345"), ("STRLEN k", "2")]);
    check(
        client,
        &[("EXPIRE k 100", "1"), ("BITFIELD k INCRBY u4 12 3", "4"), ("GETRANGE k 1 1", "D"), ("TTL k", "100")],
    );
    let overflows = "BITFIELD k SET u8 0 250 INCRBY u8 0 10 OVERFLOW SAT INCRBY u8 0 300 INCRBY u8 0 -300 \
                     OVERFLOW FAIL INCRBY u8 0 -1 GET u8 0";
    client.expect(overflows, "255\n4\n255\n0\n(null)\n0");
    check(
        client,
        &[
            ("BITFIELD k set i64 1 -9223372036854775808 get i64 1", "38280596832649216\n-9223372036854775808"),
            ("STRLEN k", "9"),
        ],
    );
    check(client, &[("BITFIELD k OVERFLOW FAIL INCRBY i64 1 -1 INCRBY i64 1 1", "(null)\n-9223372036854775807")]);
    check(client, &[("BITFIELD k GET i8 4294967288", "0"), ("STRLEN k", "9")]);
    let lowest = "BITFIELD low OVERFLOW SAT SET i8 0 -9223372036854775808 GET i8 0";
    check(client, &[(lowest, "0\n-128"), ("DEL low", "OK")]);
    for call in ["FOO", "GET u8", "SET u8 0", "INCRBY u8 0", "OVERFLOW", "GET u8 0 GET"] {
        client.expect(&format!("BITFIELD k SET u8 0 1 {call}"), SYNTAX);
    }
    let types = "(error) Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
    for kind in ["u64", "i65", "i0", "u", "8", "x8"] {
        client.expect(&format!("BITFIELD k SET u8 0 1 GET {kind} 0"), types);
    }
    check(client, &[("BITFIELD k GET u8 -1", BAD_OFFSET), ("BITFIELD k GET u8 ##1", BAD_OFFSET)]);
    check(client, &[("BITFIELD k GET u8 4294967296", BAD_OFFSET), ("BITFIELD k GET u8 #536870912", BAD_OFFSET)]);
    check(client, &[("BITFIELD k SET u8 0 x", NOT_INTEGER), ("BITFIELD k INCRBY u8 0 1.5", NOT_INTEGER)]);
    client.expect("BITFIELD k OVERFLOW FOO GET u8 0", "(error) Invalid OVERFLOW type specified");
    let too_long = "(error) string exceeds maximum allowed size (proto-max-bulk-len)";
    check(client, &[("BITFIELD k SET u8 4294967289 1", too_long), ("STRLEN k", "9"), ("GETRANGE k 0 0", "@")]);
    // A value far from the bounds of what is kept in one piece, and beyond them.
    for length in [4095, 4096, 65_536, 100_000] {
        client.expect(&format!("SET k {}", "v".repeat(length)), "OK");
        let calls = format!("BITFIELD k INCRBY u32 #{} 1 GET u8 #{}", length / 4 - 1, length - 1);
        let last = u32::from_be_bytes(*b"vvvv") + 1;
        let wanted = if length % 4 == 0 { format!("{last}\n{}", b'v' + 1) } else { format!("{last}\n{}", b'v') };
        client.expect(&calls, &wanted);
        client.expect("STRLEN k", &length.to_string());
    }
}

pub fn bitfield_ro(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["BITFIELD_RO"]);
    check(client, &[("BITFIELD_RO k", "(empty)"), ("BITFIELD_RO k GET i8 0", "0"), ("SET k AB", "OK")]);
    check(client, &[("BITFIELD_RO k GET u8 #1 get i4 6 GET u8 16", "66\n5\n0")]);
    let words = "(error) BITFIELD_RO only supports the GET subcommand";
    check(client, &[("BITFIELD_RO k SET u8 0 1", words), ("BITFIELD_RO k GET u8 0 INCRBY u8 0 1", words)]);
    check(
        client,
        &[("BITFIELD_RO k SET u8 0 x", NOT_INTEGER), ("GET k", "AB"), ("BITFIELD_RO k OVERFLOW SAT", "(empty)")],
    );
}
