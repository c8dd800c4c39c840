//! Requests and their answers, short and long, over links that are up.

use super::wires::{Station, Wire, World, shown};
use crate::blob::Blob;
use crate::cluster::{LinkId, Purpose, RequestHead, wire};
use crate::limits::{BUS_PIECE_BYTES_MAX, LINK_BYTES_MAX, LINK_LEFT_BYTES, LINK_REQUESTS_MAX, LINK_UNSENT_BYTES};
use crate::proto::{Encoding, Face, Output, Reply, Word};
use crate::testkit::{Random, seeds};
use std::rc::Rc;

fn answers(world: &World, index: usize) -> Vec<String> {
    world.stations[index].script.answers.iter().map(|(ticket, text)| format!("{ticket} {text}")).collect()
}

#[test]
fn a_request_is_executed_there_and_answered_here() {
    let mut world = World::formed(2);
    world.ask(0, 1, 1, "ECHO hello");
    world.ask(0, 1, 2, "OTHER");
    world.ask(1, 0, 3, "LIST a b");
    let node = world.node(1);
    assert!(world.stations[0].cluster.tell(node, 7, std::iter::empty()));
    assert_eq!(world.stations[0].cluster.peer(node).in_flight, 2);
    world.run();
    assert_eq!(answers(&world, 0), ["1 hello", "2 OK"]);
    assert_eq!(answers(&world, 1), ["3 a b"]);
    assert_eq!(world.stations[1].script.executed, ["Plain 7 3 ECHO hello", "Plain 7 3 OTHER", "Forget 7 0 "]);
    let view = world.stations[0].cluster.peer(node);
    assert_eq!((view.in_flight, view.sent_requests, view.executed_requests, view.unsent_bytes), (0, 2, 1, 0));
    assert!(view.sent_bytes > 0 && view.received_bytes > 0);
    // A turn's requests leave in one piece, and nothing is left over.
    (0..100).for_each(|ticket| world.ask(0, 1, ticket, "ECHO x"));
    let link = world.stations[0].cluster.poll_send().expect("a link");
    assert_eq!(world.stations[0].cluster.poll_send(), None);
    let mut pieces = [std::io::IoSlice::new(&[]); 4];
    assert_eq!(world.stations[0].cluster.gather(link, &mut pieces), 1);
}

#[test]
fn who_is_not_linked_is_not_asked() {
    let mut world = World::new(2);
    let (node, head) = (world.node(1), RequestHead { purpose: Purpose::Plain, client: 1, flags: 0 });
    let words = || [Word::Received(b"PING")].into_iter();
    let (mut first, mut second) = (words(), words());
    assert_eq!(world.stations[0].cluster.request(node, head, &mut || first.next(), 5), Err(5));
    assert_eq!(world.stations[1].cluster.request(node, head, &mut || second.next(), 6), Err(6));
    assert!(!world.stations[0].cluster.tell(node, 1, words()));
}

#[test]
fn later_answers_may_come_in_any_order_and_only_once() {
    let mut world = World::formed(2);
    (0..3).for_each(|ticket| world.ask(0, 1, ticket, "LATER"));
    world.run();
    let callers = world.stations[1].script.callers.clone();
    let mut answer = |index: usize, text: &str| {
        let mut output = Output::default();
        Reply::new(&mut output, Encoding::Bus, Face::Typed).bulk(text.as_bytes());
        world.stations[1].cluster.reply(callers[index], &output);
    };
    answer(2, "two");
    answer(0, "zero");
    answer(0, "zero again");
    world.run();
    assert_eq!(answers(&world, 0), ["2 two", "0 zero"]);
}

#[test]
fn what_is_in_flight_fails_in_order() {
    let mut world = World::formed(3);
    (0..5).for_each(|ticket| world.ask(0, 1, ticket, "LATER"));
    world.ask(0, 2, 9, "LATER");
    world.ask(0, 1, 5, "ECHO x");
    world.run();
    let is_pair = |wire: &Wire| wire.ends.iter().all(|end| end.0 < 2);
    let wire = world.wires.iter().find(|wire| is_pair(wire)).expect("a wire");
    let (_, link) = *wire.ends.iter().find(|end| end.0 == 0).expect("an end");
    let (now_ms, Station { cluster, script }) = (world.now_ms, &mut world.stations[0]);
    cluster.handle_closed(now_ms, link, "it was reset", script);
    assert_eq!(answers(&world, 0), ["5 x", "0 !1", "1 !1", "2 !1", "3 !1", "4 !1"]);
    assert_eq!(world.notices(0), ["down 1: it was reset"]);
    // What is answered to the link that ended goes nowhere.
    let callers = world.stations[1].script.callers.clone();
    let mut output = Output::default();
    Reply::new(&mut output, Encoding::Bus, Face::Typed).ok();
    callers.into_iter().for_each(|caller| world.stations[1].cluster.reply(caller, &output));
    world.pass(100);
    assert_eq!(answers(&world, 0).len(), 6);
}

