use super::*;
use crate::testkit::{Random, seeds};

/// Answers the words joined by `+`; `wait`, `later` and `cork` are answered later, `quit` closes, `big` answers a stored
/// value.
struct Joined {
    waiting: Vec<Place>,
    big: Rc<Blob>,
    time: bool,
}

impl Joined {
    fn new() -> Joined {
        Joined { waiting: Vec::new(), big: Rc::new(vec![b'B'; 5000].into()), time: true }
    }
}

impl Service for Joined {
    type Ahead = usize;

    fn foresee(&mut self, args: Args<'_>) -> usize {
        args.len()
    }

    fn fetch(&mut self, _requests: &mut [Request<usize>]) {}

    fn rest_of(&mut self, _name: &[u8]) -> usize {
        0
    }

    fn has_time(&self) -> bool {
        self.time
    }

    fn end_batch(&mut self) {}

    fn trusts(&self) -> bool {
        true
    }

    fn reject(&mut self, error: ParseError, output: &mut Output) {
        output.push(error.text().as_bytes());
    }

    fn serve(&mut self, args: Args<'_>, _form: Form, ahead: &usize, output: &mut Output, place: Place) -> Flow {
        assert_eq!(*ahead, args.len(), "what was found out of another request");
        match args.name() {
            b"wait" | b"later" | b"cork" => {
                self.waiting.push(place);
                return match args.name() {
                    b"wait" => Flow::Wait,
                    b"later" => Flow::Later(args.get(1).map_or(1, |bytes| bytes.len() as u32 * 1000)),
                    _ => Flow::Cork(1),
                };
            }
            b"quit" => return Flow::Close,
            b"big" => output.push_shared(&self.big),
            _ => args.from(0).for_each(|word| output.push(&[word, b"+"].concat())),
        }
        output.push(b";");
        Flow::Continue
    }
}

/// Sends all that may be sent, in pieces of at most `step` bytes.
fn send(conn: &mut Connection, desk: &mut Desk, step: usize) -> Vec<u8> {
    conn.queue_output(desk);
    let mut sent = Vec::new();
    while conn.wants_write() {
        let mut pieces = [IoSlice::new(&[]); SEND_PIECES_MAX];
        let count = conn.gather(&mut pieces);
        let flat: Vec<u8> = pieces[..count].iter().flat_map(|piece| piece.to_vec()).collect();
        let taken = flat.len().min(step);
        sent.extend_from_slice(&flat[..taken]);
        conn.advance(taken, &mut desk.pool);
    }
    sent
}

fn start() -> (Connection, Desk, Joined) {
    (Connection::default(), Desk::default(), Joined::new())
}

#[test]
fn a_connection_at_rest_owns_nothing() {
    assert!(size_of::<Connection>() <= 128, "{} bytes", size_of::<Connection>());
    let (mut conn, mut desk, mut service) = start();
    conn.take(b"one\ntwo", &mut desk, &mut service);
    assert!(conn.input.capacity() > 0);
    conn.take(b"\n", &mut desk, &mut service);
    assert_eq!(send(&mut conn, &mut desk, 3), b"one+;two+;");
    assert_eq!((conn.input.capacity(), conn.backlog.capacity()), (0, 0));
    assert!(conn.is_idle() && conn.wants_read() && !conn.wants_write());
}

#[test]
fn requests_are_executed_however_they_are_cut() {
    let stream = b"a b\n\nc d e\nbig\nf\n";
    let wanted = [&b"a+b+;c+d+e+;"[..], &[b'B'; 5000], b";f+;"].concat();
    for seed in seeds(200) {
        let mut random = Random::new(seed);
        let (mut conn, mut desk, mut service) = start();
        let (mut at, mut sent) = (0, Vec::new());
        while at < stream.len() {
            let end = (at + 1 + random.below(6)).min(stream.len());
            conn.take(&stream[at..end], &mut desk, &mut service);
            at = end;
            if random.below(2) == 0 {
                let step = 1 + random.below(700);
                sent.extend(send(&mut conn, &mut desk, step));
            }
        }
        sent.extend(send(&mut conn, &mut desk, usize::MAX));
        assert_eq!(sent, wanted, "seed {seed}");
        assert_eq!((conn.backlog_bytes, conn.pinned_bytes), (0, 0), "seed {seed}");
    }
}

