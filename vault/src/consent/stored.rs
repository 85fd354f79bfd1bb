//! The consent state of one block as bytes, to be sealed.
//!
//! Version 1, integers little endian: `scb` and the version byte; the sets of the restricted and of the erased; the number
//! of purposes (u16) and each, sorted by name: its name (length u8), its newest times and newest withdrawals, and for each
//! basis the sets of those who hold it, of the expired and of the withdrawn, and the times of starts and ends.
//! - A set is a tag byte: 0 nobody; 1 a list (count u16, a position u16 each); 2 one bit a position.
//! - Times are a tag byte: 0 none; 1 a list (count u16, position u16 and instant i64 each); 2 coded (count u8, an instant
//!   i64 each, a code byte a position, 0 is none); 3 a set as above and an instant for each in it.
//!
//! Version 2 is version 1 with the links of its people at the end: how many (u32), and of each, sorted by position and leaf,
//! the secondary's position u16, the primary's ordinal u32, the mark u8, the leaf u64, and whether it was ended u8. A block
//! without links is written in version 1.
//!
//! Equal states give equal bytes, and the bytes hold no instant that nobody has. Bytes of another shape, or that no
//! sequence of events leads to, are refused.

use super::bits::{Bits, POSITIONS, WORDS, Words, put_in};
use super::block::{BlockConsent, Mark, NodeConsent};
use super::form::{CODES, FEW, Form, NEVER};
use super::links::BlockLink;
use super::times::Times;
use super::tree::PurposeTree;
use policy::id::PurposeId;
use std::sync::Arc;
use zeroize::Zeroizing;

const MAGIC: &[u8; 3] = b"scb";
const VERSION: u8 = 1;
const WITH_LINKS: u8 = 2;
const LINK_BYTES: usize = 16;

/// Longest list of a set: as many bytes as one bit a position.
const LISTED: usize = POSITIONS / 16;

/// Consent state of a block that does not parse: it was written by something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the consent state of a block does not parse")]
pub struct UnreadableConsent;

/// The consent state of one block, read and checked.
#[derive(Clone)]
pub struct StoredBlock {
    restricted: Bits,
    erased: Bits,
    nodes: Vec<(PurposeId, NodeConsent)>,
    links: Vec<BlockLink>,
}

impl std::fmt::Debug for StoredBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredBlock(..)")
    }
}

impl StoredBlock {
    /// Reads the state of a block.
    pub fn parse(bytes: &[u8]) -> Result<Self, UnreadableConsent> {
        let mut reader = Reader(bytes);
        if reader.array()? != *MAGIC {
            return Err(UnreadableConsent);
        }
        let version = reader.u8()?;
        let (restricted, erased) = (reader.set()?, reader.set()?);
        let mut nodes: Vec<(PurposeId, NodeConsent)> = Vec::new();
        for _ in 0..reader.u16()? {
            nodes.push((reader.purpose()?, reader.node()?));
        }
        let links = match version {
            VERSION => Vec::new(),
            WITH_LINKS => reader.links(&erased)?,
            _ => return Err(UnreadableConsent),
        };
        let sorted = nodes.is_sorted_by(|(a, _), (b, _)| a < b);
        let gone = |node: &NodeConsent| node.is_sound() && node.newest.present().is_apart_from(&erased);
        let sound = restricted.is_apart_from(&erased) && nodes.iter().all(|(_, node)| gone(node));
        let read = Self { restricted, erased, nodes, links };
        if sorted && sound && reader.0.is_empty() { Ok(read) } else { Err(UnreadableConsent) }
    }

    /// Makes the block of it; purposes that the tree lacks are added.
    pub(super) fn into_block(self, tree: &mut Arc<PurposeTree>) -> BlockConsent {
        let Self { restricted, erased, nodes, links } = self;
        let mut block = BlockConsent { restricted, erased, links, ..BlockConsent::default() };
        for (purpose, node) in nodes {
            let known = tree.find(&purpose);
            let number = known.unwrap_or_else(|| Arc::make_mut(tree).add(&purpose));
            if let Some(slot) = block.node_mut(number) {
                *slot = node;
            }
        }
        block
    }
}

