//! memento-cli on a pseudo terminal: keys typed and the screen looked at, by `tests/terminal/keys.py`.

mod support;

use std::process::Command;

use support::cluster::Cluster;
use support::{Scratch, need, program, root};

#[test]
fn keys_are_typed_and_the_screen_is_as_it_should_be() {
    if !need("python3") || !need("redis-server") {
        return;
    }
    let scratch = Scratch::new();
    // It stops the last node for a while.
    let cluster = Cluster::start(3);
    let output = Command::new("timeout")
        .args(["120", "python3"])
        .arg(root().join("tests/terminal/keys.py"))
        .args([program(), scratch.path("")])
        .args([cluster.port(0).to_string(), cluster.node(2).id().to_string()])
        .output()
        .expect("python3");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}