#[test]
fn a_waiting_reply_keeps_its_place_and_holds_what_follows() {
    let (mut conn, mut desk, mut service) = start();
    conn.take(b"a\nwait\nb\nc", &mut desk, &mut service);
    assert_eq!(send(&mut conn, &mut desk, 100), b"a+;");
    assert!(!conn.wants_read() && !conn.wants_write() && !conn.can_resume() && !conn.is_idle());
    desk.output.push(b"late");
    desk.output.push_shared(&service.big);
    assert!(conn.fill(service.waiting[0], &mut desk, false));
    desk.output.push(b"r;");
    assert!(conn.fill(service.waiting[0], &mut desk, true));
    assert!(!conn.fill(service.waiting[0], &mut desk, true), "a reply is filled once");
    assert!(conn.can_resume());
    conn.take(b"\n", &mut desk, &mut service);
    assert_eq!(send(&mut conn, &mut desk, 100), [&b"late"[..], &[b'B'; 5000], b"r;b+;c+;"].concat());
    assert!(conn.is_idle());
}

#[test]
fn messages_stand_behind_what_is_waited_for_and_do_not_hold_it_up() {
    let (mut conn, mut desk, mut service) = start();
    conn.take(b"a\nwait\n", &mut desk, &mut service);
    let mut message = Output::default();
    message.push(&[b'm'; OUTPUT_SOFT_BYTES_MAX]);
    conn.queue_message(&message, &mut desk.pool);
    assert!(!conn.has_room(), "what stands before it is to be sent first");
    assert_eq!(send(&mut conn, &mut desk, 100), b"a+;");
    assert!(conn.has_room() && conn.held_up() == Some(HeldUp::ByItself));
    desk.output.push(b"r;");
    conn.fill(service.waiting[0], &mut desk, true);
    let sent = send(&mut conn, &mut desk, 50_000);
    assert!(sent.starts_with(b"r;mm") && sent.len() == 2 + OUTPUT_SOFT_BYTES_MAX);
    assert!(conn.is_idle());
}

#[test]
fn replies_may_be_filled_in_any_order() {
    let (mut conn, mut desk, mut service) = start();
    conn.take(b"a\nlater\nb\nlater\nc\n", &mut desk, &mut service);
    let (first, second) = (service.waiting[0], service.waiting[1]);
    assert_eq!(send(&mut conn, &mut desk, 3), b"a+;");
    desk.output.push(b"second");
    assert!(conn.fill(second, &mut desk, true));
    assert_eq!(send(&mut conn, &mut desk, 1), b"");
    assert!(conn.wants_read() && !conn.is_idle());
    desk.output.push(b"first");
    assert!(conn.fill(first, &mut desk, true));
    assert_eq!(send(&mut conn, &mut desk, 4), b"firstb+;secondc+;");
    assert_eq!((conn.backlog_bytes, conn.waiting), (0, 0));
    assert!(!conn.fill(first, &mut desk, true));
}

#[test]
fn so_many_replies_are_waited_for_and_no_more() {
    let (mut conn, mut desk, mut service) = start();
    conn.take("later\n".repeat(REPLIES_WAITING_MAX + 1).as_bytes(), &mut desk, &mut service);
    assert_eq!(service.waiting.len(), REPLIES_WAITING_MAX);
    assert!(!conn.wants_read() && !conn.can_resume());
    conn.fill(service.waiting[1], &mut desk, true);
    assert!(conn.can_resume());
    conn.take(b"", &mut desk, &mut service);
    assert_eq!(service.waiting.len(), REPLIES_WAITING_MAX + 1);
}

#[test]
fn requests_of_many_bytes_wait_for_each_other() {
    let (mut conn, mut desk, mut service) = start();
    let request = format!("later {}\n", "x".repeat(REPLIES_WAITING_BYTES as usize / 2000));
    conn.take(request.repeat(5).as_bytes(), &mut desk, &mut service);
    assert_eq!(service.waiting.len(), 3);
    conn.fill(service.waiting[1], &mut desk, true);
    assert!(!conn.wants_read() && conn.can_resume());
    conn.take(b"", &mut desk, &mut service);
    assert_eq!(service.waiting.len(), 4);
    for place in service.waiting.clone() {
        conn.fill(place, &mut desk, true);
    }
    conn.take(b"", &mut desk, &mut service);
    conn.fill(service.waiting[4], &mut desk, true);
    assert_eq!((conn.waiting, conn.waiting_bytes), (0, 0));
    assert!(conn.wants_read());
}

