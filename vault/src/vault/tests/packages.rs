//! Access packages, part by part: whole, in bounded parts, of one moment or saying that they are not, and gone with the person.

use super::*;
use crate::subjects::{
    AccessEnd, AccessPart, AudienceUse, Fulfilled, HeldConsent, HeldEvents, HeldLink, OnItsWay, PastRecipient,
    Standing, UseSummary,
};
use crate::vault::AccessReading;
use policy::schema::IdentityKind;
use std::collections::{BTreeMap, BTreeSet};

const PURPOSE: &[&str] = &["marketing.segmentation"];

/// A package put together again.
#[derive(Default)]
pub(super) struct Package {
    pub known_by: IdentityKind,
    pub identifier: Option<Value>,
    pub links: Vec<HeldLink>,
    pub attributes: Vec<(ColumnId, Value)>,
    /// One of each type.
    pub events: Vec<HeldEvents>,
    /// As the head counts them.
    pub counts: Vec<u64>,
    pub standings: Vec<Standing>,
    pub restricted: bool,
    pub holds: Vec<crate::holds::Hold>,
    pub kept_until: BTreeMap<ColumnId, i32>,
    pub uses: Vec<UseSummary>,
    pub recipients: Vec<PastRecipient>,
    pub withheld: usize,
    pub consents: Vec<HeldConsent>,
    pub audiences: Vec<AudienceUse>,
    pub requests: Vec<Fulfilled>,
    /// Events of each part.
    pub parts: Vec<usize>,
    pub end: Option<AccessEnd>,
}

impl std::fmt::Debug for Package {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Package(..)")
    }
}

impl Package {
    fn take(&mut self, part: AccessPart) {
        match part {
            AccessPart::Head(head) => {
                (self.attributes, self.holds) = (head.attributes, head.holds);
                (self.known_by, self.identifier, self.links) = (head.known_by, head.identifier, head.links);
                self.events = head.types.iter().map(|of| HeldEvents { event: of.event, rows: Vec::new() }).collect();
                self.counts = head.types.iter().map(|of| of.count).collect();
                (self.standings, self.restricted, self.uses) = (head.standings, head.restricted, head.uses);
                (self.withheld, self.kept_until, self.recipients) =
                    (head.withheld.len(), head.kept_until, head.recipients);
            }
            AccessPart::Records(records) => {
                self.consents.extend(records.consents);
                self.audiences.extend(records.audiences);
                self.requests.extend(records.requests);
            }
            AccessPart::Events(held) => {
                self.parts.push(held.rows.len());
                self.events.iter_mut().find(|of| of.event == held.event).unwrap().rows.extend(held.rows);
            }
            AccessPart::End(end) => self.end = Some(end),
        }
    }

    fn changed(&self) -> bool {
        self.end.as_ref().unwrap().changed
    }
}

impl Vault {
    /// Reads a package to its end.
    pub(super) fn access_subject(
        &self,
        permit: &Permit,
        subject: &SubjectKey,
        now: Timestamp,
    ) -> Result<Package, VaultError> {
        let mut reading = self.begin_access(permit, subject, now)?;
        let mut package = Package::default();
        while let Some((part, _on_its_way)) = self.next_part(permit, subject, &mut reading, now)? {
            package.take(part);
        }
        Ok(package)
    }
}

impl Shop {
    fn begin(&self, number: usize) -> (Permit, AccessReading) {
        let permit = self.permit_about(Verb::AccessSubject, number);
        let reading = self.vault().begin_access(&permit, &key(number), later(60)).unwrap();
        (permit, reading)
    }

    /// Reads on; stops after the first events if asked to.
    fn read_on(
        &self,
        number: usize,
        (permit, reading): &mut (Permit, AccessReading),
        package: &mut Package,
        stop: bool,
    ) {
        while let Some((part, _way)) = self.vault().next_part(permit, &key(number), reading, later(61)).unwrap() {
            let events = matches!(part, AccessPart::Events(_));
            package.take(part);
            if events && stop {
                return;
            }
        }
    }

    fn many(&self, number: usize, ids: std::ops::Range<u64>) {
        for ids in ids.collect::<Vec<_>>().chunks(4_000) {
            self.ingest(
                ids.iter().map(|id| order(number, *id, 1, -i64::try_from(*id * 7 % 100_003).unwrap())).collect(),
            );
        }
    }
}