#[test]
fn long_values_travel_both_ways_whatever_the_cut() {
    for bytes_max in [1, 1000, 70_000, usize::MAX] {
        let mut world = World::formed(2);
        world.bytes_max = bytes_max;
        let values: Vec<_> =
            [5000, BUS_PIECE_BYTES_MAX, 200_000].map(|count| Rc::new(Blob::from(vec![b'v'; count]))).into();
        for (ticket, value) in values.iter().enumerate() {
            world.ask_words(0, 1, ticket as u32, [Word::Received(b"ECHO"), Word::Long(value)].into_iter());
        }
        let words = [Word::Received(b"LIST"), Word::Long(&values[2]), Word::Received(b"mid"), Word::Long(&values[0])];
        world.ask_words(0, 1, 3, words.into_iter());
        let long = vec![b'w'; 150_000];
        world.ask_words(0, 1, 4, [Word::Received(b"LIST"), Word::Received(&long), Word::Received(b"x")].into_iter());
        world.ask(0, 1, 5, "BIG z 300000");
        world.ask(0, 1, 6, "ECHO small");
        world.run();
        let mut answers = answers(&world, 0);
        // The small one overtook the long ones.
        assert!(answers.iter().position(|text| text == "6 small") < Some(3), "{answers:?}");
        answers.sort();
        let wanted =
            ["0 v*5000", "1 v*65536", "2 v*200000", "3 v*200000 mid v*5000", "4 w*150000 x", "5 z*300000", "6 small"];
        assert_eq!(answers, wanted);
        assert!(values.iter().all(|value| Rc::strong_count(value) == 1));
    }
}

#[test]
fn a_large_answer_waits_for_its_grant() {
    let mut world = World::formed(2);
    world.stations[0].script.grants = false;
    world.ask(0, 1, 1, "BIG a 65000");
    world.ask(0, 1, 2, "BIG b 66000");
    world.ask(0, 1, 3, "BIG c 1000000");
    world.run();
    assert_eq!(answers(&world, 0), [format!("1 {}", shown(&[b'a'; 65_000]))]);
    let offers = world.stations[0].script.offers.clone();
    assert_eq!(offers.iter().map(|offer| offer.bytes).collect::<Vec<_>>(), [66_001, 1_000_001]);
    let grant = |world: &mut World, index: usize| world.stations[0].cluster.grant(offers[index].node, offers[index].id);
    grant(&mut world, 1);
    grant(&mut world, 1);
    world.run();
    assert_eq!(answers(&world, 0)[1..], ["3 c*1000000"]);
    // The other one is dropped with its link.
    let (index, link) = world.wires[0].ends[0];
    let (now_ms, Station { cluster, script }) = (world.now_ms, &mut world.stations[index]);
    cluster.handle_closed(now_ms, link, "it was reset", script);
    let (index, link) = world.wires[0].ends[1];
    let (now_ms, Station { cluster, script }) = (world.now_ms, &mut world.stations[index]);
    cluster.handle_closed(now_ms, link, "it was reset", script);
    assert_eq!(answers(&world, 0)[2..], ["2 !1"]);
    grant(&mut world, 0);
    assert_eq!(world.stations[0].script.offers.len(), 2);
}

#[test]
fn a_full_node_is_told_and_when_it_has_room() {
    let head = RequestHead { purpose: Purpose::Plain, client: 1, flags: 0 };
    for (word, count) in [(&b"LATER"[..], LINK_REQUESTS_MAX), (&[b'x'; 4096], LINK_BYTES_MAX / 4096)] {
        let mut world = World::formed(2);
        let node = world.node(1);
        let mut asked = 0;
        loop {
            let mut words = [Word::Received(word)].into_iter();
            asked += 1;
            let sent = world.stations[0].cluster.request(node, head, &mut || words.next(), asked).expect("a link");
            assert!(!sent.long);
            if sent.full {
                break;
            }
        }
        assert!((count - count / 50..=count).contains(&(asked as usize)), "{asked} of {count}");
        assert_eq!(world.stations[0].cluster.poll_room(), None);
        world.run();
        let callers = std::mem::take(&mut world.stations[1].script.callers);
        if !callers.is_empty() {
            assert_eq!(world.stations[0].cluster.poll_room(), None);
            let mut output = Output::default();
            Reply::new(&mut output, Encoding::Bus, Face::Typed).ok();
            let half = callers.len() / 2;
            callers.into_iter().take(half).for_each(|caller| world.stations[1].cluster.reply(caller, &output));
            world.run();
        }
        assert_eq!(world.stations[0].cluster.poll_room(), Some(node));
        assert_eq!(world.stations[0].cluster.poll_room(), None);
    }
}