#[test]
fn a_corked_connection_waits_for_room_whatever_is_answered() {
    let (mut conn, mut desk, mut service) = start();
    conn.take(b"cork\nnext\n", &mut desk, &mut service);
    desk.output.push(b"done;");
    conn.fill(service.waiting[0], &mut desk, true);
    assert!(!conn.wants_read() && !conn.can_resume());
    conn.uncork();
    assert!(conn.can_resume());
    conn.take(b"", &mut desk, &mut service);
    assert_eq!(send(&mut conn, &mut desk, 99), b"done;next+;");
}

#[test]
fn who_ended_its_side_is_waited_for_until_all_is_answered() {
    let (mut conn, mut desk, mut service) = start();
    conn.take(b"later\nwait\nnext\n", &mut desk, &mut service);
    conn.peer_ended();
    conn.fill(service.waiting[0], &mut desk, true);
    assert!(!conn.is_done() && !conn.can_resume());
    conn.fill(service.waiting[1], &mut desk, true);
    conn.take(b"", &mut desk, &mut service);
    assert_eq!(send(&mut conn, &mut desk, 99), b"next+;");
    assert!(conn.is_done());
}

#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    let (mut conn, mut desk, mut service) = start();
    let request = [&vec![b'x'; 1000][..], b"\n"].concat();
    let (mut executed, mut received) = (0, 0);
    while conn.wants_read() {
        conn.take(&request, &mut desk, &mut service);
        conn.queue_output(&mut desk);
        (executed, received) = (executed + 1, received + request.len());
        assert!(executed < 10_000);
    }
    assert!(conn.backlog_bytes < OUTPUT_SOFT_BYTES_MAX + TURN_REPLY_BYTES);
    assert!(received < OUTPUT_SOFT_BYTES_MAX + TURN_REPLY_BYTES);
    assert_eq!(send(&mut conn, &mut desk, 1 << 20).len(), executed * 1002);
    assert!(conn.wants_read());
}

#[test]
fn a_share_of_a_turn_ends_and_goes_on() {
    let (mut conn, mut desk, mut service) = start();
    let stream = "big\n".repeat(2000);
    conn.take(stream.as_bytes(), &mut desk, &mut service);
    let mut sent = 0;
    let mut turns = 1;
    while conn.stalled {
        assert!(!conn.wants_read());
        sent += send(&mut conn, &mut desk, usize::MAX).len();
        assert!(conn.can_resume());
        conn.take(b"", &mut desk, &mut service);
        turns += 1;
    }
    sent += send(&mut conn, &mut desk, usize::MAX).len();
    assert_eq!((sent, turns), (2000 * 5001, 3));
}

#[test]
fn a_turn_without_time_serves_one_request_of_a_client() {
    let (mut conn, mut desk, mut service) = start();
    service.time = false;
    conn.take(b"a\nb\nc\n", &mut desk, &mut service);
    assert_eq!(send(&mut conn, &mut desk, 100), b"a+;");
    assert!(conn.can_resume() && !conn.wants_read() && !conn.is_idle());
    conn.take(b"", &mut desk, &mut service);
    conn.take(b"", &mut desk, &mut service);
    assert_eq!(send(&mut conn, &mut desk, 100), b"b+;c+;");
    assert!(!conn.can_resume() && conn.wants_read() && conn.is_idle());
}

#[test]
fn an_end_on_either_side_sends_what_is_owed() {
    let (mut conn, mut desk, mut service) = start();
    conn.take(b"a\nhalf", &mut desk, &mut service);
    conn.queue_output(&mut desk);
    conn.peer_ended();
    assert!(!conn.wants_read() && !conn.is_done());
    assert_eq!(send(&mut conn, &mut desk, 1), b"a+;");
    assert!(conn.is_done() && !conn.is_closing());

    let (mut conn, mut desk, mut service) = start();
    conn.take(b"a\nquit\nb\n", &mut desk, &mut service);
    conn.take(b"c\n", &mut desk, &mut service);
    assert_eq!(send(&mut conn, &mut desk, 1), b"a+;");
    assert!(conn.is_done() && conn.is_closing() && !conn.wants_read());
}

