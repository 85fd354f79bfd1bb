//! Consent events.

use crate::status::Failure;
use policy::consent::{ConsentAct, ConsentEvent, LawfulBasis};
use policy::id::PurposeId;
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

/// What is wrong with a part of a consent event; holds no value.
pub type Problem = (&'static str, &'static str);

/// Reads a subject's key.
pub fn subject(text: &str) -> Result<SubjectKey, Problem> {
    SubjectKey::new(text).ok_or(("subject", "must be 1-255 bytes"))
}

/// Reads an event.
pub fn decode(event: v1::ConsentEvent) -> Result<(SubjectKey, ConsentEvent), Problem> {
    let v1::ConsentEvent { subject: who, purpose, basis: on, act, at_micros, expire_micros, source } = event;
    let who = subject(&who)?;
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
    let (at, expires) = (Timestamp(at_micros), expire_micros.map(Timestamp));
    Ok((who, ConsentEvent { purpose, basis, act, at, expires, source }))
}

/// Says a problem of the event at a position of a batch.
pub fn failure(at: usize, (part, problem): Problem) -> Failure {
    Failure::invalid("consents", format!("[{at}].{part} {problem}"))
}
