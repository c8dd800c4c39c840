use super::*;
use crate::limits::STRANGER_BYTES_MAX;
use crate::testkit::{Random, seeds};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn sample_hello(name: &str) -> Hello<'_> {
    Hello {
        incarnation: 0x0123_4567_89ab_cdef,
        address: address("10.1.2.3:6837"),
        name,
        digest: &[7; 32],
        has_password: false,
        has_secret: true,
        nonce: &[9; 32],
    }
}

/// One frame of each kind as it is encoded, and what it is to be found as.
fn samples(check: &mut dyn FnMut(&[u8], Frame<'_>)) {
    fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        // A frame begins anywhere in the buffer.
        let mut out = b"before".to_vec();
        encode(&mut out);
        out.split_off(6)
    }
    let hello = sample_hello("böse");
    check(&encoded(|out| hello_frame(out, &hello)), Frame::Hello(hello));
    let hello = Hello { address: address("[2001:db8::1]:1"), name: "", has_password: true, ..hello };
    check(&encoded(|out| hello_frame(out, &hello)), Frame::Hello(hello));
    check(&encoded(|out| proof_frame(out, &[3; 32])), Frame::Proof(&[3; 32]));
    check(&encoded(welcome_frame), Frame::Welcome);
    for reason in Reason::ALL {
        let refusal = Refusal { reason, addresses: &[] };
        check(&encoded(|out| refuse_frame(out, reason, std::iter::empty())), Frame::Refuse(refusal));
    }
    check(&encoded(|out| ping_frame(out, u64::MAX, 2)), Frame::Ping { token: u64::MAX, keys: 2 });
    check(&encoded(|out| pong_frame(out, 1, u64::MAX)), Frame::Pong { token: 1, keys: u64::MAX });
    for purpose in Purpose::ALL {
        let (client, flags) = (u64::MAX - 5, 0xfedc);
        let bytes = encoded(|out| {
            let frame = begin_request(out, 0x8000_0001, purpose, client, flags);
            put_word(out, b"SET");
            put_word(out, b"");
            put_long_word(out, 70_000);
            assert_eq!(frame.bytes(out), REQUEST_HEADER_BYTES + 4 + 1 + 3);
            frame.finish(out);
        });
        let words = &[6, b'S', b'E', b'T', 0, 0xe1, 0xc5, 0x08];
        check(&bytes, Frame::Request { id: 0x8000_0001, purpose, client, flags, words });
    }
    check(&encoded(|out| request_part_frame(out, 5, b"xyz")), Frame::RequestPart { id: 5, bytes: b"xyz" });
    check(&encoded(|out| reply_part_frame(out, 6, b"z")), Frame::ReplyPart { id: 6, bytes: b"z" });
    let piece = Piece { id: 7, total: 70_000, bytes: &[b'v'; 300] };
    let long = |header: [u8; LONG_HEADER_BYTES]| [&header[..], piece.bytes].concat();
    check(&long(request_long_header(7, 70_000, 300)), Frame::RequestLong(piece));
    check(&long(reply_long_header(7, 70_000, 300)), Frame::ReplyLong(piece));
    let reply = encoded(|out| {
        let frame = begin_reply(out, 8);
        out.extend_from_slice(b"typed");
        frame.finish(out);
    });
    check(&reply, Frame::Reply { id: 8, bytes: b"typed" });
    check(&encoded(|out| reply_size_frame(out, 9, 1 << 40)), Frame::ReplySize { id: 9, total: 1 << 40 });
    check(&encoded(|out| grant_frame(out, u32::MAX)), Frame::Grant { id: u32::MAX });
    check(&encoded(|out| decline_frame(out, 7)), Frame::Decline { id: 7 });
}

#[test]
fn every_frame_is_found_as_it_was_written() {
    samples(&mut |bytes, frame| {
        assert_eq!(decode(bytes, FRAME_BYTES_MAX), Ok(Some((frame, bytes.len()))));
        assert_eq!(decode(bytes, bytes.len()), Ok(Some((frame, bytes.len()))));
        let more = [bytes, b"more"].concat();
        assert_eq!(decode(&more, FRAME_BYTES_MAX), Ok(Some((frame, bytes.len()))));
    });
}

#[test]
fn a_frame_that_is_cut_is_waited_for() {
    samples(&mut |bytes, _| {
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end], FRAME_BYTES_MAX), Ok(None), "{end} of {}", bytes.len());
        }
    });
}

