//! What forwarding costs.

use super::support::alone;
use super::support::cluster::{Cluster, array};
use nix::sys::signal::Signal;

const CLIENTS: usize = 8;
const AT_ONCE: usize = 16;
const ROUNDS: usize = 200;

/// Clients of the first node set and get keys of this one; gives the processor time of all nodes for one operation, in
/// microseconds.
///
/// The first node stands still while they send, so that each round finds it with the requests of all: how many it finds
/// at once is otherwise for the scheduler to say, and what waking a process costs differs much between machines.
fn cost(cluster: &Cluster, owner: usize) -> f64 {
    let first = cluster.node(0);
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (mut requests, mut wanted) = (Vec::new(), String::new());
            for key in 0..AT_ONCE / 2 {
                let key = cluster.key_of(owner, number * AT_ONCE + key);
                requests.extend([array(&["SET", &key, "a value"]), array(&["GET", &key])].concat());
                wanted += "+OK\r\n$7\r\na value\r\n";
            }
            let mut client = cluster.connect(0);
            client.send(&requests);
            assert!(client.exactly(wanted.len()) == wanted.as_bytes());
            (client, requests, wanted)
        })
        .collect();
    let spent = || (0..cluster.len()).map(|node| cluster.node(node).cpu_ms()).sum::<f64>();
    let before = spent();
    for _ in 0..ROUNDS {
        first.stop();
        for (client, requests, _) in &mut clients {
            client.send(&*requests);
        }
        first.signal(Signal::SIGCONT);
        for (client, _, wanted) in &mut clients {
            assert!(client.exactly(wanted.len()) == wanted.as_bytes());
        }
    }
    (spent() - before) * 1000.0 / (CLIENTS * AT_ONCE * ROUNDS) as f64
}

/// Both nodes together, with pipelines of sixteen. What is shipped is to cost 2.2 times as much at most (`MEMENTO_BIN`
/// names it); the checks of a debug build weigh more on the bus than elsewhere.
#[test]
fn a_forwarded_operation_costs_little_more_than_two() {
    const PAIRS: usize = 7;
    let ratio_max = if std::env::var_os("MEMENTO_BIN").is_some() { 2.2 } else { 3.0 };
    let _machine = alone();
    let cluster = Cluster::start(2);
    // Other work on the machine makes some runs dearer: the one in the middle counts.
    let mut ratios: Vec<f64> = (0..PAIRS)
        .map(|_| {
            let (local, forwarded) = (cost(&cluster, 0), cost(&cluster, 1));
            println!("{local:.2} us of processor time for a local operation, {forwarded:.2} us for a forwarded one");
            forwarded / local
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    assert!(ratios[PAIRS / 2] < ratio_max, "{:.2} times as much", ratios[PAIRS / 2]);
}
