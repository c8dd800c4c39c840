//! Every bound in one place, the unit last in its name.
//!
//! The assertions at the end hold how the bounds relate; change one and the build says which other it breaks.

/// The keyspace is cut into so many slots: CRC16 of the key, modulo this.
pub const SLOTS: usize = 8192;

/// A page of a slot's index holds at most so many entries; a fuller one splits in two.
pub const PAGE_ENTRIES_MAX: usize = 512;

/// Two buddy pages with so many entries together become one again: well under half of a page, so that a page that was
/// just merged is far from the next split.
pub const PAGE_MERGE_ENTRIES_MAX: usize = PAGE_ENTRIES_MAX * 3 / 8;

/// A slot's directory may have so many places for each full page that its entries would make. Evenly spread keys need
/// two and a half (the fullest page decides when a directory doubles); more is asked for only by crafted ones.
pub const DIRECTORY_PLACES_MAX: usize = 8;

/// A value longer than this is kept in a buffer of its own, shared with the replies that send it: below, a copy
/// into the reply costs less than a piece more in a gathered send.
pub const INLINE_VALUE_BYTES_MAX: usize = 4 * 1024;

/// A value may be so long (Redis's `proto-max-bulk-len`).
pub const VALUE_BYTES_MAX: usize = 512 << 20;

/// A line of the text protocol may be so long, its end not counted.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// What who has not authenticated may send at a time: a word of a RESP request, or a line (Redis's bound).
pub const UNAUTHENTICATED_BYTES_MAX: usize = 16 * 1024;

/// How many words such a request may have (Redis's bound).
pub const UNAUTHENTICATED_ARGS_MAX: usize = 10;

/// A RESP request may have so many words.
pub const ARGS_MAX: usize = 1 << 20;

/// The line with a length in a RESP request may be so long before it is taken for nonsense (Redis's bound).
pub const HEADER_BYTES_MAX: usize = 64 * 1024;

/// A RESP request may be so large in all (Redis's bound for its query buffer).
pub const REQUEST_BYTES_MAX: usize = 1 << 30;

/// A word of a RESP request longer than this is received straight into what will be stored.
pub const RECEIVED_WHOLE_BYTES_MAX: usize = 32 * 1024;

/// So much is received at a time, and so is the quantum of input that a client gets in a turn. Tried elsewhere:
/// 4 to 8 events of this size keep a turn under a millisecond.
pub const RECEIVE_BYTES: usize = 16 * 1024;

/// Once so many bytes have arrived, they are executed before more are received.
pub const RECEIVE_BYTES_PER_BATCH: usize = 4 * RECEIVE_BYTES;

/// So many requests are parsed before they are executed: enough that fetching what one touches overlaps with what the
/// others do, and few enough that all of it stays in the cache nearest to the processor.
pub const BATCH_REQUESTS_MAX: usize = 64;

/// So many brief commands share a reading of the clock.
pub const RUN_CALLS_MAX: u32 = BATCH_REQUESTS_MAX as u32;

/// Of a word that is received straight into what will be stored, so much at a time: the kernel makes each of its pages
/// when the first byte comes, which takes longer than to receive it.
pub const LONG_RECEIVE_BYTES_MAX: usize = 128 * 1024;

/// A turn ends after so long, however cheap its requests were to send; who is left is served in the next one. A single
/// request is never cut.
pub const TURN_NS_MAX: u64 = 750_000;

/// A turn ends when it has moved so many bytes, in and out together; who is left is served in the next one.
pub const TURN_BYTES_MAX: usize = 256 * 1024;

/// So much reply is made for one client in a turn (copied bytes); the rest of its requests wait for the next one.
pub const TURN_REPLY_BYTES: usize = 64 * 1024;

/// A client that leaves so much of its replies unread is not read from until it has taken half of it.
pub const OUTPUT_SOFT_BYTES_MAX: usize = 256 * 1024;

/// One reply may be so large; values that are sent from where they are stored do not count. A client that asks
/// for more is closed, since nothing smaller could be told from the whole.
pub const OUTPUT_HARD_BYTES_MAX: usize = 64 << 20;

/// What all clients together make the server hold may take this part of the memory limit, or of the box's memory where
/// there is none, unless something else is said: more would be taken from the keys.
pub const CLIENTS_MEMORY_PART: u64 = 8;

/// Of clients that go because all together make the server hold too much, so many go in a turn.
pub const CLIENTS_EVICTED_PER_TURN_MAX: usize = 64;

/// Values sent from where they are stored that one client may pin before its next requests wait.
pub const OUTPUT_PINNED_BYTES: usize = 4 << 20;

