//! Whether an audience is far enough from those that its partner holds, and what of its rows' tags may be told.
//!
//! People are put into classes by all that the partner knows of them: for each audience it holds, whether they are in it, and with
//! which labels. An audience tells every class apart into those in it and the others. What is guaranteed of both parts: at least
//! [`K`] people, or nobody at all **and that follows from the questions alone**, whoever the people are
//! ([`Segment::is_within`], [`Segment::has_nobody`]). That a part is empty by chance is refused as if it had a few, or else a
//! refusal would tell that there is somebody: whether one known person has bought something, for instance. Within a class,
//! labels that fewer than [`K`] share are blanked.
//!
//! What is not: people whom the partner planted count, so that with `K - 1` of its own it tells one person more from none.

use super::VaultError;
use super::write::refuse;
use policy::decide::Reason;
use policy::schema::{FieldRef, Schema};
use policy::segment::{Expr, Segment, Test};
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet};

/// Fewest rows that may share a combination of tags and memberships.
pub const K: usize = 20;

/// Coarse labels of one person's tags; `None` for a missing or blanked one.
pub(super) type Labels<'a> = Vec<Option<&'a str>>;

/// A person of an audience, or of one that its partner holds, before it is named.
pub(super) struct Person<'a> {
    pub(super) ordinal: u32,
    pub(super) hidden: [u8; 32],
    /// For each field that was read, in their order.
    pub(super) labels: Labels<'a>,
}

impl<'a> Person<'a> {
    /// Picks the labels of some tags out of those of all fields that were read.
    fn labels(&self, tags: &[FieldRef], fields: &BTreeSet<FieldRef>) -> Labels<'a> {
        let place = |tag: &FieldRef| fields.iter().position(|field| field == tag);
        tags.iter().map(|tag| place(tag).and_then(|place| self.labels.get(place).copied().flatten())).collect()
    }
}

/// A row before it is named: ordinal, hidden bytes and labels.
pub(super) type Row<'a> = (u32, [u8; 32], Labels<'a>);

/// What an audience that the partner holds told it.
pub(super) struct Held {
    pub(super) members: RoaringBitmap,
    pub(super) tags: Vec<FieldRef>,
    pub(super) blanked: RoaringBitmap,
    /// Who it is of, if that was remembered.
    pub(super) who: Option<Segment>,
}

impl Held {
    /// Returns the labels it told of a person, if it has the person.
    fn told<'a>(&self, person: &Person<'a>, fields: &BTreeSet<FieldRef>) -> Option<Labels<'a>> {
        let blank = self.blanked.contains(person.ordinal);
        let labels = || if blank { vec![None; self.tags.len()] } else { person.labels(&self.tags, fields) };
        self.members.contains(person.ordinal).then(labels)
    }
}

/// What an audience is asked for.
pub(super) struct Asked<'a> {
    /// Who.
    pub(super) who: Segment,
    /// Who they are.
    pub(super) found: &'a RoaringBitmap,
    /// What is told of them.
    pub(super) tags: &'a [FieldRef],
    /// The fields that labels of people were read of.
    pub(super) fields: &'a BTreeSet<FieldRef>,
}

/// What the partner knows of the people of a class.
type Known<'a> = Vec<Option<Labels<'a>>>;

/// The people of a class who are in the audience, and how many are not.
type Parts<'p, 'a> = (Vec<&'p Person<'a>>, usize);

/// Returns the rows of an audience under these rules, and whose tags were blanked. `people` are those of the audience and of all
/// that are held.
pub(super) fn rows<'a>(
    asked: &Asked<'_>,
    people: &[Person<'a>],
    held: &[Held],
    schema: &Schema,
) -> Result<(Vec<Row<'a>>, RoaringBitmap), VaultError> {
    differs_enough(asked, held, schema)?;
    let mut classes: BTreeMap<Known<'a>, Parts<'_, 'a>> = BTreeMap::new();
    for person in people {
        let known = held.iter().map(|audience| audience.told(person, asked.fields)).collect();
        let (inside, outside) = classes.entry(known).or_default();
        if asked.found.contains(person.ordinal) { inside.push(person) } else { *outside += 1 }
    }
    // Those who are in none that is held are a class also where there is nobody; everybody else is outside of it.
    let strangers: Known<'_> = vec![None; held.len()];
    classes.entry(strangers.clone()).or_default();
    let mut delivered = Vec::with_capacity(people.len());
    let mut blanked = RoaringBitmap::new();
    for (known, (inside, outside)) in classes {
        let follows = Follows { asked, held, known: &known, schema };
        let few_inside = inside.len() < K && !(inside.is_empty() && follows.nobody_inside());
        let few_outside = outside < K && known != strangers && !(outside == 0 && follows.nobody_outside());
        if few_inside || few_outside {
            let message =
                format!("fewer than {K} people, or nobody, share what this audience and those you hold say of them");
            return refuse(Reason::AudienceTooSmall, message, "use the ones you hold, or wait for the next epoch");
        }
        let labels = inside.iter().map(|person| person.labels(asked.tags, asked.fields)).collect();
        for (person, labels) in inside.into_iter().zip(blank_rare(labels)) {
            if labels.iter().all(Option::is_none) {
                blanked.insert(person.ordinal);
            }
            delivered.push((person.ordinal, person.hidden, labels));
        }
    }
    if delivered.len() < K {
        return refuse(
            Reason::AudienceTooSmall,
            format!("this audience has fewer than {K} people"),
            "widen the segment",
        );
    }
    Ok((delivered, blanked))
}