#[test]
fn a_turn_without_time_leaves_requests_for_the_next() {
    let mut world = World::formed(2);
    (0..10).for_each(|ticket| world.ask(0, 1, ticket, "ECHO x"));
    world.stations[1].script.time = 3;
    world.run();
    assert_eq!(answers(&world, 0).len(), 3);
    world.ask(0, 1, 10, "ECHO x");
    world.stations[1].script.time = 100;
    world.run();
    assert_eq!(answers(&world, 0).len(), 11);
}

/// The link of node 1 on which what node 0 sends can be made up, and node 0 itself hears nothing.
fn forged(world: &mut World) -> LinkId {
    let wire = &mut world.wires[0];
    wire.is_cut = true;
    wire.ends.iter().find(|end| end.0 == 1).expect("an end").1
}

/// What node 1 says to frames that nobody should send, when it has asked one question.
fn junk(make: impl FnOnce(&mut Vec<u8>, u32)) -> String {
    let mut world = World::formed(2);
    world.ask(1, 0, 1, "LATER");
    let link = forged(&mut world);
    let mut frames = Vec::new();
    // The first request on a link has the id 0.
    make(&mut frames, 0);
    let (now_ms, Station { cluster, script }) = (world.now_ms, &mut world.stations[1]);
    cluster.handle_bytes(now_ms, link, &frames, script);
    let node = cluster.map().ids().next().expect("a node");
    assert!(!cluster.is_up(node), "{:?}", script.executed);
    assert_eq!(script.answers.len(), 1);
    assert_eq!(cluster.poll_close(), Some(link));
    let [junk, down] = &script.notices[..] else { panic!("{:?}", script.notices) };
    assert_eq!(down.strip_prefix("down 0"), junk.strip_prefix("junk"));
    junk.strip_prefix("junk: ").expect("junk").to_string()
}

fn request(out: &mut Vec<u8>, id: u32, words: impl FnOnce(&mut Vec<u8>)) {
    let frame = wire::begin_request(out, id, Purpose::Plain, 1, 0);
    words(out);
    frame.finish(out);
}

fn reply(out: &mut Vec<u8>, id: u32, bytes: &[u8]) {
    let frame = wire::begin_reply(out, id);
    out.extend_from_slice(bytes);
    frame.finish(out);
}

fn long(out: &mut Vec<u8>, header: [u8; wire::LONG_HEADER_BYTES], bytes: usize) {
    out.extend_from_slice(&header);
    out.resize(out.len() + bytes, b'v');
}

#[test]
fn what_nobody_should_send_ends_the_link() {
    assert_eq!(junk(|out, _| out.extend_from_slice(&[1, 0, 0, 0, 99])), "a frame of the unknown kind 99");
    assert_eq!(junk(|out, _| wire::welcome_frame(out)), "a frame of a new link on one that is up");
    assert_eq!(junk(|out, _| request(out, 1, |_| {})), "a request without a word");
    assert_eq!(junk(|out, _| request(out, 1, |out| out.push(8))), "a word that cannot be");
    assert_eq!(junk(|out, _| request(out, 1, |out| wire::put_long_word(out, 8))), "a long word that did not come");
    assert_eq!(junk(|out, id| reply(out, id + 1, b"x")), "a reply to no request");
    assert_eq!(junk(|out, id| (0..2).for_each(|_| reply(out, id, b"x"))), "a reply to no request");
    assert_eq!(junk(|out, id| wire::reply_part_frame(out, id + 1, b"x")), "a reply to no request");
    assert_eq!(junk(|out, id| wire::reply_size_frame(out, id + 1, 9)), "the size of a reply to no request");
    assert_eq!(junk(|out, _| wire::grant_frame(out, 0)), "a grant of what was not offered");
    let sizes = |out: &mut Vec<u8>, id| (0..2).for_each(|_| wire::reply_size_frame(out, id, 9));
    assert_eq!(junk(sizes), "the size of a reply a second time");
    let unasked = |out: &mut Vec<u8>, id| (0..2).for_each(|_| wire::reply_part_frame(out, id, &[0; 40_000]));
    assert_eq!(junk(unasked), "a message that is too long");
    let more = |out: &mut Vec<u8>, id| {
        wire::reply_size_frame(out, id, 70_000);
        (0..2).for_each(|_| wire::reply_part_frame(out, id, &[0; 40_000]));
    };
    assert_eq!(junk(more), "a message that is too long");
    let unfinished = |out: &mut Vec<u8>, id| {
        long(out, wire::reply_long_header(id, 10, 5), 5);
        reply(out, id, b"x");
    };
    assert_eq!(junk(unfinished), "a message that ends within a long value");
    let unmarked = |out: &mut Vec<u8>, _| {
        long(out, wire::request_long_header(1, 5, 5), 5);
        request(out, 1, |out| wire::put_word(out, b"x"));
    };
    assert_eq!(junk(unmarked), "more words than a request may have");
    let other = |out: &mut Vec<u8>, _| {
        long(out, wire::request_long_header(1, 5, 5), 5);
        request(out, 1, |out| wire::put_long_word(out, 6));
    };
    assert_eq!(junk(other), "a long word that did not come");
    let many = |out: &mut Vec<u8>, _| (0..100).for_each(|id| wire::request_part_frame(out, id, b"x"));
    assert_eq!(junk(many), "too many messages at a time");
    let twice = |out: &mut Vec<u8>, _| (0..2).for_each(|_| request(out, 4, |out| wire::put_word(out, b"LATER")));
    assert_eq!(junk(twice), "a request with the id of another one, or one too many");
}

