//! Consent events.

use crate::status::Failure;
use policy::consent::{CollectionMethod, ConsentAct, ConsentEvent, LanguageTag, LawfulBasis, NoticeVersion};
use policy::id::PurposeId;
use policy::schema::IdentityKind;
use policy::time::Timestamp;
use proto::v1;
use vault::ingest::SubjectKey;

/// Longest source label in characters.
const MAX_SOURCE: usize = 63;

/// Reads a basis; `None` for one that is not said or not known.
pub fn basis(basis: i32) -> Option<LawfulBasis> {
    match v1::LawfulBasis::try_from(basis) {
        Ok(v1::LawfulBasis::Consent) => Some(LawfulBasis::Consent),
        Ok(v1::LawfulBasis::Contract) => Some(LawfulBasis::Contract),
        Ok(v1::LawfulBasis::LegitimateInterest) => Some(LawfulBasis::LegitimateInterest),
        Ok(v1::LawfulBasis::Unspecified) | Err(_) => None,
    }
}

/// Writes a basis.
pub fn of_basis(basis: LawfulBasis) -> v1::LawfulBasis {
    match basis {
        LawfulBasis::Consent => v1::LawfulBasis::Consent,
        LawfulBasis::Contract => v1::LawfulBasis::Contract,
        LawfulBasis::LegitimateInterest => v1::LawfulBasis::LegitimateInterest,
    }
}

/// Reads a method; none if it is not said, and an error if it is not known.
fn method(method: i32) -> Result<Option<CollectionMethod>, ()> {
    match v1::CollectionMethod::try_from(method) {
        Ok(v1::CollectionMethod::Unspecified) => Ok(None),
        Ok(v1::CollectionMethod::WebForm) => Ok(Some(CollectionMethod::WebForm)),
        Ok(v1::CollectionMethod::App) => Ok(Some(CollectionMethod::App)),
        Ok(v1::CollectionMethod::Paper) => Ok(Some(CollectionMethod::Paper)),
        Ok(v1::CollectionMethod::Phone) => Ok(Some(CollectionMethod::Phone)),
        Ok(v1::CollectionMethod::InPerson) => Ok(Some(CollectionMethod::InPerson)),
        Ok(v1::CollectionMethod::Import) => Ok(Some(CollectionMethod::Import)),
        Ok(v1::CollectionMethod::PreferenceCenter) => Ok(Some(CollectionMethod::PreferenceCenter)),
        Ok(v1::CollectionMethod::Signal) => Ok(Some(CollectionMethod::Signal)),
        Err(_) => Err(()),
    }
}

/// Writes a method.
pub fn of_method(method: Option<CollectionMethod>) -> v1::CollectionMethod {
    match method {
        None => v1::CollectionMethod::Unspecified,
        Some(CollectionMethod::WebForm) => v1::CollectionMethod::WebForm,
        Some(CollectionMethod::App) => v1::CollectionMethod::App,
        Some(CollectionMethod::Paper) => v1::CollectionMethod::Paper,
        Some(CollectionMethod::Phone) => v1::CollectionMethod::Phone,
        Some(CollectionMethod::InPerson) => v1::CollectionMethod::InPerson,
        Some(CollectionMethod::Import) => v1::CollectionMethod::Import,
        Some(CollectionMethod::PreferenceCenter) => v1::CollectionMethod::PreferenceCenter,
        Some(CollectionMethod::Signal) => v1::CollectionMethod::Signal,
    }
}

/// What is wrong with a part of a consent event; holds no value.
pub type Problem = (&'static str, &'static str);

/// Reads a subject's key of a kind.
pub fn subject(kind: IdentityKind, text: &str) -> Result<SubjectKey, Problem> {
    SubjectKey::of(kind, text).ok_or(("subject", "must be 1-255 bytes"))
}

/// Reads an event of a subject whose key is of a kind.
pub fn decode(kind: IdentityKind, event: v1::ConsentEvent) -> Result<(SubjectKey, ConsentEvent), Problem> {
    let v1::ConsentEvent {
        subject: who,
        purpose,
        basis: on,
        act,
        at_micros,
        expire_micros,
        source,
        notice,
        method: how,
        language,
    } = event;
    let who = subject(kind, &who)?;
    let purpose = PurposeId::new(&purpose).map_err(|_| ("purpose", "must be a purpose's name"))?;
    let act = match v1::ConsentAct::try_from(act) {
        Ok(v1::ConsentAct::Give) => ConsentAct::Give,
        Ok(v1::ConsentAct::Withdraw) => ConsentAct::Withdraw,
        Ok(v1::ConsentAct::Unspecified) | Err(_) => return Err(("act", "must be given")),
    };
    let basis = match (basis(on), act) {
        (Some(basis), _) => basis,
        (None, ConsentAct::Withdraw) => LawfulBasis::Consent,
        (None, ConsentAct::Give) => return Err(("basis", "must be given")),
    };
    if source.chars().count() > MAX_SOURCE {
        return Err(("source", "must be a label of at most 63 characters"));
    }
    let said = |text: String| Some(text).filter(|text| !text.is_empty());
    let notice = said(notice).map(|notice| NoticeVersion::new(&notice)).transpose();
    let notice = notice.map_err(|_| ("notice", "must be at most 31 characters of A-Z a-z 0-9 . _ -"))?;
    let language = said(language).map(|language| LanguageTag::new(&language)).transpose();
    let language = language.map_err(|_| ("language", "must be a language tag of at most 15 characters"))?;
    let method = method(how).map_err(|()| ("method", "must be one of the methods"))?;
    let (at, expires) = (Timestamp(at_micros), expire_micros.map(Timestamp));
    Ok((who, ConsentEvent { act, at, basis, expires, language, method, notice, purpose, source }))
}

/// Says a problem of the event at a position of a batch.
pub fn failure(at: usize, (part, problem): Problem) -> Failure {
    Failure::invalid("consents", format!("[{at}].{part} {problem}"))
}
