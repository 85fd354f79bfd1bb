//! Whether an audience is far enough from those that its partner holds, and what of its rows' tags may be told.
//!
//! People are put into classes by all that the partner knows of them: for each audience it holds, whether they are in it, and with
//! which labels. An audience tells every class apart into those in it and the others. What is guaranteed of both parts: at least
//! [`K`] people, or nobody at all **and that follows from the questions alone**, whoever the people are
//! ([`Segment::is_within`], [`Segment::has_nobody`]). That a part is empty by chance is refused as if it had a few, or else a
//! refusal would tell that there is somebody: whether one known person has bought something, for instance.
//!
//! Within a class, labels that fewer than [`K`] share are blanked, if at least [`K`] rows are blank then. Where it would be fewer, a
//! blank row would tell that there is somebody with a rare label. Of people whom the partner has not seen, those few are left
//! out, until the next epoch, in whatever audience; of people whom it holds, as many others are blanked as make [`BLANK`], where
//! there is nobody to hide too.
//!
//! What is not: that [`K`] rare labels together are blank tells that there are so many. Nobody who withdrew is looked at, so a class
//! of just [`K`] of whom one withdraws is too small for everything until the next epoch. People whom the partner planted count, so that with `K - 1` of its own it tells one person more from none.

use super::VaultError;
use super::write::refuse;
use policy::decide::Reason;
use policy::schema::{FieldRef, Schema};
use policy::segment::{Expr, Segment, Test};
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet};

/// Fewest rows that may share a combination of tags and memberships.
pub const K: usize = 20;
/// So many rows are blanked where fewer have to be: twice as many, so that some may withdraw.
const BLANK: usize = 2 * K;

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
#[derive(PartialEq)]
pub(super) struct Held {
    pub(super) members: RoaringBitmap,
    pub(super) tags: Vec<FieldRef>,
    pub(super) blanked: RoaringBitmap,
    /// Who it is of, if its words still mean the same: they are true of all its members.
    pub(super) who: Option<Segment>,
    /// Whether it has everybody whom its words are true of and who may be in the audience that is asked for.
    pub(super) is_whole: bool,
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

/// What may be delivered.
pub(super) struct Rows<'a> {
    pub(super) rows: Vec<Row<'a>>,
    /// Whose tags are all blank.
    pub(super) blanked: RoaringBitmap,
    /// Who is left out, so that no tag is told of so few.
    pub(super) left_out: RoaringBitmap,
}

/// Returns the rows of an audience under these rules. `people` are those of the audience and of all that are held.
pub(super) fn rows<'a>(
    asked: &Asked<'_>,
    people: &[Person<'a>],
    held: &[Held],
    schema: &Schema,
) -> Result<Rows<'a>, VaultError> {
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
    let words = held.iter().filter_map(|audience| audience.who.as_ref()).chain([&asked.who]);
    let are_few = words.map(|who| who.canonical().len()).sum::<usize>() <= MAX_WORDS;
    let mut delivered = Vec::with_capacity(people.len());
    let (mut blanked, mut left_out, mut too_few) = (RoaringBitmap::new(), RoaringBitmap::new(), false);
    for (known, (inside, outside)) in classes {
        let few = |part: usize, follows: bool| part < K && !(part == 0 && follows);
        let follows = Follows { asked, held, known: &known, schema, are_few };
        // What follows is asked of small parts, whether anybody is in them or not, and all classes are gone through.
        let few_inside = inside.len() < K && few(inside.len(), follows.nobody_inside());
        let few_outside = outside < K && known != strangers && few(outside, follows.nobody_outside());
        too_few |= few_inside || few_outside;
        let (rows, few) = labeled_rows(asked, held, &known, &inside);
        left_out.extend(few);
        for (person, labels) in rows {
            if labels.iter().all(Option::is_none) {
                blanked.insert(person.ordinal);
            }
            delivered.push((person.ordinal, person.hidden, labels));
        }
    }
    if too_few {
        let message =
            format!("fewer than {K} people, or nobody, share what this audience and those you hold say of them");
        return refuse(Reason::AudienceTooSmall, message, "use the ones you hold, or wait for the next epoch");
    }
    if delivered.len() < K {
        return refuse(
            Reason::AudienceTooSmall,
            format!("this audience has fewer than {K} people"),
            "widen the segment",
        );
    }
    Ok(Rows { rows: delivered, blanked, left_out })
}

