//! Extensions of a lifetime's cap: bounded, acknowledged, logged with what they come to, and kept.

use super::*;
use crate::budget::{Extended, Statement};
use crate::log::Leaf;
use crate::vault::Tree;
use policy::privacy::Extension;

const WHY: &str = "a second year of the shop, see minutes 2026-11";
/// A dataset whose lifetime lasts for two charges of a client's quota.
const SHORT: &str = "quarter = \"0.2\"\nlifetime = \"0.2\"";

impl Shop {
    fn short() -> Self {
        let mut shop = Self::new();
        let text = SCHEMA.replace("\"shop\"", "\"short\"");
        let text = text.replace("quarter = \"100000\"\nlifetime = \"100000\"", SHORT);
        shop.schema = policy::schema::parse(&text).unwrap();
        shop.vault().create_dataset(&shop.permit(Role::Steward, Verb::ManageDataset, None), &text, NOW).unwrap();
        shop.fill(0, 40, &["marketing.segmentation"]);
        shop.close(20);
        shop
    }

    pub(super) fn plan_extension(&self, by: u64) -> Result<Extended, VaultError> {
        self.vault().plan_extension(&self.steward_as(""), NanoRho(by))
    }

    pub(super) fn extend(&self, request: &str, by: u64, acknowledged: &str) -> Result<Extended, VaultError> {
        self.vault().extend_budget(&self.steward_as(request), NanoRho(by), WHY, acknowledged, later(31))
    }

    fn steward_as(&self, request: &str) -> Permit {
        self.permit_for("desk", request, Role::Steward, Verb::ExtendBudget, None)
    }

    pub(super) fn statement(&self) -> Statement {
        let permit = self.permit(Role::Steward, Verb::ReadBudget, None);
        self.vault().budget(&permit, &ClientId::new("insights").unwrap(), later(40)).unwrap()
    }

    fn spend(&self, client: &str, text: &str, rho: u64) -> Result<(), Reason> {
        let permit = self.permit_for(client, "", Role::Service, Verb::Release, Some("marketing.segmentation"));
        let (universe, segment) = (Segment::everyone(), self.segment(text));
        let rho = NanoRho(rho);
        let question = Question { dataset: self.schema.dataset.clone(), universe, segment, kind: Kind::Size, rho };
        match self.vault().release(&permit, &question, later(35)) {
            Ok(_) => Ok(()),
            Err(VaultError::Refused(refusal)) => Err(refusal.reason),
            Err(other) => panic!("{other}"),
        }
    }

    fn leaf(&self, index: u64) -> Leaf {
        Leaf::parse(&self.vault().log.leaf(Tree::Access, index).unwrap()).unwrap()
    }
}

