//! The transcript of the text protocol: bytes in, all bytes out.
//!
//! Each case runs on a connection of its own, whose sending side ends after the last byte: whole; byte by byte; and
//! cut in two at every place (a long one at a sample of them). Between the pieces the server is made to read what it
//! got, so that a cut is one for the server too.

mod support;

use std::ops::RangeInclusive;

use support::{Client, Server, now_ms, show};

/// What is sent, and what must come back until the server closes. In what must come back, `{ms}` stands for a time
/// between the start of the case and its end (in milliseconds since the epoch), `{ms+N}` for one N ms later, and
/// `{any}` for any bytes without a line end.
struct Case {
    send: Vec<u8>,
    wanted: Vec<u8>,
}

fn case(send: impl AsRef<[u8]>, wanted: impl AsRef<[u8]>) -> Case {
    Case { send: send.as_ref().to_vec(), wanted: wanted.as_ref().to_vec() }
}

/// Lines in, lines out, both ended by CRLF.
fn lines(send: &[&str], wanted: &[&str]) -> Case {
    let ended = |lines: &[&str]| lines.iter().flat_map(|line| [line, "\r\n"]).collect::<String>();
    case(ended(send), ended(wanted))
}

/// Cases longer than this are cut at a sample of places, and sent in pieces rather than byte by byte.
const SHORT: usize = 600;

fn run(cases: &[Case]) {
    let _machine = support::together();
    let server = Server::start(&[]);
    let mut bystander = server.connect();
    for case in cases {
        let length = case.send.len();
        play(&server, &mut bystander, case, "whole", &[]);
        if length <= SHORT {
            let every: Vec<usize> = (1..length).collect();
            play(&server, &mut bystander, case, "byte by byte", &every);
            for cut in 1..length {
                play(&server, &mut bystander, case, &format!("cut at {cut}"), &[cut]);
            }
        } else {
            let pieces: Vec<usize> = (1..length).step_by(length / 50).collect();
            play(&server, &mut bystander, case, "in fifty pieces", &pieces);
            let last = length - 1;
            for cut in [1, 2, 3, 4, 5, 6, 7, length / 3, length / 2, last - 2, last - 1, last] {
                play(&server, &mut bystander, case, &format!("cut at {cut}"), &[cut]);
            }
        }
    }
}

/// One way to cut a case.
fn play(server: &Server, bystander: &mut Client, case: &Case, how: &str, cuts: &[usize]) {
    let mut client = server.connect();
    client.send("FLUSH\r\n");
    assert_eq!(client.line(), "OK", "FLUSH before {:?}", show(&case.send));
    let start_ms = now_ms();
    let mut from = 0;
    for &cut in cuts {
        if !client.send_if_open(&case.send[from..cut]) {
            break;
        }
        from = cut;
        bystander.barrier();
    }
    client.send_if_open(&case.send[from..]);
    client.half_close();
    let got = client.rest();
    assert!(
        fits(&case.wanted, &got, start_ms..=now_ms()),
        "\nrequest: {}\nwanted:  {}\ngot:     {}\n({how})",
        show(&case.send),
        show(&case.wanted),
        show(&got),
    );
}

/// Compares, with the patterns that a case may hold.
fn fits(wanted: &[u8], got: &[u8], times: RangeInclusive<u64>) -> bool {
    let Some(open) = wanted.windows(3).position(|window| window == b"{ms" || window == b"{an") else {
        return wanted == got;
    };
    let close = open + wanted[open..].iter().position(|&byte| byte == b'}').expect("the pattern's end");
    let Some(rest) = got.strip_prefix(&wanted[..open]) else { return false };
    let pattern = std::str::from_utf8(&wanted[open + 1..close]).expect("a plain pattern");
    let length = match pattern.strip_prefix("ms") {
        Some(later) => {
            let later: u64 = later.trim_start_matches('+').parse().unwrap_or(0);
            let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let number = std::str::from_utf8(&rest[..length]).expect("digits").parse::<u64>();
            // The server's clock is read once a turn, and its offset to the wall may be held within 100 ms.
            let slack = 150;
            let (first, last) = (times.start() + later - slack, times.end() + later + slack);
            if !number.is_ok_and(|number| (first..=last).contains(&number)) {
                return false;
            }
            length
        }
        None => rest.iter().take_while(|&&byte| byte != b'\r' && byte != b'\n').count(),
    };
    fits(&wanted[close + 1..], &rest[length..], times)
}

