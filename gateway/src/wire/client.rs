//! Registered clients.

use super::{names, time};
use crate::records::Client;
use crate::status::Failure;
use policy::id::PurposeId;
use policy::permit::Role;
use proto::v1;

/// Writes a client.
pub fn encode(client: &Client) -> v1::Client {
    let Client { id, role, purposes, public_key, revoked, created } = client;
    v1::Client {
        name: names::of_client(id),
        role: of_role(role).into(),
        partner: role.partner().map(names::of_partner).unwrap_or_default(),
        purposes: purposes.iter().map(ToString::to_string).collect(),
        public_key: public_key.to_vec(),
        revoked: *revoked,
        create_time: Some(time::encode(*created)),
    }
}

fn of_role(role: &Role) -> v1::ClientRole {
    match role {
        Role::Service => v1::ClientRole::Service,
        Role::Partner(_) => v1::ClientRole::Partner,
        Role::Officer => v1::ClientRole::Officer,
        Role::Steward => v1::ClientRole::Steward,
        Role::Producer => v1::ClientRole::Producer,
        Role::Portal => v1::ClientRole::Portal,
        // Never registered.
        Role::System => v1::ClientRole::Unspecified,
    }
}

/// Reads a role with its partner.
pub fn role(role: i32, partner: &str) -> Result<Role, Failure> {
    let role = match v1::ClientRole::try_from(role) {
        Ok(v1::ClientRole::Partner) => return Ok(Role::Partner(names::partner(partner)?)),
        Ok(v1::ClientRole::Service) => Role::Service,
        Ok(v1::ClientRole::Officer) => Role::Officer,
        Ok(v1::ClientRole::Steward) => Role::Steward,
        Ok(v1::ClientRole::Producer) => Role::Producer,
        Ok(v1::ClientRole::Portal) => Role::Portal,
        Ok(v1::ClientRole::Unspecified) | Err(_) => return Err(Failure::invalid("role", "must be given")),
    };
    if partner.is_empty() { Ok(role) } else { Err(Failure::invalid("partner", "is only for the role of a partner")) }
}

/// Reads purposes, sorted, without repetition.
pub fn purposes(texts: &[String]) -> Result<Vec<PurposeId>, Failure> {
    let read: Result<Vec<_>, _> = texts.iter().map(|text| PurposeId::new(text)).collect();
    let mut purposes = read.map_err(|_| Failure::invalid("purposes", "must be names of purposes"))?;
    purposes.sort();
    purposes.dedup();
    Ok(purposes)
}
