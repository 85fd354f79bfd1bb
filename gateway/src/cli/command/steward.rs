//! What stewards do: clients, epochs, policies, the status.

use super::{client_name, dataset_name, short};
use crate::authn::ClientKey;
use crate::cli::answer::{instant, parse_instant};
use crate::cli::args::{ClientCommand, EpochCommand, Global, PolicyCommand, Role};
use crate::cli::chart::{self, Canvas};
use crate::cli::error::CliError;
use crate::cli::keyfile::KeyFile;
use crate::cli::out::Shown;
use crate::cli::session::Session;
use proto::v1::{
    Client, ClientRole, CloseEpochRequest, CreateClientRequest, GetPoliciesRequest, GetStatusRequest,
    ListClientsRequest, PublishPoliciesRequest, RevokeClientRequest,
};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Says whether the gateway serves, and what it holds.
pub async fn status(session: &Session) -> Result<Shown, CliError> {
    let request = session.request(GetStatusRequest {}).await?;
    let status = session.admin().get_status(request).await?.into_inner();
    let state = if status.serving { "serves".to_owned() } else { format!("does not serve: {}", status.problem) };
    let mut words = format!("Silhouette {} {state}.\n", status.version);
    if status.serving && !status.problem.is_empty() {
        words.push_str(&format!("  To see to: {}\n", status.problem));
    }
    let mut datasets = Vec::new();
    for dataset in &status.datasets {
        let closed = dataset.as_of_time.as_ref().map(instant);
        match &closed {
            Some(time) => {
                words.push_str(&format!("  {}: epoch {}, up to {time}\n", short(&dataset.dataset), dataset.epoch))
            }
            None => words.push_str(&format!("  {}: no epoch closed yet\n", short(&dataset.dataset))),
        }
        datasets.push(json!({ "dataset": dataset.dataset, "epoch": dataset.epoch, "as_of": closed }));
    }
    let json = json!({
        "serving": status.serving, "problem": status.problem, "version": status.version, "datasets": datasets,
    });
    if status.serving { Ok(Shown::new(words, json)) } else { Err(CliError::unavailable(status.problem)) }
}

/// `epoch close` and `epoch show`.
pub async fn epoch(command: EpochCommand, session: &Session) -> Result<Shown, CliError> {
    let EpochCommand::Close { of, as_of } = command else { return status(session).await };
    let as_of_time = as_of.as_deref().map(parse_instant).transpose()?;
    let (dataset, request_id) = (dataset_name(&of.dataset), String::new());
    let request = session.request(CloseEpochRequest { dataset, as_of_time, request_id }).await?;
    let answer = session.admin().close_epoch(request).await?.into_inner();
    let time = answer.as_of_time.as_ref().map(instant).unwrap_or_default();
    let words =
        format!("Epoch {} of {} is closed: answers now read everything up to {time}.\n", answer.epoch, of.dataset);
    Ok(Shown::new(words, json!({ "epoch": answer.epoch, "as_of": time })))
}

/// `client`.
pub async fn client(
    command: ClientCommand,
    session: &Session,
    global: &Global,
    canvas: Canvas,
) -> Result<Shown, CliError> {
    match command {
        ClientCommand::Create { name, role, partner, purposes, out } => {
            let out = out.unwrap_or_else(|| PathBuf::from(format!("{name}-key.toml")));
            let mut file = KeyFile::read(&global.key)?;
            file.key = ClientKey::generate().map_err(|problem| CliError::failed(problem.to_string()))?;
            file.client.clone_from(&name);
            // The key is kept before it is registered: a registered key that was lost could only be revoked.
            file.write(&out)?;
            let client = create_client(&file, role, partner, purposes, session).await.inspect_err(|_| {
                let _the_error_that_matters_is_the_first = std::fs::remove_file(&out);
            })?;
            let words = format!(
                "Registered {name} as {}.\nIts key is in {}: give it to {name} and keep no copy.\n",
                role_words(client.role),
                out.display()
            );
            Ok(Shown::new(words, json!({ "client": client_json(&client), "key_file": out })))
        }
        ClientCommand::List => list_clients(session, canvas).await,
        ClientCommand::Revoke { name } => {
            let request = RevokeClientRequest { name: client_name(&name), request_id: String::new() };
            let answer = session.admin().revoke_client(session.request(request).await?).await?.into_inner();
            let client = answer.client.unwrap_or_default();
            Ok(Shown::new(format!("Revoked {name}: its tokens have ended.\n"), client_json(&client)))
        }
    }
}