/// Refuses an audience that differs from a held one by less than K people, in either direction, unless it follows that it does
/// not differ.
fn differs_enough(asked: &Asked<'_>, held: &[Held], schema: &Schema) -> Result<(), VaultError> {
    let few = |people: RoaringBitmap, follows: &dyn Fn(&Segment) -> bool, who: &Option<Segment>| {
        let nobody = people.is_empty() && who.as_ref().is_some_and(follows);
        people.len() < K as u64 && !nobody
    };
    let near = |audience: &Held| {
        let (found, members) = (asked.found, &audience.members);
        few(found - members, &|who| asked.who.is_within(who, schema), &audience.who)
            || few(members - found, &|who| who.is_within(&asked.who, schema), &audience.who)
    };
    if held.iter().any(near) {
        return refuse(
            Reason::AudienceTooSmall,
            format!("this audience differs from one you hold by fewer than {K} people, or by nobody"),
            "use the one you hold, ask for people who are in it or not by their very words, or wait for the next epoch",
        );
    }
    Ok(())
}

/// What follows from the questions alone of a class.
struct Follows<'a> {
    asked: &'a Asked<'a>,
    held: &'a [Held],
    known: &'a [Option<Labels<'a>>],
    schema: &'a Schema,
}

impl Follows<'_> {
    /// That nobody of the class is in the audience.
    fn nobody_inside(&self) -> bool {
        let parts = self.words();
        let inside = Segment::all_of(parts.iter().chain([&self.asked.who]), self.schema);
        inside.has_nobody(self.schema) || inside.is_within(&Segment::any_of(self.others(), self.schema), self.schema)
    }

    /// That everybody of it is.
    fn nobody_outside(&self) -> bool {
        let class = Segment::all_of(&self.words(), self.schema);
        let elsewhere = Segment::any_of(self.others().chain([&self.asked.who]), self.schema);
        class.is_within(&elsewhere, self.schema)
    }

    /// Who is in held audiences that nobody of the class is in.
    fn others(&self) -> impl Iterator<Item = &Segment> {
        let others = self.held.iter().zip(self.known).filter(|(_, told)| told.is_none());
        others.filter_map(|(audience, _)| audience.who.as_ref())
    }

    /// What is certain of whoever is in the class, in the words of expressions: who is in the held audiences, and which values
    /// their labels are groups of.
    fn words(&self) -> Vec<Segment> {
        let told = self.held.iter().zip(self.known).filter_map(|(audience, told)| Some((audience, told.as_ref()?)));
        let mut parts = Vec::new();
        for (audience, labels) in told {
            parts.extend(audience.who.clone());
            let known = audience.tags.iter().zip(labels).filter_map(|(tag, label)| Some((tag, (*label)?)));
            parts.extend(known.filter_map(|(tag, label)| labeled(*tag, label, self.schema)));
        }
        parts
    }
}

/// Those whose value is in the group of a label.
fn labeled(tag: FieldRef, label: &str, schema: &Schema) -> Option<Segment> {
    let FieldRef::Attribute(column) = tag else { return None };
    let field = schema.field(tag)?;
    let last = field.ty.cardinality().and_then(|values| u16::try_from(values).ok())?;
    let codes = (1..=last).filter(|code| field.coarse_label(*code) == Some(label)).collect();
    Some(Segment::from_expr(Expr::Attribute(column, Test::Codes(codes)), schema))
}

/// Blanks the labels that fewer than [`K`] rows share, and goes on with the next smallest class while the blanked rows are
/// themselves too few.
fn blank_rare(mut rows: Vec<Labels<'_>>) -> Vec<Labels<'_>> {
    let mut classes: BTreeMap<Labels<'_>, Vec<usize>> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        classes.entry(row.clone()).or_default().push(index);
    }
    let blank = rows.first().map(|row| vec![None; row.len()]).unwrap_or_default();
    let mut blanked = classes.remove(&blank).unwrap_or_default();
    let mut sized: Vec<Vec<usize>> = classes.into_values().collect();
    sized.sort_by_key(Vec::len);
    for class in sized {
        if class.len() < K || (!blanked.is_empty() && blanked.len() < K) {
            blanked.extend(class);
        }
    }
    for index in blanked {
        if let Some(row) = rows.get_mut(index) {
            row.fill(None);
        }
    }
    rows
}