/// So much is received from another node at a time: a piece of a long value.
pub const BUS_RECEIVE_BYTES: usize = 64 * 1024;

/// So much is sent to another node in a turn.
pub const BUS_SEND_BYTES_PER_TURN: usize = 256 * 1024;

/// An answer of other nodes may be so large: all of it is held here before the first byte goes to the client, so that
/// a link that breaks meanwhile makes it an error and not a half. As large as a request may be.
pub const FORWARDED_REPLY_BYTES_MAX: u64 = REQUEST_BYTES_MAX as u64;

/// So many replies of one client may be waited for at a time before its next requests wait too.
pub const REPLIES_WAITING_MAX: usize = 256;

/// The requests of one client that other nodes have not answered may have so many bytes before its next ones wait: what
/// one client asks of a node must not keep all others waiting that ask it too.
pub const REPLIES_WAITING_BYTES: u32 = 64 * 1024;

/// One send takes at most so many bytes: the kernel copies them meanwhile, and a socket that has room for megabytes would
/// keep everybody else waiting for milliseconds.
pub const SEND_BYTES_MAX: usize = 256 * 1024;

/// One send gathers at most so many pieces (`IOV_MAX` is 1024; beyond a few dozen nothing is won).
pub const SEND_PIECES_MAX: usize = 64;

/// The pool keeps so many buffers at most ...
pub const POOL_BUFFERS_MAX: usize = 32;

/// ... and none that is larger than this: one client's long line must not stay for ever.
pub const POOL_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// So many reports are taken from the kernel at a time.
pub const EVENTS_MAX: usize = 128;

/// So many connections are accepted in a turn; the level-triggered listener brings the others back.
pub const ACCEPTS_PER_TURN_MAX: usize = 64;

/// Connections that may be held at once, where nothing else is said.
pub const CLIENTS_MAX: usize = 10_000;

/// Who connects has so long to send a first whole request, where nothing else is said.
pub const FIRST_REQUEST_SECONDS: u64 = 120;

/// Those who wait for that are looked through when they are so many more than twice the clients.
pub const NEWCOMERS_SLACK: usize = 64;

/// Descriptors kept back for what is not a client: listeners, signals, the log, the cluster.
pub const DESCRIPTORS_RESERVED: usize = 32;

/// After descriptors or memory ran out, accepting is tried again so often.
pub const ACCEPT_RETRY_MS: u64 = 100;

/// A connection that we end is listened to for so long, so that the peer gets our last words: a close with unread
/// bytes would reset the connection and take them away.
pub const LINGER_MS: u64 = 2000;

/// At the end, clients that do not take what they are owed are waited for so long.
pub const SHUTDOWN_MS: u64 = 5000;

/// A walk over all keys (KEYS) looks at so many entries in a turn.
pub const WALK_ENTRIES_PER_TURN: usize = 2048;

/// What the walks of all clients together may have found, in bytes; who goes beyond gets an error that names SCAN.
pub const WALK_BYTES_MAX: usize = 64 << 20;

/// What one SCAN may answer, in bytes of keys; only keys of many megabytes come to that.
pub const SCAN_BYTES_MAX: usize = 16 << 20;

/// Matching a glob pattern may look at so many bytes in one slice of KEYS, or one SCAN: some ten milliseconds. Usual
/// patterns on usual keys take a hundredth of it; one that takes more is answered with an error.
pub const MATCH_STEPS_MAX: usize = 16 << 20;

/// What a client calls itself may be so long: it stands in every line about it.
pub const NAME_BYTES_MAX: usize = 1024;

/// CLIENT PAUSE holds clients up for at most so long, a year: a longer one could be ended only by a signal.
pub const PAUSE_MS_MAX: i64 = 365 * 86_400_000;

/// What a client may queue between MULTI and EXEC.
pub const TRANSACTION_BYTES_MAX: usize = 64 << 20;

/// So long a wrong password is answered after; nobody else waits for it.
pub const WRONG_PASSWORD_MS: u64 = 200;

/// SCAN looks at no more entries than this in one call, whatever COUNT says.
pub const SCAN_ENTRIES_MAX: usize = 2048;

/// Of what expired, so much is taken back in a turn ...
pub const SWEEP_NS_MAX: u64 = 300_000;

/// ... and the clock is asked after so many entries.
pub const SWEEP_ENTRIES_AT_ONCE: usize = 64;

/// So many entries of a flushed store are taken back in a turn.
pub const RECLAIM_ENTRIES_PER_TURN: usize = 512;

/// So many entries at least are looked at for one that is to be evicted, where nothing else is said. They come in groups
/// of about a dozen anyway; only a small store has fewer at hand.
pub const EVICTION_SAMPLES: usize = 8;

