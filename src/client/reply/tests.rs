use super::*;
use crate::testkit::{Random, seeds};

fn said(error: Unparsed) -> String {
    match error {
        Unparsed::Nonsense(what) => what,
        Unparsed::Memory => "no memory".into(),
    }
}

/// Parses the bytes of one reply, given in growing pieces that end at these places, and shows it.
fn shown(bytes: &[u8], ends: &[usize]) -> Result<String, String> {
    let mut parser = Parser::new();
    for &end in ends {
        match parser.parse(&bytes[..end]) {
            Ok(None) => assert!(end < bytes.len(), "not whole: {}", bytes.escape_ascii()),
            Ok(Some(length)) => {
                assert_eq!((length, end), (bytes.len(), bytes.len()), "{}", bytes.escape_ascii());
                let view = parser.view(bytes);
                assert_eq!(format!("{view:?}"), format!("{:?}", view.to_reply()));
                return Ok(format!("{view:?}"));
            }
            Err(error) => return Err(said(error)),
        }
    }
    panic!("neither whole nor wrong: {}", bytes.escape_ascii())
}

#[test]
fn each_kind_at_every_cut() {
    let cases: &[(&[u8], &str)] = &[
        (b"+OK\r\n", "Simple(OK)"),
        (b"+\r\n", "Simple()"),
        (b"-ERR no\r\n", "Error(ERR no)"),
        (b":-12\r\n", "Integer(-12)"),
        (b"$5\r\na\r\nb\0\r\n", "Bulk(a\\r\\nb\\x00)"),
        (b"$0\r\n\r\n", "Bulk()"),
        (b"$-1\r\n", "Null()"),
        (b"*-1\r\n", "Null()"),
        (b"_\r\n", "Null()"),
        (b"*0\r\n", "Array[]"),
        (b"*2\r\n*1\r\n:1\r\n$1\r\nx\r\n", "Array[Array[Integer(1)], Bulk(x)]"),
        (b"*2\r\n-ERR in\r\n*0\r\n", "Array[Error(ERR in), Array[]]"),
        (b"%1\r\n+k\r\n~1\r\n:1\r\n", "Map[Simple(k), Set[Integer(1)]]"),
        (b">2\r\n+pong\r\n$0\r\n\r\n", "Push[Simple(pong), Bulk()]"),
        (b",3.25e-7\r\n", "Double(3.25e-7)"),
        (b",-inf\r\n", "Double(-inf)"),
        (b"#t\r\n", "Boolean(t)"),
        (
            b"(-3492890328409238509324850943850943825024385\r\n",
            "BigNumber(-3492890328409238509324850943850943825024385)",
        ),
        (b"!7\r\nSYN a\nb\r\n", "Error(SYN a\\nb)"),
        (b"=8\r\ntxt:a\r\nb\r\n", "Verbatim(a\\r\\nb)"),
        (b"|1\r\n+ttl\r\n:1\r\n+OK\r\n", "Simple(OK)"),
        (b"|0\r\n+OK\r\n", "Simple(OK)"),
        (b"*2\r\n|1\r\n+a\r\n*1\r\n+b\r\n:1\r\n:2\r\n", "Array[Integer(1), Integer(2)]"),
    ];
    for (bytes, wanted) in cases {
        assert_eq!(shown(bytes, &[bytes.len()]).as_deref(), Ok(*wanted));
        for cut in 0..bytes.len() {
            assert_eq!(shown(bytes, &[cut, bytes.len()]).as_deref(), Ok(*wanted), "cut at {cut}");
        }
        assert_eq!(shown(bytes, &(0..=bytes.len()).collect::<Vec<_>>()).as_deref(), Ok(*wanted));
    }
}

#[test]
fn what_is_no_reply_is_shown() {
    for (bytes, wanted) in [
        (&b"HTTP/1.1 400 Bad Request\r\n"[..], "no reply begins with 'HTTP/1.1 400 Bad Request\\r\\n'"),
        (b"\0\0", "no reply begins with '\\x00\\x00'"),
        (b":12a\r\n", "no value is ':12a\\r\\n'"),
        (b":99999999999999999999\r\n", "no value is ':99999999999999999999\\r\\n'"),
        (b"#x\r\n", "no value is '#x\\r\\n'"),
        (b",1.2.3\r\n", "no value is ',1.2.3\\r\\n'"),
        (b",.\r\n", "no value is ',.\\r\\n'"),
        (b"_x\r\n", "no value is '_x\\r\\n'"),
        (b"(1x\r\n", "no value is '(1x\\r\\n'"),
        (b"$-2\r\n", "no length is in '$-2\\r\\n'"),
        (b"%-1\r\n", "no length is in '%-1\\r\\n'"),
        (b"*9999999999\r\n", "no length is in '*9999999999\\r\\n'"),
        (b"$1\r\nxy\r\n", "a string has another length than '$1\\r\\nxy\\r\\n'"),
        (b"=3\r\ntxt\r\n", "no format is in '=3\\r\\ntxt\\r\\n'"),
        (b"+OK\n", "no line's end in '+OK\\n'"),
        (b"$5\n", "no line's end in '$5\\n'"),
        (b"+\n", "no line's end in '+\\n'"),
        (b"*1\r\nx", "no reply begins with 'x'"),
        (b"$00000000000000000000000000000000", "no line's end in '$00000000000000000000000000000000'"),
    ] {
        assert_eq!(shown(bytes, &[bytes.len()]), Err(wanted.to_string()));
    }
}

