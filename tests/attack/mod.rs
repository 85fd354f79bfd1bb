//! Attacks on what is stored, by someone who has it. [`thief`] is the tool, [`town`] is what it is tried on.

mod erasure;
mod finds;
mod thief;
mod town;
