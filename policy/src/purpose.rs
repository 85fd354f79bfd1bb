//! The tree of purposes: `marketing` covers `marketing.portrait`, never `marketingx`.

use crate::id::PurposeId;

/// Returns whether `wider` covers `purpose`: equal, or an ancestor of it on dot boundaries.
pub fn covers(wider: &PurposeId, purpose: &PurposeId) -> bool {
    purpose.as_str().strip_prefix(wider.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
