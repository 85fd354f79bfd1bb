//! The monthly synopsis that a description asks for, `[synopsis]`: one release a month, from which many questions are then
//! answered free of charge.
//!
//! Public as all of a description. No answer but the synopsis itself depends on it, so it is not in the description's hash.

use super::field::number;
use super::parse::SchemaError;
use super::raw::RawSynopsis;
use super::{FieldClass, FieldRef, Schema};
use crate::consent::LawfulBasis;
use crate::id::PurposeId;
use crate::privacy::NanoRho;
use crate::purpose::covers;
use crate::segment::{Span, Window};
use serde::{Deserialize, Serialize};

/// Most fields of a synopsis: what the default price gives intervals of about 36 people either way.
pub const MAX_SYNOPSIS_FIELDS: usize = 20;

/// Most cells of a synopsis, over all its fields: as many as any release has.
pub const MAX_SYNOPSIS_CELLS: usize = 65_536;

/// Price of a synopsis unless the description names another.
pub const DEFAULT_SYNOPSIS_RHO: NanoRho = NanoRho(30_000_000);

/// A monthly synopsis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synopsis {
    /// For what; it answers no question for anything else.
    pub purpose: PurposeId,
    /// On which basis people are counted.
    pub basis: LawfulBasis,
    /// The fields, each with a closed list of values; 1 to [`MAX_SYNOPSIS_FIELDS`].
    pub fields: Vec<FieldRef>,
    /// Which events count for fields of events.
    pub window: Window,
    /// What each month's is charged.
    pub rho: NanoRho,
}

/// Checks what is written against the rest of the description.
pub(super) fn checked(raw: &RawSynopsis, place: &str, schema: &Schema) -> Result<Synopsis, SchemaError> {
    let wrong = |problem: String| SchemaError::new(place, problem);
    let purpose = PurposeId::new(&raw.purpose).map_err(|problem| wrong(problem.to_string()))?;
    if !schema.purposes.iter().any(|known| covers(known, &purpose)) {
        return Err(wrong(format!(
            "`purpose` is one of `purposes`, or a part of one; people are not asked for `{purpose}`"
        )));
    }
    let fields = fields(&raw.fields, schema).map_err(wrong)?;
    let of_events = fields.iter().any(|field| matches!(field, FieldRef::EventField(..)));
    let window = match raw.window.as_deref().map(Span::parse) {
        None => Window::Ever,
        Some(Some(span)) if of_events => Window::Last(span),
        Some(Some(_)) => {
            return Err(wrong("`window` is for fields of events, and there is none; leave it out".to_owned()));
        }
        Some(None) => return Err(wrong("`window` is a span such as \"90d\"".to_owned())),
    };
    let rho = rho(raw, schema).map_err(wrong)?;
    Ok(Synopsis { purpose, basis: raw.basis.unwrap_or(LawfulBasis::Consent), fields, window, rho })
}

fn fields(paths: &[String], schema: &Schema) -> Result<Vec<FieldRef>, String> {
    if !(1..=MAX_SYNOPSIS_FIELDS).contains(&paths.len()) {
        return Err(format!("`fields` names 1 to {MAX_SYNOPSIS_FIELDS} fields, not {}", paths.len()));
    }
    let (mut fields, mut cells) = (Vec::with_capacity(paths.len()), 0_usize);
    for path in paths {
        let field = schema.resolve(path);
        let described = field.and_then(|field| Some((field, schema.field(field)?)));
        let Some((field, described)) = described else {
            return Err(format!("`{path}` is no attribute and no field of an event, such as `order.category`"));
        };
        let values = described.ty.cardinality().filter(|_| described.class != FieldClass::Identifier);
        let values = values.ok_or_else(|| format!("`{path}` has no closed list of values; name an enum or a bool"))?;
        if schema.is_deprecated(field) {
            return Err(format!("`{path}` is deprecated and in no question; leave it out"));
        }
        if fields.contains(&field) {
            return Err(format!("`{path}` is named twice"));
        }
        fields.push(field);
        cells += values + 1;
    }
    if cells > MAX_SYNOPSIS_CELLS {
        return Err(format!(
            "its fields have {cells} values together, and {MAX_SYNOPSIS_CELLS} is the most; leave some out"
        ));
    }
    Ok(fields)
}

/// A price that a quarter can't bear three times would leave its last months without a synopsis.
fn rho(raw: &RawSynopsis, schema: &Schema) -> Result<NanoRho, String> {
    let third = NanoRho(schema.cap_quarter.0 / 3);
    let most = schema.cap_month.map_or(third, |month| month.min(third));
    let given = match &raw.rho {
        None => Some(DEFAULT_SYNOPSIS_RHO),
        Some(value) => number(value, 9).and_then(|nano| u64::try_from(nano).ok()).map(NanoRho),
    };
    given.filter(|rho| *rho > NanoRho::ZERO && *rho <= most).ok_or_else(|| {
        format!("`rho` is above 0 and at most {most} here, since a quarter's budget has to bear three of them, such as \"0.03\"")
    })
}
