//! The columns of consent events: every field of one as a small whole number, texts by their place in a list.

use policy::consent::{CollectionMethod, ConsentAct, ConsentEvent, LanguageTag, LawfulBasis, NoticeVersion};
use policy::id::PurposeId;
use policy::time::Timestamp;
use std::collections::HashMap;

// Columns in their order; those that only whole lines are made of have no name.
/// Position in the block.
pub(super) const POSITION: usize = 0;
/// Index of the leaf in the subject tree.
pub(super) const LEAF: usize = 1;
/// When it happened: microseconds since 1970, moved so that they are not negative.
pub(super) const AT: usize = 2;
// 3: 0, or 1 more than the microseconds from then to when it no longer holds.
// 4: act (bit 0: 1 is a withdrawal), basis (bits 1 and 2), and from bit 3 on 0 or 1 more than the place of the method.
/// Purpose, a text.
const PURPOSE: usize = 5;
/// Source, a text.
const SOURCE: usize = 6;
/// 0, or 1 more than the language, a text.
const LANGUAGE: usize = 7;
/// 0, or 1 more than the notice's version, a text.
const NOTICE: usize = 8;
/// How many columns there are.
pub(super) const COLUMNS: usize = 9;

/// Columns of texts; what the last two hold is 1 more than the text.
pub(super) const OF_TEXTS: [(usize, u64); 4] = [(PURPOSE, 0), (SOURCE, 0), (LANGUAGE, 1), (NOTICE, 1)];

/// Most bytes of a text.
pub(super) const MAX_TEXT: usize = u8::MAX as usize;

/// Between the sign bit of an instant and an order of whole numbers.
const SIGN: u64 = 1 << 63;

/// One value for each column.
pub(super) type Line = [u64; COLUMNS];

/// Texts, each once.
#[derive(Default, Clone)]
pub(super) struct Texts {
    pub(super) all: Vec<String>,
    places: HashMap<String, u64>,
}

// Places follow from the texts.
impl PartialEq for Texts {
    fn eq(&self, other: &Self) -> bool {
        self.all == other.all
    }
}

impl Eq for Texts {}

impl Texts {
    /// Takes a list of distinct texts.
    pub(super) fn of(all: Vec<String>) -> Self {
        let places = (0_u64..).zip(&all).map(|(place, text)| (text.clone(), place)).collect();
        Self { all, places }
    }

    fn place(&mut self, text: &str) -> u64 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = self.all.len() as u64;
        self.all.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        place
    }

    fn at(&self, place: u64) -> Option<&str> {
        self.all.get(usize::try_from(place).ok()?).map(String::as_str)
    }

    /// Reads a line; `None` if it is not that of an event.
    pub(super) fn event_of(&self, line: &Line) -> Option<(u64, ConsentEvent)> {
        let [_, leaf, at, lasts, kind, purpose, source, language, notice] = *line;
        let basis = LawfulBasis::ALL.get(usize::try_from(kind >> 1 & 3).ok()?)?;
        let act = if kind & 1 == 0 { ConsentAct::Give } else { ConsentAct::Withdraw };
        let method = match (kind >> 3).checked_sub(1) {
            Some(place) => Some(*CollectionMethod::ALL.get(usize::try_from(place).ok()?)?),
            None => None,
        };
        let at = (at ^ SIGN).cast_signed();
        let expires = match lasts.checked_sub(1) {
            Some(lasts) => Some(Timestamp(at.checked_add_unsigned(lasts)?)),
            None => None,
        };
        let text = |place: u64| place.checked_sub(1).map(|place| self.at(place).unwrap_or_default());
        let event = ConsentEvent {
            act,
            at: Timestamp(at),
            basis: *basis,
            expires,
            language: text(language).map(LanguageTag::new).transpose().ok()?,
            method,
            notice: text(notice).map(NoticeVersion::new).transpose().ok()?,
            purpose: PurposeId::new(self.at(purpose)?).ok()?,
            source: self.at(source)?.to_owned(),
        };
        Some((leaf, event))
    }
}

/// Writes an event as a line; `None` if it does not fit one: an end before its beginning, a very long source.
pub(super) fn line_of(texts: &mut Texts, position: u16, leaf: u64, event: &ConsentEvent) -> Option<Line> {
    let ConsentEvent { act, at, basis, expires, language, method, notice, purpose, source } = event;
    if source.len() > MAX_TEXT {
        return None;
    }
    let lasts = match expires {
        Some(expires) => {
            let span = i128::from(expires.0) - i128::from(at.0) + 1;
            u64::try_from(span).ok().filter(|span| *span > 0)?
        }
        None => 0,
    };
    let basis = LawfulBasis::ALL.iter().position(|known| known == basis)? as u64;
    let method = match method {
        Some(method) => CollectionMethod::ALL.iter().position(|known| known == method)? as u64 + 1,
        None => 0,
    };
    let kind = u64::from(*act == ConsentAct::Withdraw) | basis << 1 | method << 3;
    let purpose = texts.place(purpose.as_str());
    let source = texts.place(source);
    let language = language.as_ref().map_or(0, |language| texts.place(language.as_str()) + 1);
    let notice = notice.as_ref().map_or(0, |notice| texts.place(notice.as_str()) + 1);
    Some([position.into(), leaf, at.0.cast_unsigned() ^ SIGN, lasts, kind, purpose, source, language, notice])
}