#[test]
fn a_request_is_a_line() {
    run(&[
        // The first thing that anyone tries.
        case("SET greeting hello world\r\nGET greeting\r\nQUIT\r\n", "OK\r\nhello world\r\n"),
        // Ended by LF or CRLF.
        case("SET k v\nGET k\n", "OK\r\nv\r\n"),
        case("SET k v\r\nGET k\nGET k\r\n", "OK\r\nv\r\nv\r\n"),
        // Of CRLF one CR belongs to the line's end, others to the value.
        case("SET k a\rb\nGET k\n", "OK\r\na\rb\r\n"),
        case("SET k a\r\r\nGET k\n", "OK\r\na\r\r\n"),
        // A line of blanks alone is ignored.
        case("\r\n", ""),
        case("\n", ""),
        case("\n\r\n \t \r\n\tPING\n  \n", "PONG\r\n"),
        // A last line without LF is not executed.
        case("SET k v\r\nGET k", "OK\r\n"),
        case("SET k v\r\nGET k\r", "OK\r\n"),
        case("SET k", ""),
        // The name is case-insensitive, keys are not.
        case("set k v\r\nGeT k\r\nget K\r\npInG\r\n", "OK\r\nv\r\n(null)\r\nPONG\r\n"),
        // Words are separated by one or more blanks, spaces or tabs; leading and trailing ones are ignored.
        case("  SET k v\r\n\t GET \t  k\r\nGET k  \r\nGET k\t\r\n", "OK\r\nv\r\nv\r\nv\r\n"),
        case("MSET a 1\tb  2\r\nMGET a \t b\r\n", "OK\r\n1\n2\r\n"),
        // Quotes have no meaning.
        case("SET \"k\" 'v'\r\nGET \"k\"\r\nGET k\r\n", "OK\r\n'v'\r\n(null)\r\n"),
        case("SET k \"two words\"\r\nGET k\r\n", "OK\r\n\"two words\"\r\n"),
        // Requests may be pipelined; replies come in their order.
        case("INC n\nINC n\nGET n\nBAD\nDEC n\nPING\n", "1\r\n2\r\n2\r\n(Unknown command)\r\n1\r\nPONG\r\n"),
    ]);
}