/// Registers the client of a key file.
pub async fn create_client(
    file: &KeyFile,
    role: Role,
    partner: Option<String>,
    purposes: Vec<String>,
    session: &Session,
) -> Result<Client, CliError> {
    let role = match role {
        Role::Service => ClientRole::Service,
        Role::Partner => ClientRole::Partner,
        Role::Officer => ClientRole::Officer,
        Role::Steward => ClientRole::Steward,
        Role::Producer => ClientRole::Producer,
        Role::Portal => ClientRole::Portal,
    };
    let request = CreateClientRequest {
        client_id: file.client.clone(),
        role: role.into(),
        partner: partner.map(|partner| format!("partners/{partner}")).unwrap_or_default(),
        purposes,
        public_key: file.key.public().to_vec(),
        request_id: String::new(),
    };
    let answer = session.admin().create_client(session.request(request).await?).await?.into_inner();
    Ok(answer.client.unwrap_or_default())
}

async fn list_clients(session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let (mut clients, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = session.request(ListClientsRequest { page_size: 100, page_token }).await?;
        let page = session.admin().list_clients(request).await?.into_inner();
        clients.extend(page.clients);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let row = |client: &Client| {
        let state = if client.revoked { "revoked" } else { "active" };
        vec![
            short(&client.name).to_owned(),
            role_words(client.role).to_owned(),
            client.purposes.join(" "),
            state.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = clients.iter().map(row).collect();
    let words = chart::table(&["client", "role", "purposes", "state"], &rows, canvas.width);
    Ok(Shown::new(words, json!({ "clients": clients.iter().map(client_json).collect::<Vec<_>>() })))
}

fn role_words(role: i32) -> &'static str {
    match ClientRole::try_from(role) {
        Ok(ClientRole::Service) => "service",
        Ok(ClientRole::Partner) => "partner",
        Ok(ClientRole::Officer) => "officer",
        Ok(ClientRole::Steward) => "steward",
        Ok(ClientRole::Producer) => "producer",
        Ok(ClientRole::Portal) => "portal",
        Ok(ClientRole::Unspecified) | Err(_) => "unknown",
    }
}

fn client_json(client: &Client) -> Value {
    let Client { name, role, partner, purposes, public_key, revoked, create_time } = client;
    let key: String = public_key.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "name": name, "role": role_words(*role), "partner": partner, "purposes": purposes, "public_key": key,
        "revoked": revoked, "create_time": create_time.as_ref().map(instant),
    })
}

/// `policy show` and `policy publish`.
pub async fn policy(command: PolicyCommand, session: &Session) -> Result<Shown, CliError> {
    let (file, preview, widen) = match command {
        PolicyCommand::Show => {
            let request = session.request(GetPoliciesRequest {}).await?;
            let answer = session.admin().get_policies(request).await?.into_inner();
            let json = json!({ "cedar": answer.cedar, "policy_epoch": answer.policy_epoch });
            return Ok(Shown::new(
                format!("// policy set {}\n{}\n", answer.policy_epoch, answer.cedar.trim_end()),
                json,
            ));
        }
        PolicyCommand::Publish { file, preview, widen } => (file, preview, widen),
    };
    let cedar = std::fs::read_to_string(&file).map_err(|problem| CliError::file(&file, &problem))?;
    let (validate_only, acknowledge_widening) = (preview, widen);
    let request = PublishPoliciesRequest { cedar, validate_only, acknowledge_widening, request_id: String::new() };
    let answer = session.admin().publish_policies(session.request(request).await?).await?.into_inner();
    let mut words =
        if answer.changes.is_empty() { "Nobody gains or loses anything.\n".to_owned() } else { String::new() };
    answer.changes.iter().for_each(|change| words.push_str(&format!("  {change}\n")));
    words.push_str(&match (preview, answer.widens) {
        (true, true) => "Some would see more than now: publishing needs --widen.\n".to_owned(),
        (true, false) => "Nobody would see more than now.\n".to_owned(),
        (false, _) => format!("Policy set {} is in force.\n", answer.policy_epoch),
    });
    let json = json!({ "changes": answer.changes, "widens": answer.widens, "policy_epoch": answer.policy_epoch });
    Ok(Shown::new(words, json))
}
