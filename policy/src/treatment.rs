//! What may be done to a field before it leaves: the disclosure order of the design, strictest first.

use serde::{Deserialize, Serialize};

/// A treatment of a field. The order is by disclosure: a smaller treatment discloses less.
///
/// For one field the strictest applicable treatment wins, whatever the order of policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Treatment {
    /// Nothing about the field may be used or leave.
    Deny,
    /// Only differentially private aggregates.
    Aggregate,
    /// A keyed pseudonym of the value.
    Pseudonymise,
    /// A coarser value from the public domain.
    Generalise,
    /// Part of the value.
    Mask,
    /// The value. Exists only on the subject's own access path.
    Clear,
}

impl Treatment {
    /// The treatments that a use for a purpose can reach, strictest first. [`Treatment::Clear`] is none of them: no purpose
    /// leads to it.
    pub const RELEASING: [Self; 4] = [Self::Aggregate, Self::Pseudonymise, Self::Generalise, Self::Mask];

    /// Returns the Cedar action that stands for this treatment; `None` for [`Treatment::Deny`].
    pub const fn action(self) -> Option<&'static str> {
        match self {
            Self::Deny => None,
            Self::Aggregate => Some("release_aggregate"),
            Self::Pseudonymise => Some("release_pseudonymise"),
            Self::Generalise => Some("release_generalise"),
            Self::Mask => Some("release_mask"),
            Self::Clear => Some("release_clear"),
        }
    }
}
