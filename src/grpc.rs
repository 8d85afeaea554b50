//! What handlers of gRPC services need: feature `grpc`.
//!
//! The layer itself needs no feature to answer gRPC clients. It recognizes them by a POST of
//! `Content-Type: application/grpc…`, and answers trailers-only:
//!
//! | refusal | status |
//! |---|---|
//! | no credential, or one that is not valid | 16, unauthenticated |
//! | a missing scope, a foreign host, another site | 7, permission denied |
//! | the store or server that verifies the credential does not answer | 14, unavailable, with `grpc-retry-pushback-ms` |
//! | too many attempts, too large | 8, resource exhausted |
//! | a request that cannot be read | 3, invalid argument |
//!
//! Open services, such as health, are named by their paths: `auth.public_paths(["/grpc.health.v1.Health/Check"])`.
//!
//! # Example
//!
//! A method that requires a scope itself; the session is in the extensions, where tonic keeps them:
//!
//! ```
//! use portcullis::Session;
//! use tonic::{Request, Response, Status};
//!
//! async fn delete(request: Request<()>) -> Result<Response<()>, Status> {
//!     let session = Session::from_extensions(request.extensions()).ok_or_else(|| Status::internal("no AuthLayer on this service"))?;
//!     session
//!         .require_scope("delete")
//!         .map_err(|denial| Status::new(denial.grpc_code().into(), denial.to_string()))?;
//!     Ok(Response::new(()))
//! }
//! # let code: tonic::Code = portcullis::Denial::insufficient_scope("delete").grpc_code().into();
//! # assert_eq!(code, tonic::Code::PermissionDenied);
//! ```

use crate::{denial::Denial, middleware::grpc};

impl Denial {
    /// The status code for gRPC clients: feature `grpc`.
    pub fn grpc_code(&self) -> i32 {
        grpc::code(self).into()
    }
}