#[test]
fn the_last_argument_is_the_rest_of_the_line() {
    run(&[
        lines(&["SET k  two words ", "GET k", "STRLEN k"], &["OK", " two words ", "11"]),
        lines(&["SET k ", "GET k", "STRLEN k", "EXISTS k"], &["OK", "", "0", "1"]),
        lines(&["SET k", "GET k"], &["(error) wrong number of arguments for 'set' command", "(null)"]),
        lines(&["SET", "SET "], &["(error) wrong number of arguments for 'set' command"; 2]),
        lines(&["SET k v EX 10", "GET k", "TTL k"], &["OK", "v EX 10", "-1"]),
        // The blanks before the key are those between words; of those after it one is the separator.
        lines(&["SET   k   v", "GET k"], &["OK", "  v"]),
        case("SET\tk\tv\t\r\nGET k\r\n", "OK\r\nv\t\r\n"),
        case("SET k \tv\r\nGET k\r\n", "OK\r\n\tv\r\n"),
        lines(&["SET k a", "APPEND k  b ", "GET k"], &["OK", "OK", "a b "]),
        lines(&["APPEND k ", "GET k", "EXISTS k"], &["OK", "", "1"]),
        lines(&["APPEND k"], &["(error) wrong number of arguments for 'append' command"]),
        lines(&["SET k a", "PREPEND k  b ", "GET k"], &["OK", "OK", " b a"]),
        lines(&["PREPEND k"], &["(error) wrong number of arguments for 'prepend' command"]),
        lines(&["SETNX k  a b ", "GET k"], &["1", " a b "]),
        lines(&["SETNX k"], &["(error) wrong number of arguments for 'setnx' command"]),
        lines(&["SET k a", "GETSET k  b c ", "GET k"], &["OK", "a", " b c "]),
        lines(&["GETSET k"], &["(error) wrong number of arguments for 'getset' command"]),
        // ECHO's argument before it is its own name.
        lines(&["ECHO hello  world ", "ECHO  x", "ECHO "], &["hello  world ", " x", ""]),
        lines(&["ECHO"], &["(error) wrong number of arguments for 'echo' command"]),
        lines(&["SETEX k 100  a b ", "GET k", "TTL k"], &["OK", " a b ", "100"]),
        lines(&["SETEX k 100 ", "GET k"], &["OK", ""]),
        lines(&["SETEX k 100"], &["(error) wrong number of arguments for 'setex' command"]),
        lines(&["PSETEX k 100000  a b ", "GET k", "TTL k"], &["OK", " a b ", "100"]),
        lines(&["PSETEX k 100000"], &["(error) wrong number of arguments for 'psetex' command"]),
    ]);
}

#[test]
fn each_kind_of_answer_has_its_form() {
    run(&[
        // Done, and other simple strings.
        lines(&["SET k v", "PING"], &["OK", "PONG"]),
        // Nothing there.
        lines(&["GET k", "GETP k", "GETSET k v"], &["(null)"; 3]),
        // Integers.
        lines(&["INC n 5", "DEC n 7", "STRLEN k"], &["5", "-2", "0"]),
        // A value is its bytes as they are.
        case(b"SET k \x01\xff\x80{}$*\r\nGET k\r\n", b"OK\r\n\x01\xff\x80{}$*\r\n"),
        lines(&["SET k (null)", "GET k"], &["OK", "(null)"]),
        // A list: bare LF between its lines, CRLF at its end only.
        case("MSET a 1 b 2\r\nMGET a x b\r\n", "OK\r\n1\n(null)\n2\r\n"),
        case("SET a 1\r\nMGET a\r\nMGET x\r\n", "OK\r\n1\r\n(null)\r\n"),
        case("KEYS *\r\n", "(empty)\r\n"),
        case("SET k v\r\nKEYS *\r\n", "OK\r\nk\r\n"),
        // A list in a list is flattened.
        case("SET k v\r\nSCAN 0 COUNT 100000\r\n", "OK\r\n0\nk\r\n"),
        // A map: `field: value` a line.
        case("SET k v\r\nGETP k\r\n", "OK\r\nkey: k\nvalue: v\ncreation_time: {ms}\nexpire_time: -1\r\n"),
        // Errors.
        lines(&["GET"], &["(error) wrong number of arguments for 'get' command"]),
        lines(&["NOSUCH", "nosuch a b", "GE k", "GETT k", "\u{e9}"], &["(Unknown command)"; 5]),
        // The connection lives on after an error.
        lines(
            &["BAD", "GET a b", "PING"],
            &["(Unknown command)", "(error) wrong number of arguments for 'get' command", "PONG"],
        ),
    ]);
}

#[test]
fn values_are_set_and_got() {
    let wrong_get = "(error) wrong number of arguments for 'get' command";
    run(&[
        lines(&["SET k v", "GET k", "SET k w", "GET k"], &["OK", "v", "OK", "w"]),
        lines(&["GET a b", "GET"], &[wrong_get; 2]),
        // DEL's own face: did it delete something?
        lines(&["SET k v", "DEL k", "DEL k", "GET k"], &["OK", "OK", "(null)", "(null)"]),
        lines(&["MSET a 1 b 2", "DEL x a b", "DEL a b x", "DBSIZE"], &["OK", "OK", "(null)", "0"]),
        lines(&["DEL"], &["(error) wrong number of arguments for 'del' command"]),
        // APPEND and PREPEND always say OK.
        lines(&["APPEND k b", "APPEND k c", "PREPEND k a", "GET k"], &["OK", "OK", "OK", "abc"]),
        lines(&["PREPEND k z", "GET k"], &["OK", "z"]),
        lines(&["MSET a 1 b 2", "FLUSH", "DBSIZE", "GET a"], &["OK", "OK", "0", "(null)"]),
    ]);
}