/// Refuses an audience that differs from a held one by less than K people, in either direction, unless it follows that it does
/// not differ.
fn differs_enough(asked: &Asked<'_>, held: &[Held], schema: &Schema) -> Result<(), VaultError> {
    let few = |people: RoaringBitmap, follows: &dyn Fn(&Segment) -> bool, audience: &Held| {
        let follows = people.len() < K as u64 && audience.is_whole && audience.who.as_ref().is_some_and(follows);
        people.len() < K as u64 && !(people.is_empty() && follows)
    };
    let near = |audience: &Held| {
        let (found, members) = (asked.found, &audience.members);
        let more = few(found - members, &|who| asked.who.is_within(who, schema), audience);
        let fewer = few(members - found, &|who| who.is_within(&asked.who, schema), audience);
        more || fewer
    };
    // All are compared, whichever is near.
    if held.iter().filter(|audience| near(audience)).count() > 0 {
        return refuse(
            Reason::AudienceTooSmall,
            format!("this audience differs from one you hold by fewer than {K} people, or by nobody"),
            "use the one you hold; or build on its expression, `new && !(held)`; or wait for the next epoch",
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
    /// Whether there are few enough words to conclude anything from.
    are_few: bool,
}

/// Most bytes of the words, written out, that anything is concluded from: the work is of their square.
const MAX_WORDS: usize = 32 * 1024;

impl Follows<'_> {
    /// That nobody of the class is in the audience.
    fn nobody_inside(&self) -> bool {
        if !self.are_few {
            return false;
        }
        let parts = self.words();
        let inside = Segment::all_of(parts.iter().chain([&self.asked.who]), self.schema);
        inside.has_nobody(self.schema) || inside.is_within(&Segment::any_of(self.others(), self.schema), self.schema)
    }

    /// That everybody of it is: all of them may be, and the words say so.
    fn nobody_outside(&self) -> bool {
        let mut told = self.held.iter().zip(self.known).filter(|(_, told)| told.is_some());
        if !self.are_few || !told.any(|(audience, _)| audience.is_whole) {
            return false;
        }
        let class = Segment::all_of(&self.words(), self.schema);
        let elsewhere = Segment::any_of(self.others().chain([&self.asked.who]), self.schema);
        class.is_within(&elsewhere, self.schema)
    }

    /// Who is in whole audiences that nobody of the class is in.
    fn others(&self) -> impl Iterator<Item = &Segment> {
        let others = self.held.iter().zip(self.known).filter(|(_, told)| told.is_none());
        others.filter(|(audience, _)| audience.is_whole).filter_map(|(audience, _)| audience.who.as_ref())
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

/// People with what is told of them.
type Labeled<'p, 'a> = Vec<(&'p Person<'a>, Labels<'a>)>;

/// Returns the people of a class who are in the audience with the labels that are told of them, and who is left out.
fn labeled_rows<'p, 'a>(
    asked: &Asked<'_>,
    held: &[Held],
    known: &[Option<Labels<'a>>],
    inside: &[&'p Person<'a>],
) -> (Labeled<'p, 'a>, Vec<u32>) {
    // What was told of all of them before may be told again: it is the same of all.
    let told = |tag: &FieldRef| {
        let of = held.iter().zip(known).filter_map(|(audience, labels)| Some((audience, labels.as_ref()?)));
        let label = |(audience, labels): (&Held, &Labels<'a>)| {
            // Of a row that is not blank what is missing is missing.
            labels.iter().any(Option::is_some).then(|| audience.tags.contains(tag))
        };
        of.filter_map(label).any(|told| told)
    };
    let labels = inside.iter().map(|person| (*person, person.labels(asked.tags, asked.fields))).collect();
    if asked.tags.iter().all(told) {
        return (labels, Vec::new());
    }
    hide_rare(labels, known.iter().all(Option::is_none))
}

/// Blanks the labels that fewer than [`K`] rows share. Where fewer than [`K`] rows would be blank, those of strangers are left out
/// instead; of others, as many more as make [`BLANK`] are blanked of the first label, or all of it where fewer than [`K`] would be
/// left. Which label is by its name and which rows by their hidden bytes, so always the same ones, and of no meaning.
fn hide_rare<'p, 'a>(mut rows: Labeled<'p, 'a>, are_strangers: bool) -> (Labeled<'p, 'a>, Vec<u32>) {
    rows.sort_by_key(|(person, _)| person.hidden);
    let mut classes: BTreeMap<Labels<'a>, Vec<usize>> = BTreeMap::new();
    for (index, (_, labels)) in rows.iter().enumerate() {
        classes.entry(labels.clone()).or_default().push(index);
    }
    let is_rare = |labels: &Labels<'a>, rows: &[usize]| rows.len() < K || labels.iter().all(Option::is_none);
    let (rare, frequent): (Vec<_>, Vec<_>) = classes.into_iter().partition(|(labels, rows)| is_rare(labels, rows));
    let mut hidden: BTreeSet<usize> = rare.into_iter().flat_map(|(_, rows)| rows).collect();
    if hidden.len() < K && are_strangers {
        let (few, rows): (Vec<_>, Vec<_>) = rows.into_iter().enumerate().partition(|(row, _)| hidden.contains(row));
        let few = few.into_iter().map(|(_, (person, _))| person.ordinal);
        return (rows.into_iter().map(|(_, row)| row).collect(), few.collect());
    }
    if let Some((_, first)) = frequent.into_iter().next().filter(|_| hidden.len() < BLANK) {
        let more = BLANK - hidden.len();
        let enough_left = first.len() >= more + K;
        hidden.extend(first.iter().take(if enough_left { more } else { first.len() }));
    }
    rows.iter_mut().enumerate().filter(|(row, _)| hidden.contains(row)).for_each(|(_, (_, labels))| labels.fill(None));
    (rows, Vec::new())
}
