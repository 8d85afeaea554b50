//! The guards every browser request passes: which host it means, and which site caused it.
//!
//! A browser sends a cookie with a request, whichever page caused it. These guards decide whether a page of this server
//! did. They are pure functions of the request's head and the configuration; [`RequestPolicy`] holds the latter.
//!
//! # The decision table
//!
//! Rows are checked from top to bottom, the parts in this order; the first that denies decides the response. Parts 1 to 3
//! hold for every request, a token's included ([`RequestPolicy::check_target`]); parts 4 to 7 for a request that is
//! authenticated by something a browser sends by itself, and for the login form ([`RequestPolicy::check_cross_site`]). `own` is
//! the public origin where one is configured, else scheme, host and port of the request itself, as far as the
//! scheme is known; `listed` is an entry of [`AllowedOrigins`]; `foreign` is any other well-formed origin, and the
//! opaque `null` except in O3. Fetch Metadata's `cross` is `cross-site`, `same-site` and every unknown value.
//!
//! **1. Host.** From a trusted proxy its `X-Forwarded-Host` is taken for the host.
//!
//! | row | signals | result |
//! |---|---|---|
//! | H1 | the host check is off | next part, nothing is looked at |
//! | H2 | no `Host`, several, one that differs from the target's authority | refused: host (400) |
//! | H3 | several `X-Forwarded-Host`, or a list, from a trusted proxy | refused: host (400) |
//! | H4 | not `name`, `1.2.3.4` or `[::1]` with or without a port | refused: host (400) |
//! | H5 | on the list, ignoring case | next part |
//! | H6 | anything else: another name, port or spelling | refused: host (403) |
//! | H7 | `X-Forwarded-Host` of any other peer | ignored |
//!
//! **2. Scheme.** Checked only if a trusted proxy sent `X-Forwarded-Proto`.
//!
//! | row | signals | result |
//! |---|---|---|
//! | S1 | several fields; the first of the list is not `http`, `https`, `ws` or `wss` | refused: scheme (400) |
//! | S2 | the first is not the scheme of the public origin; `ws` is `http`, `wss` is `https` | refused: scheme (403) |
//! | S3 | the same scheme, or no public origin configured | next part |
//! | S4 | `X-Forwarded-Proto` of any other peer | ignored |
//!
//! **3. Method.**
//!
//! | row | signals | result |
//! |---|---|---|
//! | M1 | `TRACE` | refused: method (405) |
//! | M2 | `CONNECT` of an authority alone: a tunnel | refused: method (405) |
//! | M3 | `CONNECT` with scheme and path: a WebSocket over HTTP/2 | next part, as WebSocket |
//! | M4 | any other | next part |
//!
//! **4. Well-formed signals**, of cookie requests of every kind and of the login form.
//!
//! | row | signals | result |
//! |---|---|---|
//! | O1 | several `Origin`, or one that is neither `null` nor `scheme://host[:port]` | refused: origin |
//! | O2 | several `Sec-Fetch-Site` | refused: origin |
//! | O3 | Origin `null`, `Sec-Fetch-Site: same-origin` | next part, as if no Origin was sent |
//!
//! **5. Safe methods** (GET, HEAD, OPTIONS) with a cookie.
//!
//! | row | signals | result |
//! |---|---|---|
//! | R1 | `Sec-Fetch-Site` cross, Origin listed | allowed |
//! | R2 | cross, a top-level navigation: mode `navigate`, destination `document`, GET or HEAD | allowed |
//! | R3 | cross, anything else: frame, image, script, fetch | refused: fetch metadata |
//! | R4 | `same-origin` or `none` | allowed |
//! | R5 | no `Sec-Fetch-Site`, Origin foreign | refused: origin |
//! | R6 | no `Sec-Fetch-Site`, no Origin or own or listed | allowed |
//! | R7 | [`CsrfMode::AllMethods`], mode neither absent nor `navigate` nor an own `no-cors`, no `_xsrf` | refused: xsrf |
//!
//! **6. Every other method** with a cookie, and the POST of the **login form**.
//!
//! | row | signals | result |
//! |---|---|---|
//! | U1 | `Sec-Fetch-Site` cross, Origin not listed | refused: fetch metadata |
//! | U2 | Origin foreign | refused: origin |
//! | U3 | no Origin, Referer foreign, unreadable or sent twice | refused: origin |
//! | U4 | no `_xsrf` argument, or one of another form | refused: xsrf |
//! | U5 | the argument is signed for the session | allowed |
//! | U6 | none of `Sec-Fetch-Site`, Origin, Referer; the argument is signed for before the login and equals the cookie | allowed |
//! | U7 | any other argument | refused: xsrf |
//! | U8 | no authentication is required, so there is no session | allowed without `_xsrf` |
//! | U9 | [`CsrfMode::OriginOnly`], and `same-origin` or an own or listed Origin | allowed without `_xsrf` |
//! | U10 | [`CsrfMode::OriginOnly`], neither Origin nor `Sec-Fetch-Site`, header `X-XSRFToken` valid as in U5 or U6 | allowed |
//! | U11 | [`CsrfMode::OriginOnly`], anything else | refused: origin |
//! | L1 | login form, the argument is signed for before the login and equals the cookie | allowed |
//! | L2 | login form, any other argument, or none; in every mode | refused: xsrf |
//!
//! **7. WebSocket** with a cookie: GET with `Upgrade: websocket`, and M3.
//!
//! | row | signals | result |
//! |---|---|---|
//! | W1 | Origin listed | allowed |
//! | W2 | Origin own, `Sec-Fetch-Site` absent, `same-origin` or `none` | allowed |
//! | W3 | neither Origin nor `Sec-Fetch-Site`, header `X-XSRFToken` valid as in U5 or U6 | allowed |
//! | W4 | neither Origin nor `Sec-Fetch-Site`, no authentication is required | allowed: every browser sends an Origin |
//! | W5 | anything else | refused: origin |
//!
//! A valid token is exempt from parts 4 to 7: no browser adds one by itself.
//!
//! # Security
//!
//! Pages of one origin are one site: users who share an origin by paths are not kept apart by these rules.
//! `_xsrf` before the login is bound to this server, not to one browser; there Fetch Metadata and Origin carry
//! the weight.

mod allowed_hosts;
mod authority;
mod cors;
mod cross_site;
mod csrf;
mod csrf_check;
pub(crate) mod fetch_metadata;
mod logout_by_get;
mod origin;
mod policy;
mod target;
mod trusted_proxies;
mod violation;

#[cfg(test)]
mod decision_table_tests;
#[cfg(test)]
mod property_tests;

pub use allowed_hosts::AllowedHosts;
pub use cors::{CorsHeaders, Preflight};
pub use cross_site::RequestKind;
#[doc(hidden)]
pub use csrf::{CsrfBinding, CsrfKey, CsrfTokens};
#[doc(hidden)]
pub use csrf_check::{CsrfCheck, CsrfRequirement, RequestCsrf};
pub use origin::{AllowedOrigins, Origin};
pub use policy::{CsrfMode, PeerExtractor, RequestPolicy};
pub use target::EffectiveTarget;
pub use trusted_proxies::TrustedProxies;
pub use violation::PolicyRule;
pub(crate) use violation::XSRF_MISSING;