#[test]
fn integers_are_counted() {
    let not_integer = "(error) value is not an integer or out of range";
    let overflow = "(error) increment or decrement would overflow";
    let (most, least) = ("9223372036854775807", "-9223372036854775808");
    let mut cases = vec![
        // A missing key counts as 0; the quantity is 1 if absent and may be negative.
        lines(&["INC n", "INC n", "GET n"], &["1", "2", "2"]),
        lines(&["DEC n", "DEC n", "GET n"], &["-1", "-2", "-2"]),
        lines(&["INC n 10", "INC n -3", "DEC n 4", "DEC n -1"], &["10", "7", "3", "4"]),
        lines(&["INC n 0", "GET n", "DEC n 0"], &["0", "0", "0"]),
        lines(&["SET n 41", "INC n", "STRLEN n"], &["OK", "42", "2"]),
        // 64 bits, signed, to their ends.
        lines(&[&format!("INC n {most}"), "INC n", "GET n"], &[most, overflow, most]),
        lines(&[&format!("INC n {least}"), "DEC n", "GET n"], &[least, overflow, least]),
        lines(&[&format!("SET n {least}"), &format!("INC n {most}")], &["OK", "-1"]),
        lines(&["SET n 1", &format!("INC n {most}"), "GET n"], &["OK", overflow, "1"]),
        lines(&["SET n -2", &format!("DEC n {most}"), "GET n"], &["OK", overflow, "-2"]),
        lines(&["INC"], &["(error) wrong number of arguments for 'inc' command"]),
        lines(&["INC n 1 2"], &["(error) wrong number of arguments for 'inc' command"]),
        lines(&["DEC"], &["(error) wrong number of arguments for 'dec' command"]),
        lines(&["DEC n 1 2"], &["(error) wrong number of arguments for 'dec' command"]),
    ];
    // Redis's grammar of integers, for the quantity and for the value; a wrong one changes nothing.
    for bad in
        ["007", "+1", "-0", "--1", "-", "1.0", "1e3", "0x10", "abc", "9223372036854775808", "-9223372036854775809"]
    {
        for command in ["INC", "DEC"] {
            cases.push(lines(&["SET n 5", &format!("{command} n {bad}"), "GET n"], &["OK", not_integer, "5"]));
            cases.push(lines(&[&format!("{command} n {bad}"), "EXISTS n"], &[not_integer, "0"]));
            cases.push(lines(&[&format!("SET n {bad}"), &format!("{command} n"), "GET n"], &["OK", not_integer, bad]));
        }
    }
    for bad in ["", " 1", "1 ", "1 2"] {
        cases.push(lines(&[&format!("SET n {bad}"), "INC n", "GET n"], &["OK", not_integer, bad]));
    }
    run(&cases);
}