fn reason_of<T: std::fmt::Debug>(result: Result<T, VaultError>) -> (Reason, String) {
    match result {
        Err(VaultError::Refused(refusal)) => (refusal.reason, refusal.message + "; " + &refusal.next_step),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lifetime_that_is_used_up_goes_on_after_an_extension_and_after_a_restart() {
    let mut shop = Shop::short();
    for client in ["one", "two"] {
        assert_eq!(shop.spend(client, "true", 100_000_000 - u64::from(client == "two")), Ok(()));
    }
    assert_eq!(shop.spend("three", "children > 1", 10), Err(Reason::BudgetExhausted));
    let statement = shop.statement();
    assert!(statement.lifetime_ends.is_some() && statement.extensions.is_empty(), "{statement:?}");
    let planned = shop.plan_extension(800_000_000).unwrap();
    assert_eq!(shop.statement(), statement, "a plan changes nothing");
    let done = shop.extend("r1", 800_000_000, &planned.after.epsilon.to_string()).unwrap();
    assert_eq!(Extended { leaf: None, ..done }, planned);
    assert_eq!((done.before.rho, done.after.rho), (NanoRho(200_000_000), NanoRho(1_000_000_000)));
    assert!(done.before.epsilon < done.after.epsilon && done.spent.epsilon <= done.before.epsilon);
    for _ in 0..2 {
        let statement = shop.statement();
        assert_eq!((statement.lifetime_cap, statement.lifetime_ends), (NanoRho(1_000_000_000), None));
        let [Extension { by: NanoRho(800_000_000), because, leaf, .. }] = &statement.extensions[..] else {
            panic!("{statement:?}")
        };
        assert_eq!((because.as_str(), Some(*leaf)), (WHY, done.leaf));
        shop.reopen();
    }
    // The quarter is as it was.
    assert_eq!(shop.spend("three", "children > 1", 10), Err(Reason::BudgetExhausted));
    assert_eq!(shop.spend("three", "children > 1", 1), Ok(()));
}

#[test]
fn the_leaf_of_an_extension_says_who_and_why_and_what_may_be_lost() {
    let shop = Shop::short();
    let epsilon = shop.plan_extension(100_000_000).unwrap().after.epsilon;
    let done = shop.extend("r1", 100_000_000, &epsilon.to_string()).unwrap();
    let leaf = shop.leaf(done.leaf.unwrap());
    assert_eq!(leaf.client.as_ref().map(ClientId::as_str), Some("desk"));
    assert_eq!(leaf.reason.as_ref().map(crate::log::Word::as_str), Some(WHY));
    assert_eq!((leaf.rho, leaf.population.as_ref()), (Some(NanoRho(100_000_000)), Some(&shop.schema.population)));
    let count = |name: &str| leaf.counts[&crate::log::Word::new(name).unwrap()];
    assert_eq!(count("lifetime nano-rho before"), 200_000_000);
    assert_eq!(count("lifetime nano-rho after"), 300_000_000);
    let hundredths = count("lifetime epsilon hundredths after");
    assert_eq!(format!("{}.{:02}", hundredths / 100, hundredths % 100), epsilon.to_string());
    assert_eq!(count("delta in 1e-18"), 1_000_000_000);
    let told = crate::log::explain(&leaf);
    for words in ["client `desk` extended the lifetime's budget", WHY, "added rho 0.1 to population `short`"] {
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn nobody_extends_by_accident_or_twice() {
    let shop = Shop::short();
    let epsilon = shop.plan_extension(100_000_000).unwrap().after.epsilon.to_string();
    for acknowledged in ["", "0", "3.89"] {
        let (reason, said) = reason_of(shop.extend("r1", 100_000_000, acknowledged));
        assert_eq!(reason, Reason::RequestInvalid);
        assert!(said.contains(&format!("epsilon {epsilon} at delta 1e-9")), "{said}");
    }
    let first = shop.extend("r1", 100_000_000, &epsilon).unwrap();
    // The same again is told what was done; what was acknowledged then is not what another one comes to.
    assert_eq!(shop.extend("r1", 100_000_000, &epsilon).unwrap(), first);
    assert_eq!(reason_of(shop.extend("r1", 50_000_000, &epsilon)).0, Reason::RequestIdReused);
    assert_eq!(reason_of(shop.extend("r2", 100_000_000, &epsilon)).0, Reason::RequestInvalid);
    assert_eq!(shop.statement().extensions.len(), 1);
    // More than a year's worth, nothing, and reasons that are none.
    for by in [0, 800_000_001] {
        assert_eq!(reason_of(shop.plan_extension(by)).0, Reason::RequestInvalid);
        assert_eq!(reason_of(shop.extend("r3", by, &epsilon)).0, Reason::RequestInvalid);
    }
    for because in ["", "  ", "asked by ann@shop.example", "tel 0171234567"] {
        let asked = shop.vault().extend_budget(&shop.steward_as("r4"), NanoRho(1), because, &epsilon, later(31));
        assert_eq!(reason_of(asked).0, Reason::RequestInvalid, "{because}");
    }
    let reader = shop.permit(Role::Steward, Verb::ReadBudget, None);
    let asked = shop.vault().extend_budget(&reader, NanoRho(1), WHY, &epsilon, later(31));
    assert_eq!(reason_of(asked).0, Reason::PurposeDenied);
}