/// A frame whose length says that it ends early, or late, is found wrong or as one that may end anywhere.
#[test]
fn a_wrong_length_is_noticed() {
    samples(&mut |bytes, frame| {
        let open = matches!(frame, Frame::Request { .. } | Frame::RequestPart { .. } | Frame::Reply { .. })
            || matches!(frame, Frame::ReplyPart { .. } | Frame::RequestLong(_) | Frame::ReplyLong(_));
        for length in 0..bytes.len() + 3 {
            let mut wrong = [bytes, b"abc"].concat();
            wrong[..LENGTH_BYTES].copy_from_slice(&(length as u32).to_le_bytes());
            let found = decode(&wrong, FRAME_BYTES_MAX).map(|found| found.map(|(_, bytes)| bytes));
            if length + LENGTH_BYTES == bytes.len() || (open && found.is_ok()) {
                assert_eq!(found, Ok((length + LENGTH_BYTES <= wrong.len()).then_some(length + LENGTH_BYTES)));
            } else if length + LENGTH_BYTES <= wrong.len() {
                assert!(found.is_err(), "{length} of {} in {frame:?}", bytes.len());
            }
        }
    });
}

fn malformed(kind: u8, body: &[u8]) -> String {
    let frame = [&(body.len() as u32 + 1).to_le_bytes()[..], &[kind], body].concat();
    decode(&frame, FRAME_BYTES_MAX).expect_err("no frame").to_string()
}

#[test]
fn what_is_wrong_is_told() {
    assert_eq!(malformed(0, b""), "a frame of the unknown kind 0");
    assert_eq!(malformed(16, b"x"), "a frame of the unknown kind 16");
    assert_eq!(malformed(HELLO, b"memento\0........"), "no hello of a node");
    assert_eq!(malformed(HELLO, b"mem"), "a hello that is too short");
    assert_eq!(malformed(PROOF, &[0; 31]), "a proof that is too short");
    assert_eq!(malformed(PROOF, &[0; 33]), "a proof with bytes that do not belong to it");
    assert_eq!(malformed(REFUSE, &[0]), "the reason of a refusal that cannot be");
    assert_eq!(malformed(REFUSE, &[1, 5]), "an address that cannot be");
    assert_eq!(malformed(REFUSE, &[1, 4, 127, 0]), "an address that is too short");
    assert_eq!(malformed(REQUEST, &[0; 14]), "a request that is too short");
    assert_eq!(malformed(REQUEST, &[9; 15]), "the purpose of a request that cannot be");
    assert_eq!(malformed(REQUEST_PART, &[0; 4]), "a part of a message that is too short");
    assert_eq!(malformed(REPLY_LONG, &[0; 8]), "a piece of a value that is too short");
    assert_eq!(malformed(REPLY_LONG, &[0, 0, 0, 0, 1, 0, 0, 0, 5, 5]), "the length of a value that cannot be");
    assert_eq!(malformed(REQUEST_LONG, &[0, 0, 0, 0, 1, 0, 0, 0x20, 5]), "the length of a value that cannot be");
    assert_eq!(decode(&[0; 4], FRAME_BYTES_MAX), Err(Malformed::Empty));
    for (name, wrong) in [("a\nb", true), (&"n".repeat(NAME_BYTES_MAX + 1), true), ("a b", false)] {
        let mut out = Vec::new();
        hello_frame(&mut out, &sample_hello(name));
        assert_eq!(decode(&out, FRAME_BYTES_MAX).is_err(), wrong, "{name}");
    }
}

#[test]
fn a_hello_of_another_version_is_told_by_its_version_alone() {
    let body = [&MAGIC[..], &[2, 1], b"whatever it says"].concat();
    let frame = [&(body.len() as u32 + 1).to_le_bytes()[..], &[HELLO], &body].concat();
    assert_eq!(decode(&frame, STRANGER_BYTES_MAX), Ok(Some((Frame::OtherVersion(0x0102), frame.len()))));
}

#[test]
fn no_frame_is_longer_than_the_limit() {
    let header = |bytes: usize| ((bytes - LENGTH_BYTES) as u32).to_le_bytes();
    for limit in [STRANGER_BYTES_MAX, FRAME_BYTES_MAX] {
        assert_eq!(decode(&header(limit), limit), Ok(None));
        assert_eq!(decode(&header(limit + 1), limit), Err(Malformed::TooLong { bytes: limit as u32 - 3 }));
    }
    assert_eq!(decode(&[0xff; 4], FRAME_BYTES_MAX), Err(Malformed::TooLong { bytes: u32::MAX }));
    // Junk is not waited for.
    assert_eq!(decode(b"GET / HTTP/1.1\r\n", STRANGER_BYTES_MAX).map(|_| ()), {
        Err(Malformed::TooLong { bytes: u32::from_le_bytes(*b"GET ") })
    });
    assert_eq!(decode(&[9, 0, 0, 0, 99], STRANGER_BYTES_MAX), Err(Malformed::Kind(99)));
    assert_eq!(decode(&[9, 0, 0, 0, HELLO, b'm', b'x'], STRANGER_BYTES_MAX), Err(Malformed::NoMagic));
}