#[test]
fn decimals_are_added_exactly() {
    let not_float = "(error) value is not a valid float";
    let nines = "9".repeat(308);
    let one_and_zeros = format!("1{}", "0".repeat(307));
    let mut cases = vec![
        lines(&["INCF f 0.1", "INCF f 0.2", "GET f"], &["0.1", "0.3", "0.3"]),
        lines(&["SET f 10.50", "INCF f 0.1", "DECF f 5.6"], &["OK", "10.6", "5"]),
        // The quantity is 1.0 if absent; a missing key counts as 0.
        lines(&["INCF f", "INCF f", "DECF f", "GET f"], &["1", "2", "1", "1"]),
        lines(&["DECF f", "DECF f 0.5", "DECF f -1.25"], &["-1", "-1.5", "-0.25"]),
        // No trailing zeros, no -0.
        lines(&["INCF f 1.500", "INCF f 0.500", "INCF f 100"], &["1.5", "2", "102"]),
        lines(&["INCF f -0", "INCF f -0.0", "DECF f 0"], &["0", "0", "0"]),
        lines(&["SET f 3.0", "DECF f 3"], &["OK", "0"]),
        lines(&["SET f -3.0", "INCF f 3"], &["OK", "0"]),
        // Input may have an exponent; the answer has none.
        lines(&["INCF f 5.0e3", "SET f 1e2", "INCF f", "INCF f 25E-2"], &["5000", "OK", "101", "101.25"]),
        lines(&["INCF f 1e20", "INCF f 1e-17"], &["100000000000000000000", "100000000000000000000.00000000000000001"]),
        lines(&["INCF f 1.5e+1", "INCF f -15e-1"], &["15", "13.5"]),
        // 17 places after the point, half to even.
        lines(&["INCF f 0.12345678901234567"], &["0.12345678901234567"]),
        lines(&["INCF f 0.000000000000000005"], &["0"]),
        lines(&["INCF f 0.000000000000000015"], &["0.00000000000000002"]),
        lines(&["INCF f 0.000000000000000025"], &["0.00000000000000002"]),
        lines(&["INCF f 0.0000000000000000250001"], &["0.00000000000000003"]),
        lines(&["INCF f 0.0000000000000000051"], &["0.00000000000000001"]),
        lines(&["INCF f -0.000000000000000005"], &["0"]),
        lines(&["INCF f -0.000000000000000015"], &["-0.00000000000000002"]),
        lines(&["INCF f 0.999999999999999995"], &["1"]),
        lines(&["INCF f 1e-999999999"], &["0"]),
        // 308 digits before the point and no more.
        lines(&[&format!("INCF f {nines}"), "DECF f"], &[&nines, &format!("{}8", "9".repeat(307))]),
        lines(&["INCF f 1e307"], &[&one_and_zeros]),
        lines(&[&format!("SET f {nines}"), "INCF f", "GET f"], &["OK", "(error) {any}", &nines]),
        lines(&["INCF"], &["(error) wrong number of arguments for 'incf' command"]),
        lines(&["INCF f 1 2"], &["(error) wrong number of arguments for 'incf' command"]),
        lines(&["DECF"], &["(error) wrong number of arguments for 'decf' command"]),
        lines(&["DECF f 1 2"], &["(error) wrong number of arguments for 'decf' command"]),
    ];
    let long = format!("1{}", "0".repeat(308));
    let refused = [
        "nan",
        "NaN",
        "-nan",
        "inf",
        "-inf",
        "+inf",
        "INF",
        "infinity",
        "0x10",
        "0x1p3",
        "abc",
        "1.5x",
        "1..5",
        "1e",
        "e5",
        "1e5.5",
        ".",
        "-",
        "--1",
        "1,5",
        "1e308",
        "1e999999999",
        "1e99999999999999999999",
        &long,
    ];
    for bad in refused {
        cases.push(lines(&["SET f 1.5", &format!("INCF f {bad}"), "GET f"], &["OK", not_float, "1.5"]));
        cases.push(lines(&[&format!("DECF f {bad}"), "EXISTS f"], &[not_float, "0"]));
        cases.push(lines(&[&format!("SET f {bad}"), "INCF f", "GET f"], &["OK", not_float, bad]));
    }
    for bad in ["", " 1", "1 "] {
        cases.push(lines(&[&format!("SET f {bad}"), "INCF f", "GET f"], &["OK", not_float, bad]));
    }
    run(&cases);
}

