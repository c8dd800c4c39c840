//! Threads, straight over pthread_create(3): what the standard library's have besides is 8 kB, and nobody asks for it here.

use super::dial;
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::ffi::c_void;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::ptr;
use std::time::Duration;

/// What a thread does.
pub type Work<'a> = Box<dyn FnOnce() + Send + 'a>;

/// A thread calls a few functions on small buffers; what is usual is much for a small box with ten of them.
const STACK_BYTES: usize = 256 * 1024;

/// PTHREAD_CREATE_DETACHED of all our C libraries.
const DETACHED: libc::c_int = 1;

/// Starts a thread that nobody waits for.
///
/// # Errors
/// Those of pthread_create(3).
pub fn start(work: Work<'static>) -> io::Result<()> {
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: the attributes are a live local, which this fills in; the next two change what is filled in.
    unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) };
    // SAFETY: as before.
    unsafe { libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK_BYTES) };
    // SAFETY: as before.
    unsafe { libc::pthread_attr_setdetachstate(attributes.as_mut_ptr(), DETACHED) };
    let mut thread = MaybeUninit::uninit();
    let work = Box::into_raw(Box::new(work));
    // SAFETY: the pointers are to live locals, and `run` gets what it wants.
    let failed = unsafe { libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), run, work.cast()) };
    if failed != 0 {
        // SAFETY: this was a box before, and no thread has it.
        drop(unsafe { Box::from_raw(work) });
        return Err(io::Error::from_raw_os_error(failed));
    }
    Ok(())
}

extern "C" fn run(work: *mut c_void) -> *mut c_void {
    // SAFETY: `start` made this of a box, for this thread alone.
    let work = unsafe { Box::from_raw(work.cast::<Work<'static>>()) };
    work();
    ptr::null_mut()
}

/// Does each work in a thread of its own, and calls `watch` whenever one has ended and as often as `pause` says, until all
/// have ended. Where a thread cannot be started, `give_up` is called: those that run are to end soon.
///
/// # Errors
/// Those of pthread_create(3) and eventfd(2).
pub fn together(
    works: Vec<Work<'_>>,
    pause: Duration,
    watch: &mut dyn FnMut(),
    give_up: &mut dyn FnMut(),
) -> io::Result<()> {
    let ended = EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?;
    let (mut running, mut outcome) = (0, Ok(()));
    for work in works {
        let number = ended.as_fd().as_raw_fd();
        let work: Work<'_> = Box::new(move || {
            work();
            count(number);
        });
        // SAFETY: this makes it live longer than it does. What it borrows is used no more once it has counted itself, and
        // this function waits for that.
        let work = unsafe { std::mem::transmute::<Work<'_>, Work<'static>>(work) };
        match start(work) {
            Ok(()) => running += 1,
            Err(error) => {
                outcome = Err(error);
                give_up();
                break;
            }
        }
    }
    while running > 0 {
        // Nothing may end this before: where it cannot be looked, it is waited.
        if dial::wait(ended.as_fd(), false, Some(pause)).map_or(true, |ready| ready.receive) {
            running -= super::retry(|| ended.read()).unwrap_or(0);
        }
        watch();
    }
    outcome
}

/// Adds one to an eventfd. It is named by its number, since it may be closed as soon as that is done.
fn count(number: RawFd) {
    let one = 1_u64;
    // SAFETY: the pointer is to a live local of this size. The call fails only when the sum is beyond all threads.
    unsafe { libc::write(number, (&raw const one).cast(), size_of::<u64>()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    #[test]
    fn what_is_borrowed_is_back_when_all_have_ended() {
        let sum = &AtomicU64::new(0);
        let mut squares = [0; 20];
        for _ in 0..50 {
            let works = squares.iter_mut().zip(0_u64..).map(|(square, number)| -> Work<'_> {
                Box::new(move || {
                    *square = number * number;
                    sum.fetch_add(1, Relaxed);
                })
            });
            together(works.collect(), Duration::from_secs(60), &mut || (), &mut || panic!("all start")).unwrap();
        }
        assert_eq!(sum.load(Relaxed), 1000);
        assert!(squares.iter().zip(0_u64..).all(|(&square, number)| square == number * number));
    }

    #[test]
    fn who_waits_watches() {
        let mut watched = 0;
        let work: Work<'_> = Box::new(|| std::thread::sleep(Duration::from_millis(50)));
        together(vec![work], Duration::from_millis(1), &mut || watched += 1, &mut || ()).unwrap();
        assert!(watched > 1, "{watched}");
    }
}
