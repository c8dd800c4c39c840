//! Any bytes as the cluster's file: a mistake is one sentence with the file's name, and what is understood is
//! read again from its own lines.

use memento::config::nodes::{Hints, parse};

/// Tries one input.
pub fn run(input: &[u8]) {
    const FILE: &str = "nodes.conf";
    let nodes = match parse(FILE, input) {
        Ok(nodes) => nodes,
        Err(why) => {
            assert!(why.starts_with(FILE) && !why.contains('\n') && why.len() < 1000, "{why:?}");
            return;
        }
    };
    assert!(!nodes.members.is_empty());
    for (index, node) in nodes.members.iter().enumerate() {
        assert!(node.client_address().port() > 0 && node.address.port() > node.client_address().port());
        let others = nodes.members.iter().enumerate().filter(|(other, _)| *other != index);
        assert!(others.into_iter().all(|(_, other)| other.address != node.address && other.name != node.name));
    }
    let own = nodes.own(FILE, &Hints::default());
    if let Err(why) = &own {
        assert!(why.contains(FILE) && !why.contains('\n'), "{why:?}");
    }
    let line = |(index, node): (usize, &memento::config::nodes::Node)| {
        let is_own = u8::from(own == Ok(index));
        format!("{} {} {} {is_own}\n", node.address.ip(), node.address.port(), node.name)
    };
    let lines: String = nodes.members.iter().enumerate().map(line).collect();
    let again = parse(FILE, lines.as_bytes()).expect("its own lines");
    assert_eq!(again.members, nodes.members);
    if own.is_ok() {
        assert_eq!(again.own(FILE, &Hints::default()), own);
    }
}
