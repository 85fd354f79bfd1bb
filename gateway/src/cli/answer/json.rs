//! Answers for programs.

use super::instant;
use proto::v1::{
    Budget, Cell, ContrastRow, Draw, Estimate, EventMean, FromSynopsis, FunnelStep, LawfulBasis, Overlapped, Plan,
    Quantile, Release, Retained, RetentionCohort, Shared, Table, Use,
};
use serde_json::{Value, json};

/// Writes a release for a program, draws included.
pub fn release_json(release: &Release) -> Value {
    let Release {
        name,
        tables,
        sigma,
        half_width,
        rho,
        percent_of_quarter,
        charged,
        budget,
        epoch,
        as_of_time,
        not_private,
        leaf,
        segment,
        r#use,
        draws,
        synopsis,
    } = release;
    let draws: Vec<Value> = draws.iter().map(|Draw { rho, leaf }| json!({ "rho": rho, "leaf": leaf })).collect();
    json!({
        "name": name, "tables": tables.iter().map(table_json).collect::<Vec<_>>(), "sigma": sigma,
        "half_width": half_width, "rho": rho, "percent_of_quarter": percent_of_quarter, "charged": charged,
        "budget": budget.as_ref().map(budget_json), "epoch": epoch, "as_of": as_of_time.as_ref().map(instant),
        "not_private": not_private, "leaf": leaf, "segment": segment, "use": r#use.as_ref().map(use_json),
        "draws": draws, "synopsis": synopsis.as_ref().map(from_synopsis_json),
    })
}

fn table_json(table: &Table) -> Value {
    let Table { fields, displays, cells, counted, sigma, half_width, bound } = table;
    json!({
        "fields": fields, "displays": displays, "cells": cells.iter().map(cell_json).collect::<Vec<_>>(),
        "counted": counted, "sigma": sigma, "half_width": half_width, "bound": bound,
    })
}

fn cell_json(cell: &Cell) -> Value {
    let Cell { labels, noised_1024, people, low, high, codes, value } = cell;
    json!({
        "labels": labels, "noised_1024": noised_1024, "people": people, "low": low, "high": high, "codes": codes,
        "value": value,
    })
}

fn use_json(use_for: &Use) -> Value {
    let Use { purpose, basis } = use_for;
    let basis = match LawfulBasis::try_from(*basis) {
        Ok(LawfulBasis::Consent) => "consent",
        Ok(LawfulBasis::Contract) => "contract",
        Ok(LawfulBasis::LegitimateInterest) => "legitimate-interest",
        Ok(LawfulBasis::Unspecified) | Err(_) => "unspecified",
    };
    json!({ "purpose": purpose, "basis": basis })
}

/// Writes which synopsis an answer is from.
pub fn from_synopsis_json(synopsis: &FromSynopsis) -> Value {
    let FromSynopsis { month, epoch, as_of_time } = synopsis;
    json!({ "month": month, "epoch": epoch, "as_of": as_of_time.as_ref().map(instant) })
}

/// Writes a plan for a program.
pub fn plan_json(plan: &Plan) -> Value {
    let Plan {
        rho,
        percent_of_quarter,
        sigma,
        half_width,
        cells,
        deadline_millis,
        readable_from,
        charge,
        synopsis,
        half_widths_differ,
    } = plan;
    json!({
        "rho": rho, "percent_of_quarter": percent_of_quarter, "sigma": sigma, "half_width": half_width, "cells": cells,
        "deadline_millis": deadline_millis, "readable_from": readable_from, "charge": charge,
        "synopsis": synopsis.as_ref().map(from_synopsis_json), "half_widths_differ": half_widths_differ,
    })
}

/// Writes a ledger for a program.
pub fn budget_json(budget: &Budget) -> Value {
    let Budget {
        population,
        quarter_spent,
        quarter_cap,
        lifetime_spent,
        lifetime_cap,
        client,
        client_spent,
        client_quota,
        left,
        quarter_epsilon,
        lifetime_epsilon,
        not_private,
        lifetime_cap_epsilon,
        lifetime_extended,
        quarter_rate,
        lifetime_ends,
        month_spent,
        month_cap,
        synopsis_spent,
    } = budget;
    json!({
        "population": population, "quarter_spent": quarter_spent, "quarter_cap": quarter_cap,
        "lifetime_spent": lifetime_spent, "lifetime_cap": lifetime_cap, "client": client, "client_spent": client_spent,
        "client_quota": client_quota, "left": left, "quarter_epsilon": quarter_epsilon,
        "lifetime_epsilon": lifetime_epsilon, "not_private": not_private,
        "lifetime_cap_epsilon": lifetime_cap_epsilon, "lifetime_extended": lifetime_extended,
        "quarter_rate": quarter_rate, "lifetime_ends": (!lifetime_ends.is_empty()).then_some(lifetime_ends),
        "month_spent": month_spent, "month_cap": (!month_cap.is_empty()).then_some(month_cap),
        "synopsis_spent": synopsis_spent,
    })
}

/// Writes an estimate with its interval.
pub fn estimate_json(estimate: &Estimate) -> Value {
    let Estimate { value, low, high } = estimate;
    json!({ "value": value, "low": low, "high": high })
}

/// Writes a step of a funnel.
pub fn step_json(step: &FunnelStep) -> Value {
    let FunnelStep { name, people, reached, rate, rate_of_start } = step;
    json!({
        "name": name, "people": people, "reached": reached.as_ref().map(estimate_json),
        "rate": rate.as_ref().map(estimate_json), "rate_of_start": rate_of_start.as_ref().map(estimate_json),
    })
}

/// Writes a row of a contrast.
pub fn contrast_json(row: &ContrastRow) -> Value {
    let ContrastRow { field, label, share, share_of_rest, index, differs } = row;
    json!({
        "field": field, "label": label, "share": share.as_ref().map(estimate_json),
        "share_of_rest": share_of_rest.as_ref().map(estimate_json), "index": index.as_ref().map(estimate_json),
        "differs": differs,
    })
}

/// Writes a mean per event.
pub fn mean_json(mean: &EventMean) -> Value {
    let EventMean { of, labels, mean } = mean;
    json!({ "of": of, "labels": labels, "mean": mean.as_ref().map(estimate_json) })
}

/// Writes a cohort.
pub fn cohort_json(cohort: &RetentionCohort) -> Value {
    let RetentionCohort { from, people, later } = cohort;
    let later = later.iter().map(|Retained { after, people, rate }| {
        let [people, rate] = [people, rate].map(|estimate| estimate.as_ref().map(estimate_json));
        json!({ "after": after, "people": people, "rate": rate })
    });
    json!({ "from": from, "people": people.as_ref().map(estimate_json), "later": later.collect::<Vec<_>>() })
}

/// Writes a segment of an overlap.
pub fn overlapped_json(segment: &Overlapped) -> Value {
    let Overlapped { name, people, shared } = segment;
    let shared =
        shared.iter().map(|Shared { name, rate }| json!({ "name": name, "rate": rate.as_ref().map(estimate_json) }));
    json!({ "name": name, "people": people.as_ref().map(estimate_json), "shared": shared.collect::<Vec<_>>() })
}

/// Writes where a quantile lies.
pub fn quantile_json(quantile: &Quantile) -> Value {
    let Quantile { permille, low, high } = quantile;
    json!({ "permille": permille, "low": low, "high": high })
}
