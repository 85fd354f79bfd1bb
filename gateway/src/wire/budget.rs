//! Statements of a ledger.

use super::names;
use policy::id::ClientId;
use policy::privacy::{DEFAULT_DELTA, NanoRho, basis_points_of_cap};
use policy::schema::{DatasetKind, Schema};
use proto::v1;
use vault::budget::Statement;
use vault::release::epsilon_for;

/// Writes a statement.
pub fn encode(schema: &Schema, client: &ClientId, statement: &Statement) -> v1::Budget {
    let Statement { quarter_spent, quarter_cap, lifetime_spent, lifetime_cap, client_spent, client_quota } = *statement;
    let left = quarter_cap.saturating_sub(quarter_spent);
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
