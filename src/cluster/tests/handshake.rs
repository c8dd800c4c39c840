//! Which links come up, which do not, and what is told of that.

use super::wires::{Station, World, identity, members};
use crate::cluster::{Identity, Member, wire};
use crate::limits::{REDIAL_MS, REDIAL_MS_MAX, SPARE_MS, STRANGER_BYTES_MAX, STRANGERS_MAX};

/// Two nodes with these secrets.
fn with_secrets(secrets: [Option<&str>; 2]) -> World {
    let nodes = secrets.into_iter().enumerate().map(|(index, secret)| {
        let secret = secret.map(|secret| secret.as_bytes().to_vec());
        (members(2), Identity { secret, ..identity(index as u64) })
    });
    World::of(nodes.collect())
}

fn ups(world: &World) -> usize {
    world.stations.iter().map(|station| station.cluster.linked()).sum()
}

#[test]
fn nodes_form_a_cluster_over_one_link_each() {
    for count in [1, 2, 3, 7] {
        let mut world = World::new(count);
        world.run();
        world.pass(10);
        for station in &world.stations {
            assert!(station.cluster.is_formed());
            assert_eq!(station.script.notices.iter().filter(|notice| *notice == "formed").count(), 1);
            assert_eq!(station.script.notices.len(), count);
        }
        // Of two links between a pair one is kept.
        assert_eq!(world.wires.len(), count * (count - 1) / 2);
        world.pass(5000);
        assert_eq!(ups(&world), count * (count - 1));
        assert!(world.stations.iter().all(|station| station.script.notices.len() == count));
    }
}

#[test]
fn bytes_may_come_one_by_one() {
    let mut world = World::new(3);
    world.bytes_max = 1;
    world.run();
    assert_eq!(ups(&world), 6);
    let node = world.node(1);
    assert_eq!(world.stations[0].cluster.peer(node).rtt_us, Some(0));
}

#[test]
fn either_may_be_the_one_that_cannot_be_dialled() {
    for hidden in [0, 1] {
        let mut world = World::new(2);
        world.unreachable = vec![hidden];
        world.run();
        assert_eq!(ups(&world), 2);
    }
}

#[test]
fn the_secret_has_to_be_the_same() {
    let mut world = with_secrets([Some("open sesame"), Some("open sesame")]);
    world.run();
    assert_eq!(ups(&world), 2);
    for secrets in [[Some("a"), Some("b")], [Some("a"), None], [None, Some("a")], [Some("a"), Some("")]] {
        let mut world = with_secrets(secrets);
        world.run();
        world.pass(5000);
        assert_eq!(ups(&world), 0);
        // Once each for what it refused and what it was refused, however often it was tried.
        for index in [0, 1] {
            let mut notices = world.notices(index).to_vec();
            notices.sort();
            assert_eq!(notices, ["refused by Peer: Secret", "refused by Us: Secret"]);
        }
        assert!(world.wires.is_empty());
    }
}

#[test]
fn another_list_is_refused_and_both_say_how_they_differ() {
    let mut world = World::of(vec![(members(3), identity(0)), (members(2), identity(1))]);
    world.unreachable = vec![1, 2];
    world.run();
    assert_eq!(ups(&world), 0);
    let list = "127.0.0.1:1002";
    assert_eq!(world.notices(0), ["refused by Us: List", &format!("differs: [{list}] []")]);
    assert_eq!(world.notices(1), ["refused by Peer: List", &format!("differs: [] [{list}]")]);
    world.pass(10_000);
    assert_eq!((world.notices(0).len(), world.notices(1).len()), (2, 2));
}

#[test]
fn with_a_secret_the_list_is_shown_to_those_who_know_it() {
    let secret = |index| Identity { secret: Some(b"open sesame".to_vec()), ..identity(index) };
    let mut world = World::of(vec![(members(3), secret(0)), (members(2), secret(1))]);
    world.unreachable = vec![1, 2];
    world.run();
    assert_eq!(ups(&world), 0);
    let list = "127.0.0.1:1002";
    assert_eq!(world.notices(0), ["refused by Us: List", &format!("differs: [{list}] []")]);
    assert_eq!(world.notices(1), ["refused by Us: List", &format!("differs: [] [{list}]")]);
}