#[test]
fn an_end_while_a_reply_waits() {
    let (mut conn, mut desk, mut service) = start();
    conn.take(b"wait\nb\n", &mut desk, &mut service);
    conn.peer_ended();
    assert!(!conn.is_done());
    desk.output.push(b"late;");
    conn.fill(service.waiting[0], &mut desk, true);
    assert!(conn.can_resume() && !conn.is_done());
    conn.take(b"", &mut desk, &mut service);
    assert_eq!(send(&mut conn, &mut desk, 100), b"late;b+;");
    assert!(conn.is_done());
}

#[test]
fn what_is_no_request_ends_it_after_an_error() {
    let (mut conn, mut desk, mut service) = start();
    let mut broken = None;
    for _ in 0..3 {
        broken = broken.or(conn.take(&vec![b'x'; 1 << 19], &mut desk, &mut service));
    }
    assert_eq!(broken, Some(ParseError::LineTooLong));
    assert_eq!(send(&mut conn, &mut desk, 100), b"ERR line too long");
    assert!(conn.is_done());
    assert_eq!(conn.input.capacity(), 0);
}

#[test]
fn a_long_word_is_received_where_it_will_stay() {
    let (mut conn, mut desk, mut service) = start();
    conn.take(b"a\n*2\r\n$1\r\nb\r\n$100000\r\nxxx", &mut desk, &mut service);
    assert_eq!(send(&mut conn, &mut desk, 100), b"a+;");
    let mut received = 3;
    while let Some(space) = conn.recv_space() {
        let count = space.len().min(5000).min(100_000 - received);
        space[..count].fill(b'x');
        received += count;
        assert_eq!(conn.recv_advance(count), received == 100_000);
        let (held, _) = conn.input_bytes();
        assert!(held <= received * 2 + 66_000, "{held} bytes for {received}");
    }
    conn.take(b"", &mut desk, &mut service);
    conn.take(b"\r\nc\n", &mut desk, &mut service);
    let wanted = [&b"b+"[..], &[b'x'; 100_000], b"+;"].concat();
    assert!(send(&mut conn, &mut desk, 1 << 20) == wanted, "the word as it was sent");
    conn.take(b"", &mut desk, &mut service);
    assert_eq!(send(&mut conn, &mut desk, 100), b"c+;");
}

/// Several connections in one batch: each request is executed with its own words and in its own connection.
#[test]
fn connections_share_a_batch() {
    for seed in seeds(50) {
        let mut random = Random::new(seed);
        let mut conns: Vec<Connection> = (0..5).map(|_| Connection::default()).collect();
        let (mut batch, mut desk, mut service) = (Batch::default(), Desk::default(), Joined::new());
        let mut wanted = vec![Vec::new(); conns.len()];
        let mut got = vec![Vec::new(); conns.len()];
        for round in 0..20 {
            // Some send more than a batch holds, some a part of a line, some an array, some nothing.
            let sent: Vec<Vec<u8>> = (0..conns.len())
                .map(|number| {
                    let requests = [0, 1, 3, 3 * BATCH_REQUESTS_MAX][random.below(4)];
                    let mut bytes = Vec::new();
                    for request in 0..requests {
                        let word = format!("{number}.{round}.{request}");
                        let line = [
                            format!("{word} x\n"),
                            format!("*2\r\n${}\r\n{word}\r\n$1\r\nx\r\n", word.len()),
                            format!("\r\n{word} x\r\n"),
                        ];
                        bytes.extend_from_slice(line[random.below(3)].as_bytes());
                        wanted[number].extend_from_slice(format!("{word}+x+;").as_bytes());
                    }
                    bytes
                })
                .collect();
            // In two pieces, cut anywhere.
            let cuts: Vec<usize> = sent.iter().map(|bytes| random.below(bytes.len() + 1)).collect();
            for half in 0..2 {
                let piece = |number: usize| match half {
                    0 => &sent[number][..cuts[number]],
                    _ => &sent[number][cuts[number]..],
                };
                let shares: Vec<Share> = (0..conns.len())
                    .map(|number| conns[number].parse(piece(number), &mut batch, &mut service))
                    .collect();
                for (number, share) in shares.into_iter().enumerate() {
                    let (conn, fresh) = (&mut conns[number], piece(number));
                    let share = match random.below(3) {
                        0 => conn.postpone(fresh, share, &mut desk.pool).err(),
                        _ => Some(share),
                    };
                    if let Some(share) = share {
                        conn.execute(fresh, share, &mut batch, &mut desk, &mut service);
                        got[number].extend(send(conn, &mut desk, usize::MAX));
                    }
                }
                batch.clear();
                // Who was put off goes on before anything more comes, as in the loop.
                for (conn, got) in conns.iter_mut().zip(&mut got) {
                    while conn.can_resume() {
                        conn.take(b"", &mut desk, &mut service);
                        got.extend(send(conn, &mut desk, usize::MAX));
                    }
                }
            }
        }
        assert!(got == wanted, "seed {seed}");
    }
}

