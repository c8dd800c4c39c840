//! Mistakes that the state machine is made to make, to see that the simulation finds them.

use super::super::{Cluster, NodeId, RequestHead};
use crate::proto::Word;

/// Which mistake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Mutant {
    /// None.
    #[default]
    None,
    /// A reply answers the oldest request, whatever its id.
    RepliesByPosition,
    /// What was in flight when a link broke is sent again over the next one.
    Retries,
    /// The entry of a request stays after its reply.
    KeepsAnswered,
    /// The entries of requests stay when their link breaks.
    KeepsFailed,
}

/// A request as it was asked.
struct Asked {
    node: NodeId,
    id: u32,
    head: RequestHead,
    words: Vec<Vec<u8>>,
}

/// The mistake that a state machine makes, and what it takes to make it.
#[derive(Default)]
pub(in super::super) struct Mutation {
    pub(super) mutant: Mutant,
    asked: Vec<Asked>,
    again: Vec<Asked>,
}

impl<T> Cluster<T> {
    /// A request was sent.
    pub(in super::super) fn mutate_request(&mut self, node: NodeId, id: u32, head: RequestHead, words: &[Word<'_>]) {
        if self.mutation.mutant == Mutant::Retries {
            let bytes = |word: &Word<'_>| match word {
                Word::Received(bytes) => bytes.to_vec(),
                Word::Long(value) => value.to_vec(),
            };
            self.mutation.asked.push(Asked { node, id, head, words: words.iter().map(bytes).collect() });
        }
    }

    /// A reply came: to which request.
    pub(in super::super) fn mutate_reply(&mut self, node: NodeId, id: u32) -> u32 {
        let requests = &mut self.nodes[node.index()].requests;
        match self.mutation.mutant {
            Mutant::RepliesByPosition => return requests.oldest().unwrap_or(id),
            Mutant::KeepsAnswered => requests.leak(),
            Mutant::Retries => self.mutation.asked.retain(|asked| (asked.node, asked.id) != (node, id)),
            Mutant::None | Mutant::KeepsFailed => {}
        }
        id
    }

    /// The link to a node broke.
    pub(in super::super) fn mutate_down(&mut self, node: NodeId) {
        if self.mutation.mutant == Mutant::KeepsFailed {
            self.nodes[node.index()].requests.leak();
        }
        let broken = self.mutation.asked.extract_if(.., |asked| asked.node == node);
        self.mutation.again.extend(broken);
    }

    /// There is a link to a node.
    pub(in super::super) fn mutate_up(&mut self, node: NodeId) {
        let again: Vec<Asked> = self.mutation.again.extract_if(.., |asked| asked.node == node).collect();
        let Some(link) = self.nodes[node.index()].up.and_then(|up| self.links.get_mut(up)) else { return };
        for asked in again {
            let mut words = asked.words.iter().map(|word| Word::Received(word));
            link.outbox.request(asked.id, asked.head, &mut || words.next());
        }
    }
}
