//! The services, one file each. A method says what it reads from its request, which permit it asks for and which vault
//! call it makes; everything else is the pipeline's.

mod activation;
mod admin;
mod audit;
mod catalog;
mod consent;
mod ingest;
mod insight;
mod keys;
mod policies;
mod schemas;
mod segment;
mod subject;
mod token;

use crate::app::App;
use proto::v1;
use std::sync::Arc;
use tonic::service::Routes;

/// The answers of a stream.
type Answers<R> = tokio_stream::wrappers::ReceiverStream<Result<R, tonic::Status>>;

/// A service: the gateway, seen from one method table.
#[derive(Debug, Clone)]
struct Service(Arc<App>);

/// Builds the routes of every service. Message sizes are the outer layer's, so that they are refused typed and logged.
pub fn routes(app: &Arc<App>) -> Routes {
    let service = Service(Arc::clone(app));
    let (s, all) = (|| service.clone(), usize::MAX);
    Routes::new(v1::token_service_server::TokenServiceServer::new(s()).max_decoding_message_size(all))
        .add_service(v1::catalog_service_server::CatalogServiceServer::new(s()).max_decoding_message_size(all))
        .add_service(v1::ingest_service_server::IngestServiceServer::new(s()).max_decoding_message_size(all))
        .add_service(v1::consent_service_server::ConsentServiceServer::new(s()).max_decoding_message_size(all))
        .add_service(v1::segment_service_server::SegmentServiceServer::new(s()).max_decoding_message_size(all))
        .add_service(v1::insight_service_server::InsightServiceServer::new(s()).max_decoding_message_size(all))
        .add_service(v1::activation_service_server::ActivationServiceServer::new(s()).max_decoding_message_size(all))
        .add_service(v1::subject_service_server::SubjectServiceServer::new(s()).max_decoding_message_size(all))
        .add_service(v1::audit_service_server::AuditServiceServer::new(s()).max_decoding_message_size(all))
        .add_service(v1::admin_service_server::AdminServiceServer::new(s()).max_decoding_message_size(all))
}

/// Names of the services, for health reports.
pub const SERVICES: [&str; 10] = [
    v1::token_service_server::SERVICE_NAME,
    v1::catalog_service_server::SERVICE_NAME,
    v1::ingest_service_server::SERVICE_NAME,
    v1::consent_service_server::SERVICE_NAME,
    v1::segment_service_server::SERVICE_NAME,
    v1::insight_service_server::SERVICE_NAME,
    v1::activation_service_server::SERVICE_NAME,
    v1::subject_service_server::SERVICE_NAME,
    v1::audit_service_server::SERVICE_NAME,
    v1::admin_service_server::SERVICE_NAME,
];