fn is_sorted_and_whole(package: &Package, ids: std::ops::Range<u64>) {
    let rows = &package.events[0].rows;
    assert!(rows.is_sorted_by_key(|row| (row.at, row.id)));
    let told: BTreeSet<u64> = rows.iter().map(|row| row.id).collect();
    assert_eq!((rows.len(), told.first(), told.last()), (told.len(), Some(&ids.start), Some(&(ids.end - 1))));
    assert_eq!(told.len() as u64, ids.end - ids.start);
}

#[test]
fn many_events_come_in_bounded_parts_folded_or_not() {
    let shop = Shop::new();
    shop.fill(0, 3, PURPOSE);
    shop.many(1, 1..20_001);
    let unfolded = shop.vault().access_subject(&shop.permit_about(Verb::AccessSubject, 1), &key(1), later(60)).unwrap();
    is_sorted_and_whole(&unfolded, 1..20_001);
    shop.close(20);
    // Among the folded ones in time, and some ids again.
    shop.many(1, 19_000..24_001);
    let package = shop.vault().access_subject(&shop.permit_about(Verb::AccessSubject, 1), &key(1), later(60)).unwrap();
    is_sorted_and_whole(&package, 1..24_001);
    assert_eq!((package.counts[0], package.changed()), (24_000, false));
    assert!(package.parts.len() > 4 && package.parts.iter().all(|rows| *rows <= 6_000), "{:?}", package.parts);
}

#[test]
fn the_end_says_whether_what_is_held_changed_meanwhile() {
    let purpose = || Record::Profile { subject: key(1), values: vec![(ColumnId(3), Value::Code(2))] };
    type Meanwhile = fn(&Shop);
    let cases: [(bool, Meanwhile); 6] = [
        (false, |_| {}),
        (false, |shop| shop.close(70)),
        (false, |shop| shop.ingest(vec![order(2, 90_000, 1, -5)])),
        (true, |shop| shop.ingest(vec![order(1, 90_000, 1, -5)])),
        (true, |shop| {
            shop.ingest(vec![order(1, 90_000, 1, -90_000_000)]);
            shop.close(70);
        }),
        (true, |shop| shop.ingest(vec![give(1, PURPOSE[0])])),
    ];
    for (number, (changed, meanwhile)) in cases.into_iter().enumerate() {
        let shop = Shop::new();
        shop.fill(0, 3, &[]);
        shop.many(1, 2..12_001);
        shop.close(20);
        shop.many(1, 12_001..12_501);
        let (mut reading, mut package) = (shop.begin(1), Package::default());
        shop.read_on(1, &mut reading, &mut package, true);
        meanwhile(&shop);
        shop.read_on(1, &mut reading, &mut package, false);
        assert_eq!(package.changed(), changed, "{number}");
        if !changed {
            is_sorted_and_whole(&package, 1..12_501);
        }
    }
    let shop = Shop::new();
    shop.fill(0, 3, PURPOSE);
    let (mut reading, mut package) = (shop.begin(1), Package::default());
    shop.ingest(vec![purpose()]);
    shop.read_on(1, &mut reading, &mut package, false);
    assert!(package.changed(), "an attribute");
}

#[test]
fn an_erasure_waits_for_a_part_on_its_way_and_ends_the_package() {
    let shop = Shop::new();
    shop.fill(0, 3, PURPOSE);
    shop.many(1, 2..5_001);
    let (access, mut reading) = shop.begin(1);
    let next = |reading: &mut AccessReading| shop.vault().next_part(&access, &key(1), reading, later(62));
    let (part, way): (AccessPart, OnItsWay) = next(&mut reading).unwrap().unwrap();
    assert!(matches!(part, AccessPart::Head(_)));
    let permit = shop.permit(Role::Steward, Verb::EraseSubject, None);
    std::thread::scope(|scope| {
        let erasing = scope.spawn(|| shop.vault().erase(&permit, &[key(1)], later(65)).unwrap());
        while shop.vault().state.lock().shared.erasures.is_empty() {
            std::thread::yield_now();
        }
        assert!(!erasing.is_finished(), "a part is on its way");
        assert!(!reading.is_wiped());
        drop(way);
        erasing.join().unwrap();
    });
    assert!(reading.is_wiped(), "what waited in memory");
    let Err(VaultError::Refused(refusal)) = next(&mut reading) else { panic!("a part of someone erased") };
    assert_eq!(refusal.reason, Reason::FieldUnavailable);
    assert!(next(&mut reading).is_err(), "and none after it");
}
