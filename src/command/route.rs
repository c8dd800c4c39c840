//! Where in a cluster a request is to be executed, as its row, its keys and its client say. Knows which slots are this
//! node's, and nothing of the other nodes.

use super::sub::Subcommand;
use super::table::{CommandSpec, Flags, Keys};
use super::{CommandError, Session};
use crate::limits::SLOTS;
use crate::proto::Args;
use crate::store::{Cursor, SlotId};
use std::ops::Range;

/// What a request concerns: a column of the command table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This node, or the client's own connection.
    Node,
    /// No node: it is answered the same everywhere.
    Anywhere,
    /// All its keys, which must be in one slot.
    Slot,
    /// Each of its keys by itself: it is cut up by the owners of its keys.
    Split(Merge),
    /// The whole cluster: all nodes execute it.
    Cluster(Merge),
    /// The slot of a cursor, and those behind it.
    Scan,
    /// The slot of this number, as clients of a cluster count them.
    Number,
    /// What came before it as well, so that its handler finds out: WATCH and EXEC.
    Handled,
}

/// How the answers of several nodes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Integers are summed up.
    Sum,
    /// Lists of an item a key: each item to its key's place.
    Items,
    /// All are OK, and so is the whole.
    Ok,
    /// Lists are joined.
    List,
    /// One that is not null is chosen.
    Any,
    /// Integers of those nodes that answer are summed up: a lost one counts as 0.
    Reached,
}

/// Where a request is to be executed that is not this node's alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// At the owner of this slot, another node.
    Slot(SlotId),
    /// At the owners of its keys, this node maybe among them, each with its own keys; and the answers are put together.
    Split(Merge),
    /// At all nodes, and the answers are put together.
    Cluster(Merge),
    /// At the owner of this slot, another node, which is to watch the keys for the client.
    Watch(SlotId),
    /// At the owner of this slot, another node: not the request itself, but the transaction in the session.
    Exec(SlotId),
}

/// The slots that this node owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnSlots {
    start: u16,
    end: u16,
}

/// In how many slots the keys of a request, or of a transaction, are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Span {
    /// There are no keys.
    #[default]
    None,
    /// All are in this one.
    One(SlotId),
    /// They are in several.
    Many,
}

/// What a request turns out to concern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Aim {
    pub(super) span: Span,
    /// Whether this node alone can execute it, whatever its span.
    pub(super) bound: bool,
    /// Where it is to be executed, if not here.
    pub(super) route: Option<Route>,
}

impl OwnSlots {
    /// The slots of these numbers, all below [`SLOTS`].
    pub fn new(slots: Range<usize>) -> OwnSlots {
        assert!(slots.start <= slots.end && slots.end <= SLOTS);
        OwnSlots { start: slots.start as u16, end: slots.end as u16 }
    }

    /// Whether a slot is among them.
    pub fn has(self, slot: SlotId) -> bool {
        (self.start as usize..self.end as usize).contains(&slot.index())
    }

    /// Where a scan of the cluster goes on behind these slots; nowhere after the last one of all.
    pub(super) fn behind(self) -> Option<Cursor> {
        SlotId::new(self.end.into()).map(Cursor::at)
    }
}

impl Span {
    /// The span of both.
    pub(super) fn and(self, other: Span) -> Span {
        match (self, other) {
            (Span::None, span) | (span, Span::None) => span,
            (Span::One(one), Span::One(other)) if one == other => self,
            _ => Span::Many,
        }
    }

    /// The span of the keys in these places.
    fn of(keys: Keys, args: Args<'_>) -> Span {
        let slots = keys.places(args.len()).map(|place| Span::One(SlotId::of_key(&args[place])));
        slots.fold(Span::None, Span::and)
    }
}

/// The slot of the keys; an error where they are in several.
pub(super) fn one_slot(keys: Keys, args: Args<'_>) -> Result<Option<SlotId>, CommandError> {
    match Span::of(keys, args) {
        Span::None => Ok(None),
        Span::One(slot) => Ok(Some(slot)),
        Span::Many => Err(cross_slot()),
    }
}

/// Keys of several slots where they must be in one.
#[cold]
pub(super) fn cross_slot() -> CommandError {
    CommandError::Other("CROSSSLOT Keys in request don't hash to the same slot".into())
}

/// What a request concerns, in a cluster in which these slots are this node's own; `help` for HELP of a family, `known`
/// the slot of its first key, where somebody has looked. An error where the keys must be in one slot and are not.
pub(super) fn aim(
    spec: &CommandSpec,
    sub: Option<&Subcommand>,
    (help, known): (bool, Option<SlotId>),
    session: &Session,
    own: OwnSlots,
    args: Args<'_>,
) -> Result<Aim, CommandError> {
    let (reach, keys, flags) = match sub {
        Some(sub) => (sub.reach, sub.keys, sub.flags),
        None => (spec.reach, spec.keys, spec.flags),
    };
    let here = |span| Aim { span, bound: false, route: None };
    let at = |slot| Aim { route: (!own.has(slot)).then_some(Route::Slot(slot)), ..here(Span::One(slot)) };
    // A client that asks each node by itself says READONLY.
    let alone = session.readonly && flags.has(Flags::READONLY);
    Ok(match reach {
        _ if help => here(Span::None),
        Reach::Anywhere | Reach::Handled => here(Span::None),
        Reach::Node => Aim { bound: true, ..here(Span::None) },
        Reach::Cluster(_) | Reach::Scan if alone => Aim { bound: true, ..here(Span::None) },
        Reach::Slot if keys == Keys::ONE && known.is_some() => known.map_or(here(Span::None), at),
        Reach::Slot => one_slot(keys, args)?.map_or(here(Span::None), at),
        Reach::Split(merge) => {
            let mut places = keys.places(args.len());
            let mine = places.all(|place| own.has(SlotId::of_key(&args[place])));
            Aim { route: (!mine).then_some(Route::Split(merge)), ..here(Span::of(keys, args)) }
        }
        // In a transaction it goes where the keys are, and from there on to all.
        Reach::Cluster(merge @ Merge::Reached) => Aim { route: Some(Route::Cluster(merge)), ..here(Span::None) },
        Reach::Cluster(merge) => Aim { route: Some(Route::Cluster(merge)), ..here(Span::Many) },
        // What is no cursor and no number this node refuses as well as any other.
        Reach::Scan => {
            let cursor = super::key::parse_cursor(&args[1]);
            Aim { span: Span::Many, ..cursor.map_or(here(Span::Many), |cursor| at(cursor.slot())) }
        }
        Reach::Number => super::cluster::slot_of_number(&args[2]).map_or(here(Span::None), at),
    })
}