#[test]
fn depth_has_a_bound() {
    let nested = |depth: usize| [b"*1\r\n".repeat(depth), b":1\r\n".to_vec()].concat();
    let deepest = nested(REPLY_DEPTH_MAX);
    assert!(shown(&deepest, &[deepest.len()]).is_ok());
    let deeper = nested(REPLY_DEPTH_MAX + 1);
    assert!(shown(&deeper, &[deeper.len()]).unwrap_err().contains("nested"));
}

#[test]
fn values_have_a_bound() {
    let bytes = [&b"*9\r\n"[..], &b"_\r\n".repeat(9)].concat();
    let mut parser = Parser { values_max: 10, ..Parser::new() };
    assert_eq!(parser.parse(&bytes), Ok(Some(bytes.len())));
    let mut parser = Parser { values_max: 9, ..Parser::new() };
    assert_eq!(parser.parse(&bytes), Err(Unparsed::Nonsense("it has more than 9 values".into())));
}

#[test]
fn what_is_announced_costs_nothing() {
    let mut parser = Parser::new();
    assert_eq!(parser.parse(b"*1000000000\r\n*1000000000\r\n$1000000000\r\n"), Ok(None));
    assert!(parser.nodes.capacity() <= 16);
}

#[test]
fn children_and_numbers() {
    let mut parser = Parser::new();
    let bytes = b"*4\r\n:7\r\n#t\r\n*2\r\n$1\r\na\r\n*0\r\n=7\r\nmkd:a*b\r\n";
    parser.parse(bytes).unwrap().expect("whole");
    let view = parser.view(bytes);
    let children: Vec<View<'_>> = view.children().collect();
    assert_eq!((view.len(), view.values(), children.len()), (4, 7, 4));
    assert_eq!((children[0].integer(), children[1].integer(), children[2].integer()), (Some(7), Some(1), None));
    assert_eq!((children[3].bytes(), children[3].format(), children[0].format()), (&b"a*b"[..], &b"mkd"[..], &b""[..]));
    assert!(children[0].children().next().is_none() && children[2].children().nth(1).unwrap().is_empty());
}

/// Appends a random value as a server would write it, and how it is shown.
fn random_value(random: &mut Random, depth: usize, bytes: &mut Vec<u8>, wanted: &mut String) {
    let count = random.below(4);
    match random.below(if depth == 0 { 4 } else { 7 }) {
        0 => {
            bytes.extend_from_slice(format!(":{count}\r\n").as_bytes());
            wanted.push_str(&format!("Integer({count})"));
        }
        1 => {
            bytes.extend_from_slice(b"$-1\r\n");
            wanted.push_str("Null()");
        }
        2 => {
            let length = random.below(40);
            let text: Vec<u8> = (0..length).map(|_| b"\r\n$*:\0z"[random.below(7)]).collect();
            bytes.extend_from_slice(format!("${length}\r\n").as_bytes());
            bytes.extend_from_slice(&text);
            bytes.extend_from_slice(b"\r\n");
            wanted.push_str(&format!("Bulk({})", text.escape_ascii()));
        }
        3 => {
            bytes.extend_from_slice(b"-ERR x\r\n");
            wanted.push_str("Error(ERR x)");
        }
        kind => {
            let (mark, name) = [('*', "Array"), ('~', "Set"), ('>', "Push")][kind - 4];
            bytes.extend_from_slice(format!("{mark}{count}\r\n").as_bytes());
            wanted.push_str(&format!("{name}["));
            for child in 0..count {
                wanted.push_str(if child > 0 { ", " } else { "" });
                if random.below(8) == 0 {
                    bytes.extend_from_slice(b"|1\r\n+a\r\n");
                    random_value(random, 0, bytes, &mut String::new());
                }
                random_value(random, depth - 1, bytes, wanted);
            }
            wanted.push(']');
        }
    }
}

#[test]
fn random_replies_in_random_pieces() {
    for seed in seeds(300) {
        let mut random = Random::new(seed);
        let mut parser = Parser::new();
        let (mut wire, mut wanted) = (Vec::new(), Vec::new());
        for _ in 0..1 + random.below(5) {
            let mut text = String::new();
            random_value(&mut random, 5, &mut wire, &mut text);
            wanted.push(text);
        }
        let (mut start, mut end, mut found) = (0, 0, Vec::new());
        while start < wire.len() {
            match parser.parse(&wire[start..end]) {
                Ok(Some(length)) => {
                    found.push(format!("{:?}", parser.view(&wire[start..end])));
                    start += length;
                }
                Ok(None) => end = (end + 1 + random.below(50)).min(wire.len()),
                Err(what) => panic!("seed {seed}: {what:?}"),
            }
        }
        assert_eq!(found, wanted, "seed {seed}");
    }
}

#[test]
fn random_bytes_are_looked_at_without_harm() {
    for seed in seeds(2000) {
        let mut random = Random::new(seed);
        let marks = b"+-:$*_#,(!=%~>|0123\r\n\r\n\r\n-tinf";
        let bytes: Vec<u8> = (0..random.below(200)).map(|_| marks[random.below(marks.len())]).collect();
        let mut parser = Parser::new();
        let mut start = 0;
        while let Ok(Some(length)) = parser.parse(&bytes[start..]) {
            let _ = format!("{:?}", parser.view(&bytes[start..]));
            start += length;
        }
    }
}
