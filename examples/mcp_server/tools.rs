//! The tools. The session of the caller is in the HTTP request that called them.

use axum::http::request::Parts;
use portcullis::Session;
use rmcp::{
    ErrorData,
    handler::server::{tool::Extension, wrapper::Parameters},
    schemars, tool, tool_router,
};

/// Needed for everything. A hub's own scopes begin with `custom:`.
pub(crate) const READ: &str = "custom:tools:read";
/// Needed to call `add`.
pub(crate) const RUN: &str = "custom:tools:run";

pub(crate) struct Tools;

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct Numbers {
    a: i32,
    b: i32,
}

#[tool_router(server_handler)]
impl Tools {
    #[tool(description = "Returns your username and your scopes")]
    fn whoami(&self, Extension(request): Extension<Parts>) -> Result<String, ErrorData> {
        let session = session(&request, READ)?;
        let scopes: Vec<_> = session.grant().scopes().iter().collect();
        Ok(format!(
            "{} with {}",
            session.identity().username(),
            scopes.join(" ")
        ))
    }

    #[tool(description = "Adds two numbers")]
    fn add(
        &self,
        Extension(request): Extension<Parts>,
        Parameters(Numbers { a, b }): Parameters<Numbers>,
    ) -> Result<String, ErrorData> {
        session(&request, RUN)?;
        Ok((i64::from(a) + i64::from(b)).to_string())
    }
}

/// The session of the caller, if it has the scope.
///
/// `step_up` has responded to most calls without it, in a way that makes the client request the scope. This is the check that
/// protects the tool.
fn session<'a>(request: &'a Parts, scope: &str) -> Result<&'a Session, ErrorData> {
    let session = request.extensions.get::<Session>();
    let session = session.ok_or_else(|| ErrorData::internal_error("the request has no session", None))?;
    match session.require_scope(scope) {
        Ok(()) => Ok(session),
        Err(denial) => Err(ErrorData::invalid_request(denial.to_string(), None)),
    }
}
