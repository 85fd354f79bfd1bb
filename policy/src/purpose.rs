//! The tree of purposes: `marketing` covers `marketing.portrait`, never `marketingx`.

use crate::id::PurposeId;
use crate::permit::Role;
use std::collections::BTreeSet;
use std::iter::successors;

/// Returns whether `wider` covers `purpose`: equal, or an ancestor of it on dot boundaries.
pub fn covers(wider: &PurposeId, purpose: &PurposeId) -> bool {
    purpose.as_str().strip_prefix(wider.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The purpose that two subjects who are one person both consent to before they are linked. A link rests on nothing else.
pub const LINKING: &str = "identity.linking";

/// The branch of the tree whose purposes name who data is shared with.
const SHARING: &str = "sharing";

/// Returns whether a role may use a purpose as far as sharing goes: a partner uses of the `sharing` branch only
/// `sharing.partner.` and its own name, and what lies under that. The rules decide everything else.
pub fn partner_may_use(role: &Role, purpose: &PurposeId) -> bool {
    let mut parts = purpose.as_str().split('.');
    match role {
        Role::Partner(own) if parts.next() == Some(SHARING) => {
            parts.next() == Some("partner") && parts.next() == Some(own.as_str())
        }
        _ => true,
    }
}

/// Walks from a purpose up to its root: `a.b.c`, `a.b`, `a`.
pub fn lineage(purpose: &PurposeId) -> impl Iterator<Item = &str> {
    successors(Some(purpose.as_str()), |below| below.rsplit_once('.').map(|(above, _)| above))
}

/// Returns whether a purpose is one of those declared, or an ancestor of one; only such can be consented to.
pub fn is_declared(declared: &[PurposeId], purpose: &PurposeId) -> bool {
    declared.iter().any(|leaf| covers(purpose, leaf))
}

/// Lists the partners with whom a purpose shares data, among those that a dataset declares purposes for: of
/// `sharing.partner.crmco` it is `crmco`, of `sharing` all.
pub fn recipients<'a>(declared: &'a [PurposeId], purpose: &'a PurposeId) -> BTreeSet<&'a str> {
    let within = declared.iter().filter(|leaf| covers(purpose, leaf)).chain(std::iter::once(purpose));
    within.filter_map(partner_of).collect()
}

/// Returns the partner that a purpose of the `sharing` branch names.
fn partner_of(purpose: &PurposeId) -> Option<&str> {
    purpose.as_str().strip_prefix(SHARING)?.strip_prefix(".partner.")?.split('.').next()
}

/// Returns the purpose that names a partner: `sharing.partner.crmco`. `None` for other roles, and for a partner whose name
/// leaves no room for it.
pub fn own_purpose(role: &Role) -> Option<PurposeId> {
    PurposeId::new(&format!("{SHARING}.partner.{}", role.partner()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{InvalidName, PartnerId};

    #[test]
    fn parents_cover_children_on_dot_boundaries_only() -> Result<(), InvalidName> {
        let purpose = PurposeId::new;
        assert!(covers(&purpose("marketing")?, &purpose("marketing")?));
        assert!(covers(&purpose("marketing")?, &purpose("marketing.portrait.region")?));
        assert!(!covers(&purpose("marketing")?, &purpose("marketingx")?));
        assert!(!covers(&purpose("marketing.portrait")?, &purpose("marketing")?));
        assert!(!covers(&purpose("marketing.por")?, &purpose("marketing.portrait")?));
        Ok(())
    }

    #[test]
    fn a_partner_shares_under_its_own_name_only() -> Result<(), InvalidName> {
        let acme = Role::Partner(PartnerId::new("acme")?);
        for (purpose, allowed) in [
            ("sharing.partner.acme", true),
            ("sharing.partner.acme.suppression", true),
            ("sharing.partner.acme2", false),
            ("sharing.partner.other", false),
            ("sharing.partner", false),
            ("sharing", false),
            ("sharing.acme", false),
            ("marketing.measurement", true),
        ] {
            assert_eq!(partner_may_use(&acme, &PurposeId::new(purpose)?), allowed, "{purpose}");
            assert!(partner_may_use(&Role::Service, &PurposeId::new(purpose)?));
        }
        Ok(())
    }

    #[test]
    fn recipients_are_the_partners_that_a_purpose_names_or_covers() -> Result<(), InvalidName> {
        let declared = ["marketing.portrait", "sharing.partner.acme", "sharing.partner.zinc"];
        let declared: Vec<PurposeId> = declared.into_iter().map(PurposeId::new).collect::<Result<_, _>>()?;
        for (purpose, expected) in [
            ("marketing", &[][..]),
            ("sharing.partner.acme", &["acme"]),
            ("sharing.partner.acme.feed", &["acme"]),
            ("sharing.partner", &["acme", "zinc"]),
            ("sharing", &["acme", "zinc"]),
        ] {
            let purpose = PurposeId::new(purpose)?;
            assert!(recipients(&declared, &purpose).into_iter().eq(expected.iter().copied()), "{purpose}");
        }
        Ok(())
    }

    #[test]
    fn lineage_ends_at_the_root() -> Result<(), InvalidName> {
        assert_eq!(lineage(&PurposeId::new("a.b.c")?).collect::<Vec<_>>(), ["a.b.c", "a.b", "a"]);
        assert_eq!(lineage(&PurposeId::new("a")?).collect::<Vec<_>>(), ["a"]);
        Ok(())
    }

    #[test]
    fn declared_purposes_bring_their_ancestors() -> Result<(), InvalidName> {
        let declared = [PurposeId::new("marketing.portrait")?, PurposeId::new("sharing.partner.crmco")?];
        for yes in ["marketing", "marketing.portrait", "sharing.partner"] {
            assert!(is_declared(&declared, &PurposeId::new(yes)?), "{yes}");
        }
        for no in ["market", "marketing.portrait.x", "other"] {
            assert!(!is_declared(&declared, &PurposeId::new(no)?), "{no}");
        }
        Ok(())
    }
}
