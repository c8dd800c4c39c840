//! Real processes that form a cluster on loopback: what any node answers for any key, and what happens when one of them
//! is killed, stands still, or is talked to by strangers.
//!
//! `MEMENTO_SEED=n` repeats the random tests with that seed.

#[path = "cluster/answers.rs"]
mod answers;
#[path = "cluster/cost.rs"]
mod cost;
#[path = "cluster/endings.rs"]
mod endings;
#[path = "cluster/failures.rs"]
mod failures;
#[path = "cluster/forming.rs"]
mod forming;
#[path = "cluster/many.rs"]
mod many;
#[path = "cluster/mends.rs"]
mod mends;
#[path = "cluster/slow.rs"]
mod slow;
#[path = "cluster/strangers.rs"]
mod strangers;
mod support;
#[path = "cluster/transactions.rs"]
mod transactions;
#[path = "cluster/values.rs"]
mod values;

use support::cluster::{Cluster, ask_array};

/// The seed of a random test, which is printed.
fn seed() -> u64 {
    let seed = match std::env::var("MEMENTO_SEED") {
        Ok(text) => text.parse().expect("MEMENTO_SEED is a number"),
        Err(_) => support::now_ms(),
    };
    println!("MEMENTO_SEED={seed}");
    seed
}

/// A small generator (splitmix64, Steele et al., OOPSLA 2014).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.bits() % bound as u64).expect("less than a usize")
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend(self.bits().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

/// What a node that is not linked is answered for.
fn not_linked(cluster: &Cluster, node: usize) -> String {
    format!("(error) CLUSTERDOWN node {} is not linked", cluster.title(node))
}

/// What a write gets whose link broke.
fn unknown(cluster: &Cluster, node: usize) -> String {
    format!("(error) outcome unknown: the link to node {} broke before it answered", cluster.title(node))
}

/// What a read gets whose link broke.
fn silent(cluster: &Cluster, node: usize) -> String {
    format!("(error) node {} did not answer: the link to it broke", cluster.title(node))
}