#[test]
fn the_list_of_who_refuses_comes_along() {
    let list = ["127.0.0.1:6837", "[::1]:6838", "255.255.255.255:65535"].map(address);
    let mut out = Vec::new();
    refuse_frame(&mut out, Reason::List, list.into_iter());
    let Ok(Some((Frame::Refuse(refusal), _))) = decode(&out, STRANGER_BYTES_MAX) else { panic!("a refusal") };
    assert_eq!(refusal.reason, Reason::List);
    assert_eq!(refusal.addresses().collect::<Vec<_>>(), list);
    // However it was written, an address is the same.
    let mut out = Vec::new();
    refuse_frame(&mut out, Reason::List, [address("[::ffff:10.0.0.1]:5")].into_iter());
    let Ok(Some((Frame::Refuse(refusal), _))) = decode(&out, STRANGER_BYTES_MAX) else { panic!("a refusal") };
    assert_eq!(refusal.addresses().collect::<Vec<_>>(), [address("10.0.0.1:5")]);
}

#[test]
fn words_are_found_where_they_lie() {
    let mut out = Vec::new();
    put_word(&mut out, b"SET");
    put_word(&mut out, &[b'k'; 200]);
    put_long_word(&mut out, VALUE_BYTES_MAX);
    put_word(&mut out, b"");
    let words: Vec<HeadWord> = HeadWords::new(&out).map(|word| word.expect("a word")).collect();
    let bytes = VALUE_BYTES_MAX as u64;
    let here = |start, end| HeadWord::Here { start, end };
    assert_eq!(words, [here(1, 4), here(6, 206), HeadWord::Long { bytes }, here(out.len(), out.len())]);
    // A word that says more than there is ends the reading.
    out.push(8);
    out.extend_from_slice(b"abc");
    assert_eq!(HeadWords::new(&out).filter(|word| word.is_err()).count(), 1);
    assert!(HeadWords::new(&out).last().expect("an item").is_err());
}

#[test]
fn a_frame_can_be_taken_back() {
    let mut out = b"kept".to_vec();
    let frame = begin_request(&mut out, 1, Purpose::Plain, 2, 3);
    put_word(&mut out, b"word");
    frame.cancel(&mut out);
    assert_eq!(out, b"kept");
}

/// What `decode` promises of any bytes at all.
fn check_any(mut bytes: &[u8], limit: usize) {
    while let Ok(Some((frame, taken))) = decode(bytes, limit) {
        assert!(taken > LENGTH_BYTES && taken <= bytes.len() && taken <= limit);
        match frame {
            Frame::Request { words, .. } => {
                let mut end_before = 0;
                for word in HeadWords::new(words) {
                    if let Ok(HeadWord::Here { start, end }) = word {
                        assert!(start > end_before && start <= end && end <= words.len());
                        end_before = end;
                    }
                }
            }
            Frame::Refuse(refusal) => assert!(refusal.addresses().count() <= taken / 7),
            Frame::RequestLong(piece) | Frame::ReplyLong(piece) => {
                assert!(piece.bytes.len() <= piece.total as usize && piece.total as usize <= VALUE_BYTES_MAX);
            }
            _ => {}
        }
        bytes = &bytes[taken..];
    }
}

/// Random bytes behind a good header, and good frames with some bytes changed, in a row: nothing panics.
#[test]
fn any_bytes_are_looked_at_without_harm() {
    for seed in seeds(20_000) {
        let mut random = Random::new(seed);
        let mut stream = Vec::new();
        samples(&mut |bytes, _| {
            let start = stream.len();
            match random.below(3) {
                0 => {
                    let length = 1 + random.below(60);
                    stream.extend_from_slice(&(length as u32).to_le_bytes());
                    stream.push(random.below(17) as u8);
                    stream.extend((1..length).map(|_| random.next() as u8));
                }
                1 => stream.extend_from_slice(bytes),
                _ => {
                    stream.extend_from_slice(bytes);
                    for _ in 0..1 + random.below(3) {
                        let at = start + LENGTH_BYTES + random.below(bytes.len() - LENGTH_BYTES);
                        stream[at] = random.next() as u8;
                    }
                }
            }
            check_any(&stream[start..], FRAME_BYTES_MAX);
            // Cut short as well, with a length that agrees.
            let end = start + LENGTH_BYTES + 1 + random.below(stream.len() - start - LENGTH_BYTES);
            let mut cut = stream[start..end].to_vec();
            let length = (cut.len() - LENGTH_BYTES) as u32;
            cut[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
            check_any(&cut, FRAME_BYTES_MAX);
        });
        check_any(&stream, FRAME_BYTES_MAX);
        check_any(&stream[random.below(stream.len())..], STRANGER_BYTES_MAX);
    }
}
