//! One request: in, or out.
//!
//! # How a request walks
//!
//! ```text
//! 1  Head::of(&request)              borrowed references; the clock is read only when something expires
//! 2  guards.surroundings(head)       wrong Host: out, before anything is looked at
//! 3  own path?                       login, logout, launch link: a form of at most 16 KiB is read, and answered
//!    open path, preflight?           let through, or answered
//! 4  chain.authenticate(head)        now: token, cookie; later: whatever must ask the outside
//! 5  guards.cross_site(…)            only when the credential is ambient (a cookie)
//! 6  authorisers                     scopes of the route, then one's own
//! 7  extensions.insert(session)      the only allocation of the fast path; not in gate-only mode
//! 8  inner.call(request)
//! 9  afterwards.apply_to(answer)     one word when empty
//! ```
//!
//! Down once, back once. `Later` clones the inner service, boxes request and readied service together, and
//! carries out the very same decision on wake: one code path decides, two paths lead to it.

mod attempt_queue;
mod body;
mod decision;
pub(crate) mod elsewhere;
pub(crate) mod endpoint;
pub(crate) mod form;
mod future;
#[expect(
    clippy::module_inception,
    reason = "the room is named after what stands in it"
)]
pub(crate) mod gate;
pub(crate) mod grpc;
pub(crate) mod login_cookie;
pub(crate) mod passage;
pub(crate) mod password_attempts;
mod password_login;
pub(crate) mod responses;
mod service;
pub(crate) mod stranger;
pub(crate) mod verdict;
mod xsrf_token;

pub use body::AuthBody;
pub use decision::{Afterwards, Decision};
pub use endpoint::FormRequest;
pub use future::ResponseFuture;
pub(crate) use password_attempts::PasswordAttempts;
pub(crate) use password_login::Browser;
pub use password_login::Login;
pub use responses::Responses;
pub use service::AuthService;
pub use xsrf_token::XsrfToken;
