//! Plain words for purposes, bases, classes and times. No word here is about one person.

use crate::cli::answer::instant;
use proto::v1::{CollectionMethod, FieldClass, LawfulBasis, SubjectRequest, SubjectRequestState, SubjectRight};
use serde_json::{Value, json};

/// Says what a purpose is; `None` for one that only its name describes.
pub fn purpose(name: &str) -> Option<String> {
    let words = match name {
        "marketing" => "all marketing",
        "marketing.segmentation" => "counting groups of customers, to plan marketing",
        "marketing.portrait" => "describing groups of customers, to plan marketing",
        "marketing.measurement" => "measuring how well marketing works",
        "sharing" | "sharing.partner" => "sharing with any partner",
        _ => return name.strip_prefix("sharing.partner.").map(|partner| format!("sharing with the partner {partner}")),
    };
    Some(words.to_owned())
}

/// Returns a basis as files and programs name it; empty if none is said.
pub fn basis_name(basis: i32) -> &'static str {
    match LawfulBasis::try_from(basis) {
        Ok(LawfulBasis::Consent) => "consent",
        Ok(LawfulBasis::Contract) => "contract",
        Ok(LawfulBasis::LegitimateInterest) => "legitimate_interest",
        Ok(LawfulBasis::Unspecified) | Err(_) => "",
    }
}

/// Says on which basis, to the person.
pub fn basis(name: &str) -> &'static str {
    match name {
        "consent" => "your consent",
        "contract" => "a contract with you",
        "legitimate_interest" => "a legitimate interest",
        _ => "every basis",
    }
}

/// Returns how consent was collected, as files and programs name it; empty if that is not said.
pub fn method_name(method: i32) -> &'static str {
    match CollectionMethod::try_from(method) {
        Ok(CollectionMethod::WebForm) => "web_form",
        Ok(CollectionMethod::App) => "app",
        Ok(CollectionMethod::Paper) => "paper",
        Ok(CollectionMethod::Phone) => "phone",
        Ok(CollectionMethod::InPerson) => "in_person",
        Ok(CollectionMethod::Import) => "import",
        Ok(CollectionMethod::PreferenceCenter) => "preference_center",
        Ok(CollectionMethod::Signal) => "signal",
        Ok(CollectionMethod::Unspecified) | Err(_) => "",
    }
}

/// Says how consent was collected, to the person.
pub fn method(name: &str) -> &'static str {
    match name {
        "web_form" => "a form on a web page",
        "app" => "an app",
        "paper" => "a form on paper",
        "phone" => "a telephone call",
        "in_person" => "in person",
        "import" => "taken over from another system",
        "preference_center" => "your page of choices",
        "signal" => "a signal of your browser or device",
        _ => "",
    }
}

/// Returns a class as files name it.
pub fn class_name(class: i32) -> &'static str {
    match FieldClass::try_from(class) {
        Ok(FieldClass::Identifier) => "identifier",
        Ok(FieldClass::QuasiIdentifier) => "quasi_identifier",
        Ok(FieldClass::Sensitive) => "sensitive",
        Ok(FieldClass::Behavioral) => "behavioral",
        Ok(FieldClass::NonPersonal) => "non_personal",
        Ok(FieldClass::Unspecified) | Err(_) => "",
    }
}

/// Says how far a fact identifies, to the person.
pub fn class(name: &str) -> &'static str {
    match name {
        "identifier" => "names you",
        "quasi_identifier" => "could single you out together with others",
        "sensitive" => "sensitive, specially protected",
        "behavioral" => "what you did",
        "non_personal" => "says nothing about you",
        _ => "",
    }
}

/// Says what was asked for.
pub fn right(name: &str) -> &'static str {
    match name {
        "access" => "to see what is held",
        "rectification" => "to have it corrected",
        "restriction" => "to have its use restricted",
        "lifting" => "to have a restriction lifted",
        "objection" => "to object to a purpose",
        "erasure" => "to have it erased",
        "linking" => "to be known as one with another record",
        "unlinking" => "to be known as one no longer",
        _ => "",
    }
}