/// Writes the state of a block.
pub(super) fn encode(block: &BlockConsent, tree: &PurposeTree) -> Zeroizing<Vec<u8>> {
    let mut nodes: Vec<(&PurposeId, NodeConsent)> = Vec::new();
    for (number, node) in block.nodes.iter().enumerate() {
        let Some((node, purpose)) = node.as_ref().zip(tree.purpose(number)) else { continue };
        let mut node = NodeConsent::clone(node);
        node.compact();
        if !node.newest.is_empty() {
            nodes.push((purpose, node));
        }
    }
    nodes.sort_unstable_by_key(|(purpose, _)| *purpose);
    // Reserved in full: the vector never moves, so no plaintext stays behind in freed memory.
    let most = nodes.iter().map(|(_, node)| 64 + node.most_bytes()).sum::<usize>() + 2 * MOST_SET + 10;
    let most = most + block.links.len() * LINK_BYTES;
    let mut writer = Writer(Zeroizing::new(Vec::with_capacity(most)));
    writer.bytes(MAGIC);
    writer.bytes(&[if block.links.is_empty() { VERSION } else { WITH_LINKS }]);
    writer.set(&block.restricted);
    writer.set(&block.erased);
    writer.u16(nodes.len());
    for (purpose, node) in &nodes {
        writer.bytes(&[u8::try_from(purpose.as_str().len()).unwrap_or(u8::MAX)]);
        writer.bytes(purpose.as_str().as_bytes());
        writer.node(node);
    }
    if !block.links.is_empty() {
        writer.links(&block.links);
    }
    debug_assert!(writer.0.len() <= most, "the reserved length is enough");
    writer.0
}

/// Most bytes of a set.
const MOST_SET: usize = 1 + POSITIONS / 8;

impl Times {
    fn most_bytes(&self) -> usize {
        3 + match self.form() {
            Form::Few(list) => list.len() * 10,
            Form::Coded { values, codes } => values.len() * 8 + codes.len(),
            Form::Each(all) => MOST_SET + all.len() * 8,
        }
    }
}

impl NodeConsent {
    fn most_bytes(&self) -> usize {
        let mark = |mark: &Mark| 3 * MOST_SET + mark.starts.most_bytes() + mark.ends.most_bytes();
        self.newest.most_bytes() + self.newest_withdrawal.most_bytes() + self.marks.iter().map(mark).sum::<usize>()
    }

    fn compact(&mut self) {
        self.newest.compact();
        self.newest_withdrawal.compact();
        for mark in &mut self.marks {
            mark.starts.compact();
            mark.ends.compact();
        }
    }
}

struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Writes a count; none exceeds the positions of a block, or the purposes of a dataset.
    fn u16(&mut self, number: usize) {
        self.bytes(&u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes());
    }

    fn links(&mut self, links: &[BlockLink]) {
        self.bytes(&u32::try_from(links.len()).unwrap_or(u32::MAX).to_le_bytes());
        for BlockLink { position, primary, mark, leaf, ended } in links {
            self.bytes(&position.to_le_bytes());
            self.bytes(&primary.to_le_bytes());
            self.bytes(&[*mark]);
            self.bytes(&leaf.to_le_bytes());
            self.bytes(&[u8::from(*ended)]);
        }
    }

    fn node(&mut self, node: &NodeConsent) {
        self.times(&node.newest);
        self.times(&node.newest_withdrawal);
        for mark in &node.marks {
            [&mark.held, &mark.expired, &mark.withdrawn].into_iter().for_each(|set| self.set(set));
            [&mark.starts, &mark.ends].into_iter().for_each(|times| self.times(times));
        }
    }

    fn set(&mut self, set: &Bits) {
        let Some(words) = set.words() else { return self.bytes(&[0]) };
        let count = set.len();
        if count < LISTED {
            self.bytes(&[1]);
            self.u16(count);
            set.positions().for_each(|position| self.bytes(&position.to_le_bytes()));
        } else {
            self.bytes(&[2]);
            words.iter().for_each(|word| self.bytes(&word.to_le_bytes()));
        }
    }

    fn times(&mut self, times: &Times) {
        match times.form() {
            Form::Few(list) if list.is_empty() => self.bytes(&[0]),
            Form::Few(list) => {
                self.bytes(&[1]);
                self.u16(list.len());
                for (position, at) in list {
                    self.bytes(&position.to_le_bytes());
                    self.bytes(&at.to_le_bytes());
                }
            }
            Form::Coded { values, codes } => {
                self.bytes(&[2, u8::try_from(values.len()).unwrap_or(u8::MAX)]);
                values.iter().for_each(|at| self.bytes(&at.to_le_bytes()));
                self.bytes(codes);
            }
            Form::Each(_) => {
                self.bytes(&[3]);
                self.set(&times.present());
                times.for_each(|_, at| self.bytes(&at.to_le_bytes()));
            }
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads the links of people who are not erased, at least one.
    fn links(&mut self, erased: &Bits) -> Result<Vec<BlockLink>, UnreadableConsent> {
        let mut links: Vec<BlockLink> = Vec::new();
        for _ in 0..u32::from_le_bytes(self.array()?) {
            let position = self.u16()?;
            let (primary, mark) = (u32::from_le_bytes(self.array()?), self.u8()?);
            let (leaf, ended) = (u64::from_le_bytes(self.array()?), self.u8()?);
            if usize::from(position) >= POSITIONS || erased.contains(position) || mark == 0 || ended > 1 {
                return Err(UnreadableConsent);
            }
            links.push(BlockLink { position, primary, mark, leaf, ended: ended == 1 });
        }
        let sorted = links.is_sorted_by(|a, b| (a.position, a.leaf) < (b.position, b.leaf));
        if sorted && !links.is_empty() { Ok(links) } else { Err(UnreadableConsent) }
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], UnreadableConsent> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(UnreadableConsent)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], UnreadableConsent> {
        self.bytes(N)?.try_into().map_err(|_| UnreadableConsent)
    }

    fn u8(&mut self) -> Result<u8, UnreadableConsent> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<u16, UnreadableConsent> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn instant(&mut self) -> Result<i64, UnreadableConsent> {
        Some(i64::from_le_bytes(self.array()?)).filter(|at| *at != NEVER).ok_or(UnreadableConsent)
    }

    /// Reads a position after `last`.
    fn position(&mut self, last: Option<u16>) -> Result<u16, UnreadableConsent> {
        let position = self.u16()?;
        let fits = usize::from(position) < POSITIONS && last.is_none_or(|last| last < position);
        if fits { Ok(position) } else { Err(UnreadableConsent) }
    }

    fn purpose(&mut self) -> Result<PurposeId, UnreadableConsent> {
        let length = self.u8()?;
        let name = std::str::from_utf8(self.bytes(usize::from(length))?).map_err(|_| UnreadableConsent)?;
        PurposeId::new(name).map_err(|_| UnreadableConsent)
    }

    fn node(&mut self) -> Result<NodeConsent, UnreadableConsent> {
        let mut node =
            NodeConsent { newest: self.times()?, newest_withdrawal: self.times()?, ..NodeConsent::default() };
        for mark in &mut node.marks {
            (mark.held, mark.expired, mark.withdrawn) = (self.set()?, self.set()?, self.set()?);
            (mark.starts, mark.ends) = (self.times()?, self.times()?);
        }
        Ok(node)
    }

    fn set(&mut self) -> Result<Bits, UnreadableConsent> {
        let mut words: Words = [0; WORDS];
        match self.u8()? {
            0 => return Ok(Bits::default()),
            1 => {
                let mut last = None;
                for _ in 0..self.u16()? {
                    let position = self.position(last)?;
                    put_in(&mut words, position);
                    last = Some(position);
                }
            }
            2 => {
                for word in &mut words {
                    *word = u64::from_le_bytes(self.array()?);
                }
            }
            _ => return Err(UnreadableConsent),
        }
        Ok(Bits::from_words(&words))
    }

    fn times(&mut self) -> Result<Times, UnreadableConsent> {
        let form = match self.u8()? {
            0 => return Ok(Times::default()),
            1 => self.list()?,
            2 => self.coded()?,
            3 => self.each()?,
            _ => return Err(UnreadableConsent),
        };
        Ok(Times::from_form(form))
    }

    fn list(&mut self) -> Result<Form, UnreadableConsent> {
        let count = usize::from(self.u16()?);
        if count > FEW {
            return Err(UnreadableConsent);
        }
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            let position = self.position(list.last().map(|(position, _)| *position))?;
            list.push((position, self.instant()?));
        }
        Ok(Form::Few(list))
    }

    fn coded(&mut self) -> Result<Form, UnreadableConsent> {
        let mut values = Vec::with_capacity(CODES);
        for _ in 0..self.u8()? {
            values.push(self.instant()?);
        }
        let codes: Box<[u8]> = self.bytes(POSITIONS)?.into();
        if codes.iter().all(|code| usize::from(*code) <= values.len()) {
            Ok(Form::Coded { values, codes })
        } else {
            Err(UnreadableConsent)
        }
    }

    fn each(&mut self) -> Result<Form, UnreadableConsent> {
        let mut all = vec![NEVER; POSITIONS].into_boxed_slice();
        for position in self.set()?.positions() {
            let at = self.instant()?;
            all.get_mut(usize::from(position)).into_iter().for_each(|slot| *slot = at);
        }
        Ok(Form::Each(all))
    }
}
