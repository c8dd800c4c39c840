//! Tests only: system calls that fail, fall short or come late, by a seed.
//!
//! The plan belongs to a thread, so that a server under test can suffer while its client on another thread does
//! not. What is simulated is only what a kernel may do at any time to a program that uses the calls right:
//! nothing here may cost a reply, double one, or end a connection.

use super::Call;
use crate::testkit::Random;
use nix::errno::Errno;
use std::cell::{Cell, RefCell};
use std::io;

thread_local! {
    static EXHAUSTED: Cell<bool> = const { Cell::new(false) };
    static PLAN: RefCell<Option<Random>> = const { RefCell::new(None) };
}

/// From now on the calls of this thread misbehave as this seed has it.
pub(crate) fn begin(seed: u64) {
    PLAN.with(|plan| *plan.borrow_mut() = Some(Random::new(seed)));
}

/// From now on the system has no memory for this thread, or has some again. Unlike what a seed does, this costs replies:
/// those that need memory become errors.
pub(crate) fn exhaust(on: bool) {
    EXHAUSTED.set(on);
}

/// How much of `length` this call may move, or the error that it reports instead of being made.
pub(crate) fn allow(call: Call, length: usize) -> io::Result<usize> {
    if EXHAUSTED.get() && matches!(call, Call::Map | Call::Step) {
        return Err(Errno::ENOMEM.into());
    }
    PLAN.with(|plan| match plan.borrow_mut().as_mut() {
        None => Ok(length),
        Some(random) => tamper(random, call, length),
    })
}

fn tamper(random: &mut Random, call: Call, length: usize) -> io::Result<usize> {
    let dice = random.below(100);
    match call {
        // As after a signal: nothing is ready, though something may be. Or fewer are told of than are ready.
        Call::Wait if dice < 10 => Err(Errno::EINTR.into()),
        Call::Wait if dice < 40 => Ok(1),
        // The queue is not empty, but the call fails: the level-triggered listener must come back to it.
        Call::Accept if dice < 10 => Err(Errno::EAGAIN.into()),
        Call::Accept if dice < 15 => Err(Errno::ECONNABORTED.into()),
        Call::Accept if dice < 20 => Err(Errno::EMFILE.into()),
        Call::Accept if dice < 22 => Err(Errno::ENOBUFS.into()),
        Call::Connect if dice < 20 => Err(Errno::ECONNREFUSED.into()),
        Call::Receive | Call::Send if dice < 10 => Err(Errno::EAGAIN.into()),
        Call::Receive | Call::Send if dice < 60 && length > 1 => Ok(1 + random.below(length.min(64))),
        // As when a process has as many mappings as it may.
        Call::Map if dice < 30 => Err(Errno::ENOMEM.into()),
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
    fn nothing_is_tampered_with_without_a_plan() {
        assert_eq!(allow(Call::Receive, 5).unwrap(), 5);
    }
}