/// ... and so many where most are asked for.
pub const EVICTION_SAMPLES_MAX: usize = 64;

/// Before a command that needs memory, and once more in each turn that begins or ends beyond the memory limit, room is
/// made for so long; what is missing then is made in the next turns. A few hundred entries go in that time.
pub const EVICTION_NS_MAX: u64 = 250_000;

/// In a turn in which keys were evicted, what room they left between others is taken back for so long.
pub const PACKING_NS_MAX: u64 = 150_000;

/// The clock is asked after so many evicted entries.
pub const EVICTIONS_UNTIMED_MAX: usize = 16;

/// So much memory of long values that nobody needs any more is given back to the system in a turn: some 0.05 ms, 0.15
/// where it takes long (tried elsewhere; twice as much comes near to the 0.3 ms that are too long).
pub const LET_GO_BYTES_PER_TURN: usize = 512 * 1024;

/// A number in a float command may be written with so many characters (Redis has the same bound).
pub const DECIMAL_BYTES_MAX: usize = 5 * 1024;

/// LCS compares at most so many pairs of bytes, with two bytes of memory each: it is done in one piece, and this takes
/// some milliseconds.
pub const LCS_STEPS_MAX: usize = 4 << 20;

/// A reply between nodes is nested at most so deep; none of ours comes to half of it.
pub const TYPED_DEPTH_MAX: usize = 16;

/// What is echoed of a client's words in an error is cut here.
pub const ECHO_BYTES_MAX: usize = 128;

/// Log lines that outsiders can cause are written so far apart.
pub const NOISE_MS: u64 = 1000;

/// What happens again and again, such as refusals of the same node, is logged less and less often, down to once in so
/// many milliseconds.
pub const NOISE_MS_MAX: u64 = 60_000;

/// The slow log keeps so many words of a request (Redis has the same bound) ...
pub const SLOW_ARGUMENTS_MAX: usize = 32;

/// ... and so many bytes of each (and this one).
pub const SLOW_ARGUMENT_BYTES_MAX: usize = 128;

/// Rates are told from counters that are looked at so often ...
pub const RATE_SAMPLE_MS: u64 = 100;

/// ... and so many looks are remembered: what is told is over 1.6 seconds, as in Redis.
pub const RATE_SAMPLES: usize = 16;

/// An idle client is closed after at most so long, where it is closed at all.
pub const TIMEOUT_SECONDS_MAX: u64 = 365 * 86_400;

/// A log line is at most so long: what `poll(2)` promises that a pipe takes at once.
pub const LOG_LINE_BYTES_MAX: usize = 4096;

/// A message between nodes travels in pieces of at most so many bytes, and others go between them.
pub const BUS_PIECE_BYTES_MAX: usize = 64 * 1024;

/// A reply between nodes of more bytes travels in pieces too, so that shorter ones overtake it.
pub const BUS_WHOLE_REPLY_BYTES_MAX: usize = 16 * 1024;

/// The kernel takes no more bytes for a node when so many are not sent yet: what it has taken, nothing can overtake.
pub const BUS_KERNEL_BYTES: u32 = 128 * 1024;

/// A frame between nodes may be so long, its header included.
pub const FRAME_BYTES_MAX: usize = BUS_PIECE_BYTES_MAX + 64;

/// A frame from a peer that has not shown to be a node of ours may be so long. The list of all nodes fits.
pub const STRANGER_BYTES_MAX: usize = 16 * 1024;

/// A cluster has at most so many nodes.
pub const NODES_MAX: usize = 256;

/// So many accepted connections may be no links that are up; the oldest goes for one more.
pub const STRANGERS_MAX: usize = NODES_MAX + 16;

/// A node that cannot be reached for so long is told of in the log.
pub const MISSED_MS: u64 = 5000;

/// So many long messages take turns on a link; those behind them wait.
pub const LINK_STREAMS_MAX: usize = 16;

/// Requests to one node that may be unanswered before whoever asks is to stop ...
pub const LINK_REQUESTS_MAX: usize = 16 * 1024;

/// ... and their bytes, sent or not; long values that lie where they are stored do not count.
pub const LINK_BYTES_MAX: usize = 4 << 20;

/// Requests of one node that may be unanswered at all: many that were asked at once go over [`LINK_REQUESTS_MAX`].
pub const LINK_REQUESTS_HARD_MAX: usize = (1 << 20) - 1;

/// While so many copied bytes wait to be sent to a node, no more of its requests are executed: it does not take its answers.
pub const LINK_UNSENT_BYTES: usize = 4 << 20;

