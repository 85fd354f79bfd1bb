//! Audiences: pseudonymised rows for one partner. Not DP, and said so: a partner sees exact membership.

use parking_lot::{ArcRwLockReadGuard, RawRwLock};
use policy::id::{PartnerId, PurposeId};
use policy::privacy::NanoRho;
use policy::schema::FieldRef;
use policy::segment::Segment;

/// A request for an audience.
#[derive(Debug, Clone)]
pub struct AudienceQuestion {
    /// For whom; the permit's role must be this partner.
    pub partner: PartnerId,
    /// Who could be in it at all.
    pub universe: Segment,
    /// Who.
    pub segment: Segment,
    /// Granted tags to deliver, generalised.
    pub tags: Vec<FieldRef>,
    /// Price of the noisy size that is tested against the minimum.
    pub rho: NanoRho,
}

/// One row of an audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// This partner's pseudonym of the subject in this epoch.
    pub pseudonym: String,
    /// Labels of the tags asked for; `None` where blanked so that no combination is held by fewer than k.
    pub tags: Vec<Option<String>>,
}

/// A delivered audience. Its rows leave through [`crate::Vault::emit`] only, which asks once more who still agrees.
#[derive(Debug)]
pub struct Audience {
    /// Ordered by pseudonym, which is random, so the order tells nothing.
    pub(crate) rows: Vec<(u32, Member)>,
    /// Number of the dataset.
    pub(crate) dataset: u32,
    /// The sharing it was delivered for.
    pub(crate) purpose: Option<PurposeId>,
    /// Index of the INTENT leaf in the access tree.
    pub leaf: u64,
    /// What the size test cost.
    pub rho: NanoRho,
}

impl Audience {
    /// Returns how many rows it was delivered with; people who withdraw before a row leaves are missing from those.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Says whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Rows on their way out. Withdrawals do not return while this is held: keep it until the rows are with the transport.
pub struct Emission {
    /// The rows of those who still agree.
    pub members: Vec<Member>,
    pub(crate) _fence: ArcRwLockReadGuard<RawRwLock, ()>,
}

impl std::fmt::Debug for Emission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emission").field("members", &self.members.len()).finish_non_exhaustive()
    }
}
