//! The client's own connection: what is known of it, PING, ECHO, SELECT, HELLO, AUTH, RESET, QUIT, EXIT, SHUTDOWN.

use super::transaction::{Transaction, unwatch};
use super::{COMMANDS, CommandError, CommandSpec, Ctx, Deferred, Flow, Outcome, choice, echo as printable, integer};
use crate::limits::NAME_BYTES_MAX;
use crate::proto::{Args, Encoding, Form, PushWord, Reply};
use crate::pubsub::Subscriber;
use crate::store::SlotId;

/// What the server knows of a client. Small: what few clients have is boxed.
#[derive(Debug)]
pub struct Session {
    /// Its number, never used again.
    pub id: u64,
    /// When it came, by the boot clock.
    pub since_ms: u64,
    /// In what its requests are answered since it said HELLO; before, each in the protocol that it came in.
    pub encoding: Option<Encoding>,
    /// Whether it may use commands beyond those of [`super::Flags::NO_AUTH`].
    pub authenticated: bool,
    /// Whether protected mode keeps it out.
    pub denied: bool,
    /// Whether something is to be looked into before each of its requests: it is denied, or it subscribes to something.
    pub guarded: bool,
    /// Which of its replies are sent.
    pub replies: Replies,
    /// Whether eviction passes it over (CLIENT NO-EVICT).
    pub no_evict: bool,
    /// Whether what it asks of all keys is about this node's alone (READONLY).
    pub readonly: bool,
    /// Whether its reads leave no trace in what eviction knows (CLIENT NO-TOUCH).
    pub no_touch: bool,
    /// The row of the last command that it sent.
    last_row: Option<u16>,
    /// What it calls itself.
    pub names: Option<Box<Names>>,
    /// What it subscribes to.
    pub subscriber: Option<Box<Subscriber>>,
    /// What it has queued since MULTI, and what it watches.
    pub transaction: Option<Box<Transaction>>,
    /// The slot, another node's, whose keys it no longer watches: the server takes this and tells the owner.
    pub forget_elsewhere: Option<SlotId>,
}

/// What a client calls itself.
#[derive(Debug, Default)]
pub struct Names {
    /// CLIENT SETNAME.
    pub client: Vec<u8>,
    /// CLIENT SETINFO LIB-NAME.
    pub library: Vec<u8>,
    /// CLIENT SETINFO LIB-VER.
    pub version: Vec<u8>,
}

impl Names {
    /// The memory that they take, in bytes.
    pub fn bytes_used(&self) -> usize {
        size_of::<Names>() + self.client.len() + self.library.len() + self.version.len()
    }
}

/// Which replies a client wants (CLIENT REPLY).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replies {
    /// All.
    On,
    /// None.
    Off,
    /// Not that of the next request.
    SkipNext,
    /// Not that of the request at hand.
    Skip,
}

impl Session {
    /// The last command that it sent.
    pub fn last(&self) -> Option<&'static CommandSpec> {
        self.last_row.map(|row| &COMMANDS[usize::from(row)])
    }

    /// Whether it subscribes to any channel or pattern.
    pub fn is_subscriber(&self) -> bool {
        self.subscriber.as_deref().is_some_and(|subscriber| subscriber.total() > 0)
    }

    /// Whether something is to be looked into before its requests are run.
    pub fn settle_guard(&mut self, closed: bool) {
        self.guarded = self.denied || closed || self.is_subscriber();
    }

    /// It sends this command.
    #[inline(always)]
    pub(super) fn set_last(&mut self, spec: &'static CommandSpec) {
        self.last_row = Some(spec.place() as u16);
    }

    /// A client that has just come.
    pub fn new(id: u64, since_ms: u64, authenticated: bool, denied: bool) -> Session {
        Session {
            id,
            since_ms,
            encoding: None,
            authenticated,
            denied,
            guarded: denied,
            replies: Replies::On,
            no_evict: false,
            no_touch: false,
            readonly: false,
            last_row: None,
            names: None,
            subscriber: None,
            transaction: None,
            forget_elsewhere: None,
        }
    }

    /// How a request that came in this form is answered.
    pub fn encoding_of(&self, form: Form) -> Encoding {
        self.encoding.unwrap_or(match form {
            Form::Line => Encoding::Text,
            Form::Array => Encoding::Resp2,
        })
    }

    /// What it calls itself; empty where it does not.
    pub fn name(&self) -> &[u8] {
        self.names.as_ref().map_or(&[], |names| &names.client)
    }
}