/// Returns what was asked for, as files and programs name it.
pub fn right_name(right: i32) -> &'static str {
    match SubjectRight::try_from(right) {
        Ok(SubjectRight::Access) => "access",
        Ok(SubjectRight::Rectification) => "rectification",
        Ok(SubjectRight::Restriction) => "restriction",
        Ok(SubjectRight::Lifting) => "lifting",
        Ok(SubjectRight::Objection) => "objection",
        Ok(SubjectRight::Erasure) => "erasure",
        Ok(SubjectRight::Linking) => "linking",
        Ok(SubjectRight::Unlinking) => "unlinking",
        Ok(SubjectRight::Unspecified) | Err(_) => "",
    }
}

/// Writes a request for a program.
pub fn request_json(request: &SubjectRequest) -> Value {
    let SubjectRequest {
        right,
        state,
        receive_time,
        deadline_time,
        complete_time,
        intent_leaf,
        outcome_leaf,
        fields,
        purpose,
    } = request;
    json!({
        "right": right_name(*right), "fulfilled": *state == i32::from(SubjectRequestState::Fulfilled),
        "partly_held": *state == i32::from(SubjectRequestState::PartlyHeld),
        "received": receive_time.as_ref().map(instant), "deadline": deadline_time.as_ref().map(instant),
        "completed": complete_time.as_ref().map(instant), "intent_leaf": intent_leaf, "outcome_leaf": outcome_leaf,
        "fields": fields, "purpose": purpose,
    })
}

/// An instant as a person of a time zone reads it.
#[derive(Debug, Clone)]
pub struct Times(jiff::tz::TimeZone);

impl Times {
    /// Takes a dataset's zone; UTC for one that is not known.
    pub fn of(zone: &str) -> Self {
        Self(jiff::tz::TimeZone::get(zone).unwrap_or(jiff::tz::TimeZone::UTC))
    }

    fn at(&self, text: &str, format: &str) -> String {
        let parsed = text.parse::<jiff::Timestamp>();
        parsed.map_or_else(|_| text.to_owned(), |time| time.to_zoned(self.0.clone()).strftime(format).to_string())
    }

    /// `Sunday, 1 January 2017`.
    pub fn long_day(&self, text: &str) -> String {
        self.at(text, "%A, %-d %B %Y")
    }

    /// `1 January 2017`.
    pub fn day(&self, text: &str) -> String {
        self.at(text, "%-d %B %Y")
    }

    /// `January 2017`.
    pub fn month(&self, text: &str) -> String {
        self.at(text, "%B %Y")
    }

    /// `11:53`.
    pub fn time(&self, text: &str) -> String {
        self.at(text, "%H:%M")
    }

    /// `1 January 2017, 11:53`.
    pub fn instant(&self, text: &str) -> String {
        self.at(text, "%-d %B %Y, %H:%M")
    }
}

/// Says how long something is kept.
pub fn kept(days: u32) -> String {
    match days {
        0 => "as long as this collection exists, or until you have it erased".to_owned(),
        days if days % 365 == 0 => counted(u64::from(days / 365), "year", "years"),
        days => counted(u64::from(days), "day", "days"),
    }
}

/// `1 year`, `2 years`, `1,234 lines`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", crate::cli::chart::grouped(count), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_dataset() {
        let times = Times::of("America/New_York");
        assert_eq!(times.instant("2017-01-01T04:53:26Z"), "31 December 2016, 23:53");
        assert_eq!(times.long_day("2017-07-01T04:53:26Z"), "Saturday, 1 July 2017");
        assert_eq!(Times::of("nowhere").time("2017-07-01T04:53:26Z"), "04:53");
    }

    #[test]
    fn spans_and_purposes_are_words() {
        assert_eq!(kept(730), "2 years");
        assert_eq!(kept(1), "1 day");
        assert_eq!(purpose("sharing.partner.acme").as_deref(), Some("sharing with the partner acme"));
        assert_eq!(purpose("research"), None);
    }
}