#[test]
fn a_stranger_is_shown_no_list_and_no_proof() {
    let mut hello = Vec::new();
    let (address, name) = ("127.0.0.1:1001".parse().expect("an address"), "x");
    let (digest, nonce) = (&[7; 32], &[8; 32]);
    let (incarnation, has_password, has_secret) = (1, false, true);
    let words = wire::Hello { incarnation, address, name, digest, has_password, has_secret, nonce };
    wire::hello_frame(&mut hello, &words);
    let mut proof = hello.clone();
    wire::proof_frame(&mut proof, &[9; 32]);
    let mut refusal = Vec::new();
    wire::refuse_frame(&mut refusal, wire::Reason::List, [address].into_iter());
    let mut refusal_behind = hello.clone();
    wire::refuse_frame(&mut refusal_behind, wire::Reason::List, [address].into_iter());
    for bytes in [hello, proof, refusal, refusal_behind] {
        let mut world = with_secrets([Some("open sesame"), None]);
        world.unreachable = vec![0, 1];
        let station = &mut world.stations[0];
        let link = station.cluster.handle_accepted(0, [10, 0, 0, 9].into()).expect("a link");
        station.cluster.handle_bytes(0, link, &bytes, &mut station.script);
        let mut pieces = [std::io::IoSlice::new(&[]); 8];
        let count = station.cluster.gather(link, &mut pieces);
        let sent: Vec<u8> = pieces[..count].iter().flat_map(|piece| piece.iter().copied()).collect();
        let mut rest = &sent[..];
        while let Some((frame, taken)) = wire::decode(rest, STRANGER_BYTES_MAX).expect("frames") {
            match frame {
                wire::Frame::Hello(_) => {}
                wire::Frame::Refuse(refusal) => assert_eq!(refusal.addresses().count(), 0),
                other => panic!("{other:?}"),
            }
            rest = &rest[taken..];
        }
    }
}

#[test]
fn another_version_is_refused() {
    let mut world = World::new(2);
    let (now_ms, station) = (world.now_ms, &mut world.stations[0]);
    let link = station.cluster.handle_accepted(now_ms, [127, 0, 0, 1].into()).expect("a link");
    let mut hello = Vec::new();
    let [other, ..] = [u16::MAX.to_le_bytes()];
    hello.extend_from_slice(&20u32.to_le_bytes());
    hello.extend_from_slice(b"\x01memento\n");
    hello.extend_from_slice(&other);
    hello.extend_from_slice(b"whatever.");
    station.cluster.handle_bytes(now_ms, link, &hello, &mut station.script);
    assert_eq!(station.script.notices, ["refused by Us: Version"]);
    assert!(station.cluster.wants_write(link));
}

#[test]
fn a_password_on_one_side_only_is_told() {
    let mut world = World::of(vec![
        (members(2), Identity { has_password: true, ..identity(0) }),
        (members(2), Identity { name: "böse".into(), ..identity(1) }),
    ]);
    world.run();
    assert_eq!(world.notices(0), ["up 1", "password differs 1", "formed"]);
    let view = world.stations[0].cluster.peer(world.node(1));
    assert_eq!((view.name, view.incarnation), ("böse", Some(101)));
}

#[test]
fn a_node_that_was_started_anew_is_linked_at_once() {
    for restarted in [0, 1] {
        let mut world = World::formed(2);
        let other = 1 - restarted;
        world.ask(other, restarted, 1, "LATER");
        world.restart(restarted, Identity { incarnation: 77, ..identity(restarted as u64) });
        world.run();
        let (down, up) = (format!("down {restarted}: it was started anew"), format!("up {restarted}"));
        assert_eq!(world.notices(other), [down, up]);
        assert_eq!(world.stations[other].script.answers, [(1, format!("!{restarted}"))]);
        assert_eq!(ups(&world), 2);
    }
}

#[test]
fn a_silent_link_is_broken_within_two_seconds_and_another_made() {
    for noticed_by in [None, Some(0), Some(1)] {
        let mut world = World::formed(2);
        world.ask(0, 1, 5, "LATER");
        world.run();
        world.pass(3000);
        assert_eq!(ups(&world), 2);
        world.wires[0].is_cut = true;
        if let Some(index) = noticed_by {
            // One side sees the connection break, the other one sees nothing.
            let link = world.wires[0].ends.iter().find(|end| end.0 == index).expect("an end").1;
            let Station { cluster, script } = &mut world.stations[index];
            cluster.handle_closed(world.now_ms, link, "it was reset", script);
        }
        world.pass(2000);
        assert_eq!(ups(&world), 2, "{noticed_by:?}");
        assert_eq!(world.stations[0].script.answers, [(5, "!1".to_string())]);
        for (index, why) in ["nothing came from it for too long"; 2].into_iter().enumerate() {
            let why = if noticed_by == Some(index) { "it was reset" } else { why };
            let other = 1 - index;
            // Who decides sees its link end by itself; the other one by that, or by the welcome on the next one.
            assert!(world.notices(index)[0].starts_with(&format!("down {other}: ")), "{:?}", world.notices(index));
            if index == 0 || noticed_by == Some(index) {
                assert_eq!(world.notices(index)[0], format!("down {other}: {why}"));
            }
            assert_eq!(world.notices(index)[1..], [format!("up {other}")]);
        }
        world.pass(2 * SPARE_MS);
        assert_eq!((world.wires.len(), world.notices(0).len(), world.notices(1).len()), (1, 2, 2));
    }
}

#[test]
fn who_did_not_look_for_long_breaks_no_link() {
    let mut world = World::formed(2);
    world.now_ms += 60_000;
    for index in [0, 1] {
        let Station { cluster, script } = &mut world.stations[index];
        cluster.handle_timeout(world.now_ms, script);
    }
    world.pass(1000);
    assert_eq!(ups(&world), 2);
    assert!(world.notices(0).is_empty() && world.notices(1).is_empty());
}

