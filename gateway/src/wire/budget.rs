//! Statements of a ledger.

use super::{names, time};
use policy::id::ClientId;
use policy::privacy::{DEFAULT_DELTA, Extension, NanoRho, basis_points_of_cap};
use policy::schema::{DatasetKind, Schema};
use proto::v1;
use vault::budget::{Extended, Loss, Statement};
use vault::release::epsilon_for;

/// Writes a statement.
pub fn encode(schema: &Schema, client: &ClientId, statement: &Statement) -> v1::Budget {
    let Statement {
        quarter_spent,
        quarter_cap,
        month_spent,
        month_cap,
        lifetime_spent,
        lifetime_cap,
        ref extensions,
        quarter_rate,
        lifetime_ends,
        synopsis_spent,
        client_spent,
        client_quota,
    } = *statement;
    let extended = extensions.iter().fold(NanoRho::ZERO, |sum, extension| sum.saturating_add(extension.by));
    let left = quarter_cap.saturating_sub(quarter_spent);
    let left = left.min(month_cap.map_or(left, |cap| cap.saturating_sub(month_spent)));
    let left = left.min(lifetime_cap.saturating_sub(lifetime_spent)).min(client_quota.saturating_sub(client_spent));
    v1::Budget {
        population: schema.population.to_string(),
        quarter_spent: quarter_spent.to_string(),
        quarter_cap: quarter_cap.to_string(),
        lifetime_spent: lifetime_spent.to_string(),
        lifetime_cap: lifetime_cap.to_string(),
        client: names::of_client(client),
        client_spent: client_spent.to_string(),
        client_quota: client_quota.to_string(),
        left: left.to_string(),
        quarter_epsilon: epsilon(quarter_spent),
        lifetime_epsilon: epsilon(lifetime_spent),
        not_private: schema.kind == DatasetKind::Test,
        lifetime_cap_epsilon: epsilon(lifetime_cap),
        lifetime_extended: extended.to_string(),
        quarter_rate: quarter_rate.to_string(),
        lifetime_ends: lifetime_ends.map(|quarter| quarter.to_string()).unwrap_or_default(),
        month_spent: month_spent.to_string(),
        month_cap: month_cap.map(|cap| cap.to_string()).unwrap_or_default(),
        synopsis_spent: synopsis_spent.to_string(),
    }
}

/// Writes what moved a lifetime's cap.
pub fn extensions(statement: &Statement) -> Vec<v1::BudgetExtension> {
    let write = |extension: &Extension| {
        let Extension { by, at, client, request: _, because, leaf } = extension;
        v1::BudgetExtension {
            by: by.to_string(),
            at_time: Some(time::encode(*at)),
            client: names::of_client(client),
            because: because.clone(),
            leaf: *leaf,
        }
    };
    statement.extensions.iter().map(write).collect()
}

/// Writes an extension, made or planned.
pub fn extended(extended: &Extended, budget: v1::Budget) -> v1::ExtendBudgetResponse {
    let Extended { before, after, spent, leaf } = *extended;
    let loss = |Loss { rho, epsilon }| v1::LifetimeLoss { rho: rho.to_string(), epsilon: epsilon.to_string() };
    v1::ExtendBudgetResponse {
        before: Some(loss(before)),
        after: Some(loss(after)),
        spent: Some(loss(spent)),
        delta: DEFAULT_DELTA.to_string(),
        leaf: leaf.unwrap_or_default(),
        budget: Some(budget),
    }
}

/// Returns a price as per cent of the cap of a quarter, rounded up to a hundredth.
#[expect(clippy::cast_precision_loss, reason = "basis points of a price below its cap")]
pub fn percent(rho: NanoRho, cap: NanoRho) -> f64 {
    basis_points_of_cap(rho, cap).map_or(0.0, |points| points as f64 / 100.0)
}

/// Returns the epsilon of a loss at the delta at which epsilons are stated; 0 if nothing was spent.
fn epsilon(spent: NanoRho) -> f64 {
    epsilon_for(spent, DEFAULT_DELTA.value()).unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_shown_as_its_epsilon() {
        assert!(epsilon(NanoRho::ZERO).abs() < f64::EPSILON);
        let quarter = epsilon(policy::privacy::DEFAULT_CAP_QUARTER);
        assert!((3.8..4.0).contains(&quarter), "{quarter}");
        let test_dataset = epsilon(NanoRho(100_000_000_000_000));
        assert!(test_dataset > 100_000.0, "{test_dataset}");
    }
}
