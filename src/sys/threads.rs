//! Threads, straight over pthread_create(3): what the standard library's have besides is 8 kB, and nobody asks for it here.

use super::dial;
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::ffi::c_void;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
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
    let work = Box::into_raw(Box::new(work));
    spawn(run, work.cast()).inspect_err(|_| {
        // SAFETY: this was a box before, and no thread has it.
        drop(unsafe { Box::from_raw(work) });
    })
}

extern "C" fn run(work: *mut c_void) -> *mut c_void {
    // SAFETY: `start` made this of a box, for this thread alone.
    let work = unsafe { Box::from_raw(work.cast::<Work<'static>>()) };
    work();
    ptr::null_mut()
}

/// Starts a thread that calls `run` with what that expects.
#[inline(never)]
fn spawn(run: extern "C" fn(*mut c_void) -> *mut c_void, with: *mut c_void) -> io::Result<()> {
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: the attributes are a live local, which this fills in; the next two change what is filled in.
    unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) };
    // SAFETY: as before.
    unsafe { libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK_BYTES) };
    // SAFETY: as before.
    unsafe { libc::pthread_attr_setdetachstate(attributes.as_mut_ptr(), DETACHED) };
    let mut thread = MaybeUninit::uninit();
    // SAFETY: the pointers are to live locals, and `run` gets what it wants.
    match unsafe { libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), run, with) } {
        0 => Ok(()),
        failed => Err(io::Error::from_raw_os_error(failed)),
    }
}

/// What one of several threads does.
pub trait Job: Send {
    /// Does it.
    fn run(&mut self);
}

/// What threads have together while they do their jobs.
struct Crew<J> {
    jobs: *mut J,
    /// The place of the job that nobody has taken.
    next: AtomicUsize,
    /// Counts those that have ended.
    ended: RawFd,
}

/// Does each job in a thread of its own, and calls `watch` whenever one has ended and as often as `pause` says, until all
/// have ended. Where a thread cannot be started, `stop` is set: the jobs that run are to look at it and end soon.
///
/// # Errors
/// Those of pthread_create(3) and eventfd(2).
pub fn together<J: Job>(jobs: &mut [J], pause: Duration, watch: &mut dyn FnMut(), stop: &AtomicBool) -> io::Result<()> {
    let ended = EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?;
    let crew = Crew { jobs: jobs.as_mut_ptr(), next: AtomicUsize::new(0), ended: ended.as_fd().as_raw_fd() };
    let (mut running, mut outcome) = (0, Ok(()));
    while running < jobs.len() as u64 && outcome.is_ok() {
        outcome = spawn(work::<J>, (&raw const crew).cast_mut().cast());
        match outcome {
            Ok(()) => running += 1,
            Err(_) => stop.store(true, Relaxed),
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

extern "C" fn work<J: Job>(crew: *mut c_void) -> *mut c_void {
    // SAFETY: `together` lends a crew, and waits until this thread has counted itself.
    let crew = unsafe { &*crew.cast::<Crew<J>>() };
    let (place, ended) = (crew.next.fetch_add(1, Relaxed), crew.ended);
    // SAFETY: there are as many jobs as threads at least, and each thread has another place.
    let job = unsafe { crew.jobs.add(place) };
    // SAFETY: `together` has lent all jobs, and nobody else has this one.
    unsafe { &mut *job }.run();
    count(ended);
    ptr::null_mut()
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
    use std::sync::atomic::AtomicU64;

    struct Square<'a> {
        number: u64,
        square: u64,
        sum: &'a AtomicU64,
    }

    impl Job for Square<'_> {
        fn run(&mut self) {
            self.square = self.number * self.number;
            self.sum.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn what_is_borrowed_is_back_when_all_have_ended() {
        let (sum, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let mut squares: Vec<Square<'_>> = (0..20).map(|number| Square { number, square: 0, sum: &sum }).collect();
        for _ in 0..50 {
            squares.iter_mut().for_each(|each| each.square = 0);
            together(&mut squares, Duration::from_secs(60), &mut || (), &stop).unwrap();
            assert!(squares.iter().all(|each| each.square == each.number * each.number));
        }
        assert_eq!((sum.load(Relaxed), stop.load(Relaxed)), (1000, false));
    }

    struct Sleep;

    impl Job for Sleep {
        fn run(&mut self) {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[test]
    fn who_waits_watches() {
        let mut watched = 0;
        let stop = AtomicBool::new(false);
        together(&mut [Sleep], Duration::from_millis(1), &mut || watched += 1, &stop).unwrap();
        assert!(watched > 1, "{watched}");
    }
}
