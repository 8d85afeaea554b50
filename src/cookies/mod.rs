//! Cookies: their names and scopes, and how they are read, signed, encrypted, set and removed.
//!
//! # The cookies
//!
//! For the base `/base/`, the user `alice`, the service `grader` and the host `localhost:8888`:
//!
//! | constructor | name | attributes |
//! |---|---|---|
//! | `CookieScope::hub_login` | `jupyterhub-hub-login` | `HttpOnly; SameSite=Lax; Secure; Path=/base/hub/; Max-Age` |
//! | `CookieScope::user` | `jupyterhub-user-alice` | `HttpOnly; SameSite=Lax; Secure; Path=/base/user/alice/; Max-Age` |
//! | `CookieScope::user_server` | `jupyterhub-user-alice-gpu` | `HttpOnly; SameSite=Lax; Secure; Path=/base/user/alice/gpu/; Max-Age` |
//! | `CookieScope::service` | `service-grader` | `HttpOnly; SameSite=Lax; Secure; Path=/base/services/grader/; Max-Age` |
//! | `CookieScope::oauth_state` | `jupyterhub-user-alice-oauth-state` | `HttpOnly; SameSite=Lax; Secure; Path=/base/user/alice/; Max-Age` |
//! | `CookieScope::session_id` | `jupyterhub-session-id` | `HttpOnly; SameSite=Lax; Secure; Path=/base/` |
//! | `CookieScope::server` | `username-localhost-8888` | `HttpOnly; SameSite=Lax; Secure; Path=/base/; Max-Age` |
//! | `CookieScope::xsrf` | `_xsrf` | `SameSite=Lax; Secure; Path=/base/` |
//!
//! `Secure` is set if the request came over https. The login cookies of hub and server are
//! [signed](CookieJar::signed), because Jupyter reads them; the others are encrypted
//! (`CookieJar::encrypted`), because only the writer reads them. A session id and an XSRF token are neither.
//!
//! # From a request to a response
//!
//! [`RequestCookies`] reads the `Cookie` headers, a [`CookieJar`] decodes and writes one cookie in its
//! [`CookieScope`], with the keys of a [`Keyring`] and for a [`Lifetime`]; [`SetCookies`] adds `Set-Cookie` headers
//! to the response. [`CookiePathMap`] finds the scope of a request by its path only.

mod base64_engine;
mod codec;
mod decoded;
mod distinct_values;
mod dynamic_name;
#[cfg(feature = "encrypted-cookies")]
mod encrypted;
mod error;
mod jar;
mod key_set;
mod keyring;
mod lifetime;
mod name;
mod path;
mod request_cookies;
mod scope;
mod set_cookies;
mod signed;
mod signed_fields;

pub use decoded::{CookieDecodeError, DecodedCookie};
pub use distinct_values::DistinctValues;
pub use error::{CookieError, CookieErrorKind, CookiesTooLarge};
pub use jar::{CookieJar, HostCookieJar, ReadCookie};
pub use keyring::Keyring;
pub use lifetime::Lifetime;
#[cfg(feature = "hub-server")]
pub(crate) use name::escape_path_segment;
pub use name::{CookieName, CookiePrefix};
pub use path::{CookiePath, CookiePathMap, PathMatch};
pub use request_cookies::RequestCookies;
pub use scope::{CookieScope, SameSite, SecureAttribute};
pub use set_cookies::SetCookies;
pub use signed::SignedValueCodec;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_table_on_the_page_is_what_the_code_does() {
        let base = "/base/";
        let user = CookieScope::user(base, "alice").expect("a base");
        let rows = [
            ("hub_login", CookieScope::hub_login(base)),
            ("user", Ok(user.clone())),
            ("user_server", CookieScope::user_server(base, "alice", "gpu")),
            ("service", CookieScope::service(base, "grader")),
            ("oauth_state", CookieScope::oauth_state(&user)),
            ("session_id", CookieScope::session_id(base)),
            ("server", CookieScope::server(base)),
            ("xsrf", CookieScope::xsrf(base)),
        ];
        let table: Vec<String> = rows
            .into_iter()
            .map(|(constructor, scope)| {
                let scope = scope.expect("a base");
                let host = b"localhost:8888";
                let line = scope
                    .set_cookie(host, "v", Some(Duration::ZERO), true)
                    .expect("a small value");
                let line = line.to_str().expect("ASCII").replace("=0", "");
                let (_, attributes) = line.split_once("; ").expect("attributes");
                let name = scope.name(host);
                format!("//! | `CookieScope::{constructor}` | `{name}` | `{attributes}` |")
            })
            .collect();
        let page: Vec<&str> = include_str!("mod.rs")
            .lines()
            .filter(|line| line.starts_with("//! | `CookieScope::"))
            .collect();
        assert_eq!(page, table, "the table should read:\n{}", table.join("\n"));
    }
}
