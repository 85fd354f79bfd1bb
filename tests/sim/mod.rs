//! Models of protocols, checked exhaustively.

mod ledger;