#[test]
fn a_long_word_that_was_received_apart_is_not_put_off() {
    let (mut conn, mut desk, mut service) = start();
    let length = crate::limits::RECEIVED_WHOLE_BYTES_MAX + 1;
    conn.take(format!("*2\r\n$1\r\na\r\n${length}\r\n").as_bytes(), &mut desk, &mut service);
    let mut missing = length;
    while let Some(space) = conn.recv_space() {
        let count = space.len().min(missing);
        space[..count].fill(b'x');
        missing -= count;
        conn.recv_advance(count);
    }
    let mut batch = Batch::default();
    let share = conn.parse(b"\r\nb\r\n", &mut batch, &mut service);
    assert_eq!(batch.requests.len(), 1, "what is behind it is parsed once it is executed");
    let share = conn.postpone(b"\r\nb\r\n", share, &mut desk.pool).expect_err("it cannot be parsed again");
    conn.execute(b"\r\nb\r\n", share, &mut batch, &mut desk, &mut service);
    let wanted = [b"a+", &vec![b'x'; length][..], b"+;b+;"].concat();
    assert!(send(&mut conn, &mut desk, usize::MAX) == wanted);
}

/// An error behind whole requests leaves their words alone.
#[test]
fn what_is_no_request_does_not_touch_those_before_it() {
    for bad in ["*2\r\n$4\r\nECHO\r\nx\r\n", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$99999999999\r\n"] {
        let (mut conn, mut desk, mut service) = start();
        let broken = conn.take(format!("*1\r\n$1\r\na\r\n{bad}").as_bytes(), &mut desk, &mut service);
        assert!(broken.is_some() && conn.is_closing());
        let sent = send(&mut conn, &mut desk, usize::MAX);
        assert!(sent.starts_with(b"a+;ERR Protocol error"), "{}", sent.escape_ascii());
    }
}

/// Where time is over in the middle of a batch, what is left is parsed again and executed later, once.
#[test]
fn a_batch_that_is_cut_short_goes_on() {
    let (mut conn, mut desk, mut service) = start();
    service.time = false;
    conn.take(b"a\nb\nc\nd", &mut desk, &mut service);
    assert_eq!(send(&mut conn, &mut desk, usize::MAX), b"a+;");
    assert!(conn.can_resume() && !conn.wants_read());
    service.time = true;
    conn.take(b"", &mut desk, &mut service);
    conn.take(b"e\n", &mut desk, &mut service);
    assert_eq!(send(&mut conn, &mut desk, usize::MAX), b"b+;c+;de+;");
}

#[test]
fn one_send_takes_no_more_than_a_turn_has_time_for() {
    let (mut conn, mut desk, _) = start();
    let value = Rc::new(Blob::from(vec![b'v'; 3 * SEND_BYTES_MAX + 5]));
    desk.output.push(b"head");
    desk.output.push_shared(&value);
    conn.queue_output(&mut desk);
    let mut calls = Vec::new();
    while conn.wants_write() {
        let mut pieces = [IoSlice::new(&[]); SEND_PIECES_MAX];
        let count = conn.gather(&mut pieces);
        calls.push(pieces[..count].iter().map(|piece| piece.len()).sum());
        conn.advance(*calls.last().unwrap(), &mut desk.pool);
    }
    assert_eq!(calls, [SEND_BYTES_MAX, SEND_BYTES_MAX, SEND_BYTES_MAX, 9]);
}
