//! Monthly synopses, as far as they are public.

use super::release::people_of_u64;
use super::{budget, consent, time};
use policy::consent::LawfulBasis;
use policy::id::PurposeId;
use policy::schema::{FieldRef, Schema, Synopsis};
use policy::segment::Window;
use proto::v1;
use vault::release::{Facts, Offer};

/// Writes which synopsis an answer is from.
pub fn from(offer: &Offer) -> v1::FromSynopsis {
    let Offer { month, epoch, as_of, cells: _, sigma_1024: _, half_width_1024: _ } = offer;
    v1::FromSynopsis { month: month.to_string(), epoch: epoch.0, as_of_time: Some(time::encode(*as_of)) }
}

/// Writes the plan of an answer from one.
pub fn plan(offer: &Offer) -> v1::Plan {
    v1::Plan {
        rho: "0".to_owned(),
        percent_of_quarter: 0.0,
        sigma: people_of_u64(offer.sigma_1024),
        half_width: people_of_u64(offer.half_width_1024),
        cells: u32::try_from(offer.cells).unwrap_or(u32::MAX),
        deadline_millis: 0,
        readable_from: 0,
        charge: "0".to_owned(),
        half_widths_differ: false,
        synopsis: Some(from(offer)),
    }
}

/// Describes the synopsis that stands.
pub fn standing(facts: &Facts, schema: &Schema, visible: &dyn Fn(&FieldRef) -> bool) -> v1::Synopsis {
    let Facts { month, purpose, basis, fields, window, rho, release, leaf, one_cell, everyone } = facts;
    let everyone = everyone.as_ref().map_or(0, |offer| offer.half_width_1024);
    v1::Synopsis {
        r#use: Some(use_of(purpose, *basis)),
        fields: paths(fields, schema, visible),
        window: window_of(*window),
        rho: rho.to_string(),
        percent_of_quarter: budget::percent(*rho, schema.cap_quarter),
        half_width: people_of_u64(one_cell.half_width_1024),
        total_half_width: people_of_u64(everyone),
        standing: Some(from(one_cell)),
        release: format!("datasets/{}/releases/{release}", schema.dataset),
        leaf: *leaf,
        next_day: month.next().first_day(),
        problem: String::new(),
    }
}

/// Describes a synopsis that none was drawn of yet.
pub fn planned(
    declared: &Synopsis,
    schema: &Schema,
    half_width_1024: u64,
    visible: &dyn Fn(&FieldRef) -> bool,
) -> v1::Synopsis {
    let Synopsis { purpose, basis, fields, window, rho } = declared;
    v1::Synopsis {
        r#use: Some(use_of(purpose, *basis)),
        fields: paths(fields, schema, visible),
        window: window_of(*window),
        rho: rho.to_string(),
        percent_of_quarter: budget::percent(*rho, schema.cap_quarter),
        half_width: people_of_u64(half_width_1024),
        ..v1::Synopsis::default()
    }
}

fn use_of(purpose: &PurposeId, basis: LawfulBasis) -> v1::Use {
    v1::Use { purpose: purpose.to_string(), basis: consent::of_basis(basis).into() }
}

fn paths(fields: &[FieldRef], schema: &Schema, visible: &dyn Fn(&FieldRef) -> bool) -> Vec<String> {
    fields.iter().filter(|field| visible(field)).map(|field| schema.path(*field)).collect()
}

/// A description says of windows no more than how long they are.
fn window_of(window: Window) -> Option<v1::Window> {
    match window {
        Window::Last(span) => Some(v1::Window { last: span.to_string(), until: String::new() }),
        Window::Ever | Window::Between(..) | Window::Since(_) | Window::Dates(..) => None,
    }
}
