//! Audiences: pseudonymised rows for one partner. Not DP, and said so: a partner sees exact membership.

use policy::id::PartnerId;
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

/// A delivered audience: members ordered by pseudonym, which is random, so the order tells nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    /// The rows.
    pub members: Vec<Member>,
    /// Index of the INTENT leaf in the access tree.
    pub leaf: u64,
    /// What the size test cost.
    pub rho: NanoRho,
}