#[test]
fn waiting_doubles_up_to_a_second() {
    let mut world = World::new(2);
    world.unreachable = vec![0, 1];
    let mut waited = Vec::new();
    let cluster = &mut world.stations[0].cluster;
    let mut now_ms = world.now_ms;
    for _ in 0..12 {
        let node = cluster.poll_connect(now_ms).expect("a node");
        assert_eq!(cluster.poll_connect(now_ms), None);
        cluster.handle_connect_failed(now_ms, node);
        let due_ms = cluster.next_timeout_ms().expect("a time");
        waited.push(due_ms - now_ms);
        assert_eq!(cluster.poll_connect(due_ms - 1), None);
        now_ms = due_ms;
    }
    for (index, waited) in waited.into_iter().enumerate() {
        let wanted = (REDIAL_MS << index).min(REDIAL_MS_MAX);
        assert!((wanted - wanted / 4..=wanted).contains(&waited), "{waited} at {index}");
    }
}

#[test]
fn strangers_are_bounded_and_their_junk_is_told() {
    let mut world = World::new(2);
    let (now_ms, Station { cluster, script }) = (world.now_ms, &mut world.stations[0]);
    assert_eq!(cluster.handle_accepted(now_ms, [10, 0, 0, 1].into()), None);
    let local = [127, 0, 0, 1].into();
    let links: Vec<_> = (0..STRANGERS_MAX).map(|_| cluster.handle_accepted(now_ms, local).expect("a link")).collect();
    assert_eq!(cluster.poll_close(), None);
    cluster.handle_accepted(now_ms, local).expect("a link");
    assert_eq!((cluster.poll_close(), cluster.poll_close()), (Some(links[0]), None));
    cluster.handle_bytes(now_ms, links[0], b"anything", script);
    assert!(script.notices.is_empty());

    cluster.handle_bytes(now_ms, links[1], b"GET / HTTP/1.1\r\n", script);
    let mut frame = Vec::new();
    wire::welcome_frame(&mut frame);
    cluster.handle_bytes(now_ms, links[2], &frame, script);
    cluster.handle_bytes(now_ms, links[3], &(STRANGER_BYTES_MAX as u32).to_le_bytes(), script);
    let too_long = format!("junk: a frame of {STRANGER_BYTES_MAX} bytes");
    let wanted = ["junk: a frame of 542393671 bytes", "junk: a frame before its time", &too_long];
    assert_eq!(script.notices, wanted);
    script.notices.clear();
    let closed: Vec<_> = std::iter::from_fn(|| cluster.poll_close()).collect();
    assert_eq!(closed, links[1..4]);
    cluster.handle_timeout(now_ms + 1000, script);
    assert_eq!(script.notices.len(), STRANGERS_MAX - 3);
    assert!(script.notices.iter().all(|notice| notice == "junk: no hello came"));
}

/// Says hello to node 0 as `address` would, with this digest or the right one.
fn claim(world: &mut World, address: &str, from: [u8; 4]) -> Vec<String> {
    let now_ms = world.now_ms;
    let Station { cluster, script } = &mut world.stations[0];
    script.notices.clear();
    let Some(link) = cluster.handle_accepted(now_ms, from.into()) else { return vec!["not accepted".into()] };
    let mut frame = Vec::new();
    let hello = wire::Hello {
        incarnation: 1,
        address: address.parse().expect("an address"),
        name: "x",
        digest: &cluster.map().digest(),
        has_password: false,
        has_secret: false,
        nonce: &[0; 32],
    };
    wire::hello_frame(&mut frame, &hello);
    cluster.handle_bytes(now_ms, link, &frame, script);
    // A second hello, or whatever else comes, is out of place.
    cluster.handle_bytes(now_ms, link, &frame, script);
    script.notices.clone()
}

#[test]
fn who_says_to_be_somebody_else_is_no_link() {
    let mut nodes = members(2);
    nodes.push(Member { address: ([127, 0, 0, 2], 1000).into(), name: "far".into() });
    let mut world = World::of(vec![(nodes.clone(), identity(0)), (nodes, identity(1))]);
    let second = "junk: a frame before its time";
    assert_eq!(claim(&mut world, "127.0.0.1:1000", [127, 0, 0, 1]), ["refused by Us: Itself", second]);
    assert_eq!(claim(&mut world, "127.0.0.1:1007", [127, 0, 0, 1]), ["refused by Us: NotListed", second]);
    assert_eq!(claim(&mut world, "127.0.0.2:1000", [127, 0, 0, 1]), ["refused by Us: NotListed", second]);
    assert_eq!(claim(&mut world, "127.0.0.2:1000", [127, 0, 0, 3]), ["not accepted"]);
    assert_eq!(claim(&mut world, "127.0.0.2:1000", [127, 0, 0, 2]), [second]);
    assert_eq!(ups(&world), 0);
}