#[test]
fn a_key_tells_of_itself() {
    run(&[
        case("SET k v\r\nGETP k\r\n", "OK\r\nkey: k\nvalue: v\ncreation_time: {ms}\nexpire_time: -1\r\n"),
        case("SET k \r\nGETP k\r\n", "OK\r\nkey: k\nvalue: \ncreation_time: {ms}\nexpire_time: -1\r\n"),
        case(
            "SETEX k 1000 a b\r\nGETP k\r\n",
            "OK\r\nkey: k\nvalue: a b\ncreation_time: {ms}\nexpire_time: {ms+1000000}\r\n",
        ),
        case(
            "PSETEX k 5000 v\r\nGETP k\r\n",
            "OK\r\nkey: k\nvalue: v\ncreation_time: {ms}\nexpire_time: {ms+5000}\r\n",
        ),
        case("GETP k\r\n", "(null)\r\n"),
        lines(&["GETP", "GETP a b"], &["(error) wrong number of arguments for 'getp' command"; 2]),
    ]);
}

/// The four lines of GETP's answer.
fn creation_time(client: &mut Client) -> u64 {
    let answer = client.ask("GETP k");
    let line = answer.lines().nth(2).unwrap_or_else(|| panic!("no third line in {answer:?}"));
    line.strip_prefix("creation_time: ").and_then(|time| time.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

#[test]
fn creation_time_tells_replacing_from_changing() {
    let _machine = support::together();
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.expect("SET k 1", "OK");
    let mut created = creation_time(&mut client);
    for replacing in ["SET k 2", "GETSET k 3", "MSET k 4", "SET k 5"] {
        support::wait_for(&format!("a new creation time by {replacing}"), || {
            client.ask(replacing);
            creation_time(&mut client) > created
        });
        created = creation_time(&mut client);
    }
    for changing in
        ["APPEND k 0", "PREPEND k 1", "INC k", "DEC k 2", "INCF k 0.5", "DECF k", "EXPIRE k 100", "PERSIST k"]
    {
        // The clock moves on by more than it could be off.
        let before = now_ms();
        support::wait_for("the clock to move", || now_ms() > before + 5);
        client.ask(changing);
        assert_eq!(creation_time(&mut client), created, "after {changing}");
    }
}

#[test]
fn a_client_says_goodbye() {
    run(&[
        // No reply of their own; earlier ones are sent, later requests are not executed.
        case("QUIT\r\n", ""),
        case("EXIT\r\n", ""),
        case("quit\n", ""),
        case("SET k v\r\nGET k\r\nQUIT\r\nSET k w\r\nGET k\r\n", "OK\r\nv\r\n"),
        case("PING\r\nexit\r\nPING\r\n", "PONG\r\n"),
    ]);
    // The server closes without being asked to by the end of the stream.
    let server = Server::start(&[]);
    for goodbye in ["QUIT\r\n", "EXIT\r\n"] {
        let mut client = server.connect();
        client.send(goodbye);
        assert_eq!(show(&client.rest()), "");
    }
}

#[test]
fn expiry_is_told_in_digits() {
    run(&[
        lines(
            &["EXPIRE k 10", "SET k v", "TTL k", "EXPIRE k 100", "TTL k", "PERSIST k", "TTL k", "PERSIST k", "TTL x"],
            &["0", "OK", "-1", "1", "100", "1", "-1", "0", "-2"],
        ),
        lines(&["SET k v", "EXPIRE k -1", "GET k", "EXISTS k"], &["OK", "1", "(null)", "0"]),
        lines(&["SETEX k 100 v", "SET k w", "TTL k"], &["OK", "OK", "-1"]),
        lines(&["SETEX k 100 1", "APPEND k 1", "INC k", "TTL k"], &["OK", "OK", "12", "100"]),
        lines(&["EXISTS a a", "SET a 1", "EXISTS a a b"], &["0", "OK", "2"]),
        lines(&["SETNX k a", "SETNX k b", "GET k"], &["1", "0", "a"]),
    ]);
}

#[test]
fn an_expired_key_is_gone() {
    let _machine = support::together();
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.expect("PSETEX k 30 v", "OK");
    support::wait_for("the end of the key", || client.ask("GET k") == "(null)");
    client.expect("EXISTS k", "0");
    client.expect("TTL k", "-2");
    client.expect("KEYS *", "(empty)");
    client.expect("DEL k", "(null)");
    client.expect("INC k", "1");
    client.expect("TTL k", "-1");
}

/// The limit of a text line.
const LINE_BYTES_MAX: usize = 1 << 20;

#[test]
fn long_lines_have_an_end() {
    let line = |length: usize| {
        let mut line = b"SET k ".to_vec();
        line.resize(length, b'x');
        line
    };
    // Which side of the limit the line's own end is on is left open.
    let longest = line(LINE_BYTES_MAX - 2);
    let mut fits = longest.clone();
    fits.extend_from_slice(b"\r\nSTRLEN k\r\n");
    let mut over = line(LINE_BYTES_MAX + 1);
    over.extend_from_slice(b"\r\nSET after 1\r\nPING\r\n");
    let mut endless = b"PING\r\n".to_vec();
    endless.extend(line(LINE_BYTES_MAX + 5));
    run(&[
        case(fits, format!("OK\r\n{}\r\n", LINE_BYTES_MAX - 2 - 6)),
        case(over, "(error) line too long\r\n"),
        case(endless, "PONG\r\n(error) line too long\r\n"),
    ]);
}

#[test]
fn browsers_are_shown_the_door() {
    run(&[
        case("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nSET k v\r\n", ""),
        case("Host: 127.0.0.1\r\nSET k v\r\n", ""),
    ]);
    let server = Server::start(&[]);
    for line in ["POST / HTTP/1.1\r\n", "Host: localhost\r\n"] {
        let mut client = server.connect();
        client.send(format!("{line}SET k v\r\n"));
        assert_eq!(show(&client.rest()), "", "{line}");
    }
    assert_eq!(show(&server.exchange(b"GET k\r\n")), "(null)\\r\\n");
}

#[test]
fn any_byte_may_be_in_a_value() {
    let all: Vec<u8> = (0..=255).filter(|byte| !b"\r\n".contains(byte)).collect();
    let mut send = b"SET k ".to_vec();
    send.extend(&all);
    send.extend(b"\r\nGET k\r\n");
    let mut wanted = b"OK\r\n".to_vec();
    wanted.extend(&all);
    wanted.extend(b"\r\n");
    run(&[
        case(b"SET k a\0b\r\nGET k\r\nSTRLEN k\r\n", b"OK\r\na\0b\r\n3\r\n"),
        case(b"SET k \0\r\nGET k\r\n", b"OK\r\n\0\r\n"),
        // In a key as well.
        case(b"SET a\0b v\r\nGET a\0b\r\nGET a\r\n", b"OK\r\nv\r\n(null)\r\n"),
        case(send, wanted),
    ]);
}

#[test]
fn half_a_request_is_not_executed() {
    let _machine = support::together();
    let server = Server::start(&[]);
    for half in ["SET k v", "SET k v\r", "SET other 1\r\nSET k v"] {
        let mut client = server.connect();
        client.send(half);
        drop(client);
        let mut client = server.connect();
        client.barrier();
        client.expect("GET k", "(null)");
        // What was whole was executed.
        client.expect("GET other", if half.starts_with("SET other") { "1" } else { "(null)" });
        client.expect("FLUSH", "OK");
    }
}

#[test]
fn patterns_match_what_they_say() {
    assert!(fits(b"a {ms} b", b"a 1000 b", 900..=1100));
    assert!(!fits(b"a {ms} b", b"a 2000 b", 900..=1100));
    assert!(fits(b"{ms+500}", b"1500", 900..=1100));
    assert!(!fits(b"{ms}", b"", 900..=1100));
    assert!(fits(b"(error) {any}\r\n", b"(error) x y\r\n", 0..=0));
    assert!(!fits(b"(error) {any}\r\n", b"(error) x\r\ny\r\n", 0..=0));
}
