//! Tests only: system calls that fail, fall short or come late, by a seed.
//!
//! The plan belongs to a thread, so that a server under test can suffer while its client on another thread does
//! not. What is simulated is only what a kernel may do at any time to a program that uses the calls right. A plan that
//! is [`begin`]un may cost no reply, double none, and end no connection; one that is [`begin_breaking`] ends some
//! connections, and counts how many at most.

use super::Call;
use crate::testkit::Random;
use nix::errno::Errno;
use std::cell::{Cell, RefCell};

thread_local! {
    static EXHAUSTED: Cell<bool> = const { Cell::new(false) };
    static PLAN: RefCell<Option<Plan>> = const { RefCell::new(None) };
}

struct Plan {
    random: Random,
    /// Of a thousand calls so many fail in a way that ends a connection.
    breaks_per_mille: usize,
    /// How many calls failed in a way that ends a connection.
    broken: usize,
}

/// From now on the calls of this thread misbehave as this seed has it; no connection ends by it.
pub(crate) fn begin(seed: u64) {
    put(Plan { random: Random::new(seed), breaks_per_mille: 0, broken: 0 });
}

/// The same, and of a thousand calls so many fail for good.
pub(crate) fn begin_breaking(seed: u64, per_mille: usize) {
    put(Plan { random: Random::new(seed), breaks_per_mille: per_mille, broken: 0 });
}

/// How many calls of this thread failed in a way that ends a connection: more cannot have ended by it.
pub(crate) fn broken() -> usize {
    PLAN.with(|plan| plan.borrow().as_ref().map_or(0, |plan| plan.broken))
}

fn put(new: Plan) {
    PLAN.with(|plan| *plan.borrow_mut() = Some(new));
}

/// From now on the system has no memory for this thread, or has some again. Unlike what a seed does, this costs replies:
/// those that need memory become errors.
pub(crate) fn exhaust(on: bool) {
    EXHAUSTED.set(on);
}

/// How much of `length` this call may move, or the error that it reports instead of being made.
pub(crate) fn allow(call: Call, length: usize) -> nix::Result<usize> {
    if EXHAUSTED.get() && matches!(call, Call::Map | Call::Step) {
        return Err(Errno::ENOMEM);
    }
    PLAN.with(|plan| match plan.borrow_mut().as_mut() {
        None => Ok(length),
        Some(plan) => {
            if plan.breaks_per_mille > 0
                && plan.random.below(1000) < plan.breaks_per_mille
                && let Some(error) = breaks(&mut plan.random, call)
            {
                plan.broken += 1;
                return Err(error);
            }
            tamper(&mut plan.random, call, length)
        }
    })
}

/// The error that ends this connection: the peer's reset, or a kernel without memory (recv(2), send(2), epoll_ctl(2)).
fn breaks(random: &mut Random, call: Call) -> Option<Errno> {
    match (call, random.below(10)) {
        (Call::Receive | Call::Send, 0..6) => Some(Errno::ECONNRESET),
        (Call::Receive | Call::Send, 6..8) => Some(Errno::ENOBUFS),
        (Call::Receive | Call::Send | Call::Watch, _) => Some(Errno::ENOMEM),
        _ => None,
    }
}

fn tamper(random: &mut Random, call: Call, length: usize) -> nix::Result<usize> {
    let dice = random.below(100);
    match call {
        // As after a signal: nothing is ready, though something may be. Or fewer are told of than are ready.
        Call::Wait if dice < 10 => Err(Errno::EINTR),
        Call::Wait if dice < 40 => Ok(1),
        // The queue is not empty, but the call fails: the level-triggered listener must come back to it.
        Call::Accept if dice < 10 => Err(Errno::EAGAIN),
        Call::Accept if dice < 15 => Err(Errno::ECONNABORTED),
        Call::Accept if dice < 17 => Err(Errno::EMFILE),
        Call::Accept if dice < 18 => Err(Errno::ENFILE),
        Call::Accept if dice < 19 => Err(Errno::ENOBUFS),
        Call::Accept if dice < 20 => Err(Errno::ENOMEM),
        Call::Connect if dice < 14 => Err(Errno::ECONNREFUSED),
        Call::Connect if dice < 16 => Err(Errno::EMFILE),
        Call::Connect if dice < 18 => Err(Errno::ENOBUFS),
        Call::Connect if dice < 20 => Err(Errno::EADDRNOTAVAIL),
        Call::Receive | Call::Send if dice < 10 => Err(Errno::EAGAIN),
        Call::Receive | Call::Send if dice < 60 && length > 1 => Ok(1 + random.below(length.min(64))),
        // A signal that came before anything was moved: the call is made again.
        Call::Receive | Call::Send | Call::Accept if (90..95).contains(&dice) => Err(Errno::EINTR),
        // As when a process has as many mappings as it may.
        Call::Map if dice < 30 => Err(Errno::ENOMEM),
        Call::Receive | Call::Send if dice < 75 && length > 1 => Ok(1 + random.below(length)),
        _ => Ok(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_tampers_the_same_way() {
        let run = |seed| {
            let mut random = Random::new(seed);
            (0..200).map(|_| tamper(&mut random, Call::Send, 100).ok()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        assert!(run(7).iter().flatten().all(|&n| (1..=100).contains(&n)));
    }

    #[test]
    fn what_ends_a_connection_is_counted() {
        let ends = |error: &Errno| matches!(error, Errno::ECONNRESET | Errno::ENOBUFS | Errno::ENOMEM);
        begin(3);
        assert!((0..5000).filter_map(|_| allow(Call::Send, 100).err()).all(|error| !ends(&error)));
        assert_eq!(broken(), 0);
        begin_breaking(3, 10);
        let failed = (0..5000).filter_map(|_| allow(Call::Send, 100).err()).filter(ends).count();
        assert!(failed > 10 && broken() == failed, "{failed} ends, {} counted", broken());
    }

    #[test]
    fn nothing_is_tampered_with_without_a_plan() {
        assert_eq!(allow(Call::Receive, 5).unwrap(), 5);
    }
}