/// Answers to one node that wait to be asked for, or to be sent, may take so much, values that lie where they are stored
/// aside; whose answer finds no room gets an error.
pub const LINK_HELD_BYTES_MAX: usize = 256 << 20;

/// Received of a node and not looked at yet: beyond this it is not read from while what is there can go on.
pub const LINK_LEFT_BYTES: usize = 256 * 1024;

/// A node that lets so much lie, since it does not take its answers, is given up.
pub const LINK_LEFT_BYTES_MAX: usize = 64 << 20;

/// A new link's hellos must be done after so long.
pub const HELLO_MS: u64 = 1000;

/// A link whose hellos are done waits for so long until it is welcomed.
pub const SPARE_MS: u64 = 3000;

/// A ping is sent on each link so often.
pub const HEARTBEAT_MS: u64 = 500;

/// A link on which nothing came for so long is broken.
pub const SILENCE_MS: u64 = 1500;

/// A link that could not be made is tried again after so long, then after twice that ...
pub const REDIAL_MS: u64 = 50;

/// ... and so on, up to this.
pub const REDIAL_MS_MAX: u64 = 1000;

const _: () = assert!(EVICTION_SAMPLES <= EVICTION_SAMPLES_MAX && EVICTION_NS_MAX <= TURN_NS_MAX / 3);
const _: () = assert!(SLOTS.is_power_of_two() && SLOTS <= 1 << 13);
const _: () = assert!(PAGE_MERGE_ENTRIES_MAX * 2 < PAGE_ENTRIES_MAX);
const _: () = assert!(DIRECTORY_PLACES_MAX > 2);
const _: () = assert!(RECEIVED_WHOLE_BYTES_MAX > INLINE_VALUE_BYTES_MAX);
// Places in a request are counted in 32 bits.
const _: () = assert!(REQUEST_BYTES_MAX + RECEIVED_WHOLE_BYTES_MAX + RECEIVE_BYTES < u32::MAX as usize);
const _: () = assert!(VALUE_BYTES_MAX < u32::MAX as usize);
const _: () = assert!(LINE_BYTES_MAX < u32::MAX as usize);
const _: () = assert!(RECEIVE_BYTES <= TURN_BYTES_MAX);
// What a turn receives must not let go more than a turn gives back.
const _: () = assert!(LONG_RECEIVE_BYTES_MAX <= TURN_BYTES_MAX && TURN_BYTES_MAX <= LET_GO_BYTES_PER_TURN);
const _: () = assert!(TURN_REPLY_BYTES <= OUTPUT_SOFT_BYTES_MAX);
const _: () = assert!(OUTPUT_SOFT_BYTES_MAX < OUTPUT_HARD_BYTES_MAX);
const _: () = assert!(INLINE_VALUE_BYTES_MAX <= TURN_REPLY_BYTES);
const _: () = assert!(SEND_PIECES_MAX <= 1024);
// A common subsequence's length, at most the root of it, is kept in 16 bits.
const _: () = assert!(LCS_STEPS_MAX <= u32::MAX as usize);
const _: () = assert!(LOG_LINE_BYTES_MAX <= 4096);
const _: () = assert!(BUS_WHOLE_REPLY_BYTES_MAX <= BUS_PIECE_BYTES_MAX);
const _: () = assert!(POOL_BUFFER_BYTES_MAX >= RECEIVE_BYTES);
const _: () = assert!(NODES_MAX <= SLOTS && NODES_MAX <= u16::MAX as usize);
const _: () = assert!(STRANGER_BYTES_MAX < FRAME_BYTES_MAX);
// A refusal carries the addresses of all nodes, of at most 19 bytes each.
const _: () = assert!(NODES_MAX * 19 + 64 < STRANGER_BYTES_MAX);
const _: () = assert!(NAME_BYTES_MAX + 256 < STRANGER_BYTES_MAX);
// Two of the largest find room beside what waits for the socket.
const _: () = assert!(2 * OUTPUT_HARD_BYTES_MAX + LINK_UNSENT_BYTES < LINK_HELD_BYTES_MAX);
const _: () = assert!(LINK_REQUESTS_MAX < LINK_REQUESTS_HARD_MAX);
// Silence is noticed within two seconds, and one lost ping is not silence.
const _: () = assert!(HEARTBEAT_MS * 2 < SILENCE_MS && SILENCE_MS < 2000);
// A spare link lives until the silence of the other one is noticed.
const _: () = assert!(SILENCE_MS + HELLO_MS < SPARE_MS);
const _: () = assert!(REDIAL_MS < REDIAL_MS_MAX);
