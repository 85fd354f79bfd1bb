//! Attacks: on what is stored, by someone who has it ([`thief`] is the tool, [`town`] is what it is tried on), and on what is
//! answered, by someone who may ask ([`releases`]).

mod erasure;
mod finds;
mod releases;
mod thief;
mod town;
