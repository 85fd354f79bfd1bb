//! What can be said of one person.

/// A value of a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    Missing,
    Code(u16),
    Int(i64),
    Bytes(Vec<u8>),
}

/// One thing that a piece or a journal's entry says of one person.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// The subject key, from the entry that made the subject.
    Key(Vec<u8>),
    /// The hidden bytes.
    Hidden([u8; 32]),
    /// An attribute, by its column.
    Attribute(u16, Cell),
    /// An event and its fields in order.
    Event { event: u16, id: Option<u64>, at: Option<i64>, values: Vec<Cell> },
    /// An entry of the history: a consent, or a request.
    History(serde_json::Value),
    /// A decision on a purpose, from the state of a block.
    Decided(String),
}

impl Fact {
    /// Whether it says anything at all.
    pub fn tells(&self) -> bool {
        match self {
            Self::Attribute(_, Cell::Missing) => false,
            Self::Key(key) => !key.is_empty(),
            Self::Hidden(hidden) => *hidden != [0; 32],
            _ => true,
        }
    }
}