/// `PING [message]`
pub(super) fn ping(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    match args.get(1) {
        Some(_) if args.len() > 2 => return Err(CommandError::Arity("ping")),
        // So that a subscriber can tell it from a message.
        message if ctx.session.is_subscriber() && reply.encoding() == Encoding::Resp2 => {
            reply.push(&[PushWord::Bytes(b"pong"), PushWord::Bytes(message.unwrap_or_default())], false);
        }
        None => reply.simple("PONG"),
        Some(message) => reply.bulk(message),
    }
    Ok(Flow::Continue)
}

/// `ECHO message`
pub(super) fn echo(_ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    reply.bulk(&args[1]);
    Ok(Flow::Continue)
}

/// `SELECT index`: there is one keyspace, 0.
pub(super) fn select(_ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    match integer(&args[1])? {
        0 => reply.ok(),
        index if i32::try_from(index).is_ok() => return Err(CommandError::other("DB index is out of range")),
        _ => return Err(CommandError::other("value is out of range, value must between -2147483648 and 2147483647")),
    }
    Ok(Flow::Continue)
}

/// `QUIT`, `EXIT`
pub(super) fn quit(_ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    reply.ok();
    Ok(Flow::Close)
}

/// `RESET`: as if the client had just come.
pub(super) fn reset(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    unwatch(ctx);
    super::publish::leave(ctx);
    let session = &mut *ctx.session;
    let authenticated = ctx.state.access.password.is_none();
    let forget_elsewhere = session.forget_elsewhere;
    *session = Session::new(session.id, session.since_ms, authenticated, session.denied);
    session.settle_guard(ctx.state.snapshots.closed.is_some());
    session.forget_elsewhere = forget_elsewhere;
    if reply.encoding() != Encoding::Text {
        reply.set_encoding(Encoding::Resp2);
    }
    reply.simple("RESET");
    Ok(Flow::Continue)
}

/// `AUTH [user] password`
pub(super) fn auth(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (user, password) = match args.len() {
        2 if ctx.state.access.password.is_none() => {
            return Err(CommandError::other(
                "AUTH <password> called without any password configured for the default user. \
                 Are you sure your configuration is correct?",
            ));
        }
        2 => (&b"default"[..], &args[1]),
        3 => (&args[1], &args[2]),
        _ => return Err(CommandError::Syntax),
    };
    if !authenticate(ctx, user, password) {
        return Ok(Flow::Wait(Box::new(Deferred::WrongPassword)));
    }
    reply.ok();
    Ok(Flow::Continue)
}

/// Whether user and password are right; if so, the session is authenticated. Without a password set, any is.
fn authenticate(ctx: &mut Ctx<'_>, user: &[u8], password: &[u8]) -> bool {
    let right = match &ctx.state.access.password {
        None => true,
        Some(wanted) => equal_in_constant_time(wanted, password),
    };
    let right = right & (user == b"default");
    if right {
        ctx.session.authenticated = true;
    } else {
        ctx.state.stats.acl_access_denied_auth += 1;
    }
    right
}

/// Compares without telling by its duration how much of the two agrees. Each byte of what was offered costs the
/// same, whatever the secret is.
fn equal_in_constant_time(secret: &[u8], offered: &[u8]) -> bool {
    let mut differs = u8::from(secret.len() != offered.len());
    for (index, byte) in offered.iter().enumerate() {
        let other = secret.get(index).copied().unwrap_or(!byte);
        differs |= std::hint::black_box(byte ^ other);
    }
    std::hint::black_box(differs) == 0
}

