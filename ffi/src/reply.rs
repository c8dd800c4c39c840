//! Replies as C walks them: nodes that lead to their bytes and to their children, which lie side by side.

use std::ffi::{c_char, c_int};

use memento::client::reply::{Kind, View};

use crate::error::{Code, Failure, Outcome};

/// One value of a reply; opaque to C.
#[repr(C)]
pub struct Node {
    kind: c_int,
    /// Whether this is the first field of an [`Owned`].
    is_owned: bool,
    integer: i64,
    bytes: *const u8,
    /// How many bytes, or how many children.
    length: usize,
    children: *const Node,
}

/// A reply that C owns: nodes, and the bytes to which they lead.
#[repr(C)]
pub struct Owned {
    root: Node,
    nodes: Vec<Node>,
    bytes: Vec<u8>,
}

/// The number of a type, as in memento.h.
fn number_of(kind: Kind) -> c_int {
    match kind {
        Kind::Simple => 1,
        Kind::Bulk => 2,
        Kind::Error => 3,
        Kind::Integer => 4,
        Kind::Null => 5,
        Kind::Array => 6,
        Kind::Map => 7,
        Kind::Set => 8,
        Kind::Double => 9,
        Kind::Boolean => 10,
        Kind::BigNumber => 11,
        Kind::Verbatim => 12,
        Kind::Push => 13,
    }
}

const NULL: c_int = 5;
const INTEGER: c_int = 4;
const DOUBLE: c_int = 9;
const BOOLEAN: c_int = 10;

impl Node {
    fn leaf(view: View<'_>, bytes: &[u8]) -> Node {
        Node {
            kind: number_of(view.kind()),
            is_owned: false,
            integer: view.integer().unwrap_or(0),
            bytes: bytes.as_ptr(),
            length: bytes.len(),
            children: std::ptr::null(),
        }
    }

    fn is_aggregate(&self) -> bool {
        matches!(self.kind, 6 | 7 | 8 | 13)
    }

    /// The number of its type.
    pub fn kind(&self) -> c_int {
        self.kind
    }

    /// Its bytes, where it is of a type that has some.
    pub fn bytes(&self) -> Outcome<(*const c_char, usize)> {
        if self.is_aggregate() || self.kind == NULL {
            return Err(wrong_type());
        }
        Ok((self.bytes.cast(), self.length))
    }

    /// Its number, where it is an integer or a boolean.
    pub fn integer(&self) -> Outcome<i64> {
        if matches!(self.kind, INTEGER | BOOLEAN) { Ok(self.integer) } else { Err(wrong_type()) }
    }

    /// Its number, where it is one.
    pub fn double(&self) -> Outcome<f64> {
        match self.kind {
            INTEGER => Ok(self.integer as f64),
            DOUBLE => {
                // SAFETY: `leaf` had both from one slice, which lives as long as the node.
                let text = unsafe { std::slice::from_raw_parts(self.bytes, self.length) };
                number(text).ok_or_else(wrong_type)
            }
            _ => Err(wrong_type()),
        }
    }

    /// How many children it has.
    pub fn count(&self) -> usize {
        if self.is_aggregate() { self.length } else { 0 }
    }

    /// The child at a place, from 0 on; NULL where there is none.
    pub fn at(&self, place: usize) -> *const Node {
        // SAFETY: the children are `length` nodes side by side, and the place is below.
        if place < self.count() { unsafe { self.children.add(place) } } else { std::ptr::null() }
    }
}

