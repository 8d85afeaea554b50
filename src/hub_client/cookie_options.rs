//! `JUPYTERHUB_COOKIE_OPTIONS`: the attributes of the token's cookie, as the hub's administrator wants them.

use std::time::Duration;

use serde_json::Value;

use crate::{
    cookies::{CookieScope, Lifetime, SameSite, SecureAttribute},
    error::ConfigError,
};

/// How long the hub's token of a login is valid, unless the hub is configured otherwise.
pub(super) const TOKEN_LIFE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// `scope` with these options, a JSON object; how long the cookie is valid, and whether the browser keeps it when it ends.
pub(super) fn with_options(
    scope: CookieScope,
    options: &str,
) -> Result<(CookieScope, Lifetime, bool), ConfigError> {
    const NAME: &str = "JUPYTERHUB_COOKIE_OPTIONS";
    let Ok(Value::Object(options)) = serde_json::from_str(options) else {
        return Err(ConfigError::new(
            NAME,
            format!("expected a JSON object, found {options:?}"),
        ));
    };
    let mut life = TOKEN_LIFE;
    let mut lasting = true;
    let mut same_site = None;
    let mut scope = scope;
    for (option, value) in &options {
        let odd =
            |what: &str| ConfigError::new(NAME, format!("expected {what} for {option:?}, found {value}"));
        match option.to_ascii_lowercase().as_str() {
            "samesite" => {
                let text = value.as_str().map(str::to_ascii_lowercase);
                same_site = Some(match text.as_deref() {
                    Some("lax") => SameSite::Lax,
                    Some("none") => SameSite::None,
                    Some("strict") => SameSite::Strict,
                    _ => return Err(odd("Lax, None or Strict")),
                });
            }
            "secure" => match value {
                Value::Bool(true) => scope = scope.with_secure(SecureAttribute::Always)?,
                Value::Bool(false) => {}
                _ => return Err(odd("true or false")),
            },
            "domain" => {
                let domain = value.as_str().ok_or_else(|| odd("a domain name"))?;
                scope = scope.with_domain(domain)?;
            }
            "max_age" | "max-age" => {
                life = Duration::from_secs(value.as_u64().ok_or_else(|| odd("a number of seconds"))?);
            }
            "expires_days" if value.is_null() => lasting = false,
            "expires_days" => {
                let days = value.as_f64().filter(|days| (0.0..=400.0).contains(days));
                life = Duration::from_secs_f64(days.ok_or_else(|| odd("a number of days"))? * 86_400.0);
            }
            // Always so.
            "httponly" if value == &Value::Bool(true) => {}
            _ => {
                return Err(odd(
                    "one of samesite, secure, domain, max_age, expires_days, not this",
                ));
            }
        }
    }
    if let Some(same_site) = same_site {
        scope = scope.with_same_site(same_site)?;
    }
    Ok((scope, Lifetime::absolute(life), lasting))
}