#[test]
fn who_does_not_take_its_answers_waits_and_is_given_up_at_last() {
    let mut world = World::formed(2);
    let link = forged(&mut world);
    let (now_ms, Station { cluster, script }) = (world.now_ms, &mut world.stations[1]);
    let mut frames = Vec::new();
    let word = [b'x'; 50_000];
    (0..40).for_each(|id| {
        request(&mut frames, id, |out| {
            wire::put_word(out, b"ECHO");
            wire::put_word(out, &word);
        });
    });
    let node = cluster.map().ids().next().expect("a node");
    let mut rounds = 0;
    while cluster.is_up(node) {
        cluster.handle_bytes(now_ms, link, &frames, script);
        rounds += 1;
        assert!(cluster.peer(node).unsent_bytes < LINK_UNSENT_BYTES + LINK_LEFT_BYTES);
        assert!(!cluster.is_up(node) || (!cluster.can_resume(link) && cluster.wants_read(link)) || rounds < 4);
        assert!(rounds < 100);
    }
    assert_eq!(script.executed.len(), LINK_UNSENT_BYTES.div_ceil(word.len() + 9));
    assert_eq!(script.notices, ["down 0: it does not take its answers"]);
}

/// Any bytes on a link that is up: nothing panics, and the node goes on.
#[test]
fn random_frames_do_no_harm() {
    for seed in seeds(200) {
        let mut random = Random::new(seed);
        let mut world = World::formed(2);
        (0..4).for_each(|ticket| world.ask(1, 0, ticket, "LATER"));
        let link = forged(&mut world);
        let (now_ms, Station { cluster, script }) = (world.now_ms, &mut world.stations[1]);
        script.grants = seed % 2 == 0;
        for _ in 0..60 {
            let (mut out, id) = (Vec::new(), random.below(6) as u32);
            let (total, bytes) = (1 + random.below(300) as u32, random.below(100));
            match random.below(10) {
                0 => reply(&mut out, id, b"\x01"),
                1 => wire::reply_part_frame(&mut out, id, b"x"),
                2 => wire::reply_size_frame(&mut out, id, random.next() >> random.below(64)),
                3 => wire::grant_frame(&mut out, id),
                4 => wire::ping_frame(&mut out, random.next(), random.next()),
                5 => wire::request_part_frame(&mut out, id, &[2, b'E']),
                6 | 7 => {
                    let bytes = bytes.clamp(1, total as usize);
                    let header = match random.below(2) {
                        0 => wire::reply_long_header(id, total, bytes),
                        _ => wire::request_long_header(id, total, bytes),
                    };
                    long(&mut out, header, bytes);
                }
                8 => request(&mut out, id, |out| {
                    wire::put_word(out, [&b"LATER"[..], b"X", b"LIST"][bytes % 3]);
                    (0..bytes % 3).for_each(|_| wire::put_long_word(out, total as usize));
                }),
                _ => out.extend((0..bytes).map(|_| random.next() as u8 & 15)),
            }
            let cut = random.below(out.len() + 1);
            cluster.handle_bytes(now_ms, link, &out[..cut], script);
            cluster.handle_bytes(now_ms, link, &out[cut..], script);
        }
        cluster.handle_closed(now_ms, link, "the end", script);
        // Each ticket came back once.
        assert_eq!(script.answers.len(), 4, "seed {seed}");
    }
}