/// The number that a text is.
pub fn number(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn wrong_type() -> Failure {
    Failure::new(Code::Type, "the answer is of another type")
}

/// Nodes for what lies where it was received, made again for each reply.
#[derive(Default)]
pub struct Tree {
    nodes: Vec<Node>,
}

// SAFETY: the pointers in it are only followed while `lend` works, by the thread that called it.
unsafe impl Send for Tree {}

impl Tree {
    /// Shows the reply to `show` as C walks it; the pointer holds until `show` returns.
    pub fn lend(&mut self, view: View<'_>, show: &mut dyn FnMut(*const Node)) -> Outcome<()> {
        if !view.is_aggregate() {
            show(&Node::leaf(view, view.bytes()));
            return Ok(());
        }
        let root = plant(&mut self.nodes, view, &mut Bytes::InPlace)?;
        show(&root);
        self.nodes.clear();
        self.nodes.shrink_to(KEPT_MAX);
        Ok(())
    }
}

/// A tree for one reply is kept for the next one up to so many nodes.
const KEPT_MAX: usize = 1024;

/// Where the bytes of a tree are.
enum Bytes<'a> {
    /// Where they were received.
    InPlace,
    /// Copied behind each other, each with a NUL; there is room for all.
    Copied(&'a mut Vec<u8>),
}

impl Bytes<'_> {
    fn leaf(&mut self, view: View<'_>) -> Node {
        match self {
            Bytes::InPlace => Node::leaf(view, view.bytes()),
            Bytes::Copied(copy) => {
                let start = copy.len();
                copy.extend_from_slice(view.bytes());
                let node = Node::leaf(view, &copy[start..]);
                copy.push(0);
                node
            }
        }
    }
}

/// Makes the nodes of all children, the children of each side by side, and gives the root.
fn plant(nodes: &mut Vec<Node>, view: View<'_>, bytes: &mut Bytes<'_>) -> Outcome<Node> {
    nodes.clear();
    // Nodes point to each other: from here on they stay where they are.
    nodes.try_reserve_exact(view.values()).map_err(|_| Failure::memory("the answer"))?;
    let mut root = grow(nodes, view, bytes);
    // Now that all are written, from a place in the row to an address.
    let row = nodes.as_mut_ptr();
    let lead = |node: &mut Node| {
        if node.is_aggregate() {
            // SAFETY: `grow` has left a place within the row, or the row's end where there are no children.
            node.children = unsafe { row.add(node.integer as usize) };
        }
    };
    // SAFETY: these are the nodes of the row, to which nothing else leads meanwhile.
    unsafe { std::slice::from_raw_parts_mut(row, nodes.len()) }.iter_mut().for_each(lead);
    lead(&mut root);
    Ok(root)
}

/// The node of a value, whose children are put behind all others; their place is left in `integer`. Replies have a bounded depth, and so has this.
fn grow(nodes: &mut Vec<Node>, view: View<'_>, bytes: &mut Bytes<'_>) -> Node {
    let mut node = bytes.leaf(view);
    if view.is_aggregate() {
        let first = nodes.len();
        nodes.extend(view.children().map(|child| Node::leaf(child, &[])));
        for (place, child) in view.children().enumerate() {
            nodes[first + place] = grow(nodes, child, bytes);
        }
        node.integer = first as i64;
        node.length = view.len();
    }
    node
}

/// A copy of a reply for C, which gives it back with `memento_reply_free`.
pub fn give(view: View<'_>) -> Outcome<*mut Node> {
    let (mut nodes, mut bytes) = (Vec::new(), Vec::new());
    bytes.try_reserve_exact(bytes_of(view)).map_err(|_| Failure::memory("the answer"))?;
    let mut root = plant(&mut nodes, view, &mut Bytes::Copied(&mut bytes))?;
    root.is_owned = true;
    Ok(Box::into_raw(Box::new(Owned { root, nodes, bytes })).cast())
}

/// How many bytes a copy takes.
fn bytes_of(view: View<'_>) -> usize {
    view.bytes().len() + 1 + view.children().map(bytes_of).sum::<usize>()
}

/// Takes back what `give` made; a part of a reply, or one that was only lent, stays.
///
/// # Safety
/// As memento.h has it: `reply` is NULL, or a reply that was not given back yet.
pub unsafe fn take_back(reply: *mut Node) {
    // SAFETY: the caller promises that it is NULL or a node.
    if unsafe { reply.as_ref() }.is_some_and(|node| node.is_owned) {
        // SAFETY: only `give` makes owned nodes, each the first field of an `Owned` in a box.
        let owned = unsafe { Box::from_raw(reply.cast::<Owned>()) };
        let Owned { root: _, nodes, bytes } = *owned;
        drop((nodes, bytes));
    }
}