/// `HELLO [2 | 3 [AUTH user password] [SETNAME name]]`
pub(super) fn hello(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let encoding = match args.get(1) {
        None => None,
        Some(version) => match crate::proto::integer(version) {
            Some(2) => Some(Encoding::Resp2),
            Some(3) => Some(Encoding::Resp3),
            Some(_) => return Err(CommandError::Other("NOPROTO unsupported protocol version".into())),
            None => return Err(CommandError::other("Protocol version is not an integer or out of range")),
        },
    };
    let (mut credentials, mut name) = (None, None);
    let mut at = 2;
    while let Some(option) = args.get(at) {
        if option.eq_ignore_ascii_case(b"AUTH") && args.len() > at + 2 {
            credentials = Some((&args[at + 1], &args[at + 2]));
            at += 3;
        } else if option.eq_ignore_ascii_case(b"SETNAME") && args.len() > at + 1 {
            check_name(&args[at + 1])?;
            name = Some(&args[at + 1]);
            at += 2;
        } else {
            return Err(CommandError::Other(format!("ERR Syntax error in HELLO option '{}'", printable(option))));
        }
    }
    if let Some((user, password)) = credentials {
        if !authenticate(ctx, user, password) {
            return Ok(Flow::Wait(Box::new(Deferred::WrongPassword)));
        }
    } else if !ctx.session.authenticated {
        return Err(CommandError::Other(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
             <user> <pass> option can be used to authenticate the client and select the RESP protocol version at \
             the same time"
                .into(),
        ));
    }
    if let Some(name) = name {
        set_name(ctx.session, name);
    }
    if let Some(encoding) = encoding {
        ctx.session.encoding = Some(encoding);
        reply.set_encoding(encoding);
    }
    greet(ctx, reply);
    Ok(Flow::Continue)
}

/// What a client library wants to know first.
fn greet(ctx: &Ctx<'_>, reply: &mut Reply<'_>) {
    reply.map(7);
    reply.named_bulk("server", b"redis");
    reply.named_bulk("version", super::REDIS_VERSION.as_bytes());
    reply.named_integer("proto", if reply.encoding() == Encoding::Resp3 { 3 } else { 2 });
    reply.named_integer("id", ctx.session.id as i64);
    reply.named_bulk("mode", super::info::mode(ctx).as_bytes());
    reply.named_bulk("role", b"master");
    reply.field("modules");
    reply.array(0);
}

/// A name stands in CLIENT LIST, between blanks.
pub(super) fn check_name(name: &[u8]) -> Result<(), CommandError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(CommandError::Other(format!("ERR Client names have at most {NAME_BYTES_MAX} bytes")));
    }
    if name.iter().all(u8::is_ascii_graphic) {
        return Ok(());
    }
    Err(CommandError::other("Client names cannot contain spaces, newlines or special characters."))
}

/// Gives a session its name, or takes it away.
pub(super) fn set_name(session: &mut Session, name: &[u8]) {
    if session.names.is_some() || !name.is_empty() {
        session.names.get_or_insert_default().client = name.to_vec();
    }
}

/// `SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE]`: with Redis's words for what makes no difference here.
pub(super) fn shutdown(ctx: &mut Ctx<'_>, args: Args<'_>, _reply: &mut Reply<'_>) -> Outcome {
    let error = |text: &str| Err(CommandError::Other(format!("ERR {text}")));
    let mut last = None;
    for word in args.from(1) {
        match choice(word, &["nosave", "now", "force", "abort", "save"]) {
            Some(0) if last != Some(true) => last = Some(false),
            Some(1..3) => {}
            Some(3) if args.len() == 2 => return error("No shutdown in progress."),
            Some(4) if last != Some(false) => {
                if ctx.state.settings.snapshot.is_empty() {
                    return error("this server makes no snapshots, use SHUTDOWN NOSAVE");
                }
                last = Some(true);
            }
            _ => return Err(CommandError::Syntax),
        }
    }
    ctx.state.snapshots.last = last;
    Ok(Flow::Shutdown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_compared_whole() {
        assert!(equal_in_constant_time(b"secret", b"secret"));
        assert!(equal_in_constant_time(b"", b""));
        for wrong in [&b"secreT"[..], b"secre", b"secrets", b"", b"\0ecret"] {
            assert!(!equal_in_constant_time(b"secret", wrong), "{wrong:?}");
        }
        assert!(!equal_in_constant_time(b"", b"x"));
    }

    #[test]
    fn a_session_is_small() {
        assert!(size_of::<Session>() <= 56, "{} bytes", size_of::<Session>());
    }
}
